//! Tests: a buffer without memory for what it is to do says so and is as it was.

use std::io::{IoSlice, Write};

use super::block::tests::ALLOWED;
use super::{BufferError, EvBuffer};

const PIECE: [u8; 700] = [7; 700];

fn filled() -> EvBuffer {
    let mut buffer = EvBuffer::new();
    buffer.add(&[1; 1000]).unwrap();
    buffer.add_bytes(&PIECE[..]).unwrap();
    buffer
}

/// Has `change` done again and again with memory for one block more each time, until it succeeds.
/// Returns how often it failed.
fn until_it_succeeds(
    change: impl Fn(&mut EvBuffer, &mut EvBuffer) -> Result<(), BufferError> + Send + Sync,
) -> usize {
    let attempt = |allowed| {
        // On a thread of its own, whose pool is empty.
        let (mut one, mut two) = (filled(), filled());
        ALLOWED.set(allowed);
        let result = change(&mut one, &mut two);
        ALLOWED.set(usize::MAX);
        match result {
            Err(error) => {
                assert!(matches!(error, BufferError::OutOfMemory { .. }), "{error}");
                assert!(one.to_vec() == filled().to_vec());
                assert!(two.to_vec() == filled().to_vec());
                false
            }
            Ok(()) => true,
        }
    };
    std::thread::scope(|scope| {
        (0..100)
            .take_while(|&allowed| !scope.spawn(move || attempt(allowed)).join().unwrap())
            .count()
    })
}

#[test]
fn copies_are_added_whole_or_not_at_all() {
    let data = vec![9; 200_000];
    assert_eq!(until_it_succeeds(|one, _| one.add(&data)), 4);
    assert_eq!(until_it_succeeds(|one, _| one.prepend(&data)), 1);
    assert_eq!(until_it_succeeds(|one, _| one.add_fmt(format_args!("{:9000}", 1)).map(drop)), 2);
    let vectored = |one: &mut EvBuffer, _: &mut EvBuffer| {
        let written = one.write_vectored(&[IoSlice::new(&data[..10]), IoSlice::new(&data)]);
        written.map(drop).map_err(|error| error.downcast::<BufferError>().unwrap())
    };
    assert!(until_it_succeeds(vectored) > 1);
}

#[test]
fn room_is_made_or_refused() {
    assert_eq!(until_it_succeeds(|one, _| one.expand(1_000_000)), 1);
    assert_eq!(until_it_succeeds(|one, _| one.reserve(1_000_000).map(drop)), 1);
    assert_eq!(until_it_succeeds(|one, _| one.pullup(None).map(drop)), 1);
}

#[test]
fn moves_need_memory_for_a_split_only() {
    assert_eq!(until_it_succeeds(|one, two| one.remove_buffer(two, 300).map(drop)), 1);
    assert_eq!(until_it_succeeds(|one, two| one.remove_buffer(two, 1500).map(drop)), 0);
    assert_eq!(until_it_succeeds(|one, two| one.add_buffer(two)), 0);
    assert_eq!(until_it_succeeds(|one, two| one.prepend_buffer(two)), 0);
    assert_eq!(until_it_succeeds(|one, two| one.add_buffer_reference(two)), 1);
}
