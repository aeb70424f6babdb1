//! Where events live: a slab of slots, each reached by number and generation, never by pointer.

use crate::backend::RawFd;

use super::event::{EventCallback, EventFlags, EventId};

/// No slot: the end of a list.
pub(super) const NONE: u32 = u32::MAX;

bitflags::bitflags! {
    /// Where an event stands at the moment.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct SlotState: u8 {
        /// The slot holds an event.
        const USED = 1;
        /// Its descriptor or signal is watched.
        const WATCHED = 2;
        /// It has a deadline in the timer heap.
        const TIMED = 4;
        /// It waits in its priority's queue for its callback.
        const ACTIVE = 8;
        /// It waits for the next turn, since it ran in this one already.
        const LATER = 16;
        /// It is never to be used again but for its finalizer.
        const FINALIZING = 32;
        /// It is freed as soon as its finalizer has run: nobody owns it any more.
        const ORPHAN = 64;
    }
}

impl SlotState {
    /// Waits for something.
    pub(super) const PENDING: Self = Self::WATCHED.union(Self::TIMED);
    /// Its callback waits to be run.
    pub(super) const QUEUED: Self = Self::ACTIVE.union(Self::LATER);
    /// Pending or active, as a whole.
    pub(super) const BUSY: Self = Self::PENDING.union(Self::QUEUED);
}

/// One event. It fills one cache line and shares none.
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) callback: Option<EventCallback>,
    /// The timeout that a persistent event is given anew, in nanoseconds; 0 for none.
    pub(super) interval: u64,
    pub(super) generation: u32,
    pub(super) fd: RawFd,
    /// The next event on the same descriptor or signal; the next free slot while unused.
    pub(super) next_watched: u32,
    pub(super) previous_queued: u32,
    pub(super) next_queued: u32,
    /// The common timeout's queue that its deadline is in, if any.
    pub(super) common: Common,
    /// The turn in which it was made or ran last.
    pub(super) turn: u32,
    pub(super) flags: EventFlags,
    /// What it is active for.
    pub(super) fired: EventFlags,
    /// How often a signal came since the callback ran.
    pub(super) calls: u16,
    pub(super) priority: u8,
    pub(super) state: SlotState,
}

/// A place in a queue of those that share a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Common {
    /// [`Common::NOWHERE`] or the number of the queue, with [`Common::OWNER`] for the slot that
    /// stands for the queue in the timer heap.
    pub(super) queue: u32,
    /// The entry's number, counted from the queue's beginning and never reset.
    pub(super) number: u32,
}

impl Common {
    pub(super) const NOWHERE: u32 = u32::MAX;
    pub(super) const OWNER: u32 = 1 << 31;
    const NONE: Self = Self { queue: Self::NOWHERE, number: 0 };
}

impl Slot {
    /// The number of the signal that a signal event waits for.
    // On Windows a descriptor is of another type.
    #[allow(clippy::unnecessary_cast)]
    pub(super) fn signum(&self) -> i32 {
        self.fd as i32
    }
}

/// All events of a base.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    /// Slots to use again, a list through `next_watched`; `None` when there are none.
    free: Option<u32>,
    /// Events that are pending or active.
    pub(super) busy: usize,
    /// Events that are pending, and that are active.
    pub(super) added: Count,
    pub(super) active: Count,
}

/// How many there are of something, and the most there have been.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) now: usize,
    pub(super) most: usize,
}

impl Count {
    #[inline]
    fn step(&mut self, up: bool) {
        if up {
            self.now += 1;
            self.most = self.most.max(self.now);
        } else {
            self.now -= 1;
        }
    }
}

impl Slots {
    pub(super) fn insert(
        &mut self,
        fd: RawFd,
        flags: EventFlags,
        priority: u8,
        turn: u32,
        callback: EventCallback,
    ) -> EventId {
        let index = self.claim();
        let slot = &mut self.slots[index as usize];
        slot.callback = Some(callback);
        slot.interval = 0;
        slot.fd = fd;
        slot.flags = flags;
        slot.fired = EventFlags::empty();
        slot.calls = 0;
        slot.priority = priority;
        slot.turn = turn;
        slot.next_watched = NONE;
        slot.state = SlotState::USED;
        EventId::new(index, slot.generation)
    }

    /// A slot that no event has, and none will unless it is made one.
    pub(super) fn claim(&mut self) -> u32 {
        if let Some(index) = self.free {
            let next = self.slots[index as usize].next_watched;
            self.free = (next != NONE).then_some(next);
            return index;
        }
        self.slots.push(Slot {
            callback: None,
            interval: 0,
            generation: 1,
            fd: super::NO_FD,
            next_watched: NONE,
            previous_queued: NONE,
            next_queued: NONE,
            common: Common::NONE,
            turn: 0,
            flags: EventFlags::empty(),
            fired: EventFlags::empty(),
            calls: 0,
            priority: 0,
            state: SlotState::empty(),
        });
        self.slots.len() as u32 - 1
    }

    /// Frees a slot that is in no list any more. The callback is handed back, since dropping it may
    /// run code of the user's, which must find the base unborrowed.
    pub(super) fn remove(&mut self, index: u32) -> Option<EventCallback> {
        let free = self.free.unwrap_or(NONE);
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1).max(1);
        slot.state = SlotState::empty();
        slot.next_watched = free;
        let callback = slot.callback.take();
        self.free = Some(index);
        callback
    }

    /// The slot number of a live event.
    pub(super) fn find(&self, id: EventId) -> Option<u32> {
        // A slot that is not used has a generation that nobody was given yet.
        let slot = self.slots.get(id.index() as usize)?;
        (slot.generation == id.generation()).then(|| id.index())
    }

    pub(super) fn id(&self, index: u32) -> EventId {
        EventId::new(index, self.slots[index as usize].generation)
    }

    /// Sets and clears bits of what an event waits for and keeps the counts true.
    #[inline]
    pub(super) fn set_pending(&mut self, index: u32, set: SlotState, clear: SlotState) {
        let slot = &mut self.slots[index as usize];
        let before = slot.state;
        slot.state = (before - clear) | set;
        let pends = slot.state.intersects(SlotState::PENDING);
        if before.intersects(SlotState::PENDING) == pends {
            return;
        }
        let alone = !before.intersects(SlotState::QUEUED);
        self.added.step(pends);
        if alone {
            self.busy = if pends { self.busy + 1 } else { self.busy - 1 };
        }
    }

    /// Says that an event has entered a queue (`bit`: which kind) or left it (no bit).
    #[inline]
    pub(super) fn set_queued(&mut self, index: u32, bit: SlotState) {
        let slot = &mut self.slots[index as usize];
        let before = slot.state;
        slot.state = (before - SlotState::QUEUED) | bit;
        if before.intersects(SlotState::QUEUED) != bit.is_empty() {
            return;
        }
        let alone = !before.intersects(SlotState::PENDING);
        self.active.step(!bit.is_empty());
        if alone {
            self.busy = if bit.is_empty() { self.busy - 1 } else { self.busy + 1 };
        }
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.slots.len() as u32)
            .filter(|&index| self.slots[index as usize].state.contains(SlotState::USED))
    }
}

impl std::ops::Index<u32> for Slots {
    type Output = Slot;

    fn index(&self, index: u32) -> &Slot {
        &self.slots[index as usize]
    }
}

impl std::ops::IndexMut<u32> for Slots {
    fn index_mut(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn a_slot_fills_one_cache_line() {
        assert_eq!(std::mem::size_of::<super::Slot>(), 64);
    }
}
