//! Dealing with many bufferevents of one turn in one go.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, BufferEventOptions, Cork};
use evcore::{Event, EventBase, EventFlags, LoopFlags};

type Corks = Rc<RefCell<Vec<Cork>>>;

fn pair(base: &EventBase) -> (UnixStream, BufferEvent) {
    let (peer, ours) = UnixStream::pair().unwrap();
    peer.set_nonblocking(true).unwrap();
    let options = BufferEventOptions::CLOSE_ON_FREE;
    let bev = BufferEvent::socket(base, Some(ours.into()), options).unwrap();
    bev.enable(EventFlags::READ).unwrap();
    (peer, bev)
}

fn received(peer: &mut UnixStream) -> Option<Vec<u8>> {
    let mut bytes = [0; 100];
    match peer.read(&mut bytes) {
        Ok(count) => Some(bytes[..count].to_vec()),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            None
        }
    }
}

/// Bufferevents that echo when they are readable, under a cork that is put into `corks`.
fn echo_corked(base: &EventBase, corks: &Corks) -> (UnixStream, BufferEvent) {
    let (peer, bev) = pair(base);
    let corks = corks.clone();
    let read = move |bev: &BufferEvent| {
        corks.borrow_mut().push(bev.cork());
        bev.forward(bev).unwrap();
    };
    bev.set_callbacks(Some(Box::new(read)), None, None);
    (peer, bev)
}

#[test]
fn what_is_written_under_a_cork_is_sent_as_it_is_dropped_in_the_loop() {
    let base = EventBase::new().unwrap();
    let corks = Corks::default();
    let mut pairs: Vec<_> = (0..10).map(|_| echo_corked(&base, &corks)).collect();
    for (peer, _) in &mut pairs {
        peer.write_all(b"hello").unwrap();
    }
    base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap();
    assert_eq!(corks.borrow().len(), 10);
    for (peer, bev) in &mut pairs {
        assert_eq!((received(peer), bev.output().len()), (None, 5));
    }
    let drop_all = corks.clone();
    let event = Event::user(&base, move |_, _| drop(drop_all.take())).unwrap();
    event.active(EventFlags::TIMEOUT).unwrap();
    base.run_loop(LoopFlags::NONBLOCK | LoopFlags::ONCE).unwrap();
    for (peer, _) in &mut pairs {
        assert_eq!(received(peer).as_deref(), Some(&b"hello"[..]));
    }
}

#[test]
fn a_cork_that_is_dropped_outside_of_the_loop_leaves_the_rest_to_its_next_turn() {
    let base = EventBase::new().unwrap();
    let corks = Corks::default();
    let (mut peer, bev) = echo_corked(&base, &corks);
    peer.write_all(b"hello").unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    let second = bev.cork();
    drop(corks.take());
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(received(&mut peer), None, "another cork holds it back");
    drop(second);
    assert_eq!(received(&mut peer), None);
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    assert_eq!(received(&mut peer).as_deref(), Some(&b"hello"[..]));
}

#[test]
fn a_corked_bufferevent_may_be_freed_or_lose_its_base() {
    let base = EventBase::new().unwrap();
    let corks = Corks::default();
    let (mut first, freed) = echo_corked(&base, &corks);
    let (mut second, _orphan) = echo_corked(&base, &corks);
    for peer in [&mut first, &mut second] {
        peer.write_all(b"hello").unwrap();
    }
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    freed.free();
    base.free();
    drop(corks.take());
    for peer in [&mut first, &mut second] {
        assert_eq!(received(peer).as_deref(), Some(&b""[..]));
    }
}

#[test]
fn a_close_under_a_cork_still_writes_all_there_is() {
    let base = EventBase::new().unwrap();
    let corks = Corks::default();
    let (mut peer, bev) = echo_corked(&base, &corks);
    peer.write_all(b"hello").unwrap();
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
    bev.close();
    drop(corks.take());
    base.dispatch().unwrap();
    assert_eq!(received(&mut peer).as_deref(), Some(&b"hello"[..]));
    assert_eq!(received(&mut peer).as_deref(), Some(&b""[..]));
}
