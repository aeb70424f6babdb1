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

    c"eventAdd" event_add(_env, event: Rc<JsEvent>, ms: f64) -> () {
        event.event.add(duration(ms)?)?;
        event.base.touch();
        Ok(())
    }

    c"eventDel" event_del(_env, event: Rc<JsEvent>) -> () {
        event.event.del()?;
        event.base.touch();
        Ok(())
    }

    c"eventRemoveTimer" event_remove_timer(_env, event: Rc<JsEvent>) -> () {
        event.event.remove_timer()?;
        event.base.touch();
        Ok(())
    }

    c"eventActive" event_active(_env, event: Rc<JsEvent>, what: i32) -> () {
        event.event.active(event_flags(what)?)?;
        event.base.touch();
        Ok(())
    }

    c"eventActiveTimes" event_active_times(_env, event: Rc<JsEvent>, what: i32, calls: i32) -> () {
        let calls = u16::try_from(calls);
        let calls = calls.map_err(|_| Failure::Range("a number of calls is 0 to 65535"))?;
        event.event.active_times(event_flags(what)?, calls)?;
        event.base.touch();
        Ok(())
    }

    c"eventAddCommon" event_add_common(_env, event: Rc<JsEvent>, timeout: usize) -> () {
        let timeout = event.base.common_timeouts.borrow().get(timeout).copied();
        let timeout = timeout.ok_or(Failure::Range("the base has no such common timeout"))?;
        event.event.add_common(&timeout)?;
        event.base.touch();
        Ok(())
    }

    c"eventAssign" event_assign(_env, event: Rc<JsEvent>, fd: f64, flags: i32) -> () {
        event.assign(fd_from(fd)?, event_flags(flags)?)
    }

    c"eventFinalize" event_finalize(_env, event: Rc<JsEvent>) -> () {
        event.finalize()?;
        event.base.touch();
        Ok(())
    }

    c"eventRemaining" event_remaining(_env, event: Rc<JsEvent>) -> Option<f64> {
        Ok(event.event.remaining().map(|left| left.as_secs_f64() * 1000.0))
    }

    c"eventPending" event_pending(_env, event: Rc<JsEvent>, what: i32) -> i32 {
        Ok(event.event.pending(event_flags(what)?).bits().into())
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
