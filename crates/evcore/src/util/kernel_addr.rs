//! Socket addresses in the kernel's form.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use socket2::{Domain, SockAddr};

use super::{ParseAddressError, SocketAddress};

impl SocketAddress {
    /// The address family, for a new socket.
    pub fn domain(&self) -> Domain {
        match self {
            Self::Ip(address) => Domain::for_address(*address),
            Self::Unix(_) => Domain::UNIX,
        }
    }
}

impl TryFrom<&SocketAddress> for SockAddr {
    type Error = io::Error;

    /// Fails for a path that is longer than the kernel takes.
    fn try_from(address: &SocketAddress) -> io::Result<Self> {
        match address {
            SocketAddress::Ip(address) => Ok((*address).into()),
            SocketAddress::Unix(path) => {
                // A NUL inside a path would end it there and name another socket.
                let bytes = path.as_os_str().as_encoded_bytes();
                if bytes.first() != Some(&0) && bytes.contains(&0) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        ParseAddressError::Path,
                    ));
                }
                SockAddr::unix(path)
            }
        }
    }
}

impl TryFrom<&SockAddr> for SocketAddress {
    type Error = io::Error;

    /// Fails for a family that is neither IPv4, IPv6 nor Unix.
    fn try_from(address: &SockAddr) -> io::Result<Self> {
        if let Some(address) = address.as_socket() {
            return Ok(Self::Ip(address));
        }
        if address.is_unix() {
            return Ok(Self::Unix(unix_path(address)));
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "an address that is neither IP nor Unix"))
    }
}

#[cfg(unix)]
fn unix_path(address: &SockAddr) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;

    if let Some(name) = address.as_abstract_namespace() {
        let mut bytes = vec![0];
        bytes.extend_from_slice(name);
        return OsStr::from_bytes(&bytes).into();
    }
    address.as_pathname().map(PathBuf::from).unwrap_or_default()
}

#[cfg(not(unix))]
fn unix_path(_: &SockAddr) -> PathBuf {
    // socket2 cannot tell the path here; whoever bound the socket knows it.
    OsStr::new("").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_through_the_kernels_form() {
        for text in ["127.0.0.1:80", "[::1]:80", "[fe80::1%7]:1", "/run/s.sock"] {
            let address = text.parse::<SocketAddress>().unwrap();
            let kernel = SockAddr::try_from(&address).unwrap();
            assert_eq!(SocketAddress::try_from(&kernel).unwrap(), address);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn unbound_and_abstract_sockets_have_addresses_too() {
        for path in ["", "\0name"] {
            let address = SocketAddress::Unix(path.into());
            let kernel = SockAddr::try_from(&address).unwrap();
            assert_eq!(SocketAddress::try_from(&kernel).unwrap(), address);
        }
    }

    #[test]
    fn a_path_that_the_kernel_would_cut_is_refused() {
        for path in ["/run/a\0b".to_owned(), "p".repeat(200)] {
            let error = SockAddr::try_from(&SocketAddress::Unix(path.into())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
