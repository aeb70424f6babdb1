//! The obsolete functions that know their base by themselves: each thread's current one.
//!
//! New programs pass the base around. These exist for programs written for libevent 1.4, line by
//! line; the events themselves are made with [`Event::new`](super::Event::new) on
//! [`current_base`], which is what `event_set` and the `timeout_…` and `signal_…` macros did.

use std::cell::RefCell;
use std::time::Duration;

use crate::backend::RawFd;
use crate::error::{Error, Result};

use super::{EventBase, EventFlags, LoopExit, LoopFlags};

thread_local! {
    static CURRENT: RefCell<Option<EventBase>> = const { RefCell::new(None) };
}

/// Makes a base and makes it this thread's current one (`event_init`).
///
/// # Errors
/// As [`EventBase::new`].
#[doc(alias = "event_init")]
pub fn init() -> Result<EventBase> {
    let base = EventBase::new()?;
    let old = CURRENT.replace(Some(base.clone()));
    drop(old);
    Ok(base)
}

/// This thread's current base, if [`init`] has made one and it is not freed.
pub fn current_base() -> Option<EventBase> {
    CURRENT.with_borrow(|base| base.clone().filter(|base| !base.is_freed()))
}

/// Runs the current base's loop (`event_dispatch`).
///
/// # Errors
/// As [`EventBase::dispatch`]; [`Error::InvalidArgument`] when there is no current base, as in all
/// functions here.
#[doc(alias = "event_dispatch")]
pub fn dispatch() -> Result<LoopExit> {
    current("dispatch")?.dispatch()
}

/// Runs the current base's loop as `flags` say (`event_loop`).
///
/// # Errors
/// As [`EventBase::run_loop`].
#[doc(alias = "event_loop")]
pub fn run_loop(flags: LoopFlags) -> Result<LoopExit> {
    current("run_loop")?.run_loop(flags)
}

/// Ends the current base's loop after a time (`event_loopexit`).
///
/// # Errors
/// As [`EventBase::loop_exit`].
#[doc(alias = "event_loopexit")]
pub fn loop_exit(after: Option<Duration>) -> Result<()> {
    current("loop_exit")?.loop_exit(after)
}

/// Ends the current base's loop after the callback that is running (`event_loopbreak`).
///
/// # Errors
/// [`Error::InvalidArgument`] when there is no current base.
#[doc(alias = "event_loopbreak")]
pub fn loop_break() -> Result<()> {
    current("loop_break")?.loop_break();
    Ok(())
}

/// Runs `callback` once on the current base (`event_once`).
///
/// # Errors
/// As [`EventBase::once`].
#[doc(alias = "event_once")]
pub fn once(
    fd: RawFd,
    flags: EventFlags,
    timeout: Option<Duration>,
    callback: impl FnOnce(EventFlags) + 'static,
) -> Result<()> {
    current("once")?.once(fd, flags, timeout, callback)
}

/// The current base's method (`event_get_method`).
///
/// # Errors
/// [`Error::InvalidArgument`] when there is no current base.
#[doc(alias = "event_get_method")]
pub fn method() -> Result<&'static str> {
    Ok(current("method")?.method())
}

/// Sets the current base's number of priorities (`event_priority_init`).
///
/// # Errors
/// As [`EventBase::priority_init`].
#[doc(alias = "event_priority_init")]
pub fn priority_init(priorities: usize) -> Result<()> {
    current("priority_init")?.priority_init(priorities)
}

/// Lets go of the current base, which is freed with the last other handle on it.
pub fn shutdown() {
    let base = CURRENT.take();
    drop(base);
}

fn current(call: &'static str) -> Result<EventBase> {
    current_base().ok_or_else(|| Error::invalid(call, "this thread has no base; call init first"))
}
