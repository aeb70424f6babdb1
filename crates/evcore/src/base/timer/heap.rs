//! An indexed 4-ary heap with its keys inline.
//!
//! Four siblings fill one cache line, aligned to it, and are compared without branches; unlike in
//! a binary heap of pointers, a compare never leaves the heap's own memory. The position of each
//! timer is kept beside the heap, in four bytes a slot, so that any timer can be moved or removed
//! without a search.

const ABSENT: u32 = u32::MAX;
const ARITY: usize = 4;
/// Fewer entries than this are always taken out one by one.
const FEW: usize = 16;
/// The position of the first entry. From here on, each entry's children are one group.
const ROOT: usize = ARITY - 1;

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: u64,
    /// Counts additions, so that equal deadlines fire in the order in which they were added.
    sequence: u32,
    slot: u32,
}

impl Entry {
    /// What the places after the last entry hold: no compare finds it the earliest, since real
    /// deadlines end before this one.
    const VACANT: Self = Self { deadline: u64::MAX, sequence: 0, slot: ABSENT };

    #[inline]
    fn before(&self, other: &Self) -> bool {
        // The difference is taken first, so that the order survives the counter's wrapping round.
        (self.deadline < other.deadline)
            | (self.deadline == other.deadline)
                & ((self.sequence.wrapping_sub(other.sequence) as i32) < 0)
    }
}

/// Four siblings.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Group([Entry; ARITY]);

impl Group {
    /// Which of the four is the earliest.
    #[inline]
    fn earliest(&self) -> usize {
        let of = |a: usize, b: usize| if self.0[b].before(&self.0[a]) { b } else { a };
        of(of(0, 1), of(2, 3))
    }
}

/// Deadlines in nanoseconds, one at most for each slot number.
#[derive(Debug)]
pub(super) struct TimerHeap {
    groups: Vec<Group>,
    /// The position after the last entry.
    end: usize,
    positions: Vec<u32>,
    sequence: u32,
    /// Entries that were found due together and taken out of the heap, the earliest last.
    due: Vec<Entry>,
    /// So many are known to be due that are taken out one by one: counting them for each would cost
    /// the square of their number.
    counted: usize,
    /// Positions still to be looked at while counting what is due; kept for its memory.
    below: Vec<u32>,
}

impl Default for TimerHeap {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            end: ROOT,
            positions: Vec::new(),
            sequence: 0,
            due: Vec::new(),
            counted: 0,
            below: Vec::new(),
        }
    }
}

impl TimerHeap {
    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        (self.end > ROOT).then(|| self.at(ROOT).deadline)
    }

    /// The earliest deadline while what is due is being taken out.
    pub(super) fn earliest(&self) -> u64 {
        let due = self.due.last().map_or(u64::MAX, |entry| entry.deadline);
        self.next_deadline().map_or(due, |next| next.min(due))
    }

    /// The deadline of `slot`, if it has one.
    pub(super) fn deadline(&self, slot: u32) -> Option<u64> {
        self.position(slot).map(|position| self.at(position).deadline)
    }

    /// Gives `slot` a deadline, in place of the one that it may have.
    pub(super) fn set(&mut self, slot: u32, deadline: u64) {
        self.sequence = self.sequence.wrapping_add(1);
        let deadline = deadline.min(u64::MAX - 1);
        let entry = Entry { deadline, sequence: self.sequence, slot };
        if let Some(position) = self.position(slot) {
            if self.at(position).before(&entry) {
                self.sift_down(position, entry);
            } else {
                self.sift_up(position, entry);
            }
            return;
        }
        if self.positions.len() <= slot as usize {
            self.positions.resize(slot as usize + 1, ABSENT);
        }
        let position = self.end;
        if position / ARITY >= self.groups.len() {
            self.groups.resize(position / ARITY + 1, Group([Entry::VACANT; ARITY]));
        }
        self.end += 1;
        self.sift_up(position, entry);
    }

    /// Takes the deadline of `slot` away and says whether it had one.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let Some(position) = self.position(slot) else { return false };
        self.positions[slot as usize] = ABSENT;
        self.end -= 1;
        let last = *self.at(self.end);
        *self.at_mut(self.end) = Entry::VACANT;
        if position == self.end {
            return true;
        }
        let hole = self.sink(position);
        self.sift_up(hole, last);
        true
    }

    /// Takes out the earliest slot with its deadline, if that is not after `now`. To be called until
    /// there is none.
    #[inline]
    pub(super) fn pop_due(&mut self, now: u64) -> Option<(u32, u64)> {
        if self.due.is_empty() {
            if self.next_deadline()? > now {
                self.counted = 0;
                return None;
            }
            if self.counted == 0 {
                self.take_many(now);
            } else {
                self.counted -= 1;
            }
        }
        // What was set since many were taken out may come before some of them.
        let first = self.end > ROOT && self.at(ROOT).deadline <= now;
        let Entry { slot, deadline, .. } = match self.due.last() {
            Some(last) if !(first && self.at(ROOT).before(last)) => self.due.pop()?,
            _ if first => {
                let entry = *self.at(ROOT);
                self.remove(entry.slot);
                entry
            }
            _ => return None,
        };
        Some((slot, deadline))
    }

    /// Takes out all that is due at once if it is the most of what there is: to sort it costs a
    /// fraction of taking one after the other off the heap.
    fn take_many(&mut self, now: u64) {
        let count = self.end - ROOT;
        if count < FEW {
            return;
        }
        let due = self.count_due(now, count);
        if due < FEW.max(count / 2) {
            self.counted = due;
            return;
        }
        let end = self.end;
        self.end = ROOT;
        for position in ROOT..end {
            let entry = std::mem::replace(self.at_mut(position), Entry::VACANT);
            if entry.deadline <= now {
                self.positions[entry.slot as usize] = ABSENT;
                self.due.push(entry);
            } else {
                let kept = self.end;
                self.end += 1;
                self.place(kept, entry);
            }
        }
        for position in (ROOT..self.end).rev() {
            let entry = *self.at(position);
            self.sift_down(position, entry);
        }
        let newest = self.sequence;
        let key =
            |entry: &Entry| (entry.deadline, entry.sequence.wrapping_sub(newest.wrapping_add(1)));
        self.due.sort_unstable_by_key(|entry| std::cmp::Reverse(key(entry)));
    }

    /// How many entries are due, counted until there are `enough`.
    fn count_due(&mut self, now: u64, enough: usize) -> usize {
        let mut found = 0;
        self.below.clear();
        self.below.push(ROOT as u32);
        while let Some(position) = self.below.pop() {
            found += 1;
            if found == enough {
                break;
            }
            let group = position as usize - ROOT + 1;
            if let Some(siblings) = self.groups.get(group) {
                let due = (0..ARITY).filter(|&lane| siblings.0[lane].deadline <= now);
                self.below.extend(due.map(|lane| (group * ARITY + lane) as u32));
            }
        }
        found
    }

    fn position(&self, slot: u32) -> Option<usize> {
        match self.positions.get(slot as usize) {
            Some(&position) if position != ABSENT => Some(position as usize),
            _ => None,
        }
    }

    fn at(&self, position: usize) -> &Entry {
        &self.groups[position / ARITY].0[position % ARITY]
    }

    fn at_mut(&mut self, position: usize) -> &mut Entry {
        &mut self.groups[position / ARITY].0[position % ARITY]
    }

    #[inline]
    fn place(&mut self, position: usize, entry: Entry) {
        *self.at_mut(position) = entry;
        self.positions[entry.slot as usize] = position as u32;
    }

    fn sift_up(&mut self, mut position: usize, entry: Entry) {
        while position > ROOT {
            let parent = parent(position);
            let above = *self.at(parent);
            if !entry.before(&above) {
                break;
            }
            self.place(position, above);
            position = parent;
        }
        self.place(position, entry);
    }

    fn sift_down(&mut self, mut position: usize, entry: Entry) {
        while let Some((child, below)) = self.earliest_child(position) {
            if !below.before(&entry) {
                break;
            }
            self.place(position, below);
            position = child;
        }
        self.place(position, entry);
    }

    /// Moves a hole down to where it has no children. What fills it then comes from the heap's end
    /// and belongs near there, so that no compare with it is needed on the way.
    fn sink(&mut self, mut hole: usize) -> usize {
        while let Some((child, below)) = self.earliest_child(hole) {
            self.place(hole, below);
            hole = child;
        }
        hole
    }

    #[inline]
    fn earliest_child(&self, position: usize) -> Option<(usize, Entry)> {
        let group = position - ROOT + 1;
        if group * ARITY >= self.end {
            return None;
        }
        let siblings = &self.groups[group];
        let lane = siblings.earliest();
        Some((group * ARITY + lane, siblings.0[lane]))
    }
}

fn parent(position: usize) -> usize {
    position / ARITY - 1 + ROOT
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

    #[test]
    fn taking_out_nearly_half_of_many_does_not_cost_the_square_of_their_number() {
        const COUNT: u32 = 400_000;
        let mut heap = TimerHeap::default();
        for slot in 0..COUNT {
            heap.set(slot, u64::from(slot * 7 % COUNT));
        }
        let due = u64::from(COUNT / 2 - 10);
        // Counting anew what is due for each would not end within the hour.
        let taken = std::iter::from_fn(|| heap.pop_due(due - 1)).count();
        assert_eq!((taken, heap.next_deadline()), (due as usize, Some(due)));
    }

    #[test]
    fn many_that_are_due_together_come_out_in_order_and_leave_the_rest_a_heap() {
        for (count, due) in [(40, 40), (40, 30), (1000, 600), (1000, 400), (1000, 5)] {
            let mut heap = TimerHeap::default();
            // Each of the numbers below 1009 once, in an order that looks random.
            for slot in 0..count {
                heap.set(slot, u64::from(slot * 331 % 1009 % count));
            }
            let mut last = (0, 0);
            for _ in 0..2 {
                let now = if last.0 == 0 { due - 1 } else { 2000 };
                while let Some((slot, deadline)) = heap.pop_due(now) {
                    assert!(deadline <= now && (deadline, slot) >= last, "{slot} {deadline}");
                    assert_eq!(heap.deadline(slot), None);
                    last = (deadline, slot);
                }
            }
            assert_eq!(heap.next_deadline(), None);
        }
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
                    _ => loop {
                        let due = model.iter().next().filter(|(key, _)| key.0 <= time);
                        let expected = due.map(|(&key, &slot)| (key, slot));
                        if let Some((key, slot)) = expected {
                            model.remove(&key);
                            held.remove(&slot);
                        }
                        prop_assert_eq!(
                            heap.pop_due(time),
                            expected.map(|(key, slot)| (slot, key.0))
                        );
                        if expected.is_none() {
                            break;
                        }
                    },
                }
                prop_assert_eq!(heap.next_deadline(), model.keys().next().map(|key| key.0));
                prop_assert_eq!(heap.deadline(slot), held.get(&slot).map(|key| key.0));
            }
        }
    }
}
