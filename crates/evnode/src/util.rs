//! Helpers for which Node has no equal.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::UNIX_EPOCH;

use evcore::util::{
    self, AddressError, AddressFamily, AddressFlags, AddressHints, SocketAddress, SocketFlags,
};
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;

use crate::address::AddressInfo;
use crate::base::duration;
use crate::error::{Failure, Result};
use crate::raw::{cold, raw_fd, with_fd};

fn parse(text: &str) -> Result<SocketAddress> {
    text.parse().map_err(|error: util::ParseAddressError| Failure::Value(error.to_string()))
}

/// Reads an address with a port.
#[napi(catch_unwind)]
pub fn parse_sockaddr_port(env: napi::Env, text: String) -> napi::Result<AddressInfo> {
    cold(&env, |_| Ok(parse(&text)?.into()))
}

/// Compares two addresses as text: negative, 0 or positive.
#[napi(catch_unwind)]
pub fn sockaddr_cmp(
    env: napi::Env,
    left: String,
    right: String,
    include_port: bool,
) -> napi::Result<i32> {
    cold(&env, |_| Ok(parse(&left)?.compare(&parse(&right)?, include_port) as i32))
}

/// The 4 or 16 bytes of an address in text; null when it is none.
#[napi(catch_unwind)]
pub fn inet_pton(text: String) -> Option<Buffer> {
    let bytes = match text.parse().ok()? {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    Some(bytes.into())
}

/// The text of 4 or 16 bytes; null for another number of bytes.
#[napi(catch_unwind)]
pub fn inet_ntop(bytes: Uint8Array) -> Option<String> {
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(&*bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(&*bytes).ok()?.into(),
        _ => return None,
    };
    Some(address.to_string())
}

/// Two connected stream sockets.
#[napi(catch_unwind)]
pub fn socketpair(env: napi::Env) -> napi::Result<Vec<f64>> {
    cold(&env, |_| {
        let pair = util::socketpair(SocketFlags::all());
        let (left, right) = pair.map_err(os("socketpair"))?;
        Ok(vec![raw_fd(left), raw_fd(right)])
    })
}

fn os(call: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure::Os { call, error, address: None }
}

/// Makes reads and writes of a descriptor return at once when they cannot go on.
#[napi(catch_unwind)]
pub fn make_nonblocking(env: napi::Env, fd: f64) -> napi::Result<()> {
    cold(&env, |_| with_fd(fd, util::make_nonblocking)?.map_err(os("fcntl")))
}

/// Has the system probe a connection that is silent for so many milliseconds; negative for never.
#[napi(catch_unwind)]
pub fn set_tcp_keepalive(env: napi::Env, fd: f64, ms: f64) -> napi::Result<()> {
    cold(&env, |_| {
        let idle = duration(ms)?;
        with_fd(fd, |fd| util::set_tcp_keepalive(fd, idle))?.map_err(os("setsockopt"))
    })
}

/// A descriptor that is readable after so many milliseconds, or (`absolute`) at a time since the
/// epoch; then `every` so many, negative for never.
#[napi(catch_unwind)]
pub fn timerfd(env: napi::Env, first: f64, absolute: bool, every: f64) -> napi::Result<f64> {
    cold(&env, |_| open_timer(duration(first)?.unwrap_or_default(), absolute, duration(every)?))
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_timer(first: Duration, absolute: bool, every: Option<Duration>) -> Result<f64> {
    use evcore::util::TimerStart;

    let start = if absolute {
        // What is too far away for the clock is so for the kernel, too.
        UNIX_EPOCH.checked_add(first).map(TimerStart::At)
    } else {
        Some(TimerStart::After(first))
    };
    let start = start.ok_or(Failure::Range("a time that the clock can show"))?;
    util::timerfd(start, every).map(raw_fd).map_err(os("timerfd_create"))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_timer(_: Duration, _: bool, _: Option<Duration>) -> Result<f64> {
    Err(Failure::Core(evcore::Error::Unsupported {
        call: "util.timerfd",
        what: "only Linux has timers as descriptors".to_owned(),
    }))
}

/// What `getaddrinfo` is asked for.
#[napi(object, object_to_js = false)]
pub struct NativeAddressHints {
    /// 4, 6 or 0 for both.
    pub family: u32,
    /// For listening: without a host, any address of this machine.
    pub passive: bool,
    /// The host's real name, too.
    pub canonical_name: bool,
    /// The host is an address; nothing is looked up.
    pub numeric: bool,
    /// Only families that this machine has addresses of.
    pub configured: bool,
}

/// What `getaddrinfo` found, or why it found nothing.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct NativeAddresses {
    /// The addresses, the preferred one first.
    pub addresses: Vec<AddressInfo>,
    /// The host's real name, if it was asked for.
    pub canonical_name: Option<String>,
    /// The error's name, `EAI_…`.
    pub code: Option<String>,
    /// What it means.
    pub message: Option<String>,
}

impl NativeAddressHints {
    pub(crate) fn hints(&self) -> AddressHints {
        let mut flags = AddressFlags::empty();
        flags.set(AddressFlags::PASSIVE, self.passive);
        flags.set(AddressFlags::CANONNAME, self.canonical_name);
        flags.set(AddressFlags::NUMERICHOST, self.numeric);
        flags.set(AddressFlags::ADDRCONFIG, self.configured);
        let family = match self.family {
            4 => Some(AddressFamily::V4),
            6 => Some(AddressFamily::V6),
            _ => None,
        };
        AddressHints { family, flags, ..AddressHints::default() }
    }
}

pub(crate) fn error_name(error: &AddressError) -> &'static str {
    match error {
        AddressError::AddressFamily => "EAI_ADDRFAMILY",
        AddressError::Again => "EAI_AGAIN",
        AddressError::BadFlags => "EAI_BADFLAGS",
        AddressError::Fail => "EAI_FAIL",
        AddressError::Family => "EAI_FAMILY",
        AddressError::Memory => "EAI_MEMORY",
        AddressError::NoData => "EAI_NODATA",
        AddressError::NoName => "EAI_NONAME",
        AddressError::Service => "EAI_SERVICE",
        AddressError::SocketType => "EAI_SOCKTYPE",
        _ => "EAI_SYSTEM",
    }
}

/// Looks up a host and a service, and waits for the answer.
#[napi(catch_unwind)]
pub fn getaddrinfo(
    host: Option<String>,
    service: Option<String>,
    hints: NativeAddressHints,
) -> NativeAddresses {
    match util::getaddrinfo(host.as_deref(), service.as_deref(), &hints.hints()) {
        Ok(found) => NativeAddresses {
            addresses: found.addresses.into_iter().map(info).collect(),
            canonical_name: found.canonical_name,
            ..NativeAddresses::default()
        },
        Err(error) => NativeAddresses {
            code: Some(error_name(&error).to_owned()),
            message: Some(error.to_string()),
            ..NativeAddresses::default()
        },
    }
}

fn info(address: SocketAddr) -> AddressInfo {
    SocketAddress::Ip(address).into()
}
