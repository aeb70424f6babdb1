//! Bytes that go from one bufferevent to another, and the waiting that a slow one causes.
#![cfg(all(unix, feature = "bufferevent"))]

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::{cell::Cell, rc::Rc};

use evcore::bufferevent::{BufferEvent, BufferEventOptions};
use evcore::{Error, EventBase, EventFlags, LoopFlags};

const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;

fn pair(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, ours) = UnixStream::pair().unwrap();
    let options = BufferEventOptions::CLOSE_ON_FREE;
    (peer, BufferEvent::socket(base, Some(ours.into()), options).unwrap())
}

fn turn(base: &EventBase) {
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
}

/// A bufferevent that writes nothing by itself and is full from 4 bytes on.
fn full_at_four(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, target) = pair(base);
    target.disable(WRITE).unwrap();
    target.set_watermark(WRITE, 0, 4).unwrap();
    (peer, target)
}

/// Forwards what comes to `target` and counts how often it was told.
fn forward_to(source: &BufferEvent, target: &BufferEvent) -> Rc<Cell<u32>> {
    let calls = Rc::new(Cell::new(0));
    let (counted, target) = (calls.clone(), target.clone());
    source.set_callbacks(
        Some(Box::new(move |bev| {
            counted.set(counted.get() + 1);
            match bev.forward(&target) {
                Ok(_) => {}
                Err(Error::Freed { .. }) => bev.free(),
                Err(error) => panic!("{error}"),
            }
        })),
        None,
        None,
    );
    source.enable(READ).unwrap();
    calls
}

#[test]
fn a_source_goes_on_when_the_output_that_it_waits_for_is_emptied_by_hand() {
    let base = EventBase::new().unwrap();
    let (mut peer, source) = pair(&base);
    let (_sink, target) = full_at_four(&base);
    let calls = forward_to(&source, &target);
    peer.write_all(b"six by").unwrap();
    turn(&base);
    assert_eq!((calls.get(), target.output().len(), source.input().len()), (1, 4, 2));
    target.output().drain(4).unwrap();
    turn(&base);
    assert_eq!((calls.get(), target.output().len(), source.input().len()), (2, 2, 0));
    source.free();
    target.free();
}

#[test]
fn a_source_goes_on_when_the_mark_that_it_waits_for_is_raised_or_taken_away() {
    for mark in [0, 100] {
        let base = EventBase::new().unwrap();
        let (mut peer, source) = pair(&base);
        let (_sink, target) = full_at_four(&base);
        forward_to(&source, &target);
        peer.write_all(b"six by").unwrap();
        turn(&base);
        target.set_watermark(WRITE, 0, mark).unwrap();
        turn(&base);
        assert_eq!((target.output().len(), source.input().len()), (6, 0));
        source.free();
        target.free();
    }
}

#[test]
fn a_source_is_told_when_the_target_that_it_waits_for_is_freed() {
    let base = EventBase::new().unwrap();
    let (mut peer, source) = pair(&base);
    let (_sink, target) = full_at_four(&base);
    forward_to(&source, &target);
    peer.write_all(b"six by").unwrap();
    turn(&base);
    target.free();
    turn(&base);
    assert!(source.is_freed());
}

#[test]
fn a_source_that_takes_the_rest_itself_waits_no_longer() {
    let base = EventBase::new().unwrap();
    let (mut peer, source) = pair(&base);
    let (_sink, target) = full_at_four(&base);
    source.enable(READ).unwrap();
    peer.write_all(b"six by").unwrap();
    turn(&base);
    assert_eq!(source.forward(&target).unwrap(), 4);
    source.input().drain(2).unwrap();
    peer.write_all(b"more").unwrap();
    turn(&base);
    assert_eq!(source.input().len(), 4);
    source.free();
    target.free();
}

#[test]
fn a_source_may_be_freed_while_it_waits() {
    let base = EventBase::new().unwrap();
    let (_sink, target) = full_at_four(&base);
    for _ in 0..3 {
        let (mut peer, source) = pair(&base);
        let calls = forward_to(&source, &target);
        peer.write_all(b"six by").unwrap();
        turn(&base);
        source.free();
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
        assert_eq!(Rc::strong_count(&calls), 1);
    }
    target.enable(WRITE).unwrap();
    base.dispatch().unwrap();
    assert_eq!(target.output().len(), 0);
    target.free();
}

#[test]
fn an_echo_that_waits_for_itself_ends_with_its_base() {
    for frees in [true, false] {
        let base = EventBase::new().unwrap();
        let (mut peer, bev) = full_at_four(&base);
        bev.set_callbacks(Some(Box::new(|bev| assert!(bev.forward(bev).is_ok()))), None, None);
        bev.enable(READ).unwrap();
        peer.write_all(b"six by").unwrap();
        turn(&base);
        assert_eq!(bev.output().len(), 4);
        drop(bev);
        if frees {
            base.free();
        } else {
            drop(base);
        }
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn bytes_go_to_a_bufferevent_on_another_base() {
    let (one, two) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (mut peer, source) = pair(&one);
    let (mut sink, target) = pair(&two);
    target.set_watermark(WRITE, 0, 4).unwrap();
    forward_to(&source, &target);
    let sent: Vec<u8> = (0..=255).collect();
    peer.write_all(&sent).unwrap();
    sink.set_nonblocking(true).unwrap();
    let mut came = Vec::new();
    for _ in 0..10 * sent.len() {
        turn(&one);
        turn(&two);
        let mut bytes = [0; 64];
        if let Ok(count) = sink.read(&mut bytes) {
            came.extend_from_slice(&bytes[..count]);
        }
    }
    assert_eq!(came, sent);
    source.free();
    target.free();
}

#[test]
fn a_closing_target_ends_though_its_sources_have_more() {
    let base = EventBase::new().unwrap();
    let (mut peer, source) = pair(&base);
    let (mut sink, target) = full_at_four(&base);
    forward_to(&source, &target);
    peer.write_all(b"six by").unwrap();
    turn(&base);
    target.close();
    turn(&base);
    assert!(target.is_freed() && source.is_freed());
    let mut text = String::new();
    sink.read_to_string(&mut text).unwrap();
    assert_eq!(text, "six ");
}
