//! Events: `Event`.

use std::rc::Rc;

use evcore::backend::RawFd;
use evcore::{Event, EventFlags};

use crate::base::Base;
use crate::dispatch::Kind;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};

/// An event that JavaScript holds.
pub(crate) struct JsEvent {
    pub(crate) event: Event,
    pub(crate) base: Rc<Base>,
}

impl JsEvent {
    /// Makes an event whose callback is the dispatcher.
    pub(crate) fn create(base: Rc<Base>, fd: RawFd, flags: EventFlags) -> Result<Handle> {
        let env = base.env.clone();
        let table = &base.env.clone().table;
        table.insert(|handle| {
            let callback = move |event: &Event, fired: EventFlags| {
                let fd = event.fd() as f64;
                env.emit(Kind::Event, handle, fired.bits().into(), fd);
            };
            let event = Event::new(&base.base, fd, flags, callback)?;
            Ok(Object::Event(Rc::new(Self { event, base })))
        })
    }
}

/// Event flags as JavaScript gives them.
pub(crate) fn event_flags(bits: i32) -> Result<EventFlags> {
    let flags = u16::try_from(bits).ok().and_then(EventFlags::from_bits);
    flags.ok_or(Failure::Range("these are no EventFlags"))
}
