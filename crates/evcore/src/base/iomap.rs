//! Which events watch a descriptor, and what the backend was told about it.

use std::io;

use crate::backend::{Backend, Interest, RawFd};

use super::event::EventFlags;
use super::slot::{Slots, NONE};

#[derive(Clone, Copy)]
struct Entry {
    /// The first event; the others follow through `next_watched`.
    head: u32,
    registered: Interest,
}

impl Entry {
    const EMPTY: Self = Self { head: NONE, registered: Interest::empty() };
}

/// The events of every descriptor. Each descriptor is known to the backend at most once, with the
/// interests of all its events together.
#[derive(Default)]
pub(super) struct IoMap {
    #[cfg(not(windows))]
    entries: Vec<Entry>,
    #[cfg(windows)]
    entries: std::collections::HashMap<RawFd, Entry>,
}

impl IoMap {
    /// Puts an event on its descriptor's list and tells the backend what is new.
    pub(super) fn add(
        &mut self,
        backend: &mut dyn Backend,
        slots: &mut Slots,
        index: u32,
    ) -> io::Result<()> {
        let (fd, flags) = (slots[index].fd, slots[index].flags);
        let entry = self.entry(fd);
        let wanted = interest(flags);
        if entry.head != NONE
            && entry.registered.contains(Interest::EDGE) != wanted.contains(Interest::EDGE)
        {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a descriptor has either edge-triggered or level-triggered events, not both",
            ));
        }
        let merged = entry.registered | wanted;
        if entry.head == NONE {
            backend.add(fd, merged)?;
        } else if merged != entry.registered {
            backend.modify(fd, entry.registered, merged)?;
        }
        slots[index].next_watched = entry.head;
        self.set(fd, Entry { head: index, registered: merged });
        Ok(())
    }

    /// Takes an event off its descriptor's list and tells the backend what is no longer wanted.
    pub(super) fn remove(
        &mut self,
        backend: &mut dyn Backend,
        slots: &mut Slots,
        index: u32,
    ) -> io::Result<()> {
        let fd = slots[index].fd;
        let mut entry = self.entry(fd);
        let mut remaining = Interest::empty();
        let (mut previous, mut cursor) = (NONE, entry.head);
        while cursor != NONE {
            let next = slots[cursor].next_watched;
            if cursor == index {
                if previous == NONE {
                    entry.head = next;
                } else {
                    slots[previous].next_watched = next;
                }
            } else {
                remaining |= interest(slots[cursor].flags);
                previous = cursor;
            }
            cursor = next;
        }
        slots[index].next_watched = NONE;
        let registered = entry.registered;
        entry.registered = remaining;
        self.set(fd, entry);
        if entry.head == NONE {
            backend.remove(fd, registered)
        } else if remaining != registered {
            backend.modify(fd, registered, remaining)
        } else {
            Ok(())
        }
    }

    /// The first event on a descriptor.
    pub(super) fn first(&self, fd: RawFd) -> u32 {
        self.entry(fd).head
    }

    /// Tells a new backend all that is watched.
    pub(super) fn register_all(&self, backend: &mut dyn Backend) -> io::Result<()> {
        for (fd, entry) in self.iter() {
            backend.add(fd, entry.registered)?;
        }
        Ok(())
    }

    /// Tells an old backend to forget all that is watched.
    pub(super) fn deregister_all(&self, backend: &mut dyn Backend) {
        for (fd, entry) in self.iter() {
            // What the backend no longer knows needs no removal.
            let _ = backend.remove(fd, entry.registered);
        }
    }
}

#[cfg(not(windows))]
impl IoMap {
    fn entry(&self, fd: RawFd) -> Entry {
        self.entries.get(fd as usize).copied().unwrap_or(Entry::EMPTY)
    }

    fn set(&mut self, fd: RawFd, entry: Entry) {
        // The backend took the descriptor, so it is open and its number is bounded by the limit on
        // open files: the table cannot be made to grow by a made-up number.
        if self.entries.len() <= fd as usize {
            self.entries.resize(fd as usize + 1, Entry::EMPTY);
        }
        self.entries[fd as usize] = entry;
    }

    fn iter(&self) -> impl Iterator<Item = (RawFd, Entry)> + '_ {
        let all = self.entries.iter().enumerate();
        all.filter(|(_, entry)| entry.head != NONE).map(|(fd, &entry)| (fd as RawFd, entry))
    }
}

#[cfg(windows)]
impl IoMap {
    fn entry(&self, fd: RawFd) -> Entry {
        self.entries.get(&fd).copied().unwrap_or(Entry::EMPTY)
    }

    fn set(&mut self, fd: RawFd, entry: Entry) {
        if entry.head == NONE {
            self.entries.remove(&fd);
        } else {
            self.entries.insert(fd, entry);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (RawFd, Entry)> + '_ {
        self.entries.iter().map(|(&fd, &entry)| (fd, entry))
    }
}

/// What an event's flags ask of the backend.
fn interest(flags: EventFlags) -> Interest {
    let mut interest = Interest::empty();
    interest.set(Interest::READ, flags.contains(EventFlags::READ));
    interest.set(Interest::WRITE, flags.contains(EventFlags::WRITE));
    interest.set(Interest::CLOSED, flags.contains(EventFlags::CLOSED));
    interest.set(Interest::EDGE, flags.contains(EventFlags::ET));
    interest
}

/// What a backend's readiness means to an event.
pub(super) fn fired(what: Interest) -> EventFlags {
    let mut fired = EventFlags::empty();
    fired.set(EventFlags::READ, what.contains(Interest::READ));
    fired.set(EventFlags::WRITE, what.contains(Interest::WRITE));
    fired.set(EventFlags::CLOSED, what.contains(Interest::CLOSED));
    fired
}
