//! `epoll` with a list of changes.
//!
//! What is added, modified and removed between two waits is only noted; the next wait tells the
//! kernel, in at most one system call a descriptor (two where a number was reused). That pays where interests go to and fro, and it
//! has a price: the kernel learns of a removal late, when the descriptor may be closed, its number
//! reused, or a duplicate of it open. Three rules make up for it:
//!
//! - A descriptor that was removed and added again is always told to the kernel, even if nothing
//!   seems to have changed: its number may be another file's by now.
//! - Every registration has a stamp. The kernel keeps the registration of a closed descriptor as
//!   long as a duplicate of it is open, and there is no call to end it; when it makes itself felt,
//!   by an event with an old stamp, all is registered anew with a new epoll.
//! - An error that the caller of `add` would have had is found out at once where that is possible;
//!   otherwise, and for `modify`, the descriptor is reported as if it had hung up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::common::HANG_UP;
use super::epoll::Epoll;
use super::{Backend, Features, Interest, RawFd, Ready, Wake};
use crate::sys;

/// The `epoll` method with a list of changes.
pub(super) struct Changelist {
    epoll: Epoll,
    /// What is known of each descriptor, by its number.
    entries: Vec<Entry>,
    /// The descriptors that changed since the last wait, each once.
    changed: Vec<RawFd>,
    /// The stamp of the newest registration.
    stamp: u32,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// What it is watched for, if it is.
    wanted: Option<Interest>,
    /// What the kernel was told.
    told: Option<Interest>,
    /// The stamp of what the kernel was told.
    stamp: u32,
    /// It stands in `changed`.
    queued: bool,
    /// It was removed since the last wait.
    removed: bool,
}

impl Changelist {
    pub(super) fn new(epoll: Epoll) -> Self {
        Self { epoll, entries: Vec::new(), changed: Vec::new(), stamp: 0 }
    }

    /// Notes what a descriptor that has an entry is watched for.
    fn note(&mut self, fd: RawFd, wanted: Option<Interest>) {
        let entry = &mut self.entries[fd as usize];
        entry.removed |= wanted.is_none();
        entry.wanted = wanted;
        if !entry.queued {
            entry.queued = true;
            self.changed.push(fd);
        }
    }

    /// Tells the kernel what changed. What it refuses is put into `refused`, and tried again in the
    /// next wait.
    fn flush(&mut self, refused: &mut Vec<Ready>) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|&fd| {
            let refusal = self.tell(fd).is_err();
            if refusal {
                refused.push(Ready { fd, what: HANG_UP });
            }
            self.entries[fd as usize].queued = refusal;
            refusal
        });
        self.changed = changed;
    }

    /// Tells the kernel what changed about a descriptor.
    fn tell(&mut self, fd: RawFd) -> Result<(), Errno> {
        let entry = &mut self.entries[fd as usize];
        let told = entry.told.take();
        let removed = std::mem::take(&mut entry.removed);
        let Some(wanted) = entry.wanted else {
            // What the kernel cannot remove, it has forgotten.
            let _ = told.map(|_| self.epoll.deregister(fd));
            return Ok(());
        };
        let known = match told {
            Some(told) if told == wanted && !removed => Ok(()),
            Some(_) => self.epoll.reregister(fd, wanted, entry.stamp),
            None => Err(Errno::NOENT),
        };
        match known {
            Err(Errno::NOENT) => {
                self.stamp = self.stamp.wrapping_add(1);
                entry.stamp = self.stamp;
                self.epoll.register(fd, wanted, entry.stamp)?;
            }
            result => result?,
        }
        entry.told = Some(wanted);
        Ok(())
    }

    fn is_watched(&self, fd: RawFd) -> bool {
        let entry = usize::try_from(fd).ok().and_then(|index| self.entries.get(index));
        entry.is_some_and(|entry| entry.wanted.is_some())
    }

    /// Leaves registrations behind that cannot be ended: opens another epoll and tells it all.
    fn rebuild(&mut self) -> io::Result<()> {
        self.epoll.reopen()?;
        for fd in 0..self.entries.len() {
            let entry = &mut self.entries[fd];
            entry.told = None;
            if entry.wanted.is_some() && !entry.queued {
                entry.queued = true;
                self.changed.push(fd as RawFd);
            }
        }
        Ok(())
    }
}

impl Backend for Changelist {
    fn name(&self) -> &'static str {
        self.epoll.name()
    }

    fn features(&self) -> Features {
        self.epoll.features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        let status = rustix::fs::fstat(sys::borrow_fd(fd)?)?;
        if matches!(
            FileType::from_raw_mode(status.st_mode),
            FileType::RegularFile | FileType::Directory
        ) {
            return Err(Errno::PERM.into());
        }
        // The number of an open descriptor is small enough to be an index.
        let index = fd as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::default());
        }
        self.note(fd, Some(interest));
        Ok(())
    }

    fn modify(&mut self, fd: RawFd, _old: Interest, interest: Interest) -> io::Result<()> {
        if !self.is_watched(fd) {
            return self.add(fd, interest);
        }
        self.note(fd, Some(interest));
        Ok(())
    }

    fn remove(&mut self, fd: RawFd, _old: Interest) -> io::Result<()> {
        if self.is_watched(fd) {
            self.note(fd, None);
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        self.flush(ready);
        let timeout = if ready.is_empty() { timeout } else { Some(Duration::ZERO) };
        let entries = &self.entries;
        let mut left_behind = false;
        self.epoll.wait_for(timeout, |found, stamp| {
            let entry = entries[found.fd as usize];
            if entry.told.is_some() && entry.stamp == stamp {
                ready.push(found);
            } else {
                left_behind = true;
            }
        })?;
        if left_behind {
            self.rebuild()?;
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.epoll.waker()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// What the kernel watches a descriptor for, in epoll's own bits.
    fn told(backend: &Changelist, fd: RawFd) -> Option<u32> {
        let epoll = backend.epoll.poll_fd().unwrap();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{epoll}")).unwrap();
        let mut lines = info.lines().filter(|line| line.starts_with("tfd:"));
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some(&fd.to_string()))?;
        u32::from_str_radix(line.split_whitespace().nth(3)?, 16).ok()
    }

    #[test]
    fn the_kernel_learns_of_changes_in_the_next_wait_and_not_before() {
        const IN: u32 = 1;
        const OUT: u32 = 4;
        // Errors and hang-ups are reported whether they are asked for or not.
        const ALWAYS: u32 = 0x18;
        let mut backend = Changelist::new(Epoll::new().unwrap());
        let wait =
            |backend: &mut Changelist| backend.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        let (socket, _peer) = UnixStream::pair().unwrap();
        let fd = socket.as_raw_fd();
        backend.add(fd, Interest::READ).unwrap();
        assert_eq!(told(&backend, fd), None);
        wait(&mut backend);
        assert_eq!(told(&backend, fd), Some(ALWAYS | IN));
        backend.modify(fd, Interest::READ, Interest::WRITE).unwrap();
        backend.remove(fd, Interest::WRITE).unwrap();
        backend.add(fd, Interest::WRITE).unwrap();
        assert_eq!(told(&backend, fd), Some(ALWAYS | IN));
        assert_eq!(backend.changed, [fd]);
        wait(&mut backend);
        assert_eq!(told(&backend, fd), Some(ALWAYS | OUT));
        backend.remove(fd, Interest::WRITE).unwrap();
        assert_eq!(told(&backend, fd), Some(ALWAYS | OUT));
        wait(&mut backend);
        assert_eq!(told(&backend, fd), None);
    }

    #[test]
    fn a_change_that_was_taken_back_is_not_told() {
        let mut backend = Changelist::new(Epoll::new().unwrap());
        let (socket, _peer) = UnixStream::pair().unwrap();
        let fd = socket.as_raw_fd();
        backend.add(fd, Interest::READ).unwrap();
        backend.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        // Telling the kernel would now register it anew.
        backend.epoll.deregister(fd).unwrap();
        backend.modify(fd, Interest::READ, Interest::WRITE).unwrap();
        backend.modify(fd, Interest::WRITE, Interest::READ).unwrap();
        backend.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap();
        assert_eq!(told(&backend, fd), None);
    }
}
