//! Telling others of changes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::EvBuffer;

/// How a buffer's length has changed (`struct evbuffer_cb_info`).
#[doc(alias = "evbuffer_cb_info")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BufferChange {
    /// The length before the change, in bytes.
    pub original_length: usize,
    /// How many bytes were added, at whichever end.
    pub added: usize,
    /// How many bytes were taken out.
    pub deleted: usize,
}

/// Names a callback of a buffer, to remove it (`struct evbuffer_cb_entry`).
#[doc(alias = "evbuffer_cb_entry")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallbackId(u64);

type Callback = Box<dyn FnMut(&mut EvBuffer, &BufferChange) + Send>;

/// What few buffers have: callbacks, and a limit of their own.
pub(super) struct Extras {
    /// The most bytes that the buffer may come to hold.
    pub(super) max_len: usize,
    entries: Vec<Entry>,
    /// What has changed since the last report.
    change: BufferChange,
    running: bool,
}

struct Entry {
    id: u64,
    enabled: bool,
    /// `None` while it runs.
    callback: Option<Callback>,
}

impl EvBuffer {
    /// Has `callback` called after every change of the length, in the order of addition.
    ///
    /// It may do anything to the buffer, its own removal included. What callbacks change is not
    /// reported there and then, which could go on for ever, but as part of the next change.
    ///
    /// ```
    /// use std::sync::{atomic::{AtomicUsize, Ordering}, Arc};
    /// use evcore::EvBuffer;
    ///
    /// let (added, mut buffer) = (Arc::new(AtomicUsize::new(0)), EvBuffer::new());
    /// let total = added.clone();
    /// let id = buffer.add_callback(move |_, change| {
    ///     total.fetch_add(change.added, Ordering::Relaxed);
    /// });
    /// buffer.add(b"four")?;
    /// buffer.remove_callback(id);
    /// buffer.add(b"more")?;
    /// assert_eq!(added.load(Ordering::Relaxed), 4);
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias("evbuffer_add_cb", "evbuffer_cb_func"))]
    pub fn add_callback(
        &mut self,
        callback: impl FnMut(&mut EvBuffer, &BufferChange) + Send + 'static,
    ) -> CallbackId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let len = self.len;
        let extras = self.extras();
        if extras.entries.is_empty() && !extras.running {
            extras.change = BufferChange { original_length: len, added: 0, deleted: 0 };
        }
        extras.entries.push(Entry { id, enabled: true, callback: Some(Box::new(callback)) });
        CallbackId(id)
    }

    /// Removes a callback; `false` if the buffer has none of this name.
    #[doc(alias("evbuffer_remove_cb_entry", "evbuffer_remove_cb"))]
    pub fn remove_callback(&mut self, id: CallbackId) -> bool {
        let Some(extras) = &mut self.extras else { return false };
        let before = extras.entries.len();
        extras.entries.retain(|entry| entry.id != id.0);
        let removed = extras.entries.len() < before;
        self.drop_extras();
        removed
    }

    /// Lets a callback be called or passes it over; `false` if the buffer has none of this name.
    #[doc(alias("evbuffer_cb_set_flags", "evbuffer_cb_clear_flags", "EVBUFFER_CB_ENABLED"))]
    pub fn set_callback_enabled(&mut self, id: CallbackId, enabled: bool) -> bool {
        let entry = self.extras.as_mut().and_then(|extras| extras.entry(id.0));
        entry.map(|entry| entry.enabled = enabled).is_some()
    }

    pub(super) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_with(|| {
            Box::new(Extras {
                max_len: Self::MAX_LEN,
                entries: Vec::new(),
                change: BufferChange::default(),
                running: false,
            })
        })
    }

    /// Drops the extras if there is nothing left in them.
    pub(super) fn drop_extras(&mut self) {
        self.extras.take_if(|extras| {
            extras.entries.is_empty() && !extras.running && extras.max_len == Self::MAX_LEN
        });
    }

    /// Reports a change. The last thing that a method does, since callbacks may change anything.
    #[inline]
    pub(super) fn changed(&mut self, added: usize, deleted: usize) {
        if self.extras.is_some() {
            self.report(added, deleted);
        }
    }

    #[cold]
    fn report(&mut self, added: usize, deleted: usize) {
        let len = self.len;
        let Some(extras) = &mut self.extras else { return };
        extras.change.added = extras.change.added.saturating_add(added);
        extras.change.deleted = extras.change.deleted.saturating_add(deleted);
        let change = extras.change;
        if extras.running || change.added == 0 && change.deleted == 0 {
            return;
        }
        extras.change = BufferChange { original_length: len, added: 0, deleted: 0 };
        extras.running = true;
        // Those that callbacks add come behind and are not called for this change.
        let newest = extras.entries.last().map_or(0, |entry| entry.id);
        let running = Running(self);
        let mut previous = 0;
        while let Some((id, mut callback)) = running.0.next_callback(previous, newest) {
            callback(running.0, &change);
            if let Some(entry) = running.0.extras.as_mut().and_then(|extras| extras.entry(id)) {
                entry.callback = Some(callback);
            }
            previous = id;
        }
    }

    /// Borrows the next enabled callback behind `previous` from its entry.
    fn next_callback(&mut self, previous: u64, newest: u64) -> Option<(u64, Callback)> {
        let entries = &mut self.extras.as_mut()?.entries;
        entries
            .iter_mut()
            .filter(|entry| entry.id > previous && entry.id <= newest && entry.enabled)
            .find_map(|entry| Some((entry.id, entry.callback.take()?)))
    }
}

impl Extras {
    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }
}

/// A buffer whose callbacks run. A callback that panics is gone, the others are called again.
struct Running<'a>(&'a mut EvBuffer);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(extras) = &mut self.0.extras {
            extras.running = false;
            extras.entries.retain(|entry| entry.callback.is_some());
        }
        self.0.drop_extras();
    }
}
