//! Watchers: code that runs before and after the loop waits.

use std::cell::RefCell;
use std::rc::Weak;
use std::time::Duration;

use crate::error::Result;

use super::{EventBase, Inner};

type PrepareCallback = Box<dyn FnMut(Option<Duration>)>;
type CheckCallback = Box<dyn FnMut()>;

/// Runs a callback in every turn of a loop (`struct evwatch`), until it is dropped or freed. It
/// does not keep the loop running.
///
/// ```
/// use evcore::base::Watcher;
/// use evcore::{EventBase, LoopFlags};
///
/// let base = EventBase::new()?;
/// let before = Watcher::prepare(&base, |wait| println!("about to wait for {wait:?}"))?;
/// let after = Watcher::check(&base, || println!("waited"))?;
/// base.run_loop(LoopFlags::NONBLOCK | LoopFlags::NO_EXIT_ON_EMPTY)?;
/// # Ok::<(), evcore::Error>(())
/// ```
#[doc(alias = "evwatch")]
#[derive(Debug)]
pub struct Watcher {
    base: Weak<Inner>,
    id: u64,
}

impl Watcher {
    /// Calls `callback` before every wait, with how long that will be: `None` for ever, unless
    /// something happens (`evwatch_prepare_new`, `evwatch_prepare_get_timeout`). The time counts
    /// without what the callback itself adds.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed) when the base was freed.
    #[doc(alias = "evwatch_prepare_new")]
    #[doc(alias = "evwatch_prepare_get_timeout")]
    pub fn prepare(
        base: &EventBase,
        callback: impl FnMut(Option<Duration>) + 'static,
    ) -> Result<Self> {
        base.check_alive("Watcher::prepare")?;
        let id = base.inner.watchers.prepare.insert(Box::new(callback));
        Ok(Self { base: base.inner.weak(), id: id << 1 })
    }

    /// Calls `callback` after every wait, before the callbacks of what the wait found
    /// (`evwatch_check_new`).
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed) when the base was freed.
    #[doc(alias = "evwatch_check_new")]
    pub fn check(base: &EventBase, callback: impl FnMut() + 'static) -> Result<Self> {
        base.check_alive("Watcher::check")?;
        let id = base.inner.watchers.check.insert(Box::new(callback));
        Ok(Self { base: base.inner.weak(), id: id << 1 | 1 })
    }

    /// The base, unless it is gone (`evwatch_base`).
    #[doc(alias = "evwatch_base")]
    pub fn base(&self) -> Option<EventBase> {
        self.base.upgrade().map(EventBase::from_inner)
    }

    /// Ends the watcher (`evwatch_free`), as dropping it does; also while its callback runs.
    #[doc(alias = "evwatch_free")]
    pub fn free(&self) {
        let Some(inner) = self.base.upgrade() else { return };
        if self.id & 1 == 0 {
            inner.watchers.prepare.remove(self.id >> 1);
        } else {
            inner.watchers.check.remove(self.id >> 1);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.free();
    }
}

#[derive(Default)]
pub(super) struct Watchers {
    prepare: List<PrepareCallback>,
    check: List<CheckCallback>,
}

impl Watchers {
    pub(super) fn has_prepare(&self) -> bool {
        !self.prepare.entries.borrow().is_empty()
    }

    pub(super) fn run_prepare(&self, timeout: Option<Duration>) {
        self.prepare.run(|callback| callback(timeout));
    }

    pub(super) fn run_check(&self) {
        self.check.run(|callback| callback());
    }

    pub(super) fn clear(&self) {
        self.prepare.clear();
        self.check.clear();
    }
}

/// Callbacks in the order of their numbers; `None` stands for one that is running.
struct List<C> {
    entries: RefCell<Vec<(u64, Option<C>)>>,
    next: std::cell::Cell<u64>,
}

impl<C> Default for List<C> {
    fn default() -> Self {
        Self { entries: RefCell::default(), next: std::cell::Cell::new(1) }
    }
}

impl<C> List<C> {
    fn insert(&self, callback: C) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        self.entries.borrow_mut().push((id, Some(callback)));
        id
    }

    fn remove(&self, id: u64) {
        let mut entries = self.entries.borrow_mut();
        let found = entries.binary_search_by_key(&id, |entry| entry.0);
        let removed = found.map(|position| entries.remove(position));
        drop(entries);
        // The callback's captures may run code of their own when dropped: with nothing borrowed.
        drop(removed);
    }

    fn clear(&self) {
        let entries = self.entries.take();
        drop(entries);
    }

    /// Calls all that are there at the start and still there at their turn.
    fn run(&self, mut call: impl FnMut(&mut C)) {
        let (mut last, end) = (0, self.next.get());
        loop {
            let taken = {
                let mut entries = self.entries.borrow_mut();
                let position = entries.partition_point(|entry| entry.0 <= last);
                match entries.get_mut(position) {
                    Some((id, callback)) if *id < end => {
                        last = *id;
                        callback.take()
                    }
                    _ => return,
                }
            };
            let mut putting_back = PutBack { list: self, id: last, callback: taken };
            if let Some(callback) = &mut putting_back.callback {
                call(callback);
            }
        }
    }
}

/// Puts a callback back when it has returned or panicked, unless its watcher is gone.
struct PutBack<'a, C> {
    list: &'a List<C>,
    id: u64,
    callback: Option<C>,
}

impl<C> Drop for PutBack<'_, C> {
    fn drop(&mut self) {
        {
            let mut entries = self.list.entries.borrow_mut();
            if let Ok(position) = entries.binary_search_by_key(&self.id, |entry| entry.0) {
                entries[position].1 = self.callback.take();
            }
        }
        self.callback = None;
    }
}
