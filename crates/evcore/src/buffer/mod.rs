//! Segmented byte buffers (libevent's `evbuffer`).
//!
//! An [`EvBuffer`] is a queue of bytes: they are added at the back and taken from the front. It is
//! a chain of segments, each a block of memory from a pool of the thread, a reference to a
//! [`bytes::Bytes`] or a range of a file, so bytes move from buffer to buffer, and to and from sockets,
//! without being copied or laid out anew.
//!
//! | to | call |
//! |---|---|
//! | put bytes in | [`add`](EvBuffer::add), [`add_bytes`](EvBuffer::add_bytes) (no copy), [`add_fmt`](EvBuffer::add_fmt), [`add_file_segment`](EvBuffer::add_file_segment), [`prepend`](EvBuffer::prepend), [`reserve`](EvBuffer::reserve) |
//! | take them out | [`remove`](EvBuffer::remove), [`drain`](EvBuffer::drain), [`readln`](EvBuffer::readln) |
//! | look at them | [`segments`](EvBuffer::segments), [`peek`](EvBuffer::peek), [`copyout`](EvBuffer::copyout), [`pullup`](EvBuffer::pullup), [`lend`](EvBuffer::lend) |
//! | find something | [`search`](EvBuffer::search), [`search_eol`](EvBuffer::search_eol) |
//! | move them on | [`add_buffer`](EvBuffer::add_buffer), [`remove_buffer`](EvBuffer::remove_buffer), [`prepend_buffer`](EvBuffer::prepend_buffer); to several: [`add_buffer_reference`](EvBuffer::add_buffer_reference) |
//! | talk to a descriptor | `recv_from`, `send_to` (sockets), `read_from`, `write_to` (anything) |
//! | learn of changes | [`add_callback`](EvBuffer::add_callback), [`add_deferred_callback`](EvBuffer::add_deferred_callback) |
//! | forbid changes | [`freeze`](EvBuffer::freeze), [`set_max_len`](EvBuffer::set_max_len) |
//!
//! The traits [`std::io::Read`], [`std::io::BufRead`], [`std::io::Write`], [`std::fmt::Write`] and
//! [`bytes::Buf`] are implemented, so parsers and formatters work on a buffer directly; encoders to a
//! [`bytes::BufMut`] write into [reserved](Reserved::writer) room.
//!
//! A file is sent by the system, without a copy of ours (`sendfile(2)` on Linux), and read where
//! somebody looks at it: see [`FileSegment`]. It is not mapped, so a file that somebody truncates
//! meanwhile is an error and not the end of the process.
//!
//! An empty buffer owns no memory beyond itself. Every length is checked: a call that asks for
//! too much fails and changes nothing.
//!
//! ```
//! use evcore::buffer::{EolStyle, EvBuffer};
//!
//! let mut input = EvBuffer::new();
//! input.add(b"PING 1\r\nPI")?;
//! assert_eq!(input.readln(EolStyle::Crlf).as_deref(), Some(&b"PING 1"[..]));
//! assert_eq!(input.readln(EolStyle::Crlf), None);
//!
//! let mut output = EvBuffer::new();
//! output.add(b"and ")?;
//! output.add_buffer(&mut input)?;
//! assert!(input.is_empty());
//! assert_eq!(output.to_vec(), b"and PI");
//! # Ok::<(), evcore::buffer::BufferError>(())
//! ```

mod add;
mod block;
mod callbacks;
mod chain;
mod compare;
mod cursor;
mod deferred;
mod error;
mod file;
mod file_part;
mod in_place;
#[cfg(any(unix, windows))]
mod io;
mod lend;
mod line;
#[cfg(test)]
mod out_of_memory;
mod remove;
mod reserve;
mod search;
mod segment;
mod traits;
mod transfer;

use std::fmt;

pub(crate) use self::block::trim_pool;
pub use self::block::{pool_statistics, PoolClass};
use self::callbacks::Extras;
pub use self::callbacks::{BufferChange, CallbackId};
use self::chain::Chain;
pub use self::cursor::{Position, Segments};
pub use self::error::BufferError;
pub use self::file::{FileSegment, FileSegmentFlags};
#[cfg(any(unix, windows))]
pub use self::io::MAX_READ;
pub use self::lend::Lent;
pub use self::line::EolStyle;
pub use self::reserve::Reserved;
use self::segment::Segment;

/// A queue of bytes in segments (`struct evbuffer`). See the [module](self) for an overview.
///
/// It is a plain value: dropping it frees it, `std::mem::take` empties it, and it may be sent to
/// another thread.
#[doc(alias("evbuffer", "evbuffer_free"))]
pub struct EvBuffer {
    /// The sum of the segments' lengths. Only the last segment may be empty.
    len: usize,
    chain: Chain,
    /// What few buffers have.
    extras: Option<Box<Extras>>,
    /// A bit for each frozen end.
    frozen: u8,
    /// Set with the first range of a file, and until the buffer is empty.
    may_hold_files: bool,
}

/// An end of a buffer, to be frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BufferEnd {
    /// Where bytes are taken out and prepended.
    Front = 1,
    /// Where bytes are added.
    Back = 2,
}

impl EvBuffer {
    /// The most bytes that a buffer may hold, and that one call may ask room for.
    pub const MAX_LEN: usize = isize::MAX as usize / 2;

    /// An empty buffer. Allocates nothing.
    #[doc(alias = "evbuffer_new")]
    #[inline]
    pub const fn new() -> Self {
        Self { len: 0, chain: Chain::new(), extras: None, frozen: 0, may_hold_files: false }
    }

    /// How many bytes the buffer holds.
    #[doc(alias = "evbuffer_get_length")]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the buffer holds no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes at the front lie in one piece, so that [`pullup`](Self::pullup) of that many
    /// costs nothing.
    #[doc(alias = "evbuffer_get_contiguous_space")]
    pub fn contiguous_space(&self) -> usize {
        self.chain.front().map_or(0, Segment::contiguous)
    }

    /// The most bytes that the buffer may come to hold.
    #[inline]
    pub fn max_len(&self) -> usize {
        self.extras.as_ref().map_or(Self::MAX_LEN, |extras| extras.max_len)
    }

    /// Limits what the buffer may come to hold; `None` leaves [`MAX_LEN`](Self::MAX_LEN), which is
    /// never exceeded. What would add more fails with [`BufferError::TooLarge`] and adds nothing,
    /// except that reading from a descriptor reads as much as there is room for, and fails if there
    /// is none. Bytes that are there stay.
    ///
    /// ```
    /// use evcore::buffer::{BufferError, EvBuffer};
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.set_max_len(Some(8));
    /// buffer.add(b"12345678")?;
    /// assert!(matches!(buffer.add(b"9"), Err(BufferError::TooLarge { .. })));
    /// buffer.drain(1)?;
    /// buffer.add(b"9")?;
    /// # Ok::<(), BufferError>(())
    /// ```
    pub fn set_max_len(&mut self, max_len: Option<usize>) {
        self.extras().max_len = max_len.unwrap_or(Self::MAX_LEN).min(Self::MAX_LEN);
        self.drop_extras();
    }

    /// Forbids changes at an end: until [`unfreeze`](Self::unfreeze), every method that would make
    /// one fails with [`BufferError::Frozen`]. Freezing twice is freezing once.
    ///
    /// ```
    /// use evcore::buffer::{BufferEnd, EvBuffer};
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.freeze(BufferEnd::Back);
    /// assert!(buffer.add(b"x").is_err());
    /// buffer.unfreeze(BufferEnd::Back);
    /// assert!(buffer.add(b"x").is_ok());
    /// ```
    #[doc(alias = "evbuffer_freeze")]
    #[inline]
    pub fn freeze(&mut self, end: BufferEnd) {
        self.frozen |= end as u8;
    }

    /// Allows changes at an end again.
    #[doc(alias = "evbuffer_unfreeze")]
    #[inline]
    pub fn unfreeze(&mut self, end: BufferEnd) {
        self.frozen &= !(end as u8);
    }

    /// Whether changes at an end are forbidden.
    #[inline]
    pub fn is_frozen(&self, end: BufferEnd) -> bool {
        self.frozen & end as u8 != 0
    }

    /// Fails if changes at `end` are forbidden.
    #[inline]
    fn check_end(&self, end: BufferEnd, call: &'static str) -> Result<(), BufferError> {
        if self.is_frozen(end) {
            return Err(BufferError::Frozen { call, end });
        }
        Ok(())
    }

    /// Fails if `more` bytes would be more than a buffer may hold.
    #[inline]
    fn check_len(&self, more: usize, call: &'static str) -> Result<(), BufferError> {
        // Not `len + more`, which a hostile length would let overflow.
        if more > self.max_len().saturating_sub(self.len) {
            return Err(BufferError::TooLarge { call, requested: more });
        }
        Ok(())
    }
}

impl Default for EvBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EvBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvBuffer")
            .field("len", &self.len)
            .field("segments", &self.segments().count())
            .field("frozen_front", &self.is_frozen(BufferEnd::Front))
            .field("frozen_back", &self.is_frozen(BufferEnd::Back))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for BufferEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Front => "front",
            Self::Back => "back",
        })
    }
}
