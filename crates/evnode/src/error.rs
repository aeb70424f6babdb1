//! What can go wrong in a call from JavaScript, and how it is told there.

use std::borrow::Cow;
use std::io;

use evcore::buffer::BufferError;
use evcore::tls::TlsError;
use evcore::util::SocketAddress;
use evcore::Error;

/// The result of a call from JavaScript.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a call from JavaScript failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// JavaScript threw, or cannot run any more: whatever is to be thrown is pending already.
    Pending,
    /// The object was freed.
    Closed,
    /// Not a handle, or one of another kind.
    Handle,
    /// An argument is of the wrong type.
    Type(&'static str),
    /// An argument is outside its range.
    Range(&'static str),
    /// An argument is of the right type but means nothing.
    Value(String),
    /// evcore refused.
    Core(Error),
    /// A buffer refused.
    Buffer(BufferError),
    /// TLS refused.
    Tls(TlsError),
    /// The operating system refused, with the address that it was about.
    Os { call: &'static str, error: io::Error, address: Option<SocketAddress> },
    /// The environment ends.
    EnvClosing,
    /// A defect of ours.
    Internal(String),
}

impl Failure {
    pub(crate) fn internal(what: impl Into<String>) -> Self {
        Self::Internal(what.into())
    }

    /// An operating system's error about an address.
    pub(crate) fn at(self, address: &SocketAddress) -> Self {
        match self {
            Self::Core(Error::Os { call, source }) => {
                Self::Os { call, error: source, address: Some(address.clone()) }
            }
            other => other,
        }
    }

    /// A caught panic.
    pub(crate) fn panic(payload: &(dyn std::any::Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        Self::Internal(format!("a defect in evnode, please report it: {text}"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Core(error)
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

impl From<BufferError> for Failure {
    fn from(error: BufferError) -> Self {
        Self::Buffer(error)
    }
}

/// Which class the error has in JavaScript; the numbers are those of `ErrorFactory` in `raw.d.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Error = 0,
    Type = 1,
    Range = 2,
    System = 3,
}

/// An error as JavaScript is told it.
pub(crate) struct ErrorParts {
    pub(crate) kind: ErrorKind,
    /// Empty when the facade is to derive it from `errno`.
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    /// Negative, or 0.
    pub(crate) errno: i32,
    pub(crate) syscall: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) port: Option<u16>,
}

impl ErrorParts {
    fn new(
        kind: ErrorKind,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            errno: 0,
            syscall: None,
            address: None,
            port: None,
        }
    }

    fn system(call: &'static str, error: &io::Error, address: Option<&SocketAddress>) -> Self {
        let Some(errno) = error.raw_os_error() else {
            return match error.kind() {
                io::ErrorKind::Unsupported => Self::new(
                    ErrorKind::Error,
                    "ERR_EVNODE_UNSUPPORTED",
                    format!("{call}: {error}"),
                ),
                io::ErrorKind::InvalidInput => {
                    Self::new(ErrorKind::Range, "ERR_EVNODE_ARG_VALUE", format!("{call}: {error}"))
                }
                _ => Self::new(ErrorKind::Error, "ERR_EVNODE_IO", format!("{call}: {error}")),
            };
        };
        // The method is named as Node names system calls: by its last word.
        let syscall = call.rsplit("::").next().unwrap_or(call).to_owned();
        let (host, port) = match address {
            None => (None, None),
            Some(SocketAddress::Ip(ip)) => (Some(ip.ip().to_string()), Some(ip.port())),
            Some(SocketAddress::Unix(path)) => (Some(path.display().to_string()), None),
        };
        Self {
            errno: -errno,
            syscall: Some(syscall),
            address: host,
            port,
            ..Self::new(ErrorKind::System, "", format!("{call}: {error}"))
        }
    }
}

impl From<Failure> for ErrorParts {
    fn from(failure: Failure) -> Self {
        use ErrorKind::{Error as Plain, Range, Type};
        match failure {
            Failure::Pending => Self::new(Plain, "ERR_EVNODE_INTERNAL", "an exception was lost"),
            Failure::Closed => Self::new(
                Plain,
                "ERR_EVNODE_CLOSED",
                "this object was closed; create a new one instead of using it further",
            ),
            Failure::Handle => Self::new(
                Type,
                "ERR_EVNODE_ARG_HANDLE",
                "the argument is no handle of the kind that this function works on",
            ),
            Failure::Type(what) => Self::new(Type, "ERR_EVNODE_ARG_TYPE", what),
            Failure::Range(what) => Self::new(Range, "ERR_EVNODE_ARG_RANGE", what),
            Failure::Value(what) => Self::new(Range, "ERR_EVNODE_ARG_VALUE", what),
            Failure::Buffer(error @ BufferError::Unreadable { call, errno, .. }) => match errno {
                Some(errno) => Self::system(call, &io::Error::from_raw_os_error(errno), None),
                None => Self::new(Plain, "ERR_EVNODE_IO", error.to_string()),
            },
            Failure::Buffer(error) => {
                let (kind, code) = match error {
                    BufferError::Frozen { .. } => (Plain, "ERR_EVNODE_FROZEN"),
                    BufferError::OutOfMemory { .. } => (Plain, "ERR_EVNODE_NO_MEMORY"),
                    _ => (Range, "ERR_EVNODE_ARG_RANGE"),
                };
                Self::new(kind, code, error.to_string())
            }
            Failure::Tls(error) => Self::new(Plain, tls_code(&error), error.message()),
            Failure::Core(Error::Os { call, source }) => Self::system(call, &source, None),
            Failure::Os { call, error, address } => Self::system(call, &error, address.as_ref()),
            Failure::Core(error) => {
                let (kind, code) = match error {
                    Error::Freed { .. } => (Plain, "ERR_EVNODE_CLOSED"),
                    Error::LoopRunning { .. } => (Plain, "ERR_EVNODE_LOOP_RUNNING"),
                    Error::InvalidArgument { .. } => (Range, "ERR_EVNODE_ARG_VALUE"),
                    Error::Unsupported { .. } => (Plain, "ERR_EVNODE_UNSUPPORTED"),
                    _ => (Plain, "ERR_EVNODE_FAILED"),
                };
                Self::new(kind, code, error.to_string())
            }
            Failure::EnvClosing => Self::new(
                Plain,
                "ERR_EVNODE_ENV_CLOSING",
                "this environment ends; nothing can be done in it any more",
            ),
            Failure::Internal(what) => Self::new(Plain, "ERR_EVNODE_INTERNAL", what),
        }
    }
}

/// The code of an error of TLS.
pub(crate) fn tls_code(error: &TlsError) -> String {
    format!("ERR_EVNODE_TLS_{}", error.name())
}
