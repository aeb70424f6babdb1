//! Events: `Event`.

use std::cell::Cell;
use std::rc::Rc;

use evcore::backend::RawFd;
use evcore::{Event, EventFlags};

use crate::base::Base;
use crate::dispatch::Kind;
use crate::env::{EnvRef, EnvState};
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};

/// An event that JavaScript holds.
pub(crate) struct JsEvent {
    pub(crate) event: Event,
    pub(crate) base: Rc<Base>,
    pub(crate) handle: Handle,
    /// Its callback was replaced by its finalizer.
    finalized: Cell<bool>,
}

impl JsEvent {
    /// Makes an event whose callback is the dispatcher.
    pub(crate) fn create(base: Rc<Base>, fd: RawFd, flags: EventFlags) -> Result<Handle> {
        let env = base.env.clone();
        let table = &base.env.clone().table;
        table.insert(|handle| {
            let event = Event::new(&base.base, fd, flags, callback(env, handle))?;
            let finalized = Cell::new(false);
            Ok(Object::Event(Rc::new(Self { event, base, handle, finalized })))
        })
    }

    /// A timeout that has passed but was not told is taken back: it starts anew.
    pub(crate) fn starts_anew(&self, env: &EnvState) {
        if env.collected(self.handle).contains(EventFlags::TIMEOUT) {
            env.forget_collected(self.handle);
        }
    }

    /// Makes it another event that is told by the same handle.
    pub(crate) fn assign(&self, fd: RawFd, flags: EventFlags) -> Result<()> {
        if self.finalized.get() {
            let callback = callback(self.base.env.clone(), self.handle);
            self.event.assign(fd, flags, callback)?;
            self.finalized.set(false);
        } else {
            self.event.reassign(fd, flags)?;
        }
        Ok(())
    }

    /// Has FINALIZED called when no callback of it can run any more.
    pub(crate) fn finalize(&self) -> Result<()> {
        let (env, handle) = (self.base.env.clone(), self.handle);
        self.event.finalize(move |_| env.emit(Kind::Finalized, handle, 0.0, 0.0))?;
        self.finalized.set(true);
        Ok(())
    }
}

/// What an event calls: the dispatcher.
fn callback(env: EnvRef, handle: Handle) -> impl FnMut(&Event, EventFlags) {
    move |_, fired| {
        if fired.contains(EventFlags::SIGNAL) {
            // As often as the signal came.
            env.emit(Kind::Event, handle, fired.bits().into(), 0.0);
        } else {
            env.collect(Kind::Event, handle, fired.bits(), None);
        }
    }
}

/// Event flags as JavaScript gives them.
pub(crate) fn event_flags(bits: i32) -> Result<EventFlags> {
    let flags = u16::try_from(bits).ok().and_then(EventFlags::from_bits);
    flags.ok_or(Failure::Range("these are no EventFlags"))
}
