//! The path of a Unix socket, as long as it is ours.

use std::path::{Path, PathBuf};

use crate::util::SocketAddress;

/// A path that a listener made by binding its socket.
pub(super) struct BoundPath {
    path: PathBuf,
    made: Option<Identity>,
}

impl BoundPath {
    /// What binding a socket to `address` has just made, if that was a path.
    pub(super) fn of(address: &SocketAddress) -> Option<Self> {
        match address {
            SocketAddress::Unix(path) => {
                Some(Self { path: path.clone(), made: Identity::of(path) })
            }
            SocketAddress::Ip(_) => None,
        }
    }

    /// Removes the path, unless somebody has done so or put something else in its place: a new server
    /// that takes over from this one, for example.
    pub(super) fn remove(&self) {
        let there = Identity::of(&self.path);
        if there.is_some() && there == self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Tells one file from another of the same name.
#[derive(PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
    /// The system may give a new file the number of one that was removed.
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Identity {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        let there = std::fs::symlink_metadata(path).ok()?;
        let device_and_inode = (there.dev(), there.ino());
        Some(Self { device_and_inode, changed: (there.mtime(), there.mtime_nsec()) })
    }

    #[cfg(not(unix))]
    fn of(path: &Path) -> Option<Self> {
        std::fs::symlink_metadata(path).ok().map(|_| Self {})
    }
}
