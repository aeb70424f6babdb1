//! Debug mode: finding out about descriptors that were closed while events waited for them.

use crate::backend::RawFd;
use crate::error::Error;

use super::config::EventConfig;
use super::event::{EventFlags, EventId};

/// Which file a descriptor stood for when it was added.
pub(super) type Identity = (u64, u64);

/// The files of the events that are watched, by slot number; nothing unless in debug mode.
#[derive(Debug, Default)]
pub(super) struct Identities(Option<Vec<Option<Identity>>>);

impl Identities {
    pub(super) fn new(config: &EventConfig) -> Self {
        Self(config.debug_mode.then(Vec::new))
    }

    /// Notes what the descriptor of an event stands for now that it is watched.
    pub(super) fn note(&mut self, index: u32, fd: RawFd, flags: EventFlags) {
        let Some(known) = &mut self.0 else { return };
        if known.len() <= index as usize {
            known.resize(index as usize + 1, None);
        }
        known[index as usize] = if flags.intersects(EventFlags::IO) { identity(fd) } else { None };
    }

    pub(super) fn forget(&mut self, index: u32) {
        if let Some(known) = self.0.as_mut().and_then(|known| known.get_mut(index as usize)) {
            *known = None;
        }
    }

    /// Whether the descriptor of a watched event stands for another file than when it was added.
    pub(super) fn changed(&self, index: u32, fd: RawFd) -> bool {
        let known = self.0.as_ref().and_then(|known| known.get(index as usize).copied().flatten());
        known.is_some_and(|known| identity(fd) != Some(known))
    }
}

/// The misuse of an event whose descriptor was closed, and perhaps opened anew, while it waited.
pub(super) fn descriptor_changed(call: &'static str, id: EventId, fd: RawFd) -> Error {
    let what = format!(
        "descriptor {fd} of event {} was closed while the event was pending; delete the event \
         before you close it",
        id.index()
    );
    Error::invalid(call, what)
}

#[cfg(unix)]
// The numbers' types differ between platforms.
#[allow(clippy::unnecessary_cast)]
fn identity(fd: RawFd) -> Option<Identity> {
    let status = rustix::fs::fstat(crate::sys::borrow_fd(fd).ok()?).ok()?;
    Some((status.st_dev as u64, status.st_ino as u64))
}

#[cfg(not(unix))]
fn identity(_fd: RawFd) -> Option<Identity> {
    None
}
