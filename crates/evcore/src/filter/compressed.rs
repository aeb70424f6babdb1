//! Compression as a filter, whatever the algorithm.

use std::{fmt, io};

use crate::buffer::EvBuffer;
use crate::bufferevent::{Filter, FilterResult, FlushMode};

/// How many bytes one step of a coder may give.
const CHUNK: usize = 16 * 1024;
/// How many bytes one call of the filter gives.
const MOST: usize = 64 * 1024;

/// What a coder is to do with the bytes that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// What it likes.
    Process,
    /// Give all, so that the other side can read them.
    Flush,
    /// Give all and end the stream.
    Finish,
}

/// What a coder has done.
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) written: usize,
    /// The flush or the end is complete; of a decoder, the stream has ended.
    pub(super) done: bool,
}

/// Compresses or decompresses a stream.
pub(super) trait Coder {
    fn step(&mut self, input: &[u8], output: &mut [u8], operation: Operation) -> io::Result<Step>;
}

/// Compresses what goes out and decompresses what comes.
///
/// What is written is sent on at once, in a form that the other side can read so far, unless
/// [`held_back`](Compressed::held_back) says otherwise. Closing the bufferevent, or flushing it with
/// [`FlushMode::Finished`], ends the compressed stream as its format demands.
///
/// What comes is decompressed no faster than it is read, so that a little that becomes very much
/// fills no memory: set a read high-water mark. The end of the stream below before that of the
/// compressed one is an error, and the latter is the end of the stream here.
pub struct Compressed {
    encoder: Box<dyn Coder>,
    decoder: Box<dyn Coder>,
    held_back: bool,
    /// The encoder has bytes that were not flushed.
    dirty: bool,
    /// What the encoder has still to do with the bytes that it has.
    unfinished: Option<Operation>,
    /// Bytes have come.
    begun: bool,
    /// The decoder has filled the room it had: it may have more.
    full: bool,
}

impl fmt::Debug for Compressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressed").field("held_back", &self.held_back).finish_non_exhaustive()
    }
}

impl Compressed {
    pub(super) fn new(encoder: Box<dyn Coder>, decoder: Box<dyn Coder>) -> Self {
        Self {
            encoder,
            decoder,
            held_back: false,
            dirty: false,
            unfinished: None,
            begun: false,
            full: false,
        }
    }

    /// Keeps what is written until there is enough of it, or a flush with [`FlushMode::Flush`]. That
    /// compresses best, and is of no use to who waits for an answer.
    pub fn held_back(mut self, held_back: bool) -> Self {
        self.held_back = held_back;
        self
    }

    fn decode(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        most: usize,
    ) -> io::Result<Option<FilterResult>> {
        let chunk = source.segments().next().unwrap_or_default();
        let step = convert(&mut *self.decoder, chunk, destination, most, Operation::Process)?;
        source.drain(step.read)?;
        self.begun |= step.read > 0;
        self.full = step.full;
        if step.done {
            self.full = false;
            return Ok(Some(FilterResult::End));
        }
        if step.read == 0 && step.written == 0 {
            self.full = false;
            return match source.is_empty() {
                true => Ok(Some(FilterResult::NeedMore)),
                false => Err(io::Error::new(io::ErrorKind::InvalidData, "the decoder is stuck")),
            };
        }
        Ok(None)
    }

    fn encode(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        most: usize,
    ) -> io::Result<bool> {
        let chunk = source.segments().next().unwrap_or_default();
        // Whatever is to be done with them, the bytes that are there come first.
        let operation = match self.unfinished {
            Some(operation) if chunk.is_empty() => operation,
            _ if chunk.is_empty() => return Ok(false),
            _ => Operation::Process,
        };
        let step = convert(&mut *self.encoder, chunk, destination, most, operation)?;
        source.drain(step.read)?;
        if operation == Operation::Process {
            self.dirty = true;
        } else if step.done {
            self.dirty = false;
            self.unfinished = None;
        }
        Ok(step.read > 0 || step.written > 0)
    }
}

struct Converted {
    read: usize,
    written: usize,
    done: bool,
    full: bool,
}

fn convert(
    coder: &mut dyn Coder,
    chunk: &[u8],
    destination: &mut EvBuffer,
    most: usize,
    operation: Operation,
) -> io::Result<Converted> {
    let mut room = destination.reserve_contiguous(most.min(CHUNK))?;
    let [output, _] = room.slices();
    let size = output.len();
    let Step { read, written, done } = coder.step(chunk, output, operation)?;
    room.commit(written)?;
    Ok(Converted { read, written, done, full: written == size })
}

impl Filter for Compressed {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let most = limit.min(MOST);
        while destination.len() < most {
            match self.decode(source, destination, most - destination.len()) {
                Ok(None) => {}
                Ok(Some(FilterResult::NeedMore)) if mode == FlushMode::Finished && self.begun => {
                    let what = "the stream ended before the compressed one in it";
                    return FilterResult::Error(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
                Ok(Some(result)) => return result,
                Err(error) => return FilterResult::Error(error),
            }
        }
        FilterResult::Ok
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let due = self.dirty || !source.is_empty();
        match mode {
            FlushMode::Finished => self.unfinished = Some(Operation::Finish),
            FlushMode::Flush if due => self.unfinished = Some(Operation::Flush),
            FlushMode::Normal if due && !self.held_back && self.unfinished.is_none() => {
                self.unfinished = Some(Operation::Flush);
            }
            FlushMode::Normal | FlushMode::Flush => {}
        }
        let most = limit.min(MOST);
        while destination.len() < most {
            match self.encode(source, destination, most - destination.len()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return FilterResult::Error(error),
            }
        }
        FilterResult::Ok
    }

    fn holds_input(&self) -> bool {
        self.full
    }

    fn holds_output(&self) -> bool {
        self.unfinished.is_some()
    }
}
