//! Zstandard.

use std::io;

use zstd::stream::raw::{Decoder as RawDecoder, Encoder as RawEncoder, Operation as _, OutBuffer};

use super::compressed::{Coder, Compressed, Operation, Step};

struct Encoder(RawEncoder<'static>);
struct Decoder(RawDecoder<'static>);

impl Compressed {
    /// Zstandard. `level` is from 1 to 22, the slowest and smallest, and below 0 for still faster; 3
    /// is usual.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn zstd(level: i32) -> io::Result<Self> {
        let (encoder, decoder) = (RawEncoder::new(level)?, RawDecoder::new()?);
        Ok(Self::new(Box::new(Encoder(encoder)), Box::new(Decoder(decoder))))
    }
}

impl Coder for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], operation: Operation) -> io::Result<Step> {
        if operation == Operation::Process {
            let status = self.0.run_on_buffers(input, output)?;
            return Ok(Step {
                read: status.bytes_read,
                written: status.bytes_written,
                done: false,
            });
        }
        let mut room = OutBuffer::around(output);
        let left = match operation {
            Operation::Finish => self.0.finish(&mut room, true)?,
            _ => self.0.flush(&mut room)?,
        };
        Ok(Step { read: 0, written: room.pos(), done: left == 0 })
    }
}

impl Coder for Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], _: Operation) -> io::Result<Step> {
        let status = self.0.run_on_buffers(input, output);
        let status = status.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let (read, written) = (status.bytes_read, status.bytes_written);
        // Before the first byte there is nothing expected either.
        let done = status.remaining == 0 && (read > 0 || written > 0);
        Ok(Step { read, written, done })
    }
}
