//! Telling others of changes later, from a base's turn.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{BufferChange, CallbackId, EvBuffer};
use crate::base::BaseHandle;

type Callback = Box<dyn FnMut(&BufferChange) + Send>;

/// A callback and what it has not been told yet.
struct Deferred {
    /// `None` while it runs.
    callback: Option<Callback>,
    change: BufferChange,
    /// Whether the base has been asked to call.
    posted: bool,
}

impl EvBuffer {
    /// Has `callback` called from a turn of a base's loop, and on its thread, after the length has
    /// changed: once for all changes since the last time, with their sum. Where buffers feed one
    /// another, nothing so calls itself in the middle of a change. Callbacks of
    /// [`add_callback`](Self::add_callback) still run at once (`EVBUFFER_CB_NODEFER`).
    ///
    /// The buffer is where its owner keeps it, so the callback is told of the change alone. It is
    /// removed, enabled and disabled as the others are, by the name that is returned. It is not
    /// called any more once it was removed, the buffer dropped or the base freed.
    ///
    /// ```
    /// use std::sync::{atomic::{AtomicUsize, Ordering}, Arc};
    /// use evcore::{EvBuffer, EventBase, LoopFlags};
    ///
    /// let (base, mut buffer) = (EventBase::new()?, EvBuffer::new());
    /// let added = Arc::new(AtomicUsize::new(0));
    /// let total = added.clone();
    /// buffer.add_deferred_callback(&base.handle(), move |change| {
    ///     total.fetch_add(change.added, Ordering::Relaxed);
    /// });
    /// buffer.add(b"twice")?;
    /// buffer.add(b"five!")?;
    /// assert_eq!(added.load(Ordering::Relaxed), 0);
    /// base.run_loop(LoopFlags::NONBLOCK)?;
    /// assert_eq!(added.load(Ordering::Relaxed), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias("evbuffer_defer_callbacks", "EVBUFFER_CB_NODEFER"))]
    pub fn add_deferred_callback(
        &mut self,
        base: &BaseHandle,
        callback: impl FnMut(&BufferChange) + Send + 'static,
    ) -> CallbackId {
        let base = base.clone();
        let deferred = Arc::new(Mutex::new(Deferred {
            callback: Some(Box::new(callback)),
            change: BufferChange::default(),
            posted: false,
        }));
        self.add_callback(move |_, change| {
            if lock(&deferred).note(change) {
                let deferred = Arc::downgrade(&deferred);
                // Without its base the callback has nowhere to run.
                let _ = base.post(move |_| Deferred::run(&deferred));
            }
        })
    }
}

impl Deferred {
    /// Adds to what is to be told; says whether the base has to be asked.
    fn note(&mut self, change: &BufferChange) -> bool {
        if !mem::replace(&mut self.posted, true) {
            self.change = *change;
            return true;
        }
        self.change.added = self.change.added.saturating_add(change.added);
        self.change.deleted = self.change.deleted.saturating_add(change.deleted);
        false
    }

    fn run(this: &Weak<Mutex<Self>>) {
        // Dropped with the callback's entry in the buffer.
        let Some(this) = this.upgrade() else { return };
        let (callback, change) = {
            let mut deferred = lock(&this);
            deferred.posted = false;
            (deferred.callback.take(), deferred.change)
        };
        if let Some(mut callback) = callback {
            callback(&change);
            lock(&this).callback = Some(callback);
        }
    }
}

fn lock(deferred: &Mutex<Deferred>) -> MutexGuard<'_, Deferred> {
    deferred.lock().unwrap_or_else(PoisonError::into_inner)
}
