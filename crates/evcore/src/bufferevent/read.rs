//! Reading: from the transport to the input, for as long as there is a reason to.

use std::io;
use std::rc::Rc;

use crate::base::EventFlags;
use crate::error::{Error, Result};

use super::core::{Core, Suspended};
use super::BufferEventFlags;

/// The most that one read asks for, in bytes. The buffer reads into a block that stays hot and moves
/// a few bytes to one that fits, so that asking for much costs nothing when little comes.
const MOST_READ: usize = 64 * 1024;

impl Core {
    pub(super) fn read(self: &Rc<Self>) {
        let mark = self.read_mark.get();
        let result = {
            let Ok(mut input) = self.input.try_borrow_mut() else {
                self.missed.set(self.missed.get() | EventFlags::READ);
                self.suspend(Suspended::INPUT_FULL);
                return;
            };
            let room = mark.room(input.len()).min(MOST_READ);
            if room == 0 {
                drop(input);
                self.suspend(Suspended::INPUT_FULL);
                return;
            }
            let result = self.with_transport(|transport| transport.read(&mut input, room));
            result.map(|result| result.map(|count| (count, input.len())))
        };
        match result {
            None => {}
            Some(Ok((0, _))) => {
                self.disable_now(EventFlags::READ);
                self.tell_event(BufferEventFlags::EOF | BufferEventFlags::READING);
            }
            Some(Ok((_, length))) => {
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.read.restart(self.base.now());
                }
                if length >= mark.low {
                    self.tell_readable();
                }
                self.suspend_if_full();
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => self.fail(error, BufferEventFlags::READING),
        }
    }

    /// Stops to read while the input has reached its high-water mark.
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

    /// Makes the read event pending exactly while there is a reason to read.
    pub(super) fn update_reading(&self, call: &'static str) -> Result<()> {
        if !self.wants_to_read() {
            self.stop_reading_if_unwanted();
            return Ok(());
        }
        let event = self.read_event.borrow();
        let Some(event) = event.as_ref().filter(|_| !self.reading.get()) else { return Ok(()) };
        event.add(None).map_err(|error| match error {
            Error::Os { source, .. } => Error::os(call, source),
            other => other,
        })?;
        self.reading.set(true);
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
        if let Some(event) = &*self.read_event.borrow() {
            // Off the loop it is in any case, though the system may have forgotten its descriptor.
            let _ = event.del();
        }
        self.stop_timer_if_idle();
    }
}

/// Whether to try again later is all that there is to do.
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
