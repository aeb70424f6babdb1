//! Going on with a loop in the child of a fork.

use crate::error::{Error, Result};

use super::config::open_backend;
use super::EventBase;

impl EventBase {
    /// Gives the base a backend of its own after a `fork` (`event_reinit`), to be called in the
    /// child before anything else is done with the base. Parent and child share what the kernel
    /// keeps for the old one: without this, the child's changes would reach into the parent's loop.
    ///
    /// All events stay as they were, pending ones included; descriptors that the child does not
    /// want must be deleted. Handles that other threads had are the parent's: no thread but the one
    /// that forked lives on in the child.
    ///
    /// # Errors
    /// [`Error::LoopRunning`] in a callback, [`Error::Unsupported`] when the backend was a host's
    /// own, [`Error::Os`] when the kernel has no room for another or refuses a descriptor,
    /// [`Error::Freed`].
    #[doc(alias = "event_reinit")]
    pub fn reinit(&self) -> Result<()> {
        const CALL: &str = "EventBase::reinit";
        self.check_alive(CALL)?;
        if self.is_running() {
            return Err(Error::LoopRunning { call: CALL });
        }
        let mut config = self.inner.config.clone();
        config.method(self.method());
        let backend = open_backend(CALL, &config)?;
        let waker = backend.waker();
        let old = {
            let mut state = self.inner.state.borrow_mut();
            state.adopt_backend(backend).map_err(|source| Error::os(CALL, source))?
        };
        self.inner.mailbox.set_waker(Some(waker));
        if old.name() == "polling" {
            // Its destructor takes its own descriptors off the epoll that the parent still uses.
            std::mem::forget(old);
        }
        self.inner.forget_time();
        Ok(())
    }
}
