//! What can go wrong with a buffer.

use std::io;

use super::BufferEnd;

/// An error of a buffer. Each names the method that failed; the buffers are as they were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// The end that the method changes is frozen.
    #[error("{call}: the buffer's {end} is frozen; unfreeze it first")]
    Frozen {
        /// The method that was called.
        call: &'static str,
        /// The frozen end.
        end: BufferEnd,
    },
    /// The buffer would hold more than [it may](super::EvBuffer::max_len).
    #[error("{call}: {requested} bytes more are more than a buffer may hold")]
    TooLarge {
        /// The method that was called.
        call: &'static str,
        /// How many bytes were asked for.
        requested: usize,
    },
    /// There is no memory.
    #[error("{call}: no memory for {requested} bytes")]
    OutOfMemory {
        /// The method that was called.
        call: &'static str,
        /// How many bytes were asked for.
        requested: usize,
    },
    /// A file whose bytes the buffer holds could not be read.
    #[error("{call}: a file in the buffer could not be read: {}", unreadable(*kind, *errno))]
    Unreadable {
        /// The method that was called.
        call: &'static str,
        /// What went wrong: `UnexpectedEof` if the file is shorter than it was.
        kind: io::ErrorKind,
        /// The system's number for it, if the system reported it.
        errno: Option<i32>,
    },
    /// More bytes were asked for than there are.
    #[error("{call}: {requested} bytes asked for where there are {available}")]
    OutOfRange {
        /// The method that was called.
        call: &'static str,
        /// How many bytes were asked for.
        requested: usize,
        /// How many there are.
        available: usize,
    },
}

impl BufferError {
    /// The method that failed.
    pub fn call(&self) -> &'static str {
        match self {
            Self::Frozen { call, .. }
            | Self::TooLarge { call, .. }
            | Self::OutOfMemory { call, .. }
            | Self::Unreadable { call, .. }
            | Self::OutOfRange { call, .. } => call,
        }
    }

    /// What an error of reading a file is for the buffer.
    pub(super) fn unreadable(call: &'static str, error: &io::Error) -> Self {
        Self::Unreadable { call, kind: error.kind(), errno: error.raw_os_error() }
    }
}

fn unreadable(kind: io::ErrorKind, errno: Option<i32>) -> io::Error {
    match errno {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None if kind == io::ErrorKind::UnexpectedEof => {
            io::Error::new(kind, "it has become shorter")
        }
        None => kind.into(),
    }
}

impl From<BufferError> for io::Error {
    fn from(error: BufferError) -> Self {
        let kind = match error {
            BufferError::Frozen { .. } => io::ErrorKind::PermissionDenied,
            BufferError::OutOfMemory { .. } => io::ErrorKind::OutOfMemory,
            BufferError::Unreadable { kind, .. } => kind,
            BufferError::TooLarge { .. } | BufferError::OutOfRange { .. } => {
                io::ErrorKind::InvalidInput
            }
        };
        io::Error::new(kind, error)
    }
}
