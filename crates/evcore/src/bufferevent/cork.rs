//! Putting off what calls on a bufferevent cause.

use std::rc::Rc;

use super::core::Core;
use super::BufferEvent;

/// Holds back what calls on a bufferevent put off, such as sending what was written, until it is
/// dropped; then that happens at once, where without it the loop's next step would do it.
///
/// For who collects readable bufferevents to deal with many of them in one go, each of which is then
/// as cheap as in its own callback: see [`BufferEvent::cork`].
#[derive(Debug)]
pub struct Cork {
    bev: BufferEvent,
}

impl Cork {
    /// The bufferevent that is held back.
    pub fn bufferevent(&self) -> &BufferEvent {
        &self.bev
    }
}

impl BufferEvent {
    /// Holds back what calls on it put off until the cork, and every other one, is dropped. To be
    /// dropped in a callback of the loop.
    pub fn cork(&self) -> Cork {
        self.core.corks.set(self.core.corks.get() + 1);
        Cork { bev: self.clone() }
    }
}

impl Drop for Cork {
    fn drop(&mut self) {
        let core = &self.bev.core;
        core.corks.set(core.corks.get() - 1);
        core.uncorked();
    }
}

impl Core {
    fn uncorked(self: &Rc<Self>) {
        if self.corks.get() > 0 || self.busy.get() || self.pending.get().is_empty() {
            return;
        }
        if self.runs_in_loop() {
            self.step(|_| {});
        } else {
            self.activate_deferred();
        }
    }

    fn runs_in_loop(&self) -> bool {
        self.base.upgrade().is_some_and(|base| base.is_running())
    }
}
