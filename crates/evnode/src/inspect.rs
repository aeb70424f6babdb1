//! Looking at a base's loop, and setting its events off.

use evcore::base::CountKinds;
use napi_derive::napi;

use crate::base::duration;
use crate::error::Failure;
use crate::event::event_flags;
use crate::handle::Handle;
use crate::raw::{cold, fd_from};

/// How many events there are, by what they do.
#[napi(object, object_from_js = false)]
pub struct EventCounts {
    /// Events whose callback waits to be run (`EVENT_BASE_COUNT_ACTIVE`).
    pub active: u32,
    /// Events that wait for something (`EVENT_BASE_COUNT_ADDED`).
    pub added: u32,
    /// What else keeps the loop from ending (`EVENT_BASE_COUNT_VIRTUAL`).
    #[napi(js_name = "virtual")]
    pub virtuals: u32,
}

impl EventCounts {
    fn of(count: impl Fn(CountKinds) -> usize) -> Self {
        Self {
            active: count(CountKinds::ACTIVE) as u32,
            added: count(CountKinds::ADDED) as u32,
            virtuals: count(CountKinds::VIRTUAL) as u32,
        }
    }
}

/// How many events there are; one that is both pending and active counts once for each.
#[napi(catch_unwind)]
pub fn base_counts(env: napi::Env, base: Handle) -> napi::Result<EventCounts> {
    cold(&env, |env| {
        let base = env.base(base)?;
        let mut counts = EventCounts::of(|kinds| base.base.num_events(kinds));
        counts.active += env.collected_events(base.handle).count() as u32;
        counts.active -= base.batch.own_events() as u32;
        Ok(counts)
    })
}

/// The most events that there have been; counts anew from what there is with `reset`.
#[napi(catch_unwind)]
pub fn base_max_counts(env: napi::Env, base: Handle, reset: bool) -> napi::Result<EventCounts> {
    cold(&env, |env| {
        let base = env.base(base)?;
        Ok(EventCounts::of(|kinds| base.base.max_events(kinds, reset)))
    })
}

/// Keeps the loop from ending for want of events, once more; or (`on` is false) once less.
#[napi(catch_unwind)]
pub fn base_hold(env: napi::Env, base: Handle, on: bool) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        if on {
            base.holds.borrow_mut().push(base.base.hold());
        } else {
            drop(base.holds.borrow_mut().pop());
        }
        base.update_keep_alive();
        base.touch();
        Ok(())
    })
}

/// A line of text for every event that is pending or active.
#[napi(catch_unwind)]
pub fn base_dump(env: napi::Env, base: Handle) -> napi::Result<String> {
    cold(&env, |env| {
        let mut text = String::new();
        env.base(base)?.base.dump_events(&mut text)?;
        Ok(text)
    })
}

/// Makes the events on a descriptor active that wait for any of `what`.
#[napi(catch_unwind)]
pub fn base_active_by_fd(env: napi::Env, base: Handle, fd: f64, what: i32) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        base.base.active_by_fd(fd_from(fd)?, event_flags(what)?)?;
        base.touch();
        Ok(())
    })
}

/// Makes the events of a signal active.
#[napi(catch_unwind)]
pub fn base_active_by_signal(env: napi::Env, base: Handle, signal: i32) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        base.base.active_by_signal(signal)?;
        base.touch();
        Ok(())
    })
}

/// Prepares a timeout that many events share; returns its number for `eventAddCommon`.
#[napi(catch_unwind)]
pub fn base_init_common_timeout(env: napi::Env, base: Handle, ms: f64) -> napi::Result<u32> {
    cold(&env, |env| {
        let base = env.base(base)?;
        let time = duration(ms)?.ok_or(Failure::Range("a timeout is not negative"))?;
        let timeout = base.base.init_common_timeout(time)?;
        let mut known = base.common_timeouts.borrow_mut();
        let index = known.iter().position(|other| *other == timeout).unwrap_or_else(|| {
            known.push(timeout);
            known.len() - 1
        });
        Ok(index as u32)
    })
}
