//! The filters that come with the library: framing, lines, tee and meter.
#![cfg(feature = "bufferevent")]

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use evcore::buffer::EolStyle;
use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions, Filter};
use evcore::filter::{FrameWidth, Frames, Lines, Meter, Tee, Way};
use evcore::{EvBuffer, EventBase, EventFlags, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const READ_ERROR: BufferEventFlags = BufferEventFlags::ERROR.union(BufferEventFlags::READING);
const EOF: BufferEventFlags = BufferEventFlags::EOF.union(BufferEventFlags::READING);

/// One end of a pair, and a filter over the other, which reads.
fn over(filter: impl Filter + 'static) -> (EventBase, BufferEvent, BufferEvent) {
    let base = EventBase::new().unwrap();
    let (peer, below) = BufferEvent::pair(&base, CLOSE).unwrap();
    let bev = BufferEvent::filter(&below, filter, CLOSE).unwrap();
    bev.enable(READ).unwrap();
    (base, peer, bev)
}

fn turn(base: &EventBase) {
    for _ in 0..20 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

type Happened = Rc<RefCell<Vec<BufferEventFlags>>>;

fn note_events(bev: &BufferEvent) -> Happened {
    let happened = Happened::default();
    let noted = happened.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.borrow_mut().push(what))));
    happened
}

fn message(bytes: &[u8]) -> EvBuffer {
    EvBuffer::from(bytes.to_vec())
}

#[test]
fn messages_of_every_width_arrive_whole_however_they_are_cut() {
    for width in [FrameWidth::One, FrameWidth::Two, FrameWidth::Four] {
        let frames = Frames::new(width, 200);
        let (base, peer, bev) = over(frames);
        let messages: Vec<Vec<u8>> = (0..50).map(|n| vec![n as u8; n * 4]).collect();
        let mut stream = EvBuffer::new();
        for bytes in &messages {
            frames.encode(&mut message(bytes), &mut stream).unwrap();
        }
        let mut got = Vec::new();
        let mut size = 1;
        while !stream.is_empty() {
            size = size % 37 + 1;
            let mut piece = EvBuffer::new();
            stream.remove_buffer(&mut piece, size).unwrap();
            peer.write_buffer(&mut piece).unwrap();
            turn(&base);
            let mut input = bev.input();
            while let Some(message) = frames.decode(&mut input).unwrap() {
                got.push(message.to_vec());
            }
            assert!(input.is_empty(), "a piece of a message was passed on");
        }
        assert_eq!(got, messages);
    }
}

#[test]
fn a_message_longer_than_allowed_is_refused_on_either_side() {
    let frames = Frames::new(FrameWidth::One, 10);
    assert!(frames.encode(&mut message(&[0; 10]), &mut EvBuffer::new()).is_ok());
    let mut long = message(&[0; 11]);
    let refused = frames.encode(&mut long, &mut EvBuffer::new()).unwrap_err();
    assert_eq!((refused.kind(), long.len()), (io::ErrorKind::InvalidInput, 11));
    let unlimited = Frames::new(FrameWidth::One, usize::MAX);
    assert!(unlimited.encode(&mut message(&[0; 256]), &mut EvBuffer::new()).is_err());
    let (base, peer, bev) = over(Frames::new(FrameWidth::Four, 10));
    let happened = note_events(&bev);
    // Three good bytes, and then a length of two thousand millions.
    peer.write(b"\0\0\0\x03abc\x7f\xff\xff\xff").unwrap();
    turn(&base);
    assert_eq!(happened.take(), [READ_ERROR]);
    assert_eq!(bev.take_error().unwrap().kind(), io::ErrorKind::InvalidData);
    assert_eq!(bev.input().to_vec(), b"\0\0\0\x03abc");
}

#[test]
fn the_end_within_a_message_is_an_error_and_between_two_it_is_the_end() {
    for (bytes, end) in [(&b"\0\x02ab"[..], EOF), (b"\0\x02a", READ_ERROR), (b"\0", READ_ERROR)] {
        let (base, peer, bev) = over(Frames::new(FrameWidth::Two, 10));
        let happened = note_events(&bev);
        peer.write(bytes).unwrap();
        peer.close();
        turn(&base);
        assert_eq!(happened.take(), [end]);
    }
}

#[test]
fn messages_pass_a_mark_that_is_smaller_than_they_are() {
    let frames = Frames::new(FrameWidth::Four, 1000);
    let (base, peer, bev) = over(frames);
    bev.set_watermark(READ, 0, 10).unwrap();
    let mut stream = EvBuffer::new();
    frames.encode(&mut message(&[7; 500]), &mut stream).unwrap();
    frames.encode(&mut message(&[8; 500]), &mut stream).unwrap();
    peer.write_buffer(&mut stream).unwrap();
    let got = Rc::new(RefCell::new(EvBuffer::new()));
    let into = got.clone();
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            bev.read_buffer(&mut into.borrow_mut()).unwrap();
        })),
        None,
        None,
    );
    for _ in 0..20 {
        turn(&base);
    }
    let mut got = got.borrow_mut();
    assert_eq!(frames.decode(&mut got).unwrap().unwrap().to_vec(), [7; 500]);
    assert_eq!(frames.decode(&mut got).unwrap().unwrap().to_vec(), [8; 500]);
}

#[test]
fn lines_arrive_whole_and_the_last_may_have_no_end() {
    let (base, peer, bev) = over(Lines::new(20));
    let happened = note_events(&bev);
    let mut lines = Vec::new();
    for piece in ["one\r\ntw", "o\n", "", "thr", "ee", "\n\nfive"] {
        peer.write(piece.as_bytes()).unwrap();
        turn(&base);
        let mut input = bev.input();
        while let Some(line) = input.readln(EolStyle::Crlf) {
            lines.push(String::from_utf8(line).unwrap());
        }
        assert!(input.is_empty());
    }
    assert_eq!(lines, ["one", "two", "three", ""]);
    peer.close();
    turn(&base);
    assert_eq!((bev.input().to_vec(), happened.take()), (b"five".to_vec(), vec![EOF]));
}

#[test]
fn a_line_longer_than_allowed_is_an_error_with_or_without_its_end() {
    for line in ["12345678901", "1234567890\n", "12345678901234\nx\n"] {
        let (base, peer, bev) = over(Lines::new(10));
        let happened = note_events(&bev);
        peer.write(b"123456789\n").unwrap();
        peer.write(line.as_bytes()).unwrap();
        turn(&base);
        assert_eq!(happened.take(), [READ_ERROR], "{line:?}");
        assert_eq!(bev.input().to_vec(), b"123456789\n");
    }
}

#[test]
fn a_tee_sees_what_passes_both_ways() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let noted = seen.clone();
    let tee = Tee::new(move |way, bytes: &EvBuffer| noted.borrow_mut().push((way, bytes.to_vec())));
    let (base, peer, bev) = over(tee);
    peer.enable(READ).unwrap();
    peer.write(b"question").unwrap();
    turn(&base);
    bev.write(b"answer").unwrap();
    turn(&base);
    assert_eq!(bev.input().to_vec(), b"question");
    assert_eq!(peer.input().to_vec(), b"answer");
    let expected = [(Way::In, b"question".to_vec()), (Way::Out, b"answer".to_vec())];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn a_meter_counts_bytes_and_portions() {
    let meter = Meter::new();
    let counts = meter.counts();
    let (base, peer, bev) = over(meter);
    peer.enable(READ).unwrap();
    for _ in 0..3 {
        peer.write(b"12345").unwrap();
        turn(&base);
    }
    bev.write(b"out").unwrap();
    bev.close();
    turn(&base);
    assert!(bev.is_freed());
    assert_eq!((counts.bytes(Way::In), counts.portions(Way::In)), (15, 3));
    assert_eq!((counts.bytes(Way::Out), counts.portions(Way::Out)), (3, 1));
}
