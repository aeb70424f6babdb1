//! The addresses of hosts and the ports of services, looked up while the caller waits.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};

use socket2::Type;

use super::inet_pton_scope;

bitflags::bitflags! {
    /// What [`getaddrinfo`] is asked for beside names (`ai_flags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct AddressFlags: u8 {
        /// Without a host: every address of this machine, to listen on (`EVUTIL_AI_PASSIVE`), not
        /// the loopback one.
        const PASSIVE = 1;
        /// The name that the host really has, too (`EVUTIL_AI_CANONNAME`).
        const CANONNAME = 2;
        /// The host is an address, no name (`EVUTIL_AI_NUMERICHOST`): nothing is looked up.
        const NUMERICHOST = 4;
        /// The service is a number, no name (`EVUTIL_AI_NUMERICSERV`).
        const NUMERICSERV = 8;
        /// IPv4 addresses as IPv6 addresses of the form `::ffff:1.2.3.4`, if IPv6 is asked for and
        /// there are none (`EVUTIL_AI_V4MAPPED`).
        const V4MAPPED = 16;
        /// With `V4MAPPED`: these too if there are IPv6 addresses (`EVUTIL_AI_ALL`).
        const ALL = 32;
        /// Of what a name leads to, only addresses of a family that this machine can reach others by
        /// (`EVUTIL_AI_ADDRCONFIG`).
        const ADDRCONFIG = 64;
    }
}

/// A family of internet addresses (`AF_INET`, `AF_INET6`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressFamily {
    /// The family of an address.
    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }

    /// Whether this machine has a way to others by this family. Connecting a datagram socket asks
    /// for the way and sends nothing.
    fn is_configured(self) -> bool {
        // Addresses that documents are written with; nobody has them.
        let (ours, others): (IpAddr, IpAddr) = match self {
            Self::V4 => (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
            Self::V6 => (
                Ipv6Addr::UNSPECIFIED.into(),
                Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
            ),
        };
        UdpSocket::bind((ours, 0)).is_ok_and(|socket| socket.connect((others, 9)).is_ok())
    }
}

/// What kind of addresses are wanted (`struct evutil_addrinfo` as hints).
#[doc(alias = "evutil_addrinfo")]
#[derive(Clone, Debug)]
pub struct AddressHints {
    /// Only this family; `None` for both.
    pub family: Option<AddressFamily>,
    /// What kind of socket the service's name is for.
    pub socket_type: Type,
    /// More wishes.
    pub flags: AddressFlags,
}

impl Default for AddressHints {
    fn default() -> Self {
        Self { family: None, socket_type: Type::STREAM, flags: AddressFlags::empty() }
    }
}

/// What was found (`struct evutil_addrinfo` as a result; dropping it is `evutil_freeaddrinfo`).
#[doc(alias = "evutil_freeaddrinfo")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressInfo {
    /// The addresses, each once, the preferred one first; there is at least one.
    pub addresses: Vec<SocketAddr>,
    /// The host's real name, if it was asked for.
    pub canonical_name: Option<String>,
}

/// Why nothing was found (`EVUTIL_EAI_…`); the text is what `evutil_gai_strerror` says.
#[doc(alias = "evutil_gai_strerror")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// `EVUTIL_EAI_ADDRFAMILY`.
    #[error("the host has no address of this family")]
    AddressFamily,
    /// `EVUTIL_EAI_AGAIN`.
    #[error("no name server has answered; try again later")]
    Again,
    /// `EVUTIL_EAI_BADFLAGS`.
    #[error("the flags contradict the rest: a canonical name needs a host")]
    BadFlags,
    /// `EVUTIL_EAI_FAIL`.
    #[error("the name server has failed")]
    Fail,
    /// `EVUTIL_EAI_FAMILY`.
    #[error("the system does not know this family of addresses")]
    Family,
    /// `EVUTIL_EAI_MEMORY`.
    #[error("out of memory")]
    Memory,
    /// `EVUTIL_EAI_NODATA`.
    #[error("the host exists but has no address")]
    NoData,
    /// `EVUTIL_EAI_NONAME`.
    #[error("there is no host or service of this name")]
    NoName,
    /// `EVUTIL_EAI_SERVICE`.
    #[error("there is no service of this name for this type of socket")]
    Service,
    /// `EVUTIL_EAI_SOCKTYPE`.
    #[error("the system does not know this type of socket")]
    SocketType,
    /// `EVUTIL_EAI_SYSTEM`.
    #[error("the lookup failed: {0}")]
    System(#[source] io::Error),
}

/// Looks up the addresses of `host` and the port of `service`, and waits for the answer
/// (`evutil_getaddrinfo`). For a loop's thread this takes too long unless both are numbers.
///
/// Without a host it is this machine, without a service port 0. Names of services are known on Unix
/// only.
///
/// ```
/// use evcore::util::{getaddrinfo, AddressHints};
///
/// let found = getaddrinfo(Some("::1"), Some("80"), &AddressHints::default())?;
/// assert_eq!(found.addresses, ["[::1]:80".parse()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`AddressError`] says why there is no address.
#[doc(alias = "evutil_getaddrinfo")]
pub fn getaddrinfo(
    host: Option<&str>,
    service: Option<&str>,
    hints: &AddressHints,
) -> Result<AddressInfo, AddressError> {
    if host.is_none() && service.is_none() {
        return Err(AddressError::NoName);
    }
    let canonical = hints.flags.contains(AddressFlags::CANONNAME);
    if canonical && host.is_none() {
        return Err(AddressError::BadFlags);
    }
    let port = service.map_or(Ok(0), |service| port_of(service, hints))?;
    let mut found = match host {
        None => this_machine(hints),
        Some(host) => match parse(host) {
            Some(address) => AddressInfo {
                addresses: vec![of_family(address, hints)?],
                canonical_name: canonical.then(|| host.to_owned()),
            },
            None if hints.flags.contains(AddressFlags::NUMERICHOST) => {
                return Err(AddressError::NoName)
            }
            None => look_up(host, hints)?,
        },
    };
    for address in &mut found.addresses {
        address.set_port(port);
    }
    Ok(found)
}

fn port_of(service: &str, hints: &AddressHints) -> Result<u16, AddressError> {
    if !service.is_empty() && service.bytes().all(|byte| byte.is_ascii_digit()) {
        return service.parse().map_err(|_| AddressError::Service);
    }
    if hints.flags.contains(AddressFlags::NUMERICSERV) {
        return Err(AddressError::NoName);
    }
    system::service_port(service, hints.socket_type)
}

fn parse(host: &str) -> Option<SocketAddr> {
    if let Ok(host) = host.parse::<Ipv4Addr>() {
        return Some((host, 0).into());
    }
    let (host, scope) = inet_pton_scope(host).ok()?;
    Some(SocketAddrV6::new(host, 0, 0, scope).into())
}

fn this_machine(hints: &AddressHints) -> AddressInfo {
    let addresses: [IpAddr; 2] = if hints.flags.contains(AddressFlags::PASSIVE) {
        [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]
    } else {
        [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
    };
    let addresses = addresses.map(|address| SocketAddr::new(address, 0));
    let wanted = addresses.into_iter().filter_map(|address| of_family(address, hints).ok());
    let mut addresses: Vec<_> = wanted.collect();
    if hints.family == Some(AddressFamily::V6) {
        addresses.truncate(1);
    }
    AddressInfo { addresses, canonical_name: None }
}

/// The address, mapped if it has to be; an error if it is of the other family.
fn of_family(address: SocketAddr, hints: &AddressHints) -> Result<SocketAddr, AddressError> {
    match (address.ip(), hints.family) {
        (IpAddr::V4(v4), Some(AddressFamily::V6))
            if hints.flags.contains(AddressFlags::V4MAPPED) =>
        {
            Ok((v4.to_ipv6_mapped(), address.port()).into())
        }
        (_, Some(family)) if family != AddressFamily::of(&address) => {
            Err(AddressError::AddressFamily)
        }
        _ => Ok(address),
    }
}

fn look_up(host: &str, hints: &AddressHints) -> Result<AddressInfo, AddressError> {
    let maps =
        hints.family == Some(AddressFamily::V6) && hints.flags.contains(AddressFlags::V4MAPPED);
    let family = if maps { None } else { hints.family };
    let canonical = hints.flags.contains(AddressFlags::CANONNAME);
    let mut found = system::look_up(host, family, hints.socket_type, canonical)?;
    if hints.flags.contains(AddressFlags::ADDRCONFIG) {
        let [v4, v6] = [AddressFamily::V4, AddressFamily::V6].map(AddressFamily::is_configured);
        found.addresses.retain(|address| if address.is_ipv4() { v4 } else { v6 });
    }
    let addresses = &mut found.addresses;
    let mapped = hints.flags.contains(AddressFlags::ALL)
        || addresses.iter().all(|address| AddressFamily::of(address) == AddressFamily::V4);
    if maps && !mapped {
        addresses.retain(SocketAddr::is_ipv6);
    }
    let wanted = addresses.iter().filter_map(|&address| of_family(address, hints).ok());
    let mut wanted: Vec<_> = wanted.collect();
    let mut seen = std::collections::HashSet::new();
    wanted.retain(|address| seen.insert(*address));
    if wanted.is_empty() {
        return Err(AddressError::NoData);
    }
    Ok(AddressInfo { addresses: wanted, ..found })
}

/// The system's own lookup.
#[cfg(unix)]
use crate::sys::addrinfo as system;

/// The standard library's lookup, where we have no door to the system's.
#[cfg(not(unix))]
mod system {
    use super::*;
    use std::net::ToSocketAddrs;

    pub(super) fn service_port(_: &str, _: Type) -> Result<u16, AddressError> {
        Err(AddressError::Service)
    }

    pub(super) fn look_up(
        host: &str,
        family: Option<AddressFamily>,
        _: Type,
        canonical: bool,
    ) -> Result<AddressInfo, AddressError> {
        let found = (host, 0).to_socket_addrs().map_err(|error| match error.raw_os_error() {
            // Windows Sockets' host not found, try again, no recovery and no data.
            Some(11_001) => AddressError::NoName,
            Some(11_002) => AddressError::Again,
            Some(11_003) => AddressError::Fail,
            Some(11_004) => AddressError::NoData,
            _ => AddressError::System(error),
        })?;
        let wanted =
            |address: &SocketAddr| family.is_none_or(|family| family == AddressFamily::of(address));
        Ok(AddressInfo {
            addresses: found.filter(wanted).collect(),
            canonical_name: canonical.then(|| host.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hints(family: Option<AddressFamily>, flags: AddressFlags) -> AddressHints {
        AddressHints { family, flags, ..AddressHints::default() }
    }

    fn find(
        host: Option<&str>,
        service: Option<&str>,
        family: Option<AddressFamily>,
        flags: AddressFlags,
    ) -> Result<Vec<String>, String> {
        match getaddrinfo(host, service, &hints(family, flags)) {
            Ok(found) => Ok(found.addresses.iter().map(ToString::to_string).collect()),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    const NONE: AddressFlags = AddressFlags::empty();
    const V4: Option<AddressFamily> = Some(AddressFamily::V4);
    const V6: Option<AddressFamily> = Some(AddressFamily::V6);

    fn ok(addresses: &[&str]) -> Result<Vec<String>, String> {
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    fn err(error: &str) -> Result<Vec<String>, String> {
        Err(error.to_owned())
    }

    #[test]
    fn numbers_are_read_and_not_looked_up() {
        let only = AddressFlags::NUMERICHOST | AddressFlags::NUMERICSERV;
        assert_eq!(find(Some("1.2.3.4"), Some("80"), None, only), ok(&["1.2.3.4:80"]));
        assert_eq!(find(Some("::1"), None, None, only), ok(&["[::1]:0"]));
        assert_eq!(find(Some("fe80::1%7"), Some("65535"), V6, only), ok(&["[fe80::1%7]:65535"]));
        assert_eq!(find(Some("localhost"), None, None, only), err("NoName"));
        assert_eq!(find(Some("::1"), Some("http"), None, only), err("NoName"));
        assert_eq!(find(Some("::1"), Some("65536"), None, only), err("Service"));
        assert_eq!(find(Some("::1"), Some("+1"), None, only), err("NoName"));
    }

    #[test]
    fn without_a_host_it_is_this_machine() {
        let passive = AddressFlags::PASSIVE;
        assert_eq!(find(None, Some("80"), None, NONE), ok(&["[::1]:80", "127.0.0.1:80"]));
        assert_eq!(find(None, Some("80"), None, passive), ok(&["[::]:80", "0.0.0.0:80"]));
        assert_eq!(find(None, Some("80"), V4, passive), ok(&["0.0.0.0:80"]));
        assert_eq!(find(None, Some("80"), V6, AddressFlags::V4MAPPED), ok(&["[::1]:80"]));
    }

    #[test]
    fn contradictions_are_errors() {
        assert_eq!(find(None, None, None, NONE), err("NoName"));
        assert_eq!(find(None, Some("80"), None, AddressFlags::CANONNAME), err("BadFlags"));
        assert_eq!(find(Some("1.2.3.4"), None, V6, NONE), err("AddressFamily"));
        assert_eq!(find(Some("::1"), None, V4, AddressFlags::V4MAPPED), err("AddressFamily"));
    }

    #[test]
    fn an_ipv4_address_can_be_mapped() {
        let mapped = ok(&["[::ffff:1.2.3.4]:1"]);
        assert_eq!(find(Some("1.2.3.4"), Some("1"), V6, AddressFlags::V4MAPPED), mapped);
    }

    #[test]
    fn this_machines_name_leads_to_the_loopback_address() {
        let found = find(Some("localhost"), Some("80"), V4, NONE).unwrap();
        assert!(found.contains(&"127.0.0.1:80".to_owned()), "{found:?}");
        let all = AddressFlags::V4MAPPED | AddressFlags::ALL;
        let found = find(Some("localhost"), Some("80"), V6, all).unwrap();
        assert!(found.contains(&"[::ffff:127.0.0.1]:80".to_owned()), "{found:?}");
        let named = hints(None, AddressFlags::CANONNAME);
        let found = getaddrinfo(Some("localhost"), None, &named).unwrap();
        assert!(found.canonical_name.is_some_and(|name| !name.is_empty()));
        let found = getaddrinfo(Some("127.0.0.1"), None, &named).unwrap();
        assert_eq!(found.canonical_name.as_deref(), Some("127.0.0.1"));
    }

    #[test]
    fn names_that_cannot_be_are_errors_and_not_looked_up() {
        for name in ["a\0b", "\0"] {
            assert_eq!(find(Some(name), None, None, NONE), err("NoName"));
            assert_eq!(find(Some("::1"), Some(name), None, NONE), err("Service"));
        }
    }

    #[test]
    fn every_error_has_a_text_of_its_own() {
        use AddressError::*;
        let errors = [
            AddressFamily,
            Again,
            BadFlags,
            Fail,
            Family,
            Memory,
            NoData,
            NoName,
            Service,
            SocketType,
            System(io::ErrorKind::Other.into()),
        ];
        let mut texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), errors.len());
    }

    proptest! {
        #[test]
        fn every_address_and_port_is_found_as_it_was_written(host: IpAddr, port: u16) {
            let only = hints(None, AddressFlags::NUMERICHOST | AddressFlags::NUMERICSERV);
            let found = getaddrinfo(Some(&host.to_string()), Some(&port.to_string()), &only);
            prop_assert_eq!(found.unwrap().addresses, [SocketAddr::new(host, port)]);
        }

        #[test]
        fn any_text_is_an_address_or_an_error(host in ".{0,40}", service in ".{0,10}") {
            let only = hints(None, AddressFlags::NUMERICHOST | AddressFlags::NUMERICSERV);
            if let Ok(found) = getaddrinfo(Some(&host), Some(&service), &only) {
                prop_assert_eq!(found.addresses.len(), 1);
            }
        }
    }
}
