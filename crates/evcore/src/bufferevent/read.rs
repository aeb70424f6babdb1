//! Reading: from the transport to the input, for as long as there is a reason to.

use std::io;
use std::rc::Rc;

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};

use crate::ratelimit::Direction;

use super::core::{Core, Pending, Suspended};
use super::transport::Transport;
use super::BufferEventFlags;

/// The most that one read asks for, in bytes. The buffer reads into a block that stays hot and moves
/// a few bytes to one that fits, so that asking for much costs nothing when little comes.
pub(super) const MOST_READ: usize = 64 * 1024;

/// How often in a row a link is read before others get their turn.
const MOST_ROUNDS: usize = 16;

impl Core {
    /// The socket is readable.
    pub(super) fn read(self: &Rc<Self>) {
        let result = {
            let Ok(mut input) = self.input.try_borrow_mut() else {
                self.input_is_lent_out();
                return;
            };
            let room = self.read_mark.get().room(input.len());
            if room == 0 {
                drop(input);
                self.suspend(Suspended::INPUT_FULL);
                return;
            }
            let room = room.min(self.most_to_read());
            if room == 0 {
                return;
            }
            match &*self.transport.borrow() {
                Some(Transport::Socket(socket)) => {
                    socket.read(&mut input, room).map(|count| (count, input.len()))
                }
                _ => return,
            }
        };
        self.have_read(result);
    }

    /// The most that one read may bring now. With 0 the rate limits have suspended reading.
    #[inline]
    pub(super) fn most_to_read(self: &Rc<Self>) -> usize {
        if self.limits.get().is_none() {
            return MOST_READ;
        }
        self.limited(Direction::Read)
    }

    /// The link may have something to read.
    pub(super) fn read_link(self: &Rc<Self>) {
        for _ in 0..MOST_ROUNDS {
            let Some(link) = self.link() else { return };
            if self.is(Suspended::CONNECTING) {
                return link.open(self);
            }
            let room = if link.has_arrived() && self.may_tell_readable() {
                usize::MAX
            } else if self.reading.get() {
                let Some(room) = self.room_to_read() else { return };
                room
            } else {
                return;
            };
            let result = link.read(self, room);
            if self.is_freed() {
                return;
            }
            let length = self.input.try_borrow().map_or(0, |input| input.len());
            let more = result.as_ref().is_ok_and(|count| *count > 0);
            self.have_read(result.map(|count| (count, length)));
            if !more || self.is_freed() || !link.has_more() {
                return;
            }
        }
        self.put_off(Pending::READ);
    }

    /// How many bytes may be put into the input now; if none may, reading stops.
    fn room_to_read(self: &Rc<Self>) -> Option<usize> {
        let Ok(input) = self.input.try_borrow() else {
            self.input_is_lent_out();
            return None;
        };
        let room = self.read_mark.get().room(input.len());
        drop(input);
        if room == 0 {
            self.suspend(Suspended::INPUT_FULL);
            return None;
        }
        if self.limits.get().is_none() {
            return Some(room);
        }
        Some(room.min(self.limited(Direction::Read))).filter(|room| *room > 0)
    }

    fn may_tell_readable(&self) -> bool {
        self.enabled.get().contains(EventFlags::READ) && !self.is(Suspended::CLOSING)
    }

    /// Reading goes on when the guard is dropped.
    pub(super) fn input_is_lent_out(&self) {
        self.missed.set(self.missed.get() | EventFlags::READ);
        self.suspend(Suspended::INPUT_FULL);
    }

    /// So many bytes were put into the input, which holds so many now.
    #[inline(always)]
    fn have_read(self: &Rc<Self>, result: io::Result<(usize, usize)>) {
        match result {
            Ok((0, _)) => {
                self.disable_now(EventFlags::READ);
                self.tell_event(BufferEventFlags::EOF | BufferEventFlags::READING);
            }
            Ok((count, length)) => {
                if self.limits.get().is_some() {
                    self.charge(Direction::Read, count);
                }
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.read.restart(self.base.now());
                }
                if length >= self.read_mark.get().low {
                    self.tell_readable();
                }
                self.suspend_if_full();
            }
            Err(error) if is_transient(&error) => {}
            Err(error) => self.fail(error, BufferEventFlags::READING),
        }
    }

    /// Stops to read while the input has reached its high-water mark.
    #[inline(always)]
    pub(super) fn suspend_if_full(&self) {
        let Ok(input) = self.input.try_borrow() else { return };
        if self.read_mark.get().is_full(input.len()) {
            self.suspend(Suspended::INPUT_FULL);
        }
    }

    /// The input may have shrunk: goes on to read if there is room again.
    pub(super) fn input_changed(self: &Rc<Self>, length: usize) {
        let mut over = Suspended::empty();
        over.set(Suspended::INPUT_FULL, !self.read_mark.get().is_full(length));
        // With nothing left to forward, there is nothing to wait for.
        over.set(Suspended::TARGET_FULL, length == 0);
        if self.suspended.get().intersects(over) {
            self.resume(over);
        }
    }

    pub(super) fn suspend(&self, why: Suspended) {
        self.suspended.set(self.suspended.get() | why);
        self.stop_reading_if_unwanted();
    }

    pub(super) fn resume(self: &Rc<Self>, why: Suspended) {
        self.suspended.set(self.suspended.get() - why);
        if let Err(Error::Os { source, .. }) = self.update_reading("BufferEvent") {
            // Without a call to report to, it is told as any other error is.
            *self.error.borrow_mut() = Some(source);
            self.disable_now(EventFlags::READ);
            self.note_event(BufferEventFlags::ERROR | BufferEventFlags::READING);
        }
    }

    /// Reads exactly while there is a reason to read.
    pub(super) fn update_reading(self: &Rc<Self>, call: &'static str) -> Result<()> {
        if !self.wants_to_read() {
            self.stop_reading_if_unwanted();
            return Ok(());
        }
        if self.reading.get() {
            return Ok(());
        }
        let watched = self.read_event.borrow().as_ref().map(|event| event.add(None));
        if let Some(watched) = watched {
            watched.map_err(|error| error.in_call(call))?;
            self.reading.set(true);
        } else if let Some(link) = self.link() {
            self.reading.set(true);
            link.set_reading(true);
            self.put_off(Pending::READ);
        } else {
            return Ok(());
        }
        self.restart_timer(|timeouts, now| timeouts.read.restart(now));
        Ok(())
    }

    fn wants_to_read(&self) -> bool {
        self.enabled.get().contains(EventFlags::READ)
            && self.suspended.get().is_empty()
            && !self.freed.get()
    }

    pub(super) fn stop_reading_if_unwanted(&self) {
        if self.wants_to_read() || !self.reading.replace(false) {
            return;
        }
        // Off the loop it is in any case, though the system may have forgotten its descriptor.
        let watched = self.read_event.borrow().as_ref().map(Event::del);
        if watched.is_none() {
            if let Some(link) = self.link() {
                link.set_reading(false);
            }
        }
        self.stop_timer_if_idle();
    }
}

/// Whether to try again later is all that there is to do.
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
