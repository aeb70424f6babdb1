//! Telling the owner, from the loop only.
//!
//! What a socket's read and write pass through is always inlined here and in `read` and `write`:
//! links share it, and a call more for each of its parts would be felt by an echo of few bytes.

use std::io;
use std::rc::Rc;

use crate::base::EventFlags;

use super::core::{Core, Pending, Suspended};
use super::handler::BufferEventHandler;
use super::{BufferEvent, BufferEventFlags, BufferEventOptions};

impl Core {
    #[inline(always)]
    pub(super) fn tell_readable(self: &Rc<Self>) {
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::READABLE);
        } else {
            self.call(|handler, bev| handler.readable(bev));
        }
    }

    #[inline(always)]
    pub(super) fn tell_writable(self: &Rc<Self>) {
        let Some(handler) = self.handler.borrow().clone() else { return };
        if !handler.wants_write() {
            return;
        }
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::WRITABLE);
        } else {
            self.call(|handler, bev| handler.writable(bev));
        }
    }

    pub(super) fn tell_event(self: &Rc<Self>, what: BufferEventFlags) {
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.note_event(what);
        } else {
            self.happened.set(self.happened.get() | what);
            self.call_event();
        }
    }

    /// Tells later what happened: for calls from outside, inside of which no callback runs.
    pub(super) fn note_event(self: &Rc<Self>, what: BufferEventFlags) {
        self.happened.set(self.happened.get() | what);
        self.put_off(Pending::EVENT);
    }

    pub(super) fn call_event(self: &Rc<Self>) {
        let what = self.happened.take();
        if !what.is_empty() {
            self.call(|handler, bev| handler.event(bev, what));
        }
    }

    #[inline(always)]
    pub(super) fn call(self: &Rc<Self>, call: impl FnOnce(&dyn BufferEventHandler, &BufferEvent)) {
        if self.is_freed() {
            return;
        }
        let handler = self.handler.borrow().clone();
        if let Some(handler) = handler {
            call(&*handler, &BufferEvent { core: self.clone() });
        }
    }

    /// A direction has failed for good.
    pub(super) fn fail(self: &Rc<Self>, error: io::Error, direction: BufferEventFlags) {
        *self.error.borrow_mut() = Some(error);
        self.give_up(direction, BufferEventFlags::ERROR);
    }

    /// Disables a direction that has ended with `why`, which is told, or is the end of a close.
    pub(super) fn give_up(self: &Rc<Self>, direction: BufferEventFlags, why: BufferEventFlags) {
        let reading = direction.contains(BufferEventFlags::READING);
        self.disable_now(if reading { EventFlags::READ } else { EventFlags::WRITE });
        if self.is(Suspended::CLOSING) {
            self.finish_close();
        } else {
            self.tell_event(direction | why);
        }
    }
}
