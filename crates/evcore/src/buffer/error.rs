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
    /// The buffer would hold more than [`EvBuffer::MAX_LEN`](super::EvBuffer::MAX_LEN) bytes.
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
            | Self::OutOfRange { call, .. } => call,
        }
    }
}

impl From<BufferError> for io::Error {
    fn from(error: BufferError) -> Self {
        let kind = match error {
            BufferError::Frozen { .. } => io::ErrorKind::PermissionDenied,
            BufferError::OutOfMemory { .. } => io::ErrorKind::OutOfMemory,
            BufferError::TooLarge { .. } | BufferError::OutOfRange { .. } => {
                io::ErrorKind::InvalidInput
            }
        };
        io::Error::new(kind, error)
    }
}
