//! The pipe by which other threads end the waits of methods that have no better way.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::{RawFd, Wake};
use crate::util;

/// Ends a wait by a byte in a pipe.
pub(super) struct Pipe {
    /// Kept as long as the writer: a pipe without a reader would raise SIGPIPE.
    reader: PipeReader,
    writer: PipeWriter,
    /// Whether there is a byte in the pipe, or about to be, that no wait has read yet.
    woken: AtomicBool,
}

impl Pipe {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let (reader, writer) = io::pipe()?;
        util::make_nonblocking(reader.as_fd())?;
        util::make_nonblocking(writer.as_fd())?;
        Ok(Arc::new(Self { reader, writer, woken: AtomicBool::new(false) }))
    }

    /// The descriptor that is readable after a wake.
    pub(super) fn reader(&self) -> RawFd {
        self.reader.as_raw_fd()
    }

    /// Takes note of a wake, so that the next one counts again.
    pub(super) fn clear(&self) {
        // The pipe holds one byte at most, so the read empties it.
        let _ = (&self.reader).read(&mut [0; 8]);
        self.woken.swap(false, Ordering::AcqRel);
    }
}

impl Wake for Pipe {
    fn wake(&self) -> io::Result<()> {
        if self.woken.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        (&self.writer).write_all(&[1])
    }
}
