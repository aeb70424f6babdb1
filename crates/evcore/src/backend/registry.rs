//! The methods of this platform, by name and in order of preference.

use std::io;
use std::sync::LazyLock;

use super::{Backend, Features};

struct Method {
    name: &'static str,
    features: fn() -> Features,
    open: fn() -> io::Result<Box<dyn Backend>>,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const EPOLL: Method = Method {
    name: "epoll",
    features: super::epoll::features,
    open: || Ok(Box::new(super::epoll::Epoll::new()?)),
};

#[cfg(unix)]
const POLL: Method = Method {
    name: "poll",
    features: super::poll::features,
    open: || Ok(Box::new(super::poll::Poll::new()?)),
};

#[cfg(all(unix, feature = "backend-mio"))]
const MIO: Method = Method {
    name: "mio",
    features: super::mio::features,
    open: || Ok(Box::new(super::mio::Mio::new()?)),
};

#[cfg(all(any(unix, windows), feature = "backend-polling"))]
const POLLING: Method = Method {
    name: "polling",
    features: super::polling::features,
    open: || Ok(Box::new(super::polling::Polling::new()?)),
};

/// The best first: our own, then those on other crates.
#[cfg(any(target_os = "linux", target_os = "android"))]
const METHODS: &[Method] = &[
    EPOLL,
    POLL,
    #[cfg(feature = "backend-mio")]
    MIO,
    #[cfg(feature = "backend-polling")]
    POLLING,
];
/// The best first: the crates that know the platform's facility before `poll`, which is slow with
/// many descriptors.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const METHODS: &[Method] = &[
    #[cfg(all(unix, feature = "backend-mio"))]
    MIO,
    #[cfg(all(any(unix, windows), feature = "backend-polling"))]
    POLLING,
    #[cfg(unix)]
    POLL,
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
    find(name).map(|method| (method.open)())
}

fn find(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}
