//! The active events of each priority, in the order in which they became active.

use super::slot::{Slots, NONE};

/// A list of slots, linked through the slots themselves, so that an event leaves it without a search
/// and enters it without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { head: NONE, tail: NONE }
    }
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.head == NONE
    }

    fn first(&self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self, slots: &mut Slots) -> Option<u32> {
        let index = self.first()?;
        // The next one's link to this one is left as it is: nobody follows it from the head.
        self.head = slots[index].next_queued;
        if self.head == NONE {
            self.tail = NONE;
        }
        Some(index)
    }

    pub(super) fn push(&mut self, slots: &mut Slots, index: u32) {
        let slot = &mut slots[index];
        slot.previous_queued = self.tail;
        slot.next_queued = NONE;
        if self.tail == NONE {
            self.head = index;
        } else {
            slots[self.tail].next_queued = index;
        }
        self.tail = index;
    }

    pub(super) fn remove(&mut self, slots: &mut Slots, index: u32) {
        let (previous, next) = (slots[index].previous_queued, slots[index].next_queued);
        let first = self.head == index;
        if first {
            self.head = next;
        } else {
            slots[previous].next_queued = next;
        }
        if next == NONE {
            self.tail = if first { NONE } else { previous };
        } else {
            slots[next].previous_queued = previous;
        }
    }
}
