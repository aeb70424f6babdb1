//! Handles: the integers by which JavaScript names what lives here.
//!
//! A handle is a positive `i32`: 22 bits of slot, 9 bits of generation. Free slots are reused first
//! freed, first reused, and only once there are enough of them, so that a generation comes round
//! again after a hundred thousand frees at the earliest: a handle that was freed is told from its
//! successors.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use evcore::base::Watcher;
use evcore::buffer::FileSegment;
use evcore::ratelimit::RateLimitGroup;

use crate::base::Base;
use crate::buffer::JsBuffer;
use crate::bufferevent::JsBev;
use crate::error::{Failure, Result};
use crate::event::JsEvent;
use crate::listener::JsListener;

/// What JavaScript holds.
pub(crate) type Handle = i32;

const SLOT_BITS: u32 = 22;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const GENERATIONS: u16 = 1 << 9;
/// A slot is reused only while so many others wait before it.
const FEWEST_FREE: usize = 256;

/// What a handle stands for.
#[derive(Clone)]
pub(crate) enum Object {
    Base(Rc<Base>),
    Event(Rc<JsEvent>),
    Buffer(Rc<JsBuffer>),
    Bev(Rc<JsBev>),
    /// A bufferevent's input buffer.
    Input(Rc<JsBev>),
    /// A bufferevent's output buffer.
    Output(Rc<JsBev>),
    Listener(Rc<JsListener>),
    Watcher(Rc<Watcher>),
    File(FileSegment),
    Group(RateLimitGroup),
}

impl Object {
    /// Ends what the object does, for the end of the environment.
    pub(crate) fn shut_down(&self) {
        match self {
            Self::Base(base) => base.shut_down(),
            Self::Event(event) => event.event.free(),
            Self::Bev(bev) => bev.bev.free(),
            Self::Listener(listener) => listener.listener.free(),
            Self::Watcher(watcher) => watcher.free(),
            Self::Buffer(_) | Self::Input(_) | Self::Output(_) | Self::File(_) | Self::Group(_) => {
            }
        }
    }
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: VecDeque<u32>,
}

struct Slot {
    /// From 1, so that no handle is 0.
    generation: u16,
    /// `None` while free, or reserved by [`Table::reserve`].
    object: Option<Object>,
}

/// Everything that JavaScript holds in one environment.
#[derive(Default)]
pub(crate) struct Table {
    slots: RefCell<Slots>,
}

impl Table {
    /// Takes a slot for an object that needs to know its handle to be made.
    pub(crate) fn reserve(&self) -> Result<Handle> {
        let mut all = self.slots.borrow_mut();
        let full = all.slots.len() > SLOT_MASK as usize;
        let reused = if all.free.len() > FEWEST_FREE || full { all.free.pop_front() } else { None };
        let index = match reused {
            Some(index) => index,
            None if full => {
                return Err(Failure::internal("4194304 objects are the most there can be"))
            }
            None => {
                all.slots.push(Slot { generation: 1, object: None });
                all.slots.len() as u32 - 1
            }
        };
        let generation = all.slots[index as usize].generation;
        Ok(((u32::from(generation) << SLOT_BITS) | index) as Handle)
    }

    /// Puts an object into its reserved slot.
    pub(crate) fn fill(&self, handle: Handle, object: Object) {
        if let Some(slot) = self.slots.borrow_mut().slot(handle) {
            slot.object = Some(object);
        }
    }

    /// Reserves a slot and fills it with what `make` returns for its handle.
    pub(crate) fn insert(&self, make: impl FnOnce(Handle) -> Result<Object>) -> Result<Handle> {
        let handle = self.reserve()?;
        match make(handle) {
            Ok(object) => {
                self.fill(handle, object);
                Ok(handle)
            }
            Err(failure) => {
                self.remove(handle);
                Err(failure)
            }
        }
    }

    /// Ends a handle and returns what it stood for, which must be dropped with nothing borrowed.
    pub(crate) fn remove(&self, handle: Handle) -> Option<Object> {
        let mut all = self.slots.borrow_mut();
        let slot = all.slot(handle)?;
        let object = slot.object.take();
        slot.generation = if slot.generation + 1 == GENERATIONS { 1 } else { slot.generation + 1 };
        all.free.push_back(handle as u32 & SLOT_MASK);
        object
    }

    /// Finds what a handle stands for if `pick` likes it.
    #[inline]
    pub(crate) fn pick<T>(
        &self,
        handle: Handle,
        pick: impl FnOnce(Object) -> Option<T>,
    ) -> Result<T> {
        let mut all = self.slots.borrow_mut();
        let Some(slot) = all.slot(handle) else { return Err(all.stale(handle)) };
        let Some(object) = &slot.object else { return Err(Failure::Closed) };
        pick(object.clone()).ok_or(Failure::Handle)
    }

    /// Whether a handle stands for anything.
    pub(crate) fn contains(&self, handle: Handle) -> bool {
        self.pick(handle, |_| Some(())).is_ok()
    }

    /// All objects, for the end of the environment.
    pub(crate) fn take_all(&self) -> Vec<Object> {
        let mut all = self.slots.borrow_mut();
        let objects = all.slots.iter_mut().filter_map(|slot| slot.object.take()).collect();
        all.slots.clear();
        all.free.clear();
        objects
    }

    /// Calls `each` with every live object.
    pub(crate) fn each(&self, mut each: impl FnMut(&Object)) {
        self.slots
            .borrow()
            .slots
            .iter()
            .filter_map(|slot| slot.object.as_ref())
            .for_each(&mut each);
    }
}

impl Slots {
    #[inline]
    fn slot(&mut self, handle: Handle) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((handle as u32 & SLOT_MASK) as usize)?;
        (u32::from(slot.generation) == handle as u32 >> SLOT_BITS).then_some(slot)
    }

    /// Why a handle is not found: it was freed, which JavaScript remembers as 0, or it never was one.
    fn stale(&self, handle: Handle) -> Failure {
        let index = (handle as u32 & SLOT_MASK) as usize;
        let generation = handle as u32 >> SLOT_BITS;
        if handle == 0 || (handle > 0 && generation > 0 && index < self.slots.len()) {
            Failure::Closed
        } else {
            Failure::Handle
        }
    }
}
