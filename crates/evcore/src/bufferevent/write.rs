//! Writing: from the output to the transport, as soon as it takes bytes.

use std::rc::Rc;

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};

use super::core::{Core, Pending, Suspended};
use super::read::is_transient;
use super::{BufferEvent, BufferEventFlags};

impl Core {
    /// Writes what the transport takes. Called whenever the output may have grown.
    pub(super) fn flush(self: &Rc<Self>) {
        if !self.writing.get() && self.can_write() {
            self.write();
        }
        self.suspend_if_output_full();
    }

    pub(super) fn can_write(&self) -> bool {
        self.enabled.get().contains(EventFlags::WRITE)
            && !self.suspended.get().contains(Suspended::CONNECTING)
            && !self.freed.get()
    }

    /// The descriptor is writable.
    pub(super) fn writable(self: &Rc<Self>) {
        if self.suspended.get().contains(Suspended::CONNECTING) {
            self.connected();
        } else if self.can_write() {
            self.write();
            self.suspend_if_output_full();
        } else {
            self.stop_writing();
        }
    }

    pub(super) fn write(self: &Rc<Self>) {
        let result = {
            let Ok(mut output) = self.output.try_borrow_mut() else { return };
            if output.is_empty() {
                drop(output);
                self.stop_writing();
                if !self.finish() {
                    self.make_room(0);
                }
                return;
            }
            let result = self.with_transport(|transport| transport.write(&mut output, usize::MAX));
            result.map(|result| result.map(|_| output.len()))
        };
        match result {
            // Without a socket nothing that is queued will ever leave.
            None if self.suspended.get().contains(Suspended::CLOSING) => self.finish_close(),
            None => {}
            Some(Ok(left)) => {
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.write.restart(self.base.now());
                }
                if left == 0 {
                    self.stop_writing();
                } else if let Err(Error::Os { source, .. }) = self.start_writing("BufferEvent") {
                    self.fail(source, EventFlags::WRITE, BufferEventFlags::WRITING);
                    return;
                }
                self.wrote(left);
            }
            Some(Err(error)) if is_transient(&error) => {
                if let Err(Error::Os { source, .. }) = self.start_writing("BufferEvent") {
                    self.fail(source, EventFlags::WRITE, BufferEventFlags::WRITING);
                }
            }
            Some(Err(error)) => self.fail(error, EventFlags::WRITE, BufferEventFlags::WRITING),
        }
    }

    /// The output has shrunk to `left` bytes.
    pub(super) fn wrote(self: &Rc<Self>, left: usize) {
        if left == 0 && self.finish() {
            return;
        }
        self.make_room(left);
        if left <= self.write_mark.get().low {
            self.tell_writable();
        }
    }

    /// Lets those go on that wait for the output to shrink.
    pub(super) fn make_room(&self, left: usize) {
        let mark = self.write_mark.get();
        if left <= mark.low || left <= mark.high / 2 {
            if self.suspended.get().contains(Suspended::OUTPUT_FULL) {
                self.resume(Suspended::OUTPUT_FULL);
            }
            let sources = std::mem::take(&mut *self.sources.borrow_mut());
            for source in sources {
                source.core.resume(Suspended::TARGET_FULL);
                source.core.put_off(Pending::READABLE);
            }
        }
    }

    pub(super) fn suspend_if_output_full(&self) {
        let Ok(output) = self.output.try_borrow() else { return };
        if self.write_mark.get().is_full(output.len()) {
            self.suspend(Suspended::OUTPUT_FULL);
        }
    }

    pub(super) fn start_writing(self: &Rc<Self>, call: &'static str) -> Result<()> {
        if self.writing.get() {
            return Ok(());
        }
        if self.write_event.borrow().is_none() {
            let base = self.base.upgrade().ok_or(Error::Freed { call })?;
            let Some(fd) = self.with_transport(|transport| transport.fd()) else { return Ok(()) };
            let core = self.clone();
            let write = EventFlags::WRITE | EventFlags::PERSIST;
            let event = Event::new(&base, fd, write, move |_, _| core.step(Core::writable))?;
            self.prioritize(&event)?;
            *self.write_event.borrow_mut() = Some(event);
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
                // A removal that fails leaves an event that finds nothing to do.
                let _ = event.del();
            }
        }
    }

    /// Waits with the rest of this input until `target` has room for it.
    pub(super) fn wait_for(self: &Rc<Self>, target: &Rc<Core>) {
        self.suspend(Suspended::TARGET_FULL);
        let mut sources = target.sources.borrow_mut();
        if !sources.iter().any(|source| Rc::ptr_eq(&source.core, self)) {
            sources.push(BufferEvent { core: self.clone() });
        }
    }
}
