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
            let Ok(mut input) = self.input.try_borrow_mut() else { return };
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
            Some(Err(error)) => self.fail(error, EventFlags::READ, BufferEventFlags::READING),
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
    pub(super) fn input_changed(&self, length: usize) {
        if self.suspended.get().contains(Suspended::INPUT_FULL)
            && !self.read_mark.get().is_full(length)
        {
            self.resume(Suspended::INPUT_FULL);
        }
    }

    pub(super) fn suspend(&self, why: Suspended) {
        self.suspended.set(self.suspended.get() | why);
        // A removal that fails leaves an event that finds nothing to do.
        let _ = self.update_reading("BufferEvent");
    }

    pub(super) fn resume(&self, why: Suspended) {
        self.suspended.set(self.suspended.get() - why);
        if let Err(Error::Os { source, .. }) = self.update_reading("BufferEvent") {
            *self.error.borrow_mut() = Some(source);
        }
    }

    /// Makes the read event pending exactly while there is a reason to read.
    pub(super) fn update_reading(&self, call: &'static str) -> Result<()> {
        let event = self.read_event.borrow();
        let Some(event) = &*event else { return Ok(()) };
        let wanted = self.enabled.get().contains(EventFlags::READ)
            && self.suspended.get().is_empty()
            && !self.freed.get();
        if wanted == self.reading.get() {
            return Ok(());
        }
        let result = if wanted { event.add(None) } else { event.del() };
        if result.is_ok() {
            self.reading.set(wanted);
            if wanted {
                self.restart_timer(|timeouts, now| timeouts.read.restart(now));
            }
        }
        result.map_err(|error| match error {
            Error::Os { source, .. } => Error::os(call, source),
            other => other,
        })
    }
}

/// Whether to try again later is all that there is to do.
pub(super) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
