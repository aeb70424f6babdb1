//! What a buffer holds of a file: a range of it, of which only what somebody looked at is in memory.

use std::io;

use elsa::FrozenBTreeMap;

use super::block::Block;
use super::file::FileSegment;

/// A file is read in pieces of this size, which begin at multiples of it.
const WINDOW: u64 = 64 * 1024;

/// A range of a file. It is read where it is looked at, and what was read stays until it is passed or
/// moved: whoever has found something can take it out.
pub(super) struct FilePart {
    source: FileSegment,
    /// Where the range begins, in bytes from the beginning of the file.
    offset: u64,
    len: usize,
    /// What is in memory, by the number of the window.
    windows: FrozenBTreeMap<u64, Box<Window>>,
}

struct Window {
    /// Where in the file the first byte that was read stands.
    start: u64,
    block: Block,
}

impl AsRef<[u8]> for Window {
    fn as_ref(&self) -> &[u8] {
        self.block.data()
    }
}

impl FilePart {
    /// A range of `source`'s file, whose end is no more than `i64::MAX`.
    pub(super) fn new(source: FileSegment, offset: u64, len: usize) -> Self {
        Self { source, offset, len, windows: FrozenBTreeMap::new() }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes from the `position`th on that are read together: at least one.
    ///
    /// # Errors
    /// What reading says; `UnexpectedEof` when the file is shorter than it was.
    pub(super) fn bytes_at(&self, position: usize) -> io::Result<&[u8]> {
        let at = self.offset + position.min(self.len) as u64;
        let window = match self.windows.get(&(at / WINDOW)) {
            Some(window) => window,
            None => self.windows.insert(at / WINDOW, Box::new(self.read_window(at)?)),
        };
        Ok(self.within(window, at))
    }

    /// The bytes of a window from `at` on that belong to the range.
    fn within<'a>(&self, window: &'a Window, at: u64) -> &'a [u8] {
        let data = window.block.data();
        let from = (at - window.start).min(data.len() as u64) as usize;
        let to = (self.end() - window.start).min(data.len() as u64) as usize;
        &data[from..to.max(from)]
    }

    /// Reads the window that the byte at `at` lies in, as far as it belongs to the range.
    fn read_window(&self, at: u64) -> io::Result<Window> {
        let start = (at - at % WINDOW).max(self.offset);
        let end = (at - at % WINDOW + WINDOW).min(self.end());
        let len = end.saturating_sub(start) as usize;
        let mut block = Block::new(len).ok_or(io::ErrorKind::OutOfMemory)?;
        self.source.read_exact_at(&mut block.room_mut()[..len], start)?;
        block.fill(len);
        Ok(Window { start, block })
    }

    fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    /// The first bytes, if they are in memory.
    pub(super) fn loaded(&self) -> &[u8] {
        match self.windows.get(&(self.offset / WINDOW)) {
            Some(_) => self.bytes_at(0).unwrap_or_default(),
            None => &[],
        }
    }

    /// How many bytes are in memory, or a few more.
    pub(super) fn in_memory(&self) -> usize {
        (self.windows.len() * WINDOW as usize).min(self.len)
    }

    /// Takes the first bytes out of the range, in a block of their own: up to a window's, and at
    /// least one.
    ///
    /// # Errors
    /// As [`bytes_at`](Self::bytes_at); the range is as it was.
    pub(super) fn take_block(&mut self) -> io::Result<Block> {
        let len = self.bytes_at(0)?.len();
        let window = self.windows.as_mut().remove(&(self.offset / WINDOW));
        let Window { start, mut block } = *window.ok_or(io::ErrorKind::UnexpectedEof)?;
        block.advance((self.offset - start) as usize);
        block.truncate(len);
        self.advance(len);
        Ok(block)
    }

    /// Splits off the first `len` bytes and keeps the others.
    pub(super) fn split_front(&mut self, len: usize) -> Self {
        let front = Self::new(self.source.clone(), self.offset, len.min(self.len));
        self.advance(len);
        front
    }

    /// The same range once more; it is read again.
    pub(super) fn again(&self) -> Self {
        Self::new(self.source.clone(), self.offset, self.len)
    }

    /// Forgets the first `len` bytes.
    pub(super) fn advance(&mut self, len: usize) {
        let len = len.min(self.len);
        let before = self.offset / WINDOW;
        self.offset += len as u64;
        self.len -= len;
        if self.offset / WINDOW != before {
            let windows = self.windows.as_mut();
            *windows = windows.split_off(&(self.offset / WINDOW));
        }
    }

    /// Forgets all but the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What is left to send, if the system may copy it from the file to a socket: the file, and
    /// where the range begins.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn to_send(&self) -> Option<(&FileSegment, u64)> {
        self.source.may_sendfile().then_some((&self.source, self.offset))
    }
}
