//! The standard library's and `bytes`' traits, so that parsers and formatters work on a buffer.

use std::fmt;
use std::io::{self, BufRead, IoSlice, Read, Write};

use bytes::{Buf, Bytes};

use super::segment::Segment;
use super::{BufferEnd, EvBuffer};

impl Read for EvBuffer {
    fn read(&mut self, dst: &mut [u8]) -> io::Result<usize> {
        Ok(self.remove(dst)?)
    }
}

impl BufRead for EvBuffer {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        const CALL: &str = "EvBuffer::fill_buf";
        self.check_end(BufferEnd::Front, CALL)?;
        self.load_files(self.len.min(1), CALL)?;
        Ok(self.first_chunk())
    }

    fn consume(&mut self, len: usize) {
        // The trait has no error here; of a frozen buffer `fill_buf` has given nothing.
        let _ = self.drain(len);
    }
}

impl Write for EvBuffer {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.add(data)?;
        Ok(data.len())
    }

    #[doc(alias = "evbuffer_add_iovec")]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        const CALL: &str = "EvBuffer::write_vectored";
        self.check_end(BufferEnd::Back, CALL)?;
        let before = self.len;
        for slice in slices {
            if let Err(error) = self.append_copy(slice, CALL) {
                self.cut(before);
                return Err(error.into());
            }
        }
        let added = self.len - before;
        self.changed(added, 0);
        Ok(added)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Write for EvBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl EvBuffer {
    /// How many bytes can be had without an error.
    #[inline]
    fn readable(&self) -> usize {
        if self.may_hold_files {
            self.segments().map(<[u8]>::len).sum()
        } else {
            self.len
        }
    }
}

/// A buffer whose front is frozen has nothing to give: `remaining` is 0. Since there are no errors here,
/// the first call reads all files that the buffer holds into memory, and what cannot be read does not
/// remain; take files out with [`Read`] or [`BufRead`] rather, where they are big.
impl Buf for EvBuffer {
    fn remaining(&self) -> usize {
        if self.is_frozen(BufferEnd::Front) {
            0
        } else {
            self.readable()
        }
    }

    fn chunk(&self) -> &[u8] {
        if self.is_frozen(BufferEnd::Front) {
            &[]
        } else {
            self.first_chunk()
        }
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        if self.is_frozen(BufferEnd::Front) {
            return 0;
        }
        let pairs = dst.iter_mut().zip(self.segments());
        pairs.map(|(slice, chunk)| *slice = IoSlice::new(chunk)).count()
    }

    fn advance(&mut self, len: usize) {
        // The trait asks for this panic: a parser would go on with bytes that are not there.
        assert!(len <= self.remaining(), "advance by {len} of {} bytes", self.remaining());
        self.discard(len);
        self.changed(0, len);
    }

    fn copy_to_bytes(&mut self, len: usize) -> Bytes {
        assert!(len <= self.remaining(), "copy of {len} of {} bytes", self.remaining());
        if let Some(Segment::Lent(bytes) | Segment::Shared(bytes)) = self.chain.front() {
            if len <= bytes.len() {
                let bytes = bytes.slice(..len);
                self.advance(len);
                return bytes;
            }
        }
        let mut bytes = vec![0; len];
        let copied = self.copyout(&mut bytes);
        self.advance(copied);
        bytes.into()
    }
}

impl From<Vec<u8>> for EvBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<Bytes> for EvBuffer {
    fn from(bytes: Bytes) -> Self {
        let mut buffer = Self::new();
        if !bytes.is_empty() {
            buffer.append_segment(Segment::Shared(bytes));
        }
        buffer
    }
}

impl From<&'static [u8]> for EvBuffer {
    fn from(bytes: &'static [u8]) -> Self {
        Bytes::from_static(bytes).into()
    }
}

impl From<&'static str> for EvBuffer {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl From<String> for EvBuffer {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}
