//! The end of a bufferevent: of its sending side, of all of it once it is written, at once.

use std::rc::Rc;

use crate::base::EventFlags;
use crate::buffer::EvBuffer;

use super::core::{Core, Pending, Suspended};
use super::socket::SocketTransport;
use super::transport::Transport;
use super::{BufferEvent, BufferEventFlags, BufferEventOptions};

impl Core {
    /// Stops to read, writes what is queued, and frees.
    pub(super) fn close(self: &Rc<Self>) {
        self.suspend(Suspended::CLOSING);
        self.enabled.set(self.enabled.get() | EventFlags::WRITE);
        self.put_off(Pending::FLUSH);
    }

    /// Ends the sending side once the output is empty.
    pub(super) fn finish_writing(self: &Rc<Self>) {
        self.finishing.set(true);
        self.put_off(Pending::FLUSH);
    }

    /// Everything is written: does what waited for that, and says whether that was the end.
    #[inline]
    pub(super) fn finish(self: &Rc<Self>) -> bool {
        let closing = self.is(Suspended::CLOSING);
        (closing || self.finishing.get()) && self.end_writing(closing)
    }

    fn end_writing(self: &Rc<Self>, closing: bool) -> bool {
        let Some(link) = self.link() else {
            if closing {
                self.finish_close();
            } else {
                self.finishing.set(false);
                // The peer may have gone first; reading tells.
                let _ = self.with_socket(SocketTransport::finish);
            }
            return closing;
        };
        match link.finish(self, closing) {
            _ if self.is_freed() => return true,
            Ok(true) if closing => self.finish_close(),
            Ok(true) => self.finishing.set(false),
            // The write timeout counts for this too. It fails no more than any writing.
            Ok(false) => drop(self.start_writing("BufferEvent")),
            Err(error) => {
                self.finishing.set(false);
                self.fail(error, BufferEventFlags::WRITING);
                return true;
            }
        }
        closing
    }

    pub(super) fn finish_close(self: &Rc<Self>) {
        if !self.options.contains(BufferEventOptions::CLOSE_ON_FREE) {
            // Nobody closes the descriptor for us. The peer may have gone first, which is as good.
            let _ = self.with_socket(SocketTransport::finish);
        }
        let handler = self.handler.borrow().clone();
        self.free();
        if let Some(handler) = handler {
            handler.closed(&BufferEvent { core: self.clone() });
        }
    }

    pub(super) fn free(&self) {
        if self.freed.replace(true) {
            return;
        }
        let events =
            [&self.read_event, &self.write_event, &self.deferred].map(|event| event.take());
        if let Some(limits) = self.limits.get() {
            limits.end();
        }
        let timer = self.timeouts.get().and_then(|timeouts| timeouts.timer.take());
        let dial = self.dial.try_borrow_mut().ok().and_then(|mut dial| dial.take());
        // The events let go of the descriptor before it is closed.
        drop((events, timer, dial));
        let close = self.options.contains(BufferEventOptions::CLOSE_ON_FREE);
        match self.transport.take() {
            Some(Transport::Socket(socket)) if !close => socket.release(),
            Some(Transport::Link(link)) => link.release(close),
            Some(Transport::Socket(_)) | None => {}
        }
        for buffer in [&self.input, &self.output] {
            if let Ok(mut buffer) = buffer.try_borrow_mut() {
                *buffer = EvBuffer::new();
            }
        }
        self.release_sources();
        drop(self.handler.take());
    }
}
