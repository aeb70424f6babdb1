//! Writing: from the output to the transport, as soon as it takes bytes.

use std::rc::{Rc, Weak};

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};

use super::core::{Core, Pending, Suspended};
use super::read::is_transient;
use super::BufferEventFlags;

impl Core {
    /// Writes what the transport takes. Called whenever the output may have grown.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.enabled.get().contains(EventFlags::WRITE) && !self.is_freed() {
            if !self.is(Suspended::CONNECTING) {
                if !self.writing.get() {
                    self.write();
                }
            } else if self.is(Suspended::CLOSING) && self.output_is_empty() {
                self.finish_close();
            } else {
                self.watch_writing();
            }
        }
        self.output_changed();
    }

    fn output_is_empty(&self) -> bool {
        self.output.try_borrow().is_ok_and(|output| output.is_empty())
    }

    /// The descriptor is writable.
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
            if output.is_empty() {
                drop(output);
                self.stop_writing();
                self.finish();
                return;
            }
            let result = self.with_transport(|transport| transport.write(&mut output, usize::MAX));
            result.map(|result| result.map(|_| output.len()))
        };
        match result {
            // Without a socket, what was written can wait; to be closed it need not.
            None if self.is(Suspended::CLOSING) => self.finish_close(),
            None => {}
            Some(Ok(left)) => {
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
            Some(Err(error)) if is_transient(&error) => {
                self.watch_writing();
            }
            Some(Err(error)) => self.fail(error, BufferEventFlags::WRITING),
        }
    }

    /// The output has shrunk to `left` bytes.
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
            let base = self.base.upgrade().ok_or(Error::Freed { call })?;
            let Some(fd) = self.with_transport(|transport| transport.fd()) else { return Ok(()) };
            let write = EventFlags::WRITE | EventFlags::PERSIST;
            let event = Event::new(&base, fd, write, self.on_event(Core::writable))?;
            self.prioritize(&event);
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
