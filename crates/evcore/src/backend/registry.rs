//! The methods of this platform, by name and in order of preference.

use std::io;
use std::sync::LazyLock;

use super::{Backend, Features};

struct Method {
    name: &'static str,
    features: fn() -> Features,
    open: fn(Options) -> io::Result<Box<dyn Backend>>,
}

/// How a method is opened, as far as it can be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `epoll` keeps a list of changes and tells the kernel in the next wait, in at most one system
    /// call a descriptor however often it was changed (`EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`).
    /// Nothing to other methods. Such a backend cannot be nested in another loop.
    pub changelist: bool,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const EPOLL: Method = Method {
    name: "epoll",
    features: super::epoll::features,
    open: |options| {
        let epoll = super::epoll::Epoll::new()?;
        if options.changelist {
            return Ok(Box::new(super::changelist::Changelist::new(epoll)));
        }
        Ok(Box::new(epoll))
    },
};

#[cfg(any(target_os = "illumos", target_os = "solaris"))]
const DEVPOLL: Method = Method {
    name: "devpoll",
    features: super::devpoll::features,
    open: |_| Ok(Box::new(super::devpoll::DevPoll::new()?)),
};

#[cfg(unix)]
const POLL: Method = Method {
    name: "poll",
    features: super::poll::features,
    open: |_| Ok(Box::new(super::poll::Poll::new()?)),
};

#[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
const SELECT: Method = Method {
    name: "select",
    features: super::select::features,
    open: |_| Ok(Box::new(super::select::Select::new()?)),
};

#[cfg(all(unix, feature = "backend-mio"))]
const MIO: Method = Method {
    name: "mio",
    features: super::mio::features,
    open: |_| Ok(Box::new(super::mio::Mio::new("mio")?)),
};

#[cfg(all(any(unix, windows), feature = "backend-polling"))]
const POLLING: Method = Method {
    name: "polling",
    features: super::polling::features,
    open: |_| Ok(Box::new(super::polling::Polling::new("polling")?)),
};

/// `kqueue` as mio drives it, which sees that a peer has closed its sending side.
#[cfg(all(
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ),
    feature = "backend-mio"
))]
const KQUEUE: Method = Method {
    name: "kqueue",
    features: super::mio::features,
    open: |_| Ok(Box::new(super::mio::Mio::new("kqueue")?)),
};
/// `kqueue` as polling drives it.
#[cfg(all(
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ),
    not(feature = "backend-mio"),
    feature = "backend-polling"
))]
const KQUEUE: Method = Method {
    name: "kqueue",
    features: super::polling::features,
    open: |_| Ok(Box::new(super::polling::Polling::new("kqueue")?)),
};

/// Event ports.
#[cfg(all(any(target_os = "illumos", target_os = "solaris"), feature = "backend-polling"))]
const EVPORT: Method = Method {
    name: "evport",
    features: super::polling::features,
    open: |_| Ok(Box::new(super::polling::Polling::new("evport")?)),
};

/// Completion ports, on which the sockets' own poller (AFD) reports.
#[cfg(all(windows, feature = "backend-polling"))]
const WIN32: Method = Method {
    name: "win32",
    features: super::polling::features,
    open: |_| Ok(Box::new(super::polling::Polling::new("win32")?)),
};

/// The best first: the platform's own facility, then what every platform has, then the crates that
/// drive the platform's facility under their own names.
const METHODS: &[Method] = &[
    #[cfg(any(target_os = "linux", target_os = "android"))]
    EPOLL,
    #[cfg(all(
        any(
            target_vendor = "apple",
            target_os = "freebsd",
            target_os = "dragonfly",
            target_os = "netbsd",
            target_os = "openbsd",
        ),
        any(feature = "backend-mio", feature = "backend-polling")
    ))]
    KQUEUE,
    #[cfg(all(any(target_os = "illumos", target_os = "solaris"), feature = "backend-polling"))]
    EVPORT,
    #[cfg(any(target_os = "illumos", target_os = "solaris"))]
    DEVPOLL,
    #[cfg(all(windows, feature = "backend-polling"))]
    WIN32,
    #[cfg(unix)]
    POLL,
    #[cfg(all(unix, not(any(target_os = "illumos", target_os = "solaris"))))]
    SELECT,
    #[cfg(all(unix, feature = "backend-mio"))]
    MIO,
    #[cfg(all(any(unix, windows), feature = "backend-polling"))]
    POLLING,
];

/// The names of the methods that this platform has, the best first
/// (`event_get_supported_methods`).
#[doc(alias = "event_get_supported_methods")]
pub fn supported_methods() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| METHODS.iter().map(|method| method.name).collect());
    &NAMES
}

/// What the method called `name` can do here; `None` if this platform has no such method.
pub fn features_of(name: &str) -> Option<Features> {
    find(name).map(|method| (method.features)())
}

/// Opens the method called `name`; `None` if this platform has no such method.
///
/// # Errors
///
/// What the operating system said, such as that no descriptor is left.
pub fn open(name: &str) -> Option<io::Result<Box<dyn Backend>>> {
    open_with(name, Options::default())
}

/// Opens the method called `name` as `options` say; `None` if this platform has no such method.
///
/// # Errors
///
/// As [`open`].
pub fn open_with(name: &str, options: Options) -> Option<io::Result<Box<dyn Backend>>> {
    find(name).map(|method| (method.open)(options))
}

fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}
