//! Socket addresses, and the errors that come with them.

use std::io;

use evcore::util::SocketAddress;
use napi_derive::napi;

use crate::error::{Failure, Result};

/// A socket address; `port` is absent for a Unix socket.
#[napi(object, object_from_js = false)]
pub struct AddressInfo {
    /// `IPv4`, `IPv6` or `unix`.
    pub family: &'static str,
    /// The address in text, or the path of a Unix socket.
    pub address: String,
    /// The port.
    pub port: Option<u16>,
}

impl From<SocketAddress> for AddressInfo {
    fn from(address: SocketAddress) -> Self {
        match address {
            SocketAddress::Ip(ip) => Self {
                family: if ip.is_ipv4() { "IPv4" } else { "IPv6" },
                address: ip.ip().to_string(),
                port: Some(ip.port()),
            },
            SocketAddress::Unix(path) => {
                Self { family: "unix", address: path.to_string_lossy().into_owned(), port: None }
            }
        }
    }
}

/// Reads `host` with a port, or as a Unix socket's path without one.
pub(crate) fn parse(host: &str, port: Option<u32>) -> Result<SocketAddress> {
    let Some(port) = port else {
        let path = format!("unix:{host}");
        return path.parse().map_err(|_| Failure::Range("the path is too long for a Unix socket"));
    };
    let port = u16::try_from(port).map_err(|_| Failure::Range("a port is a number to 65535"))?;
    let parsed = host.parse().map_err(|_| Failure::Range("this is no numeric IP address"))?;
    match parsed {
        SocketAddress::Ip(mut ip) if ip.port() == 0 => {
            ip.set_port(port);
            Ok(SocketAddress::Ip(ip))
        }
        _ => Err(Failure::Range("this is no numeric IP address")),
    }
}

/// The negative errno of an error, as Node has it; 0 for one that is not the operating system's.
pub(crate) fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().map_or(0, |errno| -errno)
}
