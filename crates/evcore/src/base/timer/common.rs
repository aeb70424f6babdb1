//! Queues of timers that share a timeout, so that the one set last always ends last.

use std::collections::VecDeque;

use super::super::slot::{Common, Slots};

/// The most queues that a base can have (libevent's `MAX_COMMON_TIMEOUTS`).
const MOST_QUEUES: usize = 256;
/// A queue is tidied up when it has this many entries for each that is not void ...
const MOST_VOID: usize = 8;
/// ... and more than this many.
const FEW: usize = 64;

#[derive(Debug)]
struct Queue {
    interval: u64,
    owner: u32,
    /// Whether the owner is in the heap.
    armed: bool,
    /// The number of the first entry.
    head: u32,
    /// Deadlines and their slots. An entry whose slot is elsewhere by now is void: so a deadline is
    /// taken away without touching the queue.
    entries: VecDeque<(u64, u32)>,
    /// How many entries are not void.
    live: usize,
}

/// The queues. The place of each slot's entry is kept in the slot.
#[derive(Debug, Default)]
pub(super) struct CommonQueues {
    queues: Vec<Queue>,
}

impl CommonQueues {
    /// The queue of a timeout, made if it is new, unless there are too many.
    pub(super) fn queue(&mut self, slots: &mut Slots, interval: u64) -> Option<u32> {
        if let Some(known) = self.queues.iter().position(|queue| queue.interval == interval) {
            return Some(known as u32);
        }
        if self.queues.len() == MOST_QUEUES {
            return None;
        }
        let (number, owner) = (self.queues.len() as u32, slots.claim());
        slots[owner].common.queue = Common::OWNER | number;
        let entries = VecDeque::new();
        self.queues.push(Queue { interval, owner, armed: false, head: 0, entries, live: 0 });
        Some(number)
    }

    pub(super) fn is(&self, queue: u32, interval: u64) -> bool {
        self.queues.get(queue as usize).is_some_and(|queue| queue.interval == interval)
    }

    pub(super) fn deadline(&self, place: Common) -> Option<u64> {
        let queue = self.queues.get(place.queue as usize)?;
        queue.entries.get(place.number.wrapping_sub(queue.head) as usize).map(|entry| entry.0)
    }

    /// Puts a slot that has no deadline at the end of a queue; `false` if the end is later.
    #[inline]
    pub(super) fn push(&mut self, slots: &mut Slots, queue: u32, slot: u32, deadline: u64) -> bool {
        let to = &mut self.queues[queue as usize];
        if to.entries.back().is_some_and(|last| last.0 > deadline) {
            return false;
        }
        let number = to.head.wrapping_add(to.entries.len() as u32);
        to.entries.push_back((deadline, slot));
        to.live += 1;
        slots[slot].common = Common { queue, number };
        true
    }

    /// The slot to put into the heap for a queue, unless it is there.
    #[inline]
    pub(super) fn arm(&mut self, queue: u32) -> Option<u32> {
        let queue = &mut self.queues[queue as usize];
        (!std::mem::replace(&mut queue.armed, true)).then_some(queue.owner)
    }

    /// The slot that stands for a queue in the heap, and the deadline that it is to have there.
    pub(super) fn rearm(&mut self, slots: &Slots, queue: u32) -> (u32, Option<u64>) {
        let first = self.first(slots, queue);
        let queue = &mut self.queues[queue as usize];
        queue.armed = first.is_some();
        (queue.owner, first)
    }

    /// Takes the deadline of a slot in `queue` away.
    #[inline]
    pub(super) fn remove(&mut self, slots: &mut Slots, slot: u32, number: u32) {
        slots[slot].common.queue = Common::NOWHERE;
        let queue = &mut self.queues[number as usize];
        queue.live -= 1;
        if queue.entries.len() > MOST_VOID * queue.live + FEW {
            self.tidy(slots, number);
        }
    }

    /// The deadline of the first entry that is not void.
    #[inline]
    fn first(&mut self, slots: &Slots, number: u32) -> Option<u64> {
        let queue = &mut self.queues[number as usize];
        while let Some(&(deadline, slot)) = queue.entries.front() {
            if slots[slot].common == (Common { queue: number, number: queue.head }) {
                return Some(deadline);
            }
            queue.entries.pop_front();
            queue.head = queue.head.wrapping_add(1);
        }
        None
    }

    /// Takes out the first entry if its deadline is not after `now`.
    #[inline]
    pub(super) fn pop_due(
        &mut self,
        slots: &mut Slots,
        number: u32,
        now: u64,
    ) -> Option<(u32, u64)> {
        let deadline = self.first(slots, number).filter(|&deadline| deadline <= now)?;
        let queue = &mut self.queues[number as usize];
        let (_, slot) = queue.entries.pop_front()?;
        queue.head = queue.head.wrapping_add(1);
        queue.live -= 1;
        slots[slot].common.queue = Common::NOWHERE;
        Some((slot, deadline))
    }

    /// Drops the void entries of a queue: done seldom enough to cost each of them little.
    fn tidy(&mut self, slots: &mut Slots, number: u32) {
        let queue = &mut self.queues[number as usize];
        let (mut old, mut new) = (queue.head, queue.head);
        if queue.live == 0 {
            queue.entries.clear();
            return;
        }
        queue.entries.retain(|&(_, slot)| {
            let place = &mut slots[slot].common;
            let live = *place == Common { queue: number, number: old };
            old = old.wrapping_add(1);
            if live {
                place.number = new;
                new = new.wrapping_add(1);
            }
            live
        });
    }
}
