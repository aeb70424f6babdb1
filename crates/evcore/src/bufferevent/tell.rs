//! Telling the owner, from the loop only.

use std::io;
use std::rc::Rc;

use crate::base::EventFlags;

use super::core::{Core, Pending, Suspended};
use super::handler::BufferEventHandler;
use super::{BufferEvent, BufferEventFlags, BufferEventOptions};

impl Core {
    pub(super) fn tell_readable(self: &Rc<Self>) {
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::READABLE);
        } else {
            self.call(|handler, bev| handler.readable(bev));
        }
    }

    pub(super) fn tell_writable(self: &Rc<Self>) {
        if !self.handler.borrow().as_ref().is_some_and(|handler| handler.wants_write()) {
            return;
        }
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::WRITABLE);
        } else {
            self.call(|handler, bev| handler.writable(bev));
        }
    }

    pub(super) fn tell_event(self: &Rc<Self>, what: BufferEventFlags) {
        self.happened.set(self.happened.get() | what);
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) || !self.busy.get() {
            self.put_off(Pending::EVENT);
        } else {
            self.call_event();
        }
    }

    pub(super) fn call_event(self: &Rc<Self>) {
        let what = self.happened.take();
        if !what.is_empty() {
            self.call(|handler, bev| handler.event(bev, what));
        }
    }

    pub(super) fn call(self: &Rc<Self>, call: impl FnOnce(&dyn BufferEventHandler, &BufferEvent)) {
        if self.freed.get() {
            return;
        }
        let handler = self.handler.borrow().clone();
        if let Some(handler) = handler {
            call(&*handler, &BufferEvent { core: self.clone() });
        }
    }

    pub(super) fn fail(
        self: &Rc<Self>,
        error: io::Error,
        direction: EventFlags,
        what: BufferEventFlags,
    ) {
        *self.error.borrow_mut() = Some(error);
        self.disable_now(direction);
        if self.suspended.get().contains(Suspended::CLOSING) {
            self.finish_close();
            return;
        }
        self.tell_event(what | BufferEventFlags::ERROR);
    }
}
