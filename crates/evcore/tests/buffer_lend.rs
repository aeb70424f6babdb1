//! Bytes of a buffer that others hold, and buffers compared.
#![cfg(feature = "buffer")]

use evcore::buffer::{EvBuffer, Lent};

const LEAST: usize = 4096;

fn numbers(len: usize) -> Vec<u8> {
    (0..len).map(|number| (number % 251) as u8).collect()
}

/// 1000 bytes and 100,000 of the buffer's own, and 5000 of somebody else's.
fn mixed() -> (EvBuffer, Vec<u8>) {
    let bytes = numbers(106_000);
    let mut buffer = EvBuffer::new();
    buffer.add(&bytes[..1000]).unwrap();
    let mut big = EvBuffer::new();
    big.add(&bytes[1000..101_000]).unwrap();
    buffer.add_buffer(&mut big).unwrap();
    buffer.add_bytes(bytes[101_000..].to_vec()).unwrap();
    (buffer, bytes)
}

fn lend(buffer: &mut EvBuffer, len: Option<usize>, start: usize) -> Vec<Lent> {
    let start = buffer.ptr_set(start).unwrap();
    let mut pieces = Vec::new();
    buffer.lend(len, Some(start), LEAST, &mut pieces).unwrap();
    pieces
}

fn joined(pieces: &[Lent]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.bytes.to_vec()).collect()
}

#[test]
fn lent_bytes_are_those_of_the_range() {
    for start in [0_usize, 1, 999, 1000, 50_000, 100_999, 101_000, 105_999, 106_000] {
        for len in [0, 1, 100, 4096, 70_000, usize::MAX] {
            let (mut buffer, bytes) = mixed();
            let end = bytes.len().min(start.saturating_add(len));
            assert!(joined(&lend(&mut buffer, Some(len), start)) == bytes[start..end]);
            assert!(joined(&lend(&mut buffer, None, start)) == bytes[start..]);
            assert!(buffer == bytes[..]);
        }
    }
    assert!(lend(&mut EvBuffer::new(), None, 0).is_empty());
}

#[test]
fn big_pieces_are_lent_again_and_again_without_a_copy() {
    let (mut buffer, _) = mixed();
    let places = |buffer: &EvBuffer| buffer.segments().map(<[u8]>::as_ptr).collect::<Vec<_>>();
    let before = places(&buffer);
    for _ in 0..3 {
        let pieces = lend(&mut buffer, None, 0);
        assert_eq!(places(&buffer), before);
        for (piece, place) in pieces.iter().zip(&before) {
            assert_eq!(piece.bytes.as_ptr() == *place, piece.bytes.len() >= LEAST);
        }
        let owns: Vec<_> = pieces.iter().map(|piece| piece.own).collect();
        assert_eq!((owns.first(), owns.last()), (Some(&true), Some(&false)));
        assert!(owns[..owns.len() - 1].iter().all(|own| *own));
    }
}

#[test]
fn whoever_owned_the_bytes_is_still_known_after_a_move_and_a_split() {
    let mut buffer = EvBuffer::new();
    buffer.expand(300_000).unwrap();
    buffer.add(&numbers(300_000)).unwrap();
    let mut other = EvBuffer::new();
    buffer.remove_buffer(&mut other, 150_000).unwrap();
    assert!(lend(&mut buffer, None, 0).iter().all(|piece| piece.own));
    assert!(lend(&mut other, None, 0).iter().all(|piece| piece.own));
}

#[test]
fn lent_bytes_never_change() {
    let (mut buffer, bytes) = mixed();
    let pieces = lend(&mut buffer, None, 0);
    buffer.drain(500).unwrap();
    buffer.add(&[0; 5000]).unwrap();
    buffer.prepend(&[0; 5000]).unwrap();
    buffer.pullup(None).unwrap();
    buffer.drain(usize::MAX).unwrap();
    buffer.add(&[9; 200_000]).unwrap();
    drop(buffer);
    assert!(joined(&pieces) == bytes);
}

#[test]
fn buffers_are_the_same_if_their_bytes_are() {
    let (one, bytes) = mixed();
    let mut other = EvBuffer::new();
    bytes.chunks(777).for_each(|chunk| other.add_bytes(chunk.to_vec()).unwrap());
    assert_eq!(one, other);
    assert_eq!(one, bytes[..]);
    assert!(EvBuffer::new() == EvBuffer::new() && EvBuffer::new() == [0; 0]);
    assert!(one != EvBuffer::new() && EvBuffer::new() != one && one != bytes[1..]);
    for at in [0, 999, 1000, 105_999] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(one != changed[..] && one != EvBuffer::from(changed));
    }
    other.drain(1).unwrap();
    assert!(one != other);
    other.add(b"x").unwrap();
    assert!(one != other);
}
