//! `evcore` is an event loop that you own, with segmented byte buffers and buffered sockets on top
//! of it: what libevent has given to C programs, for Rust.
//!
//! The modules stand in layers and an import never points up:
//! [`util`], [`error`] → [`backend`] → [`base`] → [`buffer`] → [`ratelimit`], `tls` →
//! [`bufferevent`] → [`filter`], [`listener`].
//!
//! | libevent | here |
//! |---|---|
//! | `event_base` | [`EventBase`] |
//! | `event` | [`Event`] |
//! | `evbuffer` | [`EvBuffer`] |
//! | `bufferevent` | [`BufferEvent`] |
//! | `bufferevent_rate_limit_group` | [`ratelimit::RateLimitGroup`] |
//! | `evconnlistener` | [`ConnListener`] |

pub mod backend;
pub mod base;
#[cfg(feature = "buffer")]
pub mod buffer;
#[cfg(feature = "bufferevent")]
pub mod bufferevent;
pub mod error;
#[cfg(feature = "bufferevent")]
pub mod filter;
#[cfg(feature = "listener")]
pub mod listener;
pub mod log;
#[cfg(feature = "buffer")]
pub mod mem;
#[cfg(feature = "bufferevent")]
pub mod ratelimit;
mod shutdown;
mod sys;
#[cfg(feature = "tls")]
pub mod tls;
pub mod util;
mod version;

pub use base::{BaseHandle, Event, EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};
#[cfg(feature = "buffer")]
pub use buffer::EvBuffer;
#[cfg(feature = "bufferevent")]
pub use bufferevent::BufferEvent;
pub use error::{Error, Result};
#[cfg(feature = "listener")]
pub use listener::ConnListener;
pub use shutdown::global_shutdown;
pub use version::{version, version_number, VERSION, VERSION_NUMBER};
