//! Segmented buffers through their public interface.

use evcore::buffer::{BufferEnd, BufferError, EolStyle, EvBuffer};

fn pieces(pieces: &[&[u8]]) -> EvBuffer {
    let mut buffer = EvBuffer::new();
    for piece in pieces {
        buffer.add_bytes(piece.to_vec()).unwrap();
    }
    buffer
}

#[test]
fn bytes_come_out_in_the_order_in_which_they_went_in() {
    let mut buffer = EvBuffer::new();
    let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    bytes.chunks(777).for_each(|chunk| buffer.add(chunk).unwrap());
    assert_eq!(buffer.len(), bytes.len());
    let mut out = vec![0; 12_345];
    let mut all = Vec::new();
    while !buffer.is_empty() {
        let n = buffer.remove(&mut out).unwrap();
        all.extend_from_slice(&out[..n]);
    }
    assert!(all == bytes);
}

#[test]
fn an_empty_buffer_is_small() {
    assert!(std::mem::size_of::<EvBuffer>() <= 96);
}
