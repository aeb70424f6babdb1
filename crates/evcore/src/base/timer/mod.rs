//! Timers: when the loop has to wake up without a descriptor's help.

mod common;
mod heap;

use super::slot::{Common, SlotState, Slots};
use common::CommonQueues;
use heap::TimerHeap;

/// The deadlines of all slots, one at most for each: in the heap, or in the queue of those that
/// share a timeout, which has one place in the heap for its first.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: TimerHeap,
    common: CommonQueues,
    /// The common queue whose entries are being taken out, up to a deadline. It gets its new place
    /// in the heap when that is done.
    draining: Option<(u32, u64)>,
}

/// A deadline that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) slot: u32,
    pub(super) deadline: u64,
    /// The common queue that it was in.
    queue: Option<u32>,
}

impl Timers {
    /// The earliest deadline, or an earlier one that was taken away meanwhile.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.heap.next_deadline()
    }

    /// The deadline of `slot`, if it has one.
    pub(super) fn deadline(&self, slots: &Slots, slot: u32) -> Option<u64> {
        self.common.deadline(slots[slot].common).or_else(|| self.heap.deadline(slot))
    }

    /// Gives `slot` a deadline in the heap, in place of the one that it may have.
    #[inline]
    pub(super) fn set(&mut self, slots: &mut Slots, slot: u32, deadline: u64) {
        let queue = slots[slot].common.queue;
        if queue != Common::NOWHERE {
            self.common.remove(slots, slot, queue);
        }
        self.heap.set(slot, deadline);
    }

    /// Gives `slot` a deadline at the end of a common queue, or in the heap if others in the queue
    /// are later.
    #[inline]
    pub(super) fn set_common(&mut self, slots: &mut Slots, slot: u32, queue: u32, deadline: u64) {
        if slots[slot].state.contains(SlotState::TIMED) {
            self.remove(slots, slot);
        }
        self.push_common(slots, slot, queue, deadline);
    }

    fn push_common(&mut self, slots: &mut Slots, slot: u32, queue: u32, deadline: u64) {
        if !self.common.push(slots, queue, slot, deadline) {
            self.heap.set(slot, deadline);
        } else if let Some(owner) = self.common.arm(queue) {
            self.heap.set(owner, deadline);
        }
    }

    /// Gives a slot that has a deadline a later one of the same kind.
    pub(super) fn postpone(&mut self, slots: &mut Slots, slot: u32, deadline: u64) {
        match slots[slot].common.queue {
            Common::NOWHERE => self.heap.set(slot, deadline),
            queue => self.set_common(slots, slot, queue, deadline),
        }
    }

    /// Gives the slot of a deadline that has passed the next one.
    pub(super) fn repeat(&mut self, slots: &mut Slots, due: &Due, deadline: u64) {
        match due.queue {
            Some(queue) => self.push_common(slots, due.slot, queue, deadline),
            None => self.heap.set(due.slot, deadline),
        }
    }

    /// Takes the deadline of `slot` away.
    #[inline]
    pub(super) fn remove(&mut self, slots: &mut Slots, slot: u32) {
        match slots[slot].common.queue {
            Common::NOWHERE => drop(self.heap.remove(slot)),
            queue => self.common.remove(slots, slot, queue),
        }
    }

    /// Takes out the earliest deadline that is not after `now`. To be called until there is none,
    /// with nothing between but [`repeat`](Timers::repeat).
    #[inline]
    pub(super) fn pop_due(&mut self, slots: &mut Slots, now: u64) -> Option<Due> {
        loop {
            if let Some((queue, until)) = self.draining {
                if let Some((slot, deadline)) = self.common.pop_due(slots, queue, until) {
                    return Some(Due { slot, deadline, queue: Some(queue) });
                }
                self.draining = None;
                let (owner, next) = self.common.rearm(slots, queue);
                if let Some(next) = next {
                    self.heap.set(owner, next);
                }
            }
            let (slot, deadline) = self.heap.pop_due(now)?;
            let queue = slots[slot].common.queue;
            if queue == Common::NOWHERE {
                return Some(Due { slot, deadline, queue: None });
            }
            self.draining = Some((queue - Common::OWNER, self.heap.earliest().min(now)));
        }
    }

    /// The common queue of a timeout in nanoseconds, made if it is new. `None` when there are too
    /// many.
    pub(super) fn common_queue(&mut self, slots: &mut Slots, interval: u64) -> Option<u32> {
        self.common.queue(slots, interval)
    }

    /// Whether `queue` is the common queue of this timeout.
    pub(super) fn is_common(&self, queue: u32, interval: u64) -> bool {
        self.common.is(queue, interval)
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot::{SlotState, Slots};
    use super::Timers;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn fires_what_a_sorted_map_of_deadlines_would(
            operations in prop::collection::vec((0u8..6, 0u32..32, 0u64..100), 1..400)
        ) {
            let mut timers = Timers::default();
            let mut slots = Slots::default();
            for slot in 0..32 {
                assert_eq!(slots.claim(), slot);
            }
            let slots = &mut slots;
            let queues = [10, 25]
                .map(|interval| (timers.common_queue(slots, interval).unwrap(), interval));
            let mut now = 1000;
            let mut held: BTreeMap<u32, u64> = BTreeMap::new();
            for (operation, slot, time) in operations {
                match operation {
                    0 => {
                        timers.set(slots, slot, now + time);
                        held.insert(slot, now + time);
                    }
                    1 | 2 => {
                        let (queue, interval) = queues[usize::from(operation) - 1];
                        timers.set_common(slots, slot, queue, now + interval);
                        held.insert(slot, now + interval);
                    }
                    3 => {
                        timers.remove(slots, slot);
                        held.remove(&slot);
                    }
                    4 => {
                        if held.contains_key(&slot) {
                            timers.postpone(slots, slot, now + time);
                            held.insert(slot, now + time);
                        }
                    }
                    _ => {
                        now += time;
                        let mut last = 0;
                        while let Some(due) = timers.pop_due(slots, now) {
                            prop_assert_eq!(held.remove(&due.slot), Some(due.deadline));
                            prop_assert!(due.deadline >= last, "out of order");
                            last = due.deadline;
                        }
                        prop_assert!(held.values().all(|&deadline| deadline > now));
                    }
                }
                for slot in 0..32 {
                    slots[slot].state.set(SlotState::TIMED, held.contains_key(&slot));
                    prop_assert_eq!(timers.deadline(slots, slot), held.get(&slot).copied());
                }
                if let Some(first) = held.values().min() {
                    prop_assert!(timers.next_deadline().unwrap() <= *first);
                }
            }
        }
    }
}
