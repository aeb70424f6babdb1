//! Finalizers: the last thing that runs of an event.

use crate::error::{Error, Result};

use super::event::{Event, EventFlags};
use super::slot::SlotState;
use super::EventBase;

impl Event {
    /// Makes the event neither pending nor active, lets no one add it again, and calls `finalizer`
    /// from the loop (`event_finalize`): by then no callback of the event runs or ever will, so
    /// that what they used can be let go. Afterwards the event can be [assigned](Event::assign)
    /// anew or freed.
    ///
    /// The finalizer runs in any case: when the event is dropped or freed before, when the base is
    /// freed, and, should a callback of the event be running, after it has returned.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the event is being finalized already, [`Error::Freed`].
    #[doc(alias = "event_finalize")]
    #[doc(alias = "EV_FINALIZE")]
    pub fn finalize(&self, finalizer: impl FnOnce(&Event) + 'static) -> Result<()> {
        const CALL: &str = "Event::finalize";
        let mut finalizer = Some(finalizer);
        let run = move |event: &Event, _| {
            if let Some(finalizer) = finalizer.take() {
                finalizer(event);
            }
            event.end_finalizing();
        };
        let old = self.with(CALL, |state, index| {
            if state.slots[index].state.contains(SlotState::FINALIZING) {
                return Err(Error::invalid(CALL, "the event is being finalized already"));
            }
            // The kernel may have forgotten the descriptor already, which is no reason to keep it.
            let _ = state.del(index);
            let slot = &mut state.slots[index];
            slot.state |= SlotState::FINALIZING;
            let old = slot.callback.replace(Box::new(run));
            state.activate(index, EventFlags::FINALIZE, 1);
            Ok(old)
        })??;
        drop(old);
        Ok(())
    }

    /// Frees the event by way of a finalizer (`event_free_finalize`): as
    /// [`finalize`](Event::finalize), after which the event is gone.
    ///
    /// # Errors
    /// As [`finalize`](Event::finalize); the event is freed then, too.
    #[doc(alias = "event_free_finalize")]
    pub fn free_finalize(self, finalizer: impl FnOnce(&Event) + 'static) -> Result<()> {
        self.finalize(finalizer)
    }

    fn end_finalizing(&self) {
        let orphan = self.with("Event::finalize", |state, index| {
            state.slots[index].state.contains(SlotState::ORPHAN)
        });
        if orphan.is_ok_and(|orphan| orphan) {
            self.free();
        }
    }
}

impl EventBase {
    /// Frees the base as [`free`](EventBase::free) does, but without running the finalizers that
    /// wait (`event_base_free_nofinalize`).
    #[doc(alias = "event_base_free_nofinalize")]
    pub fn free_no_finalize(&self) {
        self.free_with(false);
    }
}
