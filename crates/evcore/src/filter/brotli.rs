//! Brotli.

use std::io;

use brotli::enc::encode::{
    BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct,
};
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::compressed::{Coder, Compressed, Operation, Step};

struct Encoder(BrotliEncoderStateStruct<StandardAlloc>);
struct Decoder(BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>);

impl Compressed {
    /// Brotli. `quality` is from 0 to 11, the slowest and smallest; 5 is good for what is compressed
    /// as it is made, and more than 11 is 11.
    pub fn brotli(quality: u32) -> Self {
        let mut encoder = BrotliEncoderStateStruct::new(StandardAlloc::default());
        encoder.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, quality.min(11));
        let alloc = StandardAlloc::default;
        // Strict: windows above 16 MiB are refused.
        let decoder = BrotliState::new_strict(alloc(), alloc(), alloc());
        Self::new(Box::new(Encoder(encoder)), Box::new(Decoder(decoder)))
    }
}

impl Coder for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], operation: Operation) -> io::Result<Step> {
        let brotli_operation = match operation {
            Operation::Process => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
            Operation::Flush => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            Operation::Finish => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
        };
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written) = (output.len(), 0);
        let went = self.0.compress_stream(
            brotli_operation,
            &mut left,
            input,
            &mut read,
            &mut room,
            output,
            &mut written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !went {
            return Err(io::Error::other("the Brotli encoder refuses to go on"));
        }
        let done = match operation {
            Operation::Process => false,
            Operation::Flush => left == 0 && !self.0.has_more_output(),
            Operation::Finish => self.0.is_finished(),
        };
        Ok(Step { read, written, done })
    }
}

impl Coder for Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8], _: Operation) -> io::Result<Step> {
        let (mut left, mut read) = (input.len(), 0);
        let (mut room, mut written) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut room,
            &mut written,
            output,
            &mut 0,
            &mut self.0,
        );
        if matches!(result, BrotliResult::ResultFailure) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a Brotli stream"));
        }
        Ok(Step { read, written, done: matches!(result, BrotliResult::ResultSuccess) })
    }
}
