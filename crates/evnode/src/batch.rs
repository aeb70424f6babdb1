//! Callbacks that are called together.
//!
//! The way into JavaScript costs a multiple of what a short callback does, the more so on caches that
//! the kernel has just used: so what the events of one turn have to tell is collected while others
//! wait to run, and told by one call. Everything is told in the order in which it happened, and
//! whatever cannot be collected tells what was collected before it.
//!
//! Only an attached base collects, whose callbacks run ticks and microtasks when the turn ends in any
//! case, and only where nothing can cut in between two callbacks: with one priority, no limits to a
//! batch and no times to be measured.

use std::cell::{Cell, RefCell};
use std::ptr;

use evcore::base::CountKinds;
use evcore::bufferevent::{BufferEvent, Cork};
use evcore::{Event, EventFlags};
use napi::sys;

use crate::base::Base;
use crate::dispatch::Kind;
use crate::env::EnvState;
use crate::error::{Failure, Result};
use crate::handle::Handle;

/// So many callbacks are called together at most. Twice as many save one per cent more and let the
/// first peer wait twice as long.
const MOST: usize = 32;
/// With so many bytes in the inputs of the bufferevents, they are: more would not stay in the cache.
const MOST_BYTES: usize = 32 * 1024;

/// Where JavaScript counts what it has taken from the list, and is told to stop.
const NEXT: usize = 0;
const STOP: usize = 1;
const ENTRIES: usize = 2;
/// Stands in the place of a handle whose callback is not to be called any more.
const GONE: Handle = -1;
/// How long the list is that JavaScript has to provide, in 32-bit integers.
pub(crate) const LIST_LENGTH: usize = ENTRIES + 2 * MOST;

/// What one base has collected.
#[derive(Default)]
pub(crate) struct Batch {
    entries: RefCell<Vec<Entry>>,
    bytes: Cell<usize>,
    /// The event has run in this turn.
    is_over: Cell<bool>,
    /// Tells what is left when the events that were active have run.
    event: RefCell<Option<Event>>,
}

/// One callback to be called.
struct Entry {
    kind: Kind,
    what: u16,
    handle: Handle,
    /// What the callback writes is sent when all have been called.
    cork: Option<Cork>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// How many active events of a base are not JavaScript's: the one that ends the batch.
    pub(crate) fn own_events(&self) -> usize {
        let event = self.event.borrow();
        let is_active = |event: &Event| !event.pending(EventFlags::all()).is_empty();
        event.as_ref().is_some_and(is_active).into()
    }

    fn push(&self, base: &Base, entry: Entry) -> bool {
        let mut entries = self.entries.borrow_mut();
        if let Some(cork) = &entry.cork {
            self.bytes.set(self.bytes.get() + cork.bufferevent().input().len());
        }
        entries.push(entry);
        let count = entries.len();
        drop(entries);
        if count == 1 {
            self.activate(base);
        }
        count == MOST || self.bytes.get() >= MOST_BYTES
    }

    /// Has what is left told when the other active events have run.
    fn activate(&self, base: &Base) {
        let mut event = self.event.borrow_mut();
        if event.is_none() {
            let env = base.env.clone();
            *event = Event::user(&base.base, move |_, _| env.end_batch()).ok();
        }
        if let Some(event) = &*event {
            // Only a freed base refuses, which has nobody to tell anything.
            let _ = event.active(EventFlags::TIMEOUT);
        }
    }
}

/// The list in JavaScript's memory by which entries are handed over.
pub(crate) struct List {
    array: Cell<sys::napi_ref>,
    start: Cell<*mut i32>,
    /// The base whose entries are being told, and how many entries are in the list.
    telling: Cell<Handle>,
    count: Cell<usize>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            array: Cell::new(ptr::null_mut()),
            start: Cell::new(ptr::null_mut()),
            telling: Cell::new(0),
            count: Cell::new(0),
        }
    }
}

impl List {
    /// Takes the array that JavaScript provides.
    ///
    /// # Safety
    /// The value belongs to an open handle scope of the environment.
    pub(crate) unsafe fn register(&self, raw: sys::napi_env, array: sys::napi_value) -> Result<()> {
        let (mut kind, mut length, mut start) = (0, 0, ptr::null_mut());
        // SAFETY: the environment is live, and so is the value, says the caller.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                raw,
                array,
                &mut kind,
                &mut length,
                &mut start,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        let fits = status == sys::Status::napi_ok
            && kind == sys::TypedarrayType::int32_array
            && length >= LIST_LENGTH
            && start.cast::<i32>().is_aligned();
        if !fits {
            return Err(Failure::Type("the list is an Int32Array of listLength"));
        }
        let mut reference = ptr::null_mut();
        // SAFETY: as above; the reference keeps the array and its memory, which nobody detaches.
        unsafe {
            sys::napi_create_reference(raw, array, 1, &mut reference);
            let old = self.array.replace(reference);
            if !old.is_null() {
                sys::napi_delete_reference(raw, old);
            }
        }
        self.start.set(start.cast());
        Ok(())
    }

    /// Where entries stand that JavaScript has not taken yet.
    fn rest(&self) -> impl Iterator<Item = usize> {
        let next = if self.count.get() == 0 { 0 } else { self.get(NEXT) as usize };
        (next..self.count.get()).map(|index| ENTRIES + 2 * index)
    }

    fn is_registered(&self) -> bool {
        !self.start.get().is_null()
    }

    fn set(&self, index: usize, value: i32) {
        debug_assert!(index < LIST_LENGTH);
        // SAFETY: the array is as long as that, aligned, kept by our reference and used on this
        // thread only.
        unsafe { self.start.get().add(index).write(value) }
    }

    fn get(&self, index: usize) -> i32 {
        debug_assert!(index < LIST_LENGTH);
        // SAFETY: as above.
        unsafe { self.start.get().add(index).read() }
    }
}

impl EnvState {
    /// Calls back with the others of the turn, if nothing is against it.
    #[inline]
    pub(crate) fn collect(&self, kind: Kind, handle: Handle, what: u16, bev: Option<&BufferEvent>) {
        let base = self.dispatch.collecting_base().filter(|base| {
            self.list.is_registered()
                && !self.has_changes()
                && !base.batch.is_over.get()
                && (!base.batch.is_empty() || base.base.num_events(CountKinds::ACTIVE) > 0)
        });
        let Some(base) = base else { return self.emit(kind, handle, what.into(), 0.0) };
        let cork = bev.map(BufferEvent::cork);
        if base.batch.push(&base, Entry { kind, what, handle, cork }) {
            self.tell_collected();
        }
    }

    /// All events have run that were active when the first callback was collected. What becomes
    /// active now is called at once.
    fn end_batch(&self) {
        self.tell_collected();
        if let Some(base) = self.dispatch.collecting_base() {
            base.batch.is_over.set(true);
        }
    }

    /// Calls what was collected in this turn.
    pub(crate) fn tell_collected(&self) {
        let Some(base) = self.dispatch.collecting_base() else { return };
        if base.batch.is_empty() {
            return;
        }
        let mut entries = base.batch.entries.take();
        base.batch.bytes.set(0);
        let outer = self.list.telling.replace(base.handle);
        let mut told = 0;
        while told < entries.len() {
            let rest = &entries[told..entries.len().min(told + MOST)];
            for (index, entry) in rest.iter().enumerate() {
                let tag = (entry.kind as i32) << 16 | i32::from(entry.what);
                self.list.set(ENTRIES + 2 * index, tag);
                self.list.set(ENTRIES + 2 * index + 1, entry.handle);
            }
            self.list.set(NEXT, 0);
            self.list.set(STOP, 0);
            let count = rest.len();
            self.list.count.set(count);
            self.dispatch.emit(Kind::Collected, count as Handle, 0.0, 0.0);
            if self.dispatch.is_dead() {
                return;
            }
            told += usize::try_from(self.list.get(NEXT)).unwrap_or(count).clamp(1, count);
            if self.list.get(STOP) != 0 {
                break;
            }
        }
        self.list.telling.set(outer);
        self.list.count.set(0);
        // What the callbacks have written is sent now.
        entries.drain(..told).for_each(drop);
        self.give_back(&mut entries);
        let mut newer = base.batch.entries.borrow_mut();
        if newer.is_empty() {
            // Its memory serves the next turn.
            *newer = entries;
        }
    }

    /// Ends a turn: callbacks that nobody has called wait for the next one, as events do that the loop
    /// has left active.
    pub(crate) fn end_collecting(&self, base: &Base) {
        base.batch.is_over.set(false);
        if !base.batch.is_empty() {
            let mut entries = base.batch.entries.take();
            self.give_back(&mut entries);
        }
    }

    fn give_back(&self, entries: &mut Vec<Entry>) {
        for Entry { kind, what, handle, cork } in entries.drain(..) {
            // Those are gone that refuse.
            if let Some(cork) = cork {
                let _ = cork.bufferevent().trigger(EventFlags::READ);
            } else if let (Kind::Event, Ok(event)) = (kind, self.event(handle)) {
                let _ = event.event.active(EventFlags::from_bits_truncate(what));
            }
        }
    }

    /// What an event's callback is still to be called for in this turn.
    #[inline]
    pub(crate) fn collected(&self, event: Handle) -> EventFlags {
        let list = &self.list;
        let at = list.rest().find(|at| list.get(at + 1) == event);
        at.map_or(EventFlags::empty(), |at| EventFlags::from_bits_truncate(list.get(at) as u16))
    }

    /// The events of a base whose callbacks are still to be called in this turn.
    pub(crate) fn collected_events(&self, base: Handle) -> impl Iterator<Item = Handle> + '_ {
        let tag = (Kind::Event as i32) << 16;
        let told = self.list.telling.get() == base;
        let list = self.list.rest().filter(move |_| told);
        let events = list.filter(move |at| self.list.get(*at) & !0xffff == tag);
        events.map(|at| self.list.get(at + 1)).filter(|handle| *handle != GONE)
    }

    /// Has an event's callback called for `what` as well, if it is still to be called in this turn.
    pub(crate) fn collect_more(&self, event: Handle, what: EventFlags) -> bool {
        let list = &self.list;
        let Some(at) = list.rest().find(|at| list.get(at + 1) == event) else { return false };
        list.set(at, list.get(at) | i32::from(what.bits()));
        true
    }

    /// Does not call an event's callback in this turn, if it was still to be called.
    #[inline]
    pub(crate) fn forget_collected(&self, event: Handle) {
        let list = &self.list;
        let at = list.rest().find(|at| list.get(at + 1) == event);
        if let Some(at) = at {
            list.set(at + 1, GONE);
        }
    }

    /// Lets no callback of `base` be called after the one that runs, until its loop goes on.
    pub(crate) fn stop_telling(&self, base: Handle) {
        if self.list.telling.get() == base {
            self.list.set(STOP, 1);
        }
    }
}
