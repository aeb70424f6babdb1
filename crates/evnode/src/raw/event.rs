//! The functions of events.

use std::rc::Rc;

use super::functions;
use super::memory::fd_from;
use super::value::Held;
use crate::base::{duration, Base};
use crate::error::Failure;
use crate::event::{event_flags, JsEvent};

functions! {
    c"eventNew" event_new(_env, base: Rc<Base>, fd: f64, flags: i32) -> i32 {
        JsEvent::create(base, fd_from(fd)?, event_flags(flags)?)
    }

    c"eventAdd" event_add(env, event: Rc<JsEvent>, ms: f64) -> () {
        let timeout = duration(ms)?;
        event.event.add(timeout)?;
        if timeout.is_some() {
            event.starts_anew(env);
        }
        event.base.touch();
        Ok(())
    }

    c"eventDel" event_del(env, event: Rc<JsEvent>) -> () {
        event.event.del()?;
        env.forget_collected(event.handle);
        event.base.touch();
        Ok(())
    }

    c"eventRemoveTimer" event_remove_timer(_env, event: Rc<JsEvent>) -> () {
        event.event.remove_timer()?;
        event.base.touch();
        Ok(())
    }

    c"eventActive" event_active(env, event: Rc<JsEvent>, what: i32) -> () {
        let what = event_flags(what)?;
        if !env.collect_more(event.handle, what) {
            event.event.active(what)?;
            event.base.touch();
        }
        Ok(())
    }

    c"eventActiveTimes" event_active_times(_env, event: Rc<JsEvent>, what: i32, calls: i32) -> () {
        let calls = u16::try_from(calls);
        let calls = calls.map_err(|_| Failure::Range("a number of calls is 0 to 65535"))?;
        event.event.active_times(event_flags(what)?, calls)?;
        event.base.touch();
        Ok(())
    }

    c"eventAddCommon" event_add_common(env, event: Rc<JsEvent>, timeout: usize) -> () {
        let timeout = event.base.common_timeouts.borrow().get(timeout).copied();
        let timeout = timeout.ok_or(Failure::Range("the base has no such common timeout"))?;
        event.event.add_common(&timeout)?;
        event.starts_anew(env);
        event.base.touch();
        Ok(())
    }

    c"eventAssign" event_assign(env, event: Rc<JsEvent>, fd: f64, flags: i32) -> () {
        if !env.collected(event.handle).is_empty() {
            let what = "the event is active; delete it first".to_owned();
            return Err(evcore::Error::InvalidArgument { call: "Event::assign", what }.into());
        }
        event.assign(fd_from(fd)?, event_flags(flags)?)
    }

    c"eventFinalize" event_finalize(env, event: Rc<JsEvent>) -> () {
        event.finalize()?;
        env.forget_collected(event.handle);
        event.base.touch();
        Ok(())
    }

    c"eventRemaining" event_remaining(_env, event: Rc<JsEvent>) -> Option<f64> {
        Ok(event.event.remaining().map(|left| left.as_secs_f64() * 1000.0))
    }

    c"eventPending" event_pending(env, event: Rc<JsEvent>, what: i32) -> i32 {
        let what = event_flags(what)?;
        let collected = env.collected(event.handle) & what;
        Ok((event.event.pending(what) | collected).bits().into())
    }

    c"eventSetPriority" event_set_priority(_env, event: Rc<JsEvent>, priority: i32) -> () {
        let priority = usize::try_from(priority);
        let priority = priority.map_err(|_| Failure::Range("a priority is not negative"))?;
        Ok(event.event.set_priority(priority)?)
    }

    c"eventPriority" event_priority(_env, event: Rc<JsEvent>) -> usize {
        Ok(event.event.priority())
    }

    c"eventFree" event_free(env, event: Held<Rc<JsEvent>>) -> () {
        event.object.event.free();
        event.object.base.touch();
        drop(env.table.remove(event.handle));
        Ok(())
    }
}
