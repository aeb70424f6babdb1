//! What every layer needs: addresses, time, socket pairs and flags of descriptors (libevent's
//! `evutil`, as far as Rust's standard library does not have it).

mod fd;
mod sockaddr;
mod socketpair;
pub mod time;

pub use fd::{
    make_closeonexec, make_listen_socket_ipv6only, make_listen_socket_reuseable,
    make_listen_socket_reuseable_port, make_nonblocking, BorrowedFd, OwnedFd,
};
pub use sockaddr::{ParseAddressError, SocketAddress};
pub use socketpair::{socketpair, SocketFlags};
