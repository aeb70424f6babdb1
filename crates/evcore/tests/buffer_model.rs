//! Buffers against vectors of bytes: random sequences of all operations must leave both the same.
#![cfg(all(unix, feature = "buffer"))]

use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Buf;
use evcore::buffer::{BufferEnd, BufferError, EolStyle, EvBuffer, Position};
use proptest::prelude::*;

const BUFFERS: usize = 3;

/// An operation: which, on which buffers, and two numbers to make its arguments from.
type Op = (u8, usize, usize, u32, u32);

struct Model {
    buffer: EvBuffer,
    bytes: Vec<u8>,
    front_frozen: bool,
    back_frozen: bool,
    /// The length as the callbacks tell it.
    told: Arc<AtomicUsize>,
}

impl Model {
    fn new() -> Self {
        let (mut buffer, told) = (EvBuffer::new(), Arc::new(AtomicUsize::new(0)));
        let length = told.clone();
        buffer.add_callback(move |buffer, change| {
            assert_eq!(length.load(Ordering::Relaxed), change.original_length);
            let now = change.original_length + change.added - change.deleted;
            assert_eq!(now, buffer.len());
            length.store(now, Ordering::Relaxed);
        });
        Self { buffer, bytes: Vec::new(), front_frozen: false, back_frozen: false, told }
    }

    /// Checks that a method failed if `frozen` and only then; says whether it succeeded.
    fn check<T>(frozen: bool, result: &Result<T, BufferError>) -> bool {
        match result {
            Ok(_) => assert!(!frozen, "a frozen end was changed"),
            Err(BufferError::Frozen { .. }) => assert!(frozen, "the end is not frozen"),
            Err(error) => panic!("{error}"),
        }
        !frozen
    }

    fn check_same(&self) {
        assert_eq!(self.buffer.len(), self.bytes.len());
        assert_eq!(self.told.load(Ordering::Relaxed), self.bytes.len());
        let mut rest = &self.bytes[..];
        for segment in self.buffer.segments() {
            assert!(!segment.is_empty());
            rest = rest.strip_prefix(segment).expect("the bytes are the model's");
        }
        assert!(rest.is_empty());
    }

    fn add_with(
        &mut self,
        data: &[u8],
        add: impl FnOnce(&mut EvBuffer) -> Result<(), BufferError>,
    ) {
        if Self::check(self.back_frozen, &add(&mut self.buffer)) {
            self.bytes.extend_from_slice(data);
        }
    }
}

/// Bytes of a small alphabet, so that lines and needles are found.
fn data(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        b"abcdef\r\n\0"[(state >> 8) as usize % 9]
    };
    (0..len).map(|_| next()).collect()
}

/// Lengths near those that the code treats differently, most of them short.
fn length(number: u32) -> usize {
    let small = (number >> 8) as usize;
    match number % 64 {
        0..=31 => small % 40,
        32..=51 => small % 700,
        52..=60 => 900 + small % 4000,
        61..=62 => 16_000 + small % 20_000,
        _ => 60_000 + small % 80_000,
    }
}

fn style(number: u32) -> EolStyle {
    [EolStyle::Any, EolStyle::Crlf, EolStyle::CrlfStrict, EolStyle::Lf, EolStyle::Nul]
        [number as usize % 5]
}

fn plain_eol(text: &[u8], start: usize, style: EolStyle) -> Option<(usize, usize)> {
    let rest = text.get(start..)?;
    let find = |wanted: &[u8]| rest.windows(wanted.len()).position(|window| window == wanted);
    let (offset, len) = match style {
        EolStyle::Any => {
            let is_end = |byte: &u8| *byte == b'\r' || *byte == b'\n';
            let offset = rest.iter().position(is_end)?;
            (offset, rest[offset..].iter().take_while(|byte| is_end(byte)).count())
        }
        EolStyle::Crlf => {
            let offset = find(b"\n")?;
            match offset.checked_sub(1).filter(|&before| rest[before] == b'\r') {
                Some(before) => (before, 2),
                None => (offset, 1),
            }
        }
        EolStyle::CrlfStrict => (find(b"\r\n")?, 2),
        EolStyle::Lf => (find(b"\n")?, 1),
        EolStyle::Nul => (find(b"\0")?, 1),
    };
    Some((start + offset, len))
}

/// The two buffers, which differ, of an operation on two.
fn two(models: &mut [Model; BUFFERS], one: usize, other: usize) -> (&mut Model, &mut Model) {
    let other = if other == one { (one + 1) % BUFFERS } else { other };
    let [one, other] = models.get_disjoint_mut([one, other]).expect("they differ");
    (one, other)
}

fn apply(models: &mut [Model; BUFFERS], wire: &mut Wire, (which, a, b, x, y): Op) {
    let (one, len) = (&mut models[a], length(x));
    // A position in the buffer or a little behind its end.
    let offset = y as usize % (one.bytes.len() + 3);
    match which {
        0..=3 => {
            let data = data(len, y);
            one.add_with(&data, |buffer| buffer.add(&data));
        }
        4 => {
            let data = data(len, y);
            one.add_with(&data, |buffer| buffer.add_bytes(data.clone()));
        }
        5 => {
            let text = format!("{x} and {y:>9}");
            one.add_with(text.as_bytes(), |buffer| {
                buffer
                    .add_fmt(format_args!("{x} and {y:>9}"))
                    .map(|len| assert_eq!(len, text.len()))
            });
        }
        6 => {
            let data = data(len, y);
            let (first, second) = data.split_at(len / 3);
            let result = one.buffer.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]);
            assert_eq!(result.is_err(), one.back_frozen);
            if result.is_ok() {
                one.bytes.extend_from_slice(&data);
            }
        }
        7 | 8 => {
            let data = data(len, y);
            if Model::check(one.front_frozen, &one.buffer.prepend(&data)) {
                one.bytes.splice(..0, data);
            }
        }
        9 => {
            Model::check(one.back_frozen, &one.buffer.expand(len));
        }
        10 | 11 => {
            let data = data(len, y);
            let used = y as usize % (len + 1);
            let frozen = one.back_frozen;
            let room = if which == 10 {
                one.buffer.reserve(len)
            } else {
                one.buffer.reserve_contiguous(len)
            };
            if Model::check(frozen, &room) {
                let mut room = room.expect("it was checked");
                let [first, second] = room.slices();
                let split = first.len();
                assert!(which == 10 || second.is_empty());
                first.copy_from_slice(&data[..split]);
                second.copy_from_slice(&data[split..]);
                if y % 5 != 0 {
                    room.commit(used).expect("there is room");
                    one.bytes.extend_from_slice(&data[..used]);
                }
            }
        }
        12..=14 => {
            let drained = one.buffer.drain(len);
            if Model::check(one.front_frozen, &drained) {
                let len = len.min(one.bytes.len());
                assert_eq!(drained, Ok(len));
                one.bytes.drain(..len);
            }
        }
        15 | 16 => {
            let mut out = vec![0; len];
            let removed = one.buffer.remove(&mut out);
            if Model::check(one.front_frozen, &removed) {
                let len = len.min(one.bytes.len());
                assert_eq!(removed, Ok(len));
                assert!(one.bytes.drain(..len).eq(out[..len].iter().copied()));
            }
        }
        17 => {
            let mut out = vec![0; len];
            let rest = one.bytes.get(offset..).unwrap_or_default();
            let (copied, rest) = match one.buffer.ptr_set(offset) {
                Ok(start) => (one.buffer.copyout_from(start, &mut out), rest),
                Err(_) => (one.buffer.copyout(&mut out), &one.bytes[..]),
            };
            assert_eq!(copied, len.min(rest.len()));
            assert!(out[..copied] == rest[..copied]);
        }
        18 | 19 => {
            let len = if y % 8 == 0 { one.bytes.len() } else { len };
            let argument = (y % 16 != 0).then_some(len);
            match one.buffer.pullup(argument) {
                Ok(bytes) => assert!(bytes == &one.bytes[..len]),
                Err(BufferError::OutOfRange { .. }) => assert!(len > one.bytes.len()),
                Err(error) => panic!("{error}"),
            }
        }
        20..=22 => {
            let (to, from) = two(models, a, b);
            let result = to.buffer.add_buffer(&mut from.buffer);
            if Model::check(to.back_frozen || from.front_frozen, &result) {
                to.bytes.append(&mut from.bytes);
            }
        }
        23 => {
            let (to, from) = two(models, a, b);
            let result = to.buffer.prepend_buffer(&mut from.buffer);
            if Model::check(to.front_frozen || from.front_frozen, &result) {
                to.bytes.splice(..0, from.bytes.drain(..));
            }
        }
        24..=27 => {
            let (to, from) = two(models, a, b);
            let len = if y % 4 == 0 { len } else { y as usize % (from.bytes.len() + 2) };
            let moved = from.buffer.remove_buffer(&mut to.buffer, len);
            if Model::check(to.back_frozen || from.front_frozen, &moved) {
                let len = len.min(from.bytes.len());
                assert_eq!(moved, Ok(len));
                to.bytes.extend(from.bytes.drain(..len));
            }
        }
        28 => {
            let (to, from) = two(models, a, b);
            let result = to.buffer.add_buffer_reference(&mut from.buffer);
            if Model::check(to.back_frozen, &result) {
                to.bytes.extend_from_slice(&from.bytes);
            }
        }
        29 | 30 => {
            let needle = data(x as usize % 4, y);
            let Ok(start) = one.buffer.ptr_set(offset) else { return };
            let end = offset + length(x).min(one.bytes.len() - offset);
            let found = one.buffer.search_range(
                &needle,
                Some(start),
                Some(one.buffer.ptr_add(start, end - offset).expect("it is in the buffer")),
            );
            let text = &one.bytes[offset..end];
            let expected = match needle.len() {
                0 => Some(0),
                len => text.windows(len).position(|window| window == needle),
            };
            assert_eq!(found.map(Position::offset), expected.map(|found| offset + found));
        }
        31 => {
            let Ok(start) = one.buffer.ptr_set(offset) else { return };
            let found = one.buffer.search_eol(Some(start), style(x));
            let expected = plain_eol(&one.bytes, offset, style(x));
            assert_eq!(found.map(|(end, len)| (end.offset(), len)), expected);
        }
        32 | 33 => {
            let expected = plain_eol(&one.bytes, 0, style(x)).filter(|_| !one.front_frozen).map(
                |(end, len)| {
                    let line = one.bytes[..end].to_vec();
                    one.bytes.drain(..end + len);
                    line
                },
            );
            assert_eq!(one.buffer.readln(style(x)), expected);
        }
        34 => {
            one.buffer.freeze(BufferEnd::Front);
            one.front_frozen = true;
        }
        35 => {
            one.buffer.freeze(BufferEnd::Back);
            one.back_frozen = true;
        }
        36..=41 => {
            one.buffer.unfreeze(BufferEnd::Front);
            one.buffer.unfreeze(BufferEnd::Back);
            (one.front_frozen, one.back_frozen) = (false, false);
        }
        42 => {
            let mut slices = Vec::new();
            let position = one.buffer.ptr_set(offset).ok();
            let count = one.buffer.peek(Some(len), position, &mut slices);
            assert_eq!(count, slices.len());
            let rest = &one.bytes[position.map_or(0, Position::offset)..];
            let seen: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            assert!(seen == rest[..len.min(rest.len())]);
        }
        43 => {
            let available = if one.front_frozen { 0 } else { one.bytes.len() };
            assert_eq!(one.buffer.remaining(), available);
            let len = len.min(available);
            let bytes = one.buffer.copy_to_bytes(len);
            assert!(one.bytes.drain(..len).eq(bytes));
        }
        44 => {
            let mut out = vec![0; len];
            match one.buffer.read(&mut out) {
                Ok(read) => assert!(one.bytes.drain(..read).eq(out[..read].iter().copied())),
                Err(_) => assert!(one.front_frozen),
            }
        }
        45..=47 => match one.buffer.send_to(&wire.near, len) {
            Ok(sent) => wire.bytes.extend(one.bytes.drain(..sent)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => assert!(one.front_frozen),
        },
        48..=50 => match one.buffer.recv_from(&wire.far, len) {
            Ok(received) => one.bytes.extend(wire.bytes.drain(..received)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(wire.bytes.is_empty());
            }
            Err(_) => assert!(one.back_frozen),
        },
        _ => {
            // Keeps the buffers from growing for ever.
            let (mut taken, frozen) = (EvBuffer::new(), one.front_frozen);
            if Model::check(frozen, &taken.add_buffer(&mut one.buffer)) {
                assert!(taken.to_vec() == one.bytes);
                one.bytes.clear();
            }
        }
    }
}

/// A connection and the bytes under way on it.
struct Wire {
    near: UnixStream,
    far: UnixStream,
    bytes: Vec<u8>,
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_leaves_what_it_leaves_of_vectors(
        ops in prop::collection::vec(
            (0u8..52, 0..BUFFERS, 0..BUFFERS, any::<u32>(), any::<u32>()), 400,
        )
    ) {
        let mut models = [Model::new(), Model::new(), Model::new()];
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        near.set_nonblocking(true).expect("sockets can be non-blocking");
        far.set_nonblocking(true).expect("sockets can be non-blocking");
        let mut wire = Wire { near, far, bytes: Vec::new() };
        for op in ops {
            apply(&mut models, &mut wire, op);
            models.iter().for_each(Model::check_same);
        }
    }
}
