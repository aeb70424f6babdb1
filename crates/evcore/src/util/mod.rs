//! What every layer needs: addresses, time, socket pairs and flags of descriptors (libevent's
//! `evutil`, as far as Rust does not have it).
//!
//! What Rust has itself:
//!
//! | libevent | Rust |
//! |---|---|
//! | `ev_uint64_t` to `ev_int8_t`, their limits | [`u64`] to [`i8`], [`u64::MAX`] and so on |
//! | `ev_ssize_t`, `ev_intptr_t`, `ev_uintptr_t` | [`isize`], [`usize`] |
//! | `evutil_timeradd`, `evutil_timersub`, `evutil_timercmp` | `+`, `-`, `<` of [`Duration`](std::time::Duration) |
//! | `evutil_timerclear`, `evutil_timerisset` | [`Duration::ZERO`](std::time::Duration::ZERO), [`is_zero`](std::time::Duration::is_zero) |
//! | `evutil_gettimeofday` | [`SystemTime::now`](std::time::SystemTime::now) |
//! | `evutil_closesocket` | [`drop`] of an [`OwnedFd`] |
//! | `EVUTIL_SOCKET_ERROR`, `evutil_socket_error_to_string` | [`std::io::Error`] and its text |
//! | `evutil_snprintf`, `evutil_vsnprintf` | [`format!`], [`write!`] |
//! | `evutil_inet_ntop`, `evutil_inet_pton` | [`ToString`] and [`str::parse`] of [`IpAddr`](std::net::IpAddr) |
//! | `evutil_offsetof` | [`std::mem::offset_of!`] |
//!
//! ```
//! use std::time::Duration;
//!
//! let timeout = Duration::from_millis(1_500) + Duration::from_micros(250);
//! assert!(timeout > Duration::from_secs(1) && !timeout.is_zero());
//!
//! #[repr(C)]
//! struct Header {
//!     kind: u8,
//!     length: u32,
//! }
//! assert_eq!(std::mem::offset_of!(Header, length), 4);
//!
//! let error = std::io::Error::from_raw_os_error(32);
//! assert_eq!(error.raw_os_error(), Some(32));
//! assert!(!error.to_string().is_empty());
//! ```

#[cfg(any(unix, windows))]
mod addrinfo;
mod ascii;
mod date;
mod fd;
#[cfg(any(unix, windows))]
mod kernel_addr;
#[cfg(any(feature = "bufferevent", feature = "listener"))]
mod lend;
mod number;
mod random;
mod sockaddr;
#[cfg(any(unix, windows))]
mod socket;
#[cfg(any(unix, windows))]
mod socketpair;
pub mod time;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod timerfd;

#[cfg(any(unix, windows))]
pub use addrinfo::{
    getaddrinfo, AddressError, AddressFamily, AddressFlags, AddressHints, AddressInfo,
};
pub use ascii::{ascii_strcasecmp, ascii_strncasecmp};
pub use date::date_rfc1123;
pub use fd::{BorrowedFd, OwnedFd};
#[cfg(any(feature = "bufferevent", feature = "listener"))]
pub(crate) use lend::lend;
pub use number::{strtoll, ParseNumberError};
pub use random::{secure_random_bytes, secure_random_init};
pub use sockaddr::{inet_pton_scope, ParseAddressError, SocketAddress};
#[cfg(any(unix, windows))]
pub use socket::{
    make_closeonexec, make_listen_socket_ipv6only, make_listen_socket_not_ipv6only,
    make_listen_socket_reuseable, make_listen_socket_reuseable_port, make_nonblocking,
    make_tcp_listen_socket_deferred, set_tcp_keepalive, take_socket_error,
};
#[cfg(any(unix, windows))]
pub use socketpair::{socketpair, SocketFlags};
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use timerfd::{timerfd, TimerStart};
