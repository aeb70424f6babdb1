//! Rate limits: how many bytes may pass in a time, for one bufferevent and for many together.
//!
//! A limit is a bucket of tokens, one a byte. Each tick adds as many as the rate says, up to the
//! burst; bytes that pass take them out. A bufferevent may have a limit of its own
//! ([`BufferEvent::set_rate_limit`](crate::BufferEvent::set_rate_limit)) and be in a
//! [`RateLimitGroup`] as well, and then both count. A direction without tokens is suspended, by a
//! reason of its own, and goes on at the tick that brings some. Time is the loop's; there is a timer
//! only while somebody waits.

mod bucket;
mod group;

pub(crate) use bucket::Bucket;
pub use bucket::{TokenBucketConfig, RATE_LIMIT_MAX};
pub use group::RateLimitGroup;
pub(crate) use group::{Member, Seat};

/// One of the two ways that bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

impl Direction {
    pub(crate) const BOTH: [Self; 2] = [Self::Read, Self::Write];
}
