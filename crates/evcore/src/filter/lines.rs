//! Whole lines.

use std::io;

use crate::buffer::EvBuffer;
use crate::bufferevent::{Filter, FilterResult, FlushMode};

use super::pass;

/// Passes on whole lines, their ends included, so that each read callback finds lines and no piece of
/// one: take them with [`EvBuffer::readln`](crate::EvBuffer::readln). A line ends with LF. What comes
/// after the last one passes when the stream ends, and what is written passes as it is.
///
/// A line longer than allowed is an error, of which the other side can so not make us keep much.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    most: usize,
    /// So many bytes of the source have no end of a line.
    seen: usize,
}

impl Lines {
    /// Lines of at most `most` bytes, their ends included.
    pub fn new(most: usize) -> Self {
        Self { most, seen: 0 }
    }
}

impl Filter for Lines {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        mode: FlushMode,
    ) -> FilterResult {
        // How much of the source is whole lines; where the line at hand began.
        let (mut offset, mut begun) = (0, 0);
        let mut too_long = false;
        for chunk in source.segments() {
            let from = self.seen.saturating_sub(offset).min(chunk.len());
            for end in memchr::memchr_iter(b'\n', &chunk[from..]) {
                let end = offset + from + end + 1;
                too_long |= end - begun > self.most;
                if too_long {
                    break;
                }
                begun = end;
            }
            offset += chunk.len();
        }
        too_long |= source.len() - begun > self.most;
        let whole = if mode == FlushMode::Finished && !too_long { source.len() } else { begun };
        if let Err(error) = source.remove_buffer(destination, whole) {
            return FilterResult::Error(error.into());
        }
        self.seen = source.len();
        if too_long {
            let what = format!("a line of more than {} bytes", self.most);
            return FilterResult::Error(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        FilterResult::NeedMore
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        pass(source, destination)
    }
}
