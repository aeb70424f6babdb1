//! What can go wrong, and in which call.

use std::io;

/// The result of a call on a loop, an event, a bufferevent or a listener.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the loop or of what runs on it. Each names the call that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; `source` has its error number.
    #[error("{call}: {source}")]
    Os {
        /// The system call or the method that failed.
        call: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The event was freed, or its base was.
    #[error("{call}: the object was freed; create a new one")]
    Freed {
        /// The method that was called.
        call: &'static str,
    },
    /// The loop is running already: libevent allows no loop within a loop of the same base.
    #[error("{call}: this base's loop is running already; call it after the loop has returned")]
    LoopRunning {
        /// The method that was called.
        call: &'static str,
    },
    /// An argument is outside what the method takes.
    #[error("{call}: {what}")]
    InvalidArgument {
        /// The method that was called.
        call: &'static str,
        /// What was wrong and what to do.
        what: String,
    },
    /// Neither the chosen method nor the platform can do this.
    #[error("{call}: {what}")]
    Unsupported {
        /// The method that was called.
        call: &'static str,
        /// What is missing and what to do.
        what: String,
    },
}

impl Error {
    pub(crate) fn os(call: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Os { call, source: source.into() }
    }

    pub(crate) fn invalid(call: &'static str, what: impl Into<String>) -> Self {
        Self::InvalidArgument { call, what: what.into() }
    }

    /// The same error, of the call that a user made and not of one that it made in turn.
    pub(crate) fn in_call(mut self, name: &'static str) -> Self {
        match &mut self {
            Self::Os { call, .. }
            | Self::Freed { call }
            | Self::LoopRunning { call }
            | Self::InvalidArgument { call, .. }
            | Self::Unsupported { call, .. } => *call = name,
        }
        self
    }

    /// The method or system call that failed.
    pub fn call(&self) -> &'static str {
        match self {
            Self::Os { call, .. }
            | Self::Freed { call }
            | Self::LoopRunning { call }
            | Self::InvalidArgument { call, .. }
            | Self::Unsupported { call, .. } => call,
        }
    }
}
