//! Socket addresses and their text.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest text that an internet address is looked for in: no well-formed one is longer.
const LONGEST_IP: usize = 128;
/// The longest path of a Unix-domain socket (`sun_path` of Linux without its final NUL).
const LONGEST_PATH: usize = 107;

/// Where a socket is bound or connected to (`struct sockaddr`).
///
/// As text it is what [`FromStr`] reads: `127.0.0.1:80`, `[::1]:80`, `/run/service.sock`,
/// `unix:service.sock`, and `unix:@name` for Linux' abstract names (kept as a path that starts with
/// a NUL byte).
///
/// ```
/// use evcore::util::SocketAddress;
///
/// let address: SocketAddress = "[::1]:80".parse()?;
/// assert_eq!(address.port(), Some(80));
/// assert_eq!(address.to_string(), "[::1]:80");
/// # Ok::<(), evcore::util::ParseAddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketAddress {
    /// An IPv4 or IPv6 address with a port.
    Ip(SocketAddr),
    /// A Unix-domain socket. The path of one that is not bound is empty.
    Unix(PathBuf),
}

impl SocketAddress {
    /// The port of an internet address.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }

    /// Compares the families and then the addresses, and the ports only if they are to be included
    /// (`evutil_sockaddr_cmp`). All that there is counts in `==` and [`Ord`], an IPv6 address's
    /// scope too.
    #[doc(alias = "evutil_sockaddr_cmp")]
    pub fn compare(&self, other: &Self, include_port: bool) -> Ordering {
        match (self, other) {
            (Self::Ip(this), Self::Ip(that)) if include_port => {
                this.ip().cmp(&that.ip()).then(this.port().cmp(&that.port()))
            }
            (Self::Ip(this), Self::Ip(that)) => this.ip().cmp(&that.ip()),
            _ => self.cmp(other),
        }
    }
}

/// A text is no socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// The text is empty or longer than any address.
    #[error("an address is between 1 and {LONGEST_IP} bytes long")]
    Length,
    /// The part before the port is neither an IPv4 nor an IPv6 address.
    #[error("not an address: expected 127.0.0.1:80, [::1]:80, ::1, /path or unix:path")]
    Address,
    /// The port is not a decimal number from 0 to 65535.
    #[error("not a port: expected a number from 0 to 65535")]
    Port,
    /// The interface after the `%` does not exist.
    #[error("not a network interface of this machine")]
    Scope,
    /// The path is empty, contains a NUL byte or is longer than the kernel takes.
    #[error("not the path of a socket: expected 1 to {LONGEST_PATH} bytes without NUL")]
    Path,
}

impl FromStr for SocketAddress {
    type Err = ParseAddressError;

    /// Reads an address as `evutil_parse_sockaddr_port` does: `1.2.3.4`, `1.2.3.4:80`, `::1`,
    /// `[::1]` and `[::1]:80`, the port 0 where none is given, with an interface as in
    /// `[fe80::1%eth0]:80` for link-local addresses; and what starts with `/` or `unix:` as the path
    /// of a Unix-domain socket. Unlike libevent it takes an explicit port 0, so that whatever
    /// [`Display`](fmt::Display) wrote can be read, and nothing else than digits in a port. Names
    /// are not looked up.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return parse_path(path);
        }
        if text.starts_with('/') {
            return parse_path(text);
        }
        if text.is_empty() || text.len() > LONGEST_IP {
            return Err(ParseAddressError::Length);
        }
        let address = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(ParseAddressError::Address)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => parse_port(port)?,
                None if rest.is_empty() => 0,
                None => return Err(ParseAddressError::Address),
            };
            parse_v6(host, port)?
        } else if text.bytes().filter(|&byte| byte == b':').count() > 1 {
            parse_v6(text, 0)?
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, parse_port(port)?),
                None => (text, 0),
            };
            let host: Ipv4Addr = host.parse().map_err(|_| ParseAddressError::Address)?;
            SocketAddr::new(IpAddr::V4(host), port)
        };
        Ok(Self::Ip(address))
    }
}

fn parse_port(digits: &str) -> Result<u16, ParseAddressError> {
    // `u16::from_str` takes a sign and any number of zeros.
    if digits.len() > 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseAddressError::Port);
    }
    digits.parse().map_err(|_| ParseAddressError::Port)
}

fn parse_v6(host: &str, port: u16) -> Result<SocketAddr, ParseAddressError> {
    let (host, scope) = inet_pton_scope(host)?;
    Ok(SocketAddr::V6(SocketAddrV6::new(host, port, 0, scope)))
}

/// Reads an IPv6 address with or without the interface that it belongs to, as in `fe80::1%eth0`
/// (`evutil_inet_pton_scope`); the interface's number is 0 where none is given.
///
/// For addresses without one [`str::parse`] does the work of `inet_pton`, and [`ToString`] that of
/// `inet_ntop`:
///
/// ```
/// use std::net::IpAddr;
///
/// let address: IpAddr = "2001:DB8:0::1".parse()?;
/// assert_eq!(address.to_string(), "2001:db8::1");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
///
/// # Errors
///
/// [`ParseAddressError::Address`] or [`ParseAddressError::Scope`].
#[doc(alias = "evutil_inet_pton_scope")]
#[doc(alias = "evutil_inet_pton")]
pub fn inet_pton_scope(text: &str) -> Result<(Ipv6Addr, u32), ParseAddressError> {
    let (host, scope) = match text.split_once('%') {
        Some((host, scope)) => (host, parse_scope(scope)?),
        None => (text, 0),
    };
    Ok((host.parse().map_err(|_| ParseAddressError::Address)?, scope))
}

fn parse_scope(scope: &str) -> Result<u32, ParseAddressError> {
    if !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_digit()) {
        return scope.parse().map_err(|_| ParseAddressError::Scope);
    }
    #[cfg(unix)]
    if let Some(index) = crate::sys::interface_index(scope) {
        return Ok(index);
    }
    Err(ParseAddressError::Scope)
}

fn parse_path(path: &str) -> Result<SocketAddress, ParseAddressError> {
    if path.is_empty() || path.len() > LONGEST_PATH || path.contains('\0') {
        return Err(ParseAddressError::Path);
    }
    Ok(SocketAddress::Unix(match path.strip_prefix('@') {
        Some("") => return Err(ParseAddressError::Path),
        Some(name) => PathBuf::from(format!("\0{name}")),
        None => PathBuf::from(path),
    }))
}

impl fmt::Display for SocketAddress {
    /// Writes what [`FromStr`] reads (`evutil_format_sockaddr_port_`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => match path.as_os_str().as_encoded_bytes() {
                [0, name @ ..] => write!(f, "unix:@{}", String::from_utf8_lossy(name)),
                [b'/', ..] => path.display().fmt(f),
                _ => write!(f, "unix:{}", path.display()),
            },
        }
    }
}

impl From<SocketAddr> for SocketAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl From<&Path> for SocketAddress {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<SocketAddress, ParseAddressError> {
        text.parse()
    }

    fn ip(text: &str) -> SocketAddress {
        SocketAddress::Ip(text.parse().unwrap())
    }

    #[test]
    fn every_form_of_an_internet_address_is_read() {
        assert_eq!(parse("127.0.0.1:80"), Ok(ip("127.0.0.1:80")));
        assert_eq!(parse("127.0.0.1"), Ok(ip("127.0.0.1:0")));
        assert_eq!(parse("[::1]:80"), Ok(ip("[::1]:80")));
        assert_eq!(parse("[::1]"), Ok(ip("[::1]:0")));
        assert_eq!(parse("::1"), Ok(ip("[::1]:0")));
        assert_eq!(parse("1:2::8:80"), Ok(ip("[1:2::8:80]:0")));
        assert_eq!(parse("::ffff:1.2.3.4"), Ok(ip("[::ffff:1.2.3.4]:0")));
        assert_eq!(parse("1.2.3.4:65535"), Ok(ip("1.2.3.4:65535")));
        assert_eq!(parse("1.2.3.4:0"), Ok(ip("1.2.3.4:0")));
        assert_eq!(parse("[fe80::1%7]:80"), Ok(ip("[fe80::1%7]:80")));
    }

    #[test]
    fn the_error_says_which_part_is_wrong() {
        use ParseAddressError::{Address, Length, Path, Port, Scope};
        for (text, error) in [
            ("", Length),
            ("localhost", Address),
            ("localhost:80", Address),
            (":80", Address),
            ("1.2.3", Address),
            ("1.2.3.256", Address),
            ("01.2.3.4", Address),
            (" 1.2.3.4", Address),
            ("1.2.3.4\0", Address),
            ("1.2.3.4:", Port),
            ("1.2.3.4:+80", Port),
            ("1.2.3.4:-1", Port),
            ("1.2.3.4: 80", Port),
            ("1.2.3.4:80x", Port),
            ("1.2.3.4:65536", Port),
            ("1.2.3.4:000080", Port),
            ("[::1", Address),
            ("[::1]80", Address),
            ("[::1]:", Port),
            ("[::1]:80]", Port),
            ("[1.2.3.4]:80", Address),
            ("[]:80", Address),
            ("[", Address),
            (":::", Address),
            ("::1%", Scope),
            ("::1%no such interface", Scope),
            ("::1%4294967296", Scope),
            ("unix:", Path),
            ("unix:@", Path),
            ("/run/a\0b", Path),
        ] {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn no_address_is_longer_than_the_bound() {
        assert_eq!(parse(&format!("[{}", "1".repeat(200))), Err(ParseAddressError::Length));
        assert_eq!(parse(&"[".repeat(1 << 20)), Err(ParseAddressError::Length));
        assert_eq!(parse(&format!("/{}", "p".repeat(107))), Err(ParseAddressError::Path));
        assert!(parse(&format!("/{}", "p".repeat(106))).is_ok());
    }

    #[test]
    fn paths_and_abstract_names_are_read_and_written() {
        for (text, path) in
            [("/run/s.sock", "/run/s.sock"), ("unix:s.sock", "s.sock"), ("unix:@name", "\0name")]
        {
            let address = SocketAddress::Unix(path.into());
            assert_eq!(parse(text), Ok(address.clone()));
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(parse("unix:/run/s.sock"), Ok(SocketAddress::Unix("/run/s.sock".into())));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_interface_is_known_by_its_name() {
        let index = crate::sys::interface_index("lo").unwrap();
        assert_eq!(parse("[fe80::1%lo]:80"), Ok(ip(&format!("[fe80::1%{index}]:80"))));
    }

    #[test]
    fn addresses_are_compared_with_and_without_their_ports() {
        use Ordering::{Equal, Greater, Less};
        for (left, right, with, without) in [
            ("1.2.3.4:80", "1.2.3.4:81", Less, Equal),
            ("1.2.3.4:80", "1.2.3.4:80", Equal, Equal),
            ("1.2.3.5:1", "1.2.3.4:2", Greater, Greater),
            ("[::1]:80", "[::1]:79", Greater, Equal),
            ("1.2.3.4:80", "[::1]:80", Less, Less),
            ("1.2.3.4:80", "/a", Less, Less),
            ("/b", "/a", Greater, Greater),
            ("[fe80::1%1]:80", "[fe80::1%2]:80", Equal, Equal),
        ] {
            let (this, that) = (parse(left).unwrap(), parse(right).unwrap());
            assert_eq!(this.compare(&that, true), with, "{left} {right}");
            assert_eq!(this.compare(&that, false), without, "{left} {right}");
            assert_eq!(that.compare(&this, false), without.reverse(), "{left} {right}");
        }
    }

    #[test]
    fn an_ipv6_address_is_read_with_its_interface() {
        let address: Ipv6Addr = "fe80::1".parse().unwrap();
        assert_eq!(inet_pton_scope("fe80::1"), Ok((address, 0)));
        assert_eq!(inet_pton_scope("fe80::1%7"), Ok((address, 7)));
        assert_eq!(inet_pton_scope("fe80::1%"), Err(ParseAddressError::Scope));
        assert_eq!(inet_pton_scope("1.2.3.4"), Err(ParseAddressError::Address));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(host: IpAddr, port: u16, scope: u32) {
            let mut address = SocketAddr::new(host, port);
            if let SocketAddr::V6(v6) = &mut address {
                v6.set_scope_id(scope);
            }
            let address = SocketAddress::Ip(address);
            prop_assert_eq!(parse(&address.to_string()), Ok(address));
        }

        #[test]
        fn any_text_is_an_address_or_an_error(text in ".{0,160}") {
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(parse(&address.to_string()), Ok(address));
            }
        }

        #[test]
        fn text_that_looks_like_an_address_is_one_or_an_error(text in "[\\[\\]0-9a-f:.%/@]{0,40}") {
            if let Ok(address) = parse(&text) {
                prop_assert_eq!(parse(&address.to_string()), Ok(address));
            }
        }
    }
}
