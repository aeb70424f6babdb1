//! What an environment has to tell JavaScript, in the order in which it happened.

use crate::dispatch::{Kind, Missed};
use crate::env::EnvState;
use crate::error::Failure;
use crate::handle::Handle;

impl EnvState {
    /// Calls the dispatcher from a turn of the loop, after what it must be told first.
    pub(crate) fn emit(&self, kind: Kind, handle: Handle, what: f64, extra: f64) {
        self.tell_collected();
        self.emit_changes();
        self.dispatch.emit(kind, handle, what, extra);
    }

    /// Calls the dispatcher from a turn of the loop for an answer; `None` when JavaScript gives none.
    pub(crate) fn ask(&self, kind: Kind, handle: Handle, what: f64, extra: f64) -> Option<i32> {
        self.tell_collected();
        self.emit_changes();
        self.dispatch.ask(kind, handle, what, extra)
    }

    /// Makes the calls that an earlier turn could not make, those of freed objects left out.
    pub(crate) fn emit_missed(&self, missed: Vec<Missed>) {
        for Missed { kind, handle, what, extra } in missed {
            if self.table.contains(handle) {
                self.emit(kind, handle, what, extra);
            }
        }
    }

    /// Tells of changed buffers from a turn of the loop.
    pub(crate) fn emit_changes(&self) {
        while self.has_changes() {
            for change in self.take_changes() {
                let (kind, handle, what, extra) = change.call();
                self.dispatch.emit(kind, handle, what, extra);
            }
        }
    }

    /// Tells of changed buffers from a call of JavaScript's.
    pub(crate) fn emit_changes_inside(&self) -> Result<(), Failure> {
        while self.has_changes() {
            for change in self.take_changes() {
                let (kind, handle, what, extra) = change.call();
                self.dispatch.emit_inside(kind, handle, what, extra)?;
            }
        }
        Ok(())
    }
}
