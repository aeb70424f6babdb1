//! Writing: from the output to the transport, as soon as it takes bytes.

use std::io;
use std::rc::{Rc, Weak};

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};
use crate::ratelimit::Direction;

use super::core::{Core, Pending, Suspended};
use super::read::is_transient;
use super::transport::{Moved, Transport};
use super::BufferEventFlags;

/// What has come of writing.
enum Attempt {
    Wrote(io::Result<usize>),
    Empty,
    /// There are rate limits to ask first.
    Limited,
    Link,
    NoTransport,
}

impl Core {
    /// Writes what the transport takes. Called whenever the output may have grown.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.enabled.get().contains(EventFlags::WRITE) && !self.is_freed() {
            if !self.is(Suspended::CONNECTING) {
                // A link is asked again: nothing else tells that it has room.
                if !self.writing.get() || self.write_event.borrow().is_none() {
                    self.write();
                }
            } else if self.is(Suspended::CLOSING) && self.output_is_empty() {
                self.finish_close();
            } else if self.write_event.borrow().is_none() {
                self.write_link();
            } else {
                self.watch_writing();
            }
        }
        self.output_changed();
    }

    fn output_is_empty(&self) -> bool {
        self.output.try_borrow().is_ok_and(|output| output.is_empty())
    }

    /// The socket is writable.
    pub(super) fn writable(self: &Rc<Self>) {
        if self.is(Suspended::CONNECTING) {
            self.connected();
        } else {
            self.write();
            self.output_changed();
        }
    }

    pub(super) fn write(self: &Rc<Self>) {
        let result = {
            let Ok(mut output) = self.output.try_borrow_mut() else {
                self.missed.set(self.missed.get() | EventFlags::WRITE);
                self.stop_writing();
                return;
            };
            match &*self.transport.borrow() {
                Some(Transport::Link(_)) => Attempt::Link,
                _ if output.is_empty() => Attempt::Empty,
                Some(Transport::Socket(_)) if self.limits.get().is_some() => Attempt::Limited,
                Some(Transport::Socket(socket)) => {
                    Attempt::Wrote(socket.write(&mut output, usize::MAX).map(|_| output.len()))
                }
                None => Attempt::NoTransport,
            }
        };
        match result {
            Attempt::Wrote(result) => self.have_written(result),
            Attempt::Empty => {
                self.stop_writing();
                self.finish();
            }
            Attempt::Limited => self.write_limited(),
            Attempt::Link => self.write_link(),
            // Without a socket, what was written can wait; to be closed it need not.
            Attempt::NoTransport if self.is(Suspended::CLOSING) => self.finish_close(),
            Attempt::NoTransport => {}
        }
    }

    /// The socket has taken bytes, and this many are left, or it takes none.
    #[inline(always)]
    fn have_written(self: &Rc<Self>, result: io::Result<usize>) {
        match result {
            Ok(left) => {
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.write.restart(self.base.now());
                }
                if left == 0 {
                    self.stop_writing();
                } else if !self.watch_writing() {
                    return;
                }
                self.wrote(left);
            }
            Err(error) if is_transient(&error) => {
                self.watch_writing();
            }
            Err(error) => self.fail(error, BufferEventFlags::WRITING),
        }
    }

    /// Writes to the socket what the rate limits let pass.
    #[cold]
    fn write_limited(self: &Rc<Self>) {
        let most = self.limited(Direction::Write);
        if most == 0 {
            // Goes on when the limits allow it.
            return self.stop_writing();
        }
        let result = {
            let Ok(mut output) = self.output.try_borrow_mut() else { return };
            let Some(Transport::Socket(socket)) = &*self.transport.borrow() else { return };
            socket.write(&mut output, most).map(|count| (count, output.len()))
        };
        if let Ok((count, _)) = result {
            self.charge(Direction::Write, count);
        }
        self.have_written(result.map(|(_, left)| left));
    }

    /// The most that one write may take now. With 0 the rate limits hold writing up.
    #[inline]
    fn most_to_write(self: &Rc<Self>) -> usize {
        if self.limits.get().is_none() {
            return usize::MAX;
        }
        self.limited(Direction::Write)
    }

    fn write_link(self: &Rc<Self>) {
        let Some(link) = self.link() else { return };
        // What waits below can go on whatever the limits say.
        let most = if self.output_is_empty() { usize::MAX } else { self.most_to_write() };
        let result = link.write(self, most);
        if self.is_freed() {
            return;
        }
        let Moved { count, blocked } = match result {
            Ok(moved) => moved,
            Err(error) if self.is(Suspended::CONNECTING) => return self.fail_to_connect(error),
            Err(error) => {
                self.stop_writing();
                return self.fail(error, BufferEventFlags::WRITING);
            }
        };
        if count > 0 {
            if self.limits.get().is_some() {
                self.charge(Direction::Write, count);
            }
            if let Some(timeouts) = self.timeouts.get() {
                timeouts.write.restart(self.base.now());
            }
        }
        if blocked && most == 0 {
            self.stop_writing();
        } else if blocked || self.is(Suspended::CONNECTING) {
            self.watch_writing();
        } else {
            self.stop_writing();
            if self.finish() {
                return;
            }
        }
        let left = self.output.try_borrow().map_or(0, |output| output.len());
        if count > 0 && left <= self.write_mark.get().low {
            self.tell_writable();
        }
    }

    /// The output has shrunk to `left` bytes.
    #[inline(always)]
    pub(super) fn wrote(self: &Rc<Self>, left: usize) {
        if left == 0 && self.finish() {
            return;
        }
        if left <= self.write_mark.get().low {
            self.tell_writable();
        }
    }

    /// The output has grown or shrunk, or its marks have moved: holds up those that fill it, or lets
    /// them go on.
    fn output_changed(self: &Rc<Self>) {
        let Ok(length) = self.output.try_borrow().map(|output| output.len()) else { return };
        let mark = self.write_mark.get();
        if mark.is_full(length) {
            self.suspend(Suspended::OUTPUT_FULL);
        } else if mark.high == 0 || length <= mark.low || length <= mark.high / 2 {
            if self.is(Suspended::OUTPUT_FULL) {
                self.resume(Suspended::OUTPUT_FULL);
            }
            self.release_sources();
        }
    }

    /// Lets those go on that wait to forward more.
    pub(super) fn release_sources(&self) {
        if self.sources.borrow().is_empty() {
            return;
        }
        for source in self.sources.take().iter().filter_map(Weak::upgrade) {
            source.resume(Suspended::TARGET_FULL);
            source.put_off(Pending::READABLE);
        }
    }

    /// Goes on when the descriptor is writable; says whether it can.
    fn watch_writing(self: &Rc<Self>) -> bool {
        match self.start_writing("BufferEvent") {
            Err(Error::Os { source, .. }) => {
                self.fail(source, BufferEventFlags::WRITING);
                false
            }
            result => result.is_ok(),
        }
    }

    pub(super) fn start_writing(self: &Rc<Self>, call: &'static str) -> Result<()> {
        if self.writing.get() {
            return Ok(());
        }
        if self.write_event.borrow().is_none() {
            // A link calls by itself; without a socket there is nothing to wait for.
            let fd = match &*self.transport.borrow() {
                Some(Transport::Socket(socket)) => Some(socket.fd()),
                Some(Transport::Link(_)) => None,
                // The attempts to connect are watched apart.
                None if self.is(Suspended::CONNECTING) => None,
                None => return Ok(()),
            };
            if let Some(fd) = fd {
                let base = self.base.upgrade().ok_or(Error::Freed { call })?;
                let write = EventFlags::WRITE | EventFlags::PERSIST;
                let event = Event::new(&base, fd, write, self.on_event(Core::writable))?;
                self.prioritize(&event);
                *self.write_event.borrow_mut() = Some(event);
            }
        }
        if let Some(event) = &*self.write_event.borrow() {
            event.add(None)?;
        }
        self.writing.set(true);
        self.restart_timer(|timeouts, now| timeouts.write.restart(now));
        Ok(())
    }

    pub(super) fn stop_writing(&self) {
        if self.writing.replace(false) {
            if let Some(event) = &*self.write_event.borrow() {
                // Off the loop it is in any case, though the system may have forgotten its descriptor.
                let _ = event.del();
            }
            self.stop_timer_if_idle();
        }
    }

    /// Waits with the rest of this input until `target` has room for it.
    pub(super) fn wait_for(self: &Rc<Self>, target: &Rc<Core>) {
        self.suspend(Suspended::TARGET_FULL);
        let mut sources = target.sources.borrow_mut();
        let me = Rc::downgrade(self);
        sources.retain(|source| source.strong_count() > 0 && !source.ptr_eq(&me));
        sources.push(me);
    }
}
