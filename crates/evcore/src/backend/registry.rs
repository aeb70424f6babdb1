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

/// The best first. Outside Linux the crates that know the platform's own facility come before `poll`.
const METHODS: &[Method] = &[
    #[cfg(any(target_os = "linux", target_os = "android"))]
    EPOLL,
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
