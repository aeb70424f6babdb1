//! An indexed 4-ary heap with its keys inline.
//!
//! Four children share a cache line and a compare never leaves the heap's own memory, unlike a
//! binary heap of pointers. The position of each timer is kept beside the heap, in four bytes a
//! slot, so that any timer can be moved or removed without a search.

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: u64,
    /// Counts additions, so that equal deadlines fire in the order in which they were added.
    sequence: u32,
    slot: u32,
}

impl Entry {
    fn before(&self, other: &Self) -> bool {
        // The difference is taken first, so that the order survives the counter's wrapping round.
        self.deadline < other.deadline
            || (self.deadline == other.deadline
                && (self.sequence.wrapping_sub(other.sequence) as i32) < 0)
    }
}

/// Deadlines in nanoseconds, one at most for each slot number.
#[derive(Debug, Default)]
pub(crate) struct TimerHeap {
    entries: Vec<Entry>,
    positions: Vec<u32>,
    sequence: u32,
}

impl TimerHeap {
    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.entries.first().map(|entry| entry.deadline)
    }

    /// The deadline of `slot`, if it has one.
    pub(crate) fn deadline(&self, slot: u32) -> Option<u64> {
        self.position(slot).map(|position| self.entries[position].deadline)
    }

    /// Gives `slot` a deadline, in place of the one that it may have.
    pub(crate) fn set(&mut self, slot: u32, deadline: u64) {
        self.sequence = self.sequence.wrapping_add(1);
        let entry = Entry { deadline, sequence: self.sequence, slot };
        if let Some(position) = self.position(slot) {
            let later = self.entries[position].before(&entry);
            self.entries[position] = entry;
            if later {
                self.sift_down(position);
            } else {
                self.sift_up(position);
            }
            return;
        }
        if self.positions.len() <= slot as usize {
            self.positions.resize(slot as usize + 1, ABSENT);
        }
        let position = self.entries.len();
        self.entries.push(entry);
        self.positions[slot as usize] = position as u32;
        self.sift_up(position);
    }

    /// Takes the deadline of `slot` away and says whether it had one.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let Some(position) = self.position(slot) else { return false };
        self.positions[slot as usize] = ABSENT;
        let last = self.entries.len() - 1;
        if position == last {
            self.entries.pop();
            return true;
        }
        let removed = self.entries.swap_remove(position);
        let moved = self.entries[position];
        self.positions[moved.slot as usize] = position as u32;
        if moved.before(&removed) {
            self.sift_up(position);
        } else {
            self.sift_down(position);
        }
        true
    }

    /// Takes out the earliest slot whose deadline is not after `now`, with that deadline.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<(u32, u64)> {
        let &Entry { deadline, slot, .. } = self.entries.first()?;
        if deadline > now {
            return None;
        }
        self.remove(slot);
        Some((slot, deadline))
    }

    fn position(&self, slot: u32) -> Option<usize> {
        match self.positions.get(slot as usize) {
            Some(&position) if position != ABSENT => Some(position as usize),
            _ => None,
        }
    }

    fn place(&mut self, position: usize, entry: Entry) {
        self.entries[position] = entry;
        self.positions[entry.slot as usize] = position as u32;
    }

    fn sift_up(&mut self, mut position: usize) {
        let entry = self.entries[position];
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.place(position, self.entries[parent]);
            position = parent;
        }
        self.place(position, entry);
    }

    fn sift_down(&mut self, mut position: usize) {
        let entry = self.entries[position];
        loop {
            let first = position * ARITY + 1;
            if first >= self.entries.len() {
                break;
            }
            let end = (first + ARITY).min(self.entries.len());
            let mut least = first;
            for child in first + 1..end {
                if self.entries[child].before(&self.entries[least]) {
                    least = child;
                }
            }
            if !self.entries[least].before(&entry) {
                break;
            }
            self.place(position, self.entries[least]);
            position = least;
        }
        self.place(position, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::TimerHeap;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn equal_deadlines_come_out_in_the_order_of_their_addition() {
        let mut heap = TimerHeap::default();
        for slot in [4, 1, 3, 0, 2] {
            heap.set(slot, 7);
        }
        let order: Vec<u32> =
            std::iter::from_fn(|| heap.pop_due(7).map(|(slot, _)| slot)).collect();
        assert_eq!(order, [4, 1, 3, 0, 2]);
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_map_of_deadlines(
            operations in prop::collection::vec((0u8..4, 0u32..64, 0u64..1000), 1..400)
        ) {
            let mut heap = TimerHeap::default();
            let mut model: BTreeMap<(u64, u32), u32> = BTreeMap::new();
            let mut held: BTreeMap<u32, (u64, u32)> = BTreeMap::new();
            for (sequence, (operation, slot, time)) in operations.into_iter().enumerate() {
                match operation {
                    0 | 1 => {
                        if let Some(key) = held.remove(&slot) {
                            model.remove(&key);
                        }
                        let key = (time, sequence as u32);
                        held.insert(slot, key);
                        model.insert(key, slot);
                        heap.set(slot, time);
                    }
                    2 => {
                        let key = held.remove(&slot);
                        if let Some(key) = key {
                            model.remove(&key);
                        }
                        prop_assert_eq!(heap.remove(slot), key.is_some());
                    }
                    _ => {
                        let due = model.iter().next().filter(|(key, _)| key.0 <= time);
                        let expected = due.map(|(&key, &slot)| (key, slot));
                        if let Some((key, slot)) = expected {
                            model.remove(&key);
                            held.remove(&slot);
                        }
                        prop_assert_eq!(heap.pop_due(time), expected.map(|(key, slot)| (slot, key.0)));
                    }
                }
                prop_assert_eq!(heap.next_deadline(), model.keys().next().map(|key| key.0));
                prop_assert_eq!(heap.deadline(slot), held.get(&slot).map(|key| key.0));
            }
        }
    }
}
