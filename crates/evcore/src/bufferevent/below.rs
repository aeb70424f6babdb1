//! What a bufferevent below a filter tells the one on top.

use std::io;
use std::rc::Rc;

use crate::base::EventFlags;

use super::core::{Core, Pending, Suspended};
use super::filter_link::FilterLink;
use super::handler::BufferEventHandler;
use super::{BufferEvent, BufferEventFlags};

/// The handler of the bufferevent below.
pub(super) struct Below {
    pub(super) core: Rc<Core>,
    pub(super) link: Rc<FilterLink>,
}

impl BufferEventHandler for Below {
    fn readable(&self, _: &BufferEvent) {
        if self.link.is_deep() {
            self.core.put_off(Pending::READ);
        } else {
            self.core.step(Core::read_link);
        }
    }

    fn writable(&self, _: &BufferEvent) {
        if self.link.is_deep() {
            self.core.put_off(Pending::FLUSH);
        } else {
            self.core.step(Core::flush);
        }
    }

    fn event(&self, bev: &BufferEvent, what: BufferEventFlags) {
        let direction = what & (BufferEventFlags::READING | BufferEventFlags::WRITING);
        if what.contains(BufferEventFlags::CONNECTED) {
            self.link.connecting.set(false);
            self.core.put_off(Pending::CONNECTED | Pending::FLUSH);
        }
        if what.contains(BufferEventFlags::EOF) {
            self.link.ended.set(true);
            self.readable(bev);
        }
        if what.contains(BufferEventFlags::ERROR) {
            let error = bev.take_error().unwrap_or_else(|| io::ErrorKind::Other.into());
            self.core.step(|core| {
                if core.is(Suspended::CONNECTING) {
                    return core.fail_to_connect(error);
                }
                core.read_link();
                if !core.is_freed() {
                    core.fail(error, direction);
                }
            });
        }
        if what.contains(BufferEventFlags::TIMEOUT) {
            self.core.step(|core| core.give_up(direction, BufferEventFlags::TIMEOUT));
        }
    }

    fn closed(&self, _: &BufferEvent) {
        self.core.step(|core| {
            if core.is(Suspended::CLOSING) {
                core.finish_close();
            }
        });
    }

    fn wants_write(&self) -> bool {
        self.core.writing.get()
    }
}

impl Drop for Below {
    /// The bufferevent below has gone or was given to somebody else.
    fn drop(&mut self) {
        let core = &self.core;
        if core.is_freed() {
            return;
        }
        if core.is(Suspended::CLOSING) {
            return core.put_off(Pending::FLUSH);
        }
        core.disable_now(EventFlags::READ | EventFlags::WRITE);
        let what = "the bufferevent below was freed or given another handler";
        *core.error.borrow_mut() = Some(io::Error::new(io::ErrorKind::NotConnected, what));
        core.note_event(BufferEventFlags::ERROR);
    }
}
