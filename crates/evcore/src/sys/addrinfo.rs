//! The system's lookup of names.

use std::ffi::{CStr, CString};
use std::io;
use std::net::SocketAddr;
use std::ptr;

use socket2::{SockAddr, Type};

use crate::util::{AddressError, AddressFamily, AddressInfo};

/// The number that glibc's `<netdb.h>` gives it.
#[cfg(target_os = "linux")]
const EAI_ADDRFAMILY: libc::c_int = -9;

/// The port of the service called `service`.
pub(crate) fn service_port(service: &str, socket_type: Type) -> Result<u16, AddressError> {
    let service = CString::new(service).map_err(|_| AddressError::Service)?;
    let found = getaddrinfo(None, Some(&service), &hints(libc::AF_UNSPEC, socket_type, 0))?;
    found.addresses.first().map(SocketAddr::port).ok_or(AddressError::Service)
}

/// The addresses of the host called `host`, and its real name if it is asked for.
pub(crate) fn look_up(
    host: &str,
    family: Option<AddressFamily>,
    socket_type: Type,
    canonical: bool,
) -> Result<AddressInfo, AddressError> {
    let host = CString::new(host).map_err(|_| AddressError::NoName)?;
    let family = match family {
        None => libc::AF_UNSPEC,
        Some(AddressFamily::V4) => libc::AF_INET,
        Some(AddressFamily::V6) => libc::AF_INET6,
    };
    let flags = if canonical { libc::AI_CANONNAME } else { 0 };
    getaddrinfo(Some(&host), None, &hints(family, socket_type, flags))
}

fn hints(family: libc::c_int, socket_type: Type, flags: libc::c_int) -> libc::addrinfo {
    // SAFETY: numbers that are zero and pointers that are null are valid.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_family = family;
    hints.ai_socktype = socket_type.into();
    hints.ai_flags = flags;
    hints
}

/// What the system found, which has to be given back.
struct List(*mut libc::addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list came from `getaddrinfo` and is given back this once.
        unsafe { libc::freeaddrinfo(self.0) }
    }
}

fn getaddrinfo(
    host: Option<&CStr>,
    service: Option<&CStr>,
    hints: &libc::addrinfo,
) -> Result<AddressInfo, AddressError> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    let mut list = ptr::null_mut();
    // SAFETY: the texts end in NUL or are null, and live through the call as the hints do; the list
    // is written where there is room for its address.
    let code = unsafe { libc::getaddrinfo(pointer(host), pointer(service), hints, &mut list) };
    if code != 0 {
        return Err(error(code));
    }
    let list = List(list);
    let mut found = AddressInfo::default();
    let mut next = list.0;
    // SAFETY: the list's entries live as long as `list`, and a null one ends it.
    while let Some(entry) = unsafe { next.as_ref() } {
        found.addresses.extend(address(entry));
        if found.canonical_name.is_none() && !entry.ai_canonname.is_null() {
            // SAFETY: the name is a string that ends in NUL and lives as long as the list.
            let name = unsafe { CStr::from_ptr(entry.ai_canonname) };
            found.canonical_name = Some(name.to_string_lossy().into_owned());
        }
        next = entry.ai_next;
    }
    Ok(found)
}

fn address(entry: &libc::addrinfo) -> Option<SocketAddr> {
    let length = entry.ai_addrlen as usize;
    // SAFETY: the storage has room for every address, which is checked, and the entry's address has
    // the length that it says.
    let copied = unsafe {
        SockAddr::try_init(|storage, room| {
            if length > *room as usize {
                return Err(io::ErrorKind::InvalidData.into());
            }
            ptr::copy_nonoverlapping(entry.ai_addr.cast::<u8>(), storage.cast::<u8>(), length);
            *room = length as libc::socklen_t;
            Ok(())
        })
    };
    copied.ok()?.1.as_socket()
}

fn error(code: libc::c_int) -> AddressError {
    match code {
        libc::EAI_AGAIN => AddressError::Again,
        libc::EAI_BADFLAGS => AddressError::BadFlags,
        libc::EAI_FAIL => AddressError::Fail,
        libc::EAI_FAMILY => AddressError::Family,
        libc::EAI_MEMORY => AddressError::Memory,
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        libc::EAI_NODATA => AddressError::NoData,
        libc::EAI_NONAME => AddressError::NoName,
        libc::EAI_SERVICE => AddressError::Service,
        libc::EAI_SOCKTYPE => AddressError::SocketType,
        #[cfg(target_os = "linux")]
        EAI_ADDRFAMILY => AddressError::AddressFamily,
        // All that is left is the system's own, and what the system has added to the list.
        _ => AddressError::System(io::Error::last_os_error()),
    }
}
