//! The filters that compress.
#![cfg(all(feature = "filter-gzip", feature = "filter-brotli", feature = "filter-zstd"))]

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions, FlushMode};
use evcore::filter::Compressed;
use evcore::ratelimit::TokenBucketConfig;
use evcore::{EvBuffer, EventBase, EventFlags, LoopFlags};
use proptest::prelude::*;

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const EOF: BufferEventFlags = BufferEventFlags::EOF.union(BufferEventFlags::READING);
const READ_ERROR: BufferEventFlags = BufferEventFlags::ERROR.union(BufferEventFlags::READING);

const FORMATS: [fn() -> Compressed; 5] = [
    || Compressed::gzip(1),
    || Compressed::zlib(6),
    || Compressed::deflate(9),
    || Compressed::brotli(3),
    || Compressed::zstd(3).unwrap(),
];

fn turn(base: &EventBase) {
    for _ in 0..60 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

/// Two ends that compress.
fn ends(base: &EventBase, format: fn() -> Compressed) -> (BufferEvent, BufferEvent) {
    let (one, two) = BufferEvent::pair(base, CLOSE).unwrap();
    let one = BufferEvent::filter(&one, format(), CLOSE).unwrap();
    let two = BufferEvent::filter(&two, format(), CLOSE).unwrap();
    (one, two)
}

fn note_events(bev: &BufferEvent) -> Rc<RefCell<Vec<BufferEventFlags>>> {
    let happened = Rc::new(RefCell::new(Vec::new()));
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    happened
}

/// Bytes that do not compress, from a seed.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[test]
fn each_message_can_be_read_before_the_next_is_written() {
    for format in FORMATS {
        let base = EventBase::new().unwrap();
        let (one, two) = ends(&base, format);
        one.enable(READ).unwrap();
        two.enable(READ).unwrap();
        for text in ["question", "x", "another question"] {
            one.write(text.as_bytes()).unwrap();
            turn(&base);
            assert_eq!(two.input().to_vec(), text.as_bytes());
            two.forward(&two).unwrap();
            turn(&base);
            assert_eq!(one.input().to_vec(), text.as_bytes());
            let length = one.input().len();
            one.input().drain(length).unwrap();
        }
        let happened = note_events(&two);
        one.close();
        turn(&base);
        assert_eq!(happened.take(), [EOF]);
    }
}

#[test]
fn held_back_bytes_come_with_a_flush_or_the_end() {
    for format in FORMATS {
        let base = EventBase::new().unwrap();
        let (below, two) = BufferEvent::pair(&base, CLOSE).unwrap();
        let one = BufferEvent::filter(&below, format().held_back(true), CLOSE).unwrap();
        let two = BufferEvent::filter(&two, format(), CLOSE).unwrap();
        two.enable(READ).unwrap();
        one.write(b"held").unwrap();
        turn(&base);
        assert_eq!((one.output().len(), two.input().len()), (0, 0));
        one.flush(WRITE, FlushMode::Flush).unwrap();
        turn(&base);
        assert_eq!(two.input().to_vec(), b"held");
        one.write(b" back").unwrap();
        one.flush(WRITE, FlushMode::Finished).unwrap();
        let happened = note_events(&two);
        turn(&base);
        assert_eq!((two.input().to_vec(), happened.take()), (b"held back".to_vec(), vec![EOF]));
    }
}

#[test]
fn an_empty_stream_is_a_stream_and_no_stream_at_all_is_an_end() {
    for format in FORMATS {
        let base = EventBase::new().unwrap();
        let (one, two) = ends(&base, format);
        let happened = note_events(&two);
        two.enable(READ).unwrap();
        one.close();
        turn(&base);
        assert_eq!(happened.take(), [EOF]);
        let (below, two) = BufferEvent::pair(&base, CLOSE).unwrap();
        let two = BufferEvent::filter(&two, format(), CLOSE).unwrap();
        let happened = note_events(&two);
        two.enable(READ).unwrap();
        below.close();
        turn(&base);
        assert_eq!(happened.take(), [EOF]);
    }
}

#[test]
fn a_stream_cut_short_is_an_error_and_so_is_one_of_another_kind() {
    for format in FORMATS {
        for garbage in [false, true] {
            let base = EventBase::new().unwrap();
            let (below, two) = BufferEvent::pair(&base, CLOSE).unwrap();
            let two = BufferEvent::filter(&two, format(), CLOSE).unwrap();
            let happened = note_events(&two);
            two.enable(READ).unwrap();
            if garbage {
                let mut bytes = [0; 1000];
                Noise(99).fill(&mut bytes);
                bytes[0] = 0xff;
                below.write(&bytes).unwrap();
                below.close();
            } else {
                // A good stream without its end.
                let one =
                    BufferEvent::filter(&below, format(), BufferEventOptions::empty()).unwrap();
                one.write(b"cut short").unwrap();
                turn(&base);
                assert_eq!(two.input().to_vec(), b"cut short");
                one.free();
                below.close();
            }
            turn(&base);
            assert_eq!(happened.take(), [READ_ERROR], "garbage: {garbage}");
            let kind = two.take_error().unwrap().kind();
            assert!(matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof));
        }
    }
}

#[test]
fn a_little_that_becomes_very_much_fills_no_memory() {
    const MUCH: usize = if cfg!(debug_assertions) { 4 << 20 } else { 64 << 20 };
    for format in FORMATS {
        let base = EventBase::new().unwrap();
        let (one, two) = ends(&base, format);
        two.set_watermark(READ, 0, 100_000).unwrap();
        two.enable(READ).unwrap();
        one.write(&vec![0; MUCH]).unwrap();
        one.close();
        for _ in 0..20 {
            turn(&base);
        }
        assert_eq!(two.input().len(), 100_000);
        let total = Rc::new(Cell::new(0));
        let sum = total.clone();
        let ended = Rc::new(Cell::new(false));
        let noted = ended.clone();
        two.set_callbacks(
            Some(Box::new(move |bev| {
                let mut input = bev.input();
                let length = input.len();
                assert!(length <= 100_000);
                sum.set(sum.get() + length);
                input.drain(length).unwrap();
            })),
            None,
            Some(Box::new(move |_, what| noted.set(what == EOF))),
        );
        two.trigger(READ).unwrap();
        base.dispatch().unwrap();
        assert_eq!((total.get(), ended.get()), (MUCH, true));
    }
}

#[test]
fn other_programs_read_what_we_write_and_we_read_theirs() {
    let text = b"the same bytes, the same bytes, the same bytes".repeat(100);
    let base = EventBase::new().unwrap();
    let sent = |filter: Compressed| {
        let (below, peer) = BufferEvent::pair(&base, CLOSE).unwrap();
        let bev = BufferEvent::filter(&below, filter, CLOSE).unwrap();
        peer.enable(READ).unwrap();
        bev.write(&text).unwrap();
        bev.close();
        turn(&base);
        let bytes = peer.input().to_vec();
        assert!(bytes.len() < text.len() / 10);
        bytes
    };
    let received = |filter: Compressed, bytes: &[u8]| {
        let (below, peer) = BufferEvent::pair(&base, CLOSE).unwrap();
        let bev = BufferEvent::filter(&below, filter, CLOSE).unwrap();
        bev.enable(READ).unwrap();
        peer.write(bytes).unwrap();
        turn(&base);
        let bytes = bev.input().to_vec();
        assert_eq!(bytes, text);
    };
    let mut plain = Vec::new();
    let bytes = sent(Compressed::gzip(6));
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, text);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&text).unwrap();
    received(Compressed::gzip(1), &gzip.finish().unwrap());

    plain.clear();
    let bytes = sent(Compressed::brotli(20));
    brotli::Decompressor::new(&bytes[..], 4096).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, text);
    let bytes = sent(Compressed::zstd(1).unwrap());
    assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), text);
    received(Compressed::zstd(1).unwrap(), &zstd::encode_all(&text[..], 19).unwrap());
}

#[test]
fn noise_goes_through_gzip_over_a_pair_under_a_rate_limit_intact() {
    let most: usize = if cfg!(debug_assertions) { 2 << 20 } else { 100 << 20 };
    let base = EventBase::new().unwrap();
    let (below, far) = BufferEvent::pair(&base, CLOSE).unwrap();
    let rate = TokenBucketConfig::per_second(Some(200 << 20), Some(200 << 20)).unwrap();
    below.set_rate_limit(Some(rate)).unwrap();
    let from = BufferEvent::filter(&below, Compressed::gzip(1), CLOSE).unwrap();
    let to = BufferEvent::filter(&far, Compressed::gzip(1), CLOSE).unwrap();
    let (mut noise, mut sent) = (Noise(1), 0);
    let mut fill = move |bev: &BufferEvent| {
        if sent >= most {
            return bev.close();
        }
        let mut bytes = vec![0; 256 * 1024];
        noise.fill(&mut bytes);
        sent += bytes.len();
        bev.write_buffer(&mut EvBuffer::from(bytes)).unwrap();
    };
    fill(&from);
    from.set_callbacks(None, Some(Box::new(fill)), None);
    let came = Rc::new(Cell::new(0));
    let count = came.clone();
    let mut same = Noise(1);
    let mut expected = Vec::new();
    to.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            while let Some(chunk) = input.segments().next().map(<[u8]>::to_vec) {
                while expected.len() < chunk.len() {
                    let mut more = vec![0; 256 * 1024];
                    same.fill(&mut more);
                    expected.append(&mut more);
                }
                assert!(expected[..chunk.len()] == chunk[..]);
                expected.drain(..chunk.len());
                count.set(count.get() + chunk.len());
                input.drain(chunk.len()).unwrap();
            }
        })),
        None,
        Some(Box::new(|bev, what| {
            assert_eq!(what, EOF);
            bev.free();
        })),
    );
    to.enable(READ).unwrap();
    base.dispatch().unwrap();
    assert_eq!(came.get(), most);
    assert!(from.is_freed() && to.is_freed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// Whatever is written, in whatever portions, comes out at the other end.
    #[test]
    fn every_format_gives_back_what_it_was_given(
        format in 0..5_usize,
        portions in prop::collection::vec(prop::collection::vec(0..4_u8, 0..3000), 0..8),
        mark in 1..5000_usize,
    ) {
        let base = EventBase::new().unwrap();
        let (one, two) = ends(&base, FORMATS[format]);
        two.set_watermark(READ, 0, mark).unwrap();
        let got = Rc::new(RefCell::new(Vec::new()));
        let into = got.clone();
        two.set_callbacks(
            Some(Box::new(move |bev| {
                let mut input = bev.input();
                into.borrow_mut().extend(input.to_vec());
                let length = input.len();
                input.drain(length).unwrap();
            })),
            None,
            None,
        );
        two.enable(READ).unwrap();
        for portion in &portions {
            one.write(portion).unwrap();
            base.run_loop(LoopFlags::NONBLOCK).unwrap();
        }
        one.close();
        base.dispatch().unwrap();
        prop_assert_eq!(&*got.borrow(), &portions.concat());
    }
}
