//! Segmented buffers through their public interface.
#![cfg(feature = "buffer")]

use std::io::{BufRead, IoSlice, Read, Write};
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use evcore::buffer::{BufferChange, BufferEnd, BufferError, EolStyle, EvBuffer};

/// A buffer with one segment for each piece.
fn segmented(pieces: &[&[u8]]) -> EvBuffer {
    let mut buffer = EvBuffer::new();
    for piece in pieces {
        buffer.add_bytes(piece.to_vec()).unwrap();
    }
    buffer
}

fn numbers(len: usize) -> Vec<u8> {
    (0..len).map(|number| (number % 251) as u8).collect()
}

#[test]
fn bytes_come_out_in_the_order_in_which_they_went_in() {
    let mut buffer = EvBuffer::new();
    let bytes = numbers(200_000);
    bytes.chunks(777).for_each(|chunk| buffer.add(chunk).unwrap());
    assert_eq!(buffer.len(), bytes.len());
    let (mut out, mut all) = (vec![0; 12_345], Vec::new());
    while !buffer.is_empty() {
        let len = buffer.remove(&mut out).unwrap();
        all.extend_from_slice(&out[..len]);
    }
    assert!(all == bytes);
    assert_eq!(buffer.remove(&mut out).unwrap(), 0);
}

#[test]
fn an_empty_buffer_fits_into_96_bytes() {
    assert!(std::mem::size_of::<EvBuffer>() <= 96);
}

#[test]
fn hostile_lengths_fail_or_are_clamped_and_change_nothing() {
    let beyond = [EvBuffer::MAX_LEN + 1, isize::MAX as usize, usize::MAX - 1, usize::MAX];
    let big = [1u64 << 31, (1 << 31) + 1, u32::MAX.into(), 1 << 32, EvBuffer::MAX_LEN as u64 - 5];
    let big: Vec<usize> = big.iter().filter_map(|&len| usize::try_from(len).ok()).collect();
    let mut buffer = segmented(&[b"he", b"llo"]);

    for &len in &beyond {
        let too_large =
            |error| matches!(error, BufferError::TooLarge { requested, .. } if requested == len);
        assert!(too_large(buffer.expand(len).unwrap_err()));
        assert!(too_large(buffer.reserve(len).unwrap_err()));
        assert!(too_large(buffer.reserve_contiguous(len).unwrap_err()));
    }
    for &len in &big {
        // Whether there is so much (untouched) memory depends on the machine.
        for error in [buffer.expand(len).err(), buffer.reserve(len).err()].into_iter().flatten() {
            assert!(matches!(error, BufferError::OutOfMemory { .. }), "{error}");
        }
    }
    for &len in big.iter().chain(&beyond) {
        assert!(matches!(buffer.pullup(Some(len)), Err(BufferError::OutOfRange { .. })));
        assert!(matches!(buffer.ptr_set(len), Err(BufferError::OutOfRange { .. })));
        let end = buffer.ptr_set(5).unwrap();
        assert!(matches!(buffer.ptr_add(end, len), Err(BufferError::OutOfRange { .. })));
        let mut slices = Vec::new();
        assert_eq!(buffer.peek(Some(len), None, &mut slices), 2);
        let room = buffer.reserve(3).unwrap();
        assert!(matches!(room.commit(len), Err(BufferError::OutOfRange { .. })));
        assert_eq!(buffer.to_vec(), b"hello");

        let mut all = EvBuffer::new();
        assert_eq!(buffer.remove_buffer(&mut all, len).unwrap(), 5);
        assert_eq!(all.drain(len).unwrap(), 5);
        buffer.add(b"hello").unwrap();
        buffer.pullup(Some(1)).unwrap();
        buffer = segmented(&[b"he", b"llo"]);
    }
}

#[test]
fn lengths_of_nought_and_one_are_as_good_as_any() {
    let mut buffer = EvBuffer::new();
    buffer.add(b"").unwrap();
    buffer.prepend(b"").unwrap();
    buffer.add_bytes(Bytes::new()).unwrap();
    buffer.expand(0).unwrap();
    buffer.reserve(0).unwrap().commit(0).unwrap();
    assert_eq!(buffer.pullup(Some(0)).unwrap(), b"");
    assert_eq!(buffer.pullup(None).unwrap(), b"");
    assert_eq!(buffer.drain(0).unwrap(), 0);
    assert_eq!(buffer.segments().count(), 0);
    assert_eq!(buffer.remove_buffer(&mut EvBuffer::new(), 0).unwrap(), 0);
    buffer.expand(1).unwrap();
    let mut room = buffer.reserve(1).unwrap();
    room.slices()[0][0] = b'x';
    room.commit(1).unwrap();
    assert_eq!(buffer.remove_buffer(&mut EvBuffer::new(), 0).unwrap(), 0);
    assert_eq!(buffer.pullup(Some(1)).unwrap(), b"x");
}

#[test]
fn moves_from_and_to_empty_buffers_leave_usable_buffers() {
    let (mut one, mut two) = (EvBuffer::new(), EvBuffer::new());
    for _ in 0..2 {
        one.add_buffer(&mut two).unwrap();
        one.prepend_buffer(&mut two).unwrap();
        one.add_buffer_reference(&mut two).unwrap();
        assert_eq!(one.remove_buffer(&mut two, 10).unwrap(), 0);
        // Room without bytes must not be moved as if it were bytes.
        one.expand(5000).unwrap();
        two.expand(5000).unwrap();
    }
    one.add(b"x").unwrap();
    two.add_buffer(&mut one).unwrap();
    one.add_buffer_reference(&mut two).unwrap();
    drop(two);
    assert_eq!(one.to_vec(), b"x");
}

#[test]
fn a_buffer_taken_out_of_itself_can_be_added_again() {
    let mut buffer = segmented(&[b"one", b"two"]);
    let mut taken = std::mem::take(&mut buffer);
    assert!(buffer.is_empty());
    buffer.add(b"zero").unwrap();
    buffer.add_buffer(&mut taken).unwrap();
    assert_eq!(buffer.to_vec(), b"zeroonetwo");
}

#[test]
fn added_bytes_are_not_copied_and_let_go_when_they_are_drained() {
    struct Tracked(Arc<[u8; 1000]>);
    impl AsRef<[u8]> for Tracked {
        fn as_ref(&self) -> &[u8] {
            &*self.0
        }
    }

    let alive = Arc::new([7; 1000]);
    let memory = Bytes::from_owner(Tracked(alive.clone()));
    let address = memory.as_ptr();
    let mut buffer = EvBuffer::new();
    buffer.add(b"before").unwrap();
    buffer.add_bytes(memory).unwrap();
    let mut other = EvBuffer::new();
    other.add(b"x").unwrap();
    other.add_buffer(&mut buffer).unwrap();
    assert_eq!(other.segments().last().unwrap().as_ptr(), address);
    other.drain(1 + 6 + 999).unwrap();
    assert_eq!(Arc::strong_count(&alive), 2);
    other.drain(1).unwrap();
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_big_move_moves_the_segments_themselves() {
    let mut source = EvBuffer::new();
    source.add(&numbers(300_000)).unwrap();
    let places =
        |buffer: &EvBuffer| -> Vec<*const u8> { buffer.segments().map(<[u8]>::as_ptr).collect() };
    let before = places(&source);
    let mut target = EvBuffer::new();
    target.add(b"x").unwrap();
    target.add_buffer(&mut source).unwrap();
    assert_eq!(places(&target)[1..], before);
    assert_eq!(source.segments().count(), 0);
}

#[test]
fn splitting_a_big_piece_of_one_block_shares_it() {
    let bytes = numbers(1_000_000);
    let mut source = EvBuffer::new();
    let mut room = source.reserve_contiguous(bytes.len()).unwrap();
    room.slices()[0].copy_from_slice(&bytes);
    room.commit(bytes.len()).unwrap();
    let place = source.segments().next().unwrap().as_ptr();
    let mut target = EvBuffer::new();
    assert_eq!(source.remove_buffer(&mut target, 500_000).unwrap(), 500_000);
    assert_eq!(target.segments().next().unwrap().as_ptr(), place);
    assert!(target.to_vec() == bytes[..500_000] && source.to_vec() == bytes[500_000..]);
}

#[test]
fn pullup_gives_one_piece_whatever_the_segments_were() {
    let text = numbers(3000);
    for cut in [1, 2, 999, 1000, 1024, 2999] {
        for len in [1, 1000, 1023, 1024, 1025, 2999, 3000] {
            let mut buffer = EvBuffer::new();
            buffer.add(&text[..cut]).unwrap();
            text[cut..].chunks(700).for_each(|chunk| buffer.add_bytes(chunk.to_vec()).unwrap());
            assert!(buffer.pullup(Some(len)).unwrap() == &text[..len]);
            assert!(buffer.contiguous_space() >= len);
            assert!(buffer.to_vec() == text);
        }
    }
}

#[test]
fn a_pullup_past_the_end_fails_however_the_bytes_lie() {
    // CVE-2026-63383 read on behind the first segment.
    let mut buffer = segmented(&[b"\x80", b"\x80\x80", b"\x80"]);
    assert_eq!(buffer.pullup(Some(4)).unwrap().len(), 4);
    let error = buffer.pullup(Some(5)).unwrap_err();
    assert_eq!(error.to_string(), "EvBuffer::pullup: 5 bytes asked for where there are 4");
}

#[test]
fn reserved_room_that_is_not_committed_changes_nothing() {
    let mut buffer = EvBuffer::new();
    buffer.add(&numbers(1000)).unwrap();
    let mut room = buffer.reserve(3000).unwrap();
    let [first, second] = room.slices();
    assert!(first.len() + second.len() >= 3000);
    first.fill(1);
    second.fill(2);
    drop(room);
    assert!(buffer.to_vec() == numbers(1000));
}

#[test]
fn reserved_room_is_filled_in_order_over_both_pieces() {
    for len in [0, 10, 24, 25, 3000] {
        let mut buffer = EvBuffer::new();
        buffer.add(&numbers(1000)).unwrap();
        let mut room = buffer.reserve(3000).unwrap();
        let [first, second] = room.slices();
        let split = first.len();
        let data: Vec<u8> = numbers(3000).into_iter().rev().collect();
        first.copy_from_slice(&data[..split]);
        second.copy_from_slice(&data[split..]);
        room.commit(len).unwrap();
        assert!(buffer.to_vec() == [&numbers(1000), &data[..len]].concat());
    }
}

#[test]
fn expanded_room_takes_the_next_bytes_in_one_piece() {
    let mut buffer = segmented(&[b"x"]);
    buffer.expand(100_000).unwrap();
    buffer.add(&numbers(60_000)).unwrap();
    buffer.add(&numbers(40_000)).unwrap();
    assert_eq!(buffer.segments().count(), 2);
}

#[test]
fn a_frozen_end_refuses_every_change_and_says_so() {
    let mut other = segmented(&[b"other"]);
    let mut buffer = segmented(&[b"text\n"]);
    buffer.freeze(BufferEnd::Front);
    let frozen = |result: Result<(), BufferError>| {
        assert!(matches!(result, Err(BufferError::Frozen { end: BufferEnd::Front, .. })));
    };
    frozen(buffer.drain(1).map(drop));
    frozen(buffer.remove(&mut [0]).map(drop));
    frozen(buffer.prepend(b"x"));
    frozen(buffer.prepend_buffer(&mut other));
    frozen(buffer.remove_buffer(&mut other, 1).map(drop));
    frozen(other.add_buffer(&mut buffer));
    frozen(other.prepend_buffer(&mut buffer));
    assert_eq!(buffer.readln(EolStyle::Lf), None);
    assert_eq!(buffer.remaining(), 0);
    assert_eq!(buffer.fill_buf().unwrap_err().kind(), std::io::ErrorKind::PermissionDenied);
    buffer.add(b"back").unwrap();
    buffer.unfreeze(BufferEnd::Front);

    buffer.freeze(BufferEnd::Back);
    let frozen = |result: Result<(), BufferError>| {
        let error = result.unwrap_err();
        assert!(matches!(error, BufferError::Frozen { end: BufferEnd::Back, .. }));
        assert!(error.to_string().contains("back is frozen"));
    };
    frozen(buffer.add(b"x"));
    frozen(buffer.add_bytes("x"));
    frozen(buffer.add_fmt(format_args!("x")).map(drop));
    frozen(buffer.add_buffer(&mut other));
    frozen(buffer.add_buffer_reference(&mut other));
    frozen(buffer.expand(1));
    frozen(buffer.reserve(1).map(drop));
    frozen(other.remove_buffer(&mut buffer, 1).map(drop));
    assert!(buffer.write(b"x").is_err());
    assert_eq!(buffer.readln(EolStyle::Lf).as_deref(), Some(&b"text"[..]));
    assert_eq!((buffer.to_vec(), other.to_vec()), (b"back".to_vec(), b"other".to_vec()));
}

type Changes = Arc<Mutex<Vec<(usize, usize, usize)>>>;

fn record(into: &Changes) -> impl FnMut(&mut EvBuffer, &BufferChange) + Send + 'static {
    let changes = into.clone();
    move |_, change| {
        let change = (change.original_length, change.added, change.deleted);
        changes.lock().unwrap().push(change);
    }
}

fn taken(changes: &Changes) -> Vec<(usize, usize, usize)> {
    std::mem::take(&mut changes.lock().unwrap())
}

#[test]
fn every_change_of_the_length_is_reported_once() {
    let changes = Changes::default();
    let mut buffer = EvBuffer::new();
    buffer.add(b"abc").unwrap();
    buffer.add_callback(record(&changes));
    buffer.add(b"").unwrap();
    buffer.drain(0).unwrap();
    buffer.expand(10).unwrap();
    buffer.pullup(None).unwrap();
    assert_eq!(taken(&changes), []);
    buffer.add(&[0; 3000]).unwrap();
    buffer.add_bytes("12").unwrap();
    buffer.prepend(b"1").unwrap();
    buffer.reserve(7).unwrap().commit(5).unwrap();
    assert_eq!(taken(&changes), [(3, 3000, 0), (3003, 2, 0), (3005, 1, 0), (3006, 5, 0)]);
    buffer.drain(3000).unwrap();
    buffer.add_fmt(format_args!("{}{}", 1, 2)).unwrap();
    assert_eq!(buffer.write_vectored(&[IoSlice::new(b"1"), IoSlice::new(b"2\n")]).unwrap(), 3);
    assert_eq!(taken(&changes), [(3011, 0, 3000), (11, 2, 0), (13, 3, 0)]);
    let mut other = EvBuffer::new();
    buffer.remove_buffer(&mut other, 4).unwrap();
    buffer.prepend_buffer(&mut other).unwrap();
    buffer.readln(EolStyle::Lf).unwrap();
    assert_eq!(taken(&changes), [(16, 0, 4), (12, 4, 0), (16, 0, 16)]);
}

#[test]
fn changes_made_by_a_callback_are_part_of_the_next_report() {
    let changes = Changes::default();
    let mut buffer = EvBuffer::new();
    let mut recorder = record(&changes);
    buffer.add_callback(move |buffer, change| {
        recorder(buffer, change);
        buffer.drain(1).unwrap();
        buffer.add(b"xx").unwrap();
    });
    buffer.add(b"abc").unwrap();
    buffer.add(b"d").unwrap();
    assert_eq!(taken(&changes), [(0, 3, 0), (3, 3, 1)]);
    assert_eq!(buffer.to_vec(), b"cxxdxx");
}

#[test]
fn callbacks_may_remove_add_disable_and_replace_from_within() {
    let changes = Changes::default();
    let mut buffer = EvBuffer::new();
    let own_id = Arc::new(Mutex::new(None));
    let (id, inner) = (own_id.clone(), changes.clone());
    let removed = buffer.add_callback(move |buffer, _| {
        assert!(buffer.remove_callback(id.lock().unwrap().unwrap()));
        buffer.add_callback(record(&inner));
    });
    *own_id.lock().unwrap() = Some(removed);
    buffer.add(b"1").unwrap();
    assert_eq!(taken(&changes), [], "a callback added meanwhile waits for the next change");
    buffer.add(b"2").unwrap();
    assert_eq!(taken(&changes), [(1, 1, 0)]);
    assert!(!buffer.remove_callback(removed));

    let disabled = buffer.add_callback(|_, _| panic!("disabled callbacks are not called"));
    assert!(buffer.set_callback_enabled(disabled, false));
    assert!(!buffer.set_callback_enabled(removed, false));
    buffer.add(b"3").unwrap();
    assert_eq!(taken(&changes), [(2, 1, 0)]);

    buffer.add_callback(|buffer, _| *buffer = EvBuffer::from(b"new".to_vec()));
    buffer.drain(1).unwrap();
    assert_eq!(buffer.to_vec(), b"new");
}

#[test]
fn a_callback_that_panics_leaves_a_good_buffer_and_the_other_callbacks() {
    let changes = Changes::default();
    let mut buffer = EvBuffer::new();
    buffer.add_callback(|_, _| panic!("as a test"));
    buffer.add_callback(record(&changes));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| buffer.add(b"1")));
    assert!(panicked.is_err());
    buffer.add(b"2").unwrap();
    assert_eq!(taken(&changes), [(1, 1, 0)]);
    assert_eq!(buffer.to_vec(), b"12");
}

#[test]
fn a_display_that_fails_ends_the_text_and_counts_what_it_wrote() {
    struct Failing;
    impl std::fmt::Display for Failing {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("some")?;
            Err(std::fmt::Error)
        }
    }
    let mut buffer = EvBuffer::new();
    assert_eq!(buffer.add_fmt(format_args!("<{Failing}>")).unwrap(), 5);
    assert_eq!(buffer.to_vec(), b"<some");
}

#[test]
fn buffers_serve_as_readers_writers_and_bufs() {
    let mut buffer = segmented(&[b"one\ntw", b"o\n", b"\x01\x02\x03\x04rest"]);
    let mut line = String::new();
    buffer.read_line(&mut line).unwrap();
    buffer.read_line(&mut line).unwrap();
    assert_eq!(line, "one\ntwo\n");
    assert_eq!(buffer.get_u32(), 0x0102_0304);
    let rest = buffer.copy_to_bytes(2);
    assert_eq!(rest, "re");
    buffer.write_all(b" and more").unwrap();
    std::fmt::Write::write_fmt(&mut buffer, format_args!(" {}", 7)).unwrap();
    let mut all = String::new();
    buffer.read_to_string(&mut all).unwrap();
    assert_eq!(all, "st and more 7");
    let mut buffer = segmented(&[b"a", b"b", b"c"]);
    let mut slices = [IoSlice::new(&[]); 2];
    assert_eq!(buffer.chunks_vectored(&mut slices), 2);
    assert_eq!((&*slices[0], &*slices[1]), (&b"a"[..], &b"b"[..]));
    assert_eq!(buffer.copy_to_bytes(3), "abc");
}

#[test]
fn peek_lists_the_pieces_of_a_range() {
    let buffer = segmented(&[b"abc", b"def", b"ghi"]);
    let mut slices = Vec::new();
    let start = buffer.ptr_set(2).unwrap();
    assert_eq!(buffer.peek(Some(5), Some(start), &mut slices), 3);
    let pieces: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
    assert_eq!(pieces, [&b"c"[..], b"def", b"g"]);
    assert_eq!(buffer.peek(Some(0), None, &mut Vec::new()), 0);
}

#[test]
fn buffers_may_be_filled_moved_and_dropped_on_different_threads() {
    let bytes = numbers(500_000);
    let filled = std::thread::scope(|scope| {
        let fill = || {
            let mut buffer = EvBuffer::new();
            bytes.chunks(5000).for_each(|chunk| buffer.add(chunk).unwrap());
            buffer
        };
        scope.spawn(fill).join().unwrap()
    });
    let mut here = EvBuffer::new();
    here.add(b"x").unwrap();
    let mut filled = filled;
    here.add_buffer(&mut filled).unwrap();
    std::thread::spawn(move || {
        let mut here = here;
        assert_eq!(here.drain(250_001).unwrap(), 250_001);
        assert!(here.to_vec() == numbers(500_000)[250_000..]);
    })
    .join()
    .unwrap();
}

#[test]
fn thread_locals_that_outlive_the_pool_may_hold_buffers() {
    std::thread_local! {
        static KEPT: std::cell::RefCell<EvBuffer> = std::cell::RefCell::default();
    }
    std::thread::spawn(|| {
        // Registered for destruction before the pool is, which its first block does.
        KEPT.with(|kept| kept.borrow_mut().add(&numbers(100_000)).unwrap());
    })
    .join()
    .unwrap();
}
