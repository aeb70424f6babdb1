//! gzip, zlib and deflate.

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::compressed::{Coder, Compressed, Operation, Step};

/// The largest window, of 32 KiB.
const WINDOW_BITS: u8 = 15;

struct Encoder(Compress);
struct Decoder(Decompress);

impl Compressed {
    /// gzip, as files and HTTP have it. `level` is from 0 to 9, the slowest and smallest; 6 is usual,
    /// and more than 9 is 9.
    pub fn gzip(level: u32) -> Self {
        let encoder = Compress::new_gzip(level_of(level), WINDOW_BITS);
        Self::new(Box::new(Encoder(encoder)), Box::new(Decoder(Decompress::new_gzip(WINDOW_BITS))))
    }

    /// zlib: deflate with two bytes before it and a checksum behind, which HTTP calls `deflate`.
    pub fn zlib(level: u32) -> Self {
        let encoder = Compress::new(level_of(level), true);
        Self::new(Box::new(Encoder(encoder)), Box::new(Decoder(Decompress::new(true))))
    }

    /// Deflate with nothing around it.
    pub fn deflate(level: u32) -> Self {
        let encoder = Compress::new(level_of(level), false);
        Self::new(Box::new(Encoder(encoder)), Box::new(Decoder(Decompress::new(false))))
    }
}

fn level_of(level: u32) -> Compression {
    Compression::new(level.min(9))
}

impl Coder for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], operation: Operation) -> io::Result<Step> {
        let flush = match operation {
            Operation::Process => FlushCompress::None,
            Operation::Flush => FlushCompress::Sync,
            Operation::Finish => FlushCompress::Finish,
        };
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.compress(input, output, flush)?;
        let read = (self.0.total_in() - before_in) as usize;
        let written = (self.0.total_out() - before_out) as usize;
        let done = match operation {
            Operation::Process => false,
            // A flush that fills the room may have more to give.
            Operation::Flush => written < output.len(),
            Operation::Finish => status == Status::StreamEnd,
        };
        Ok(Step { read, written, done })
    }
}

impl Coder for Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], _: Operation) -> io::Result<Step> {
        let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, FlushDecompress::None);
        let status = status.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let read = (self.0.total_in() - before_in) as usize;
        let written = (self.0.total_out() - before_out) as usize;
        Ok(Step { read, written, done: status == Status::StreamEnd })
    }
}
