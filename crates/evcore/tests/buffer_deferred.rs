//! Callbacks of buffers that run later, from a base's turn.
#![cfg(feature = "buffer")]

use std::sync::{Arc, Mutex};

use evcore::buffer::{BufferChange, EvBuffer};
use evcore::{EventBase, LoopFlags};

type Told = Arc<Mutex<Vec<(usize, usize, usize)>>>;

fn noting(told: &Told) -> impl FnMut(&BufferChange) + Send + 'static {
    let told = told.clone();
    move |change| {
        told.lock().unwrap().push((change.original_length, change.added, change.deleted));
    }
}

fn turn(base: &EventBase) {
    base.run_loop(LoopFlags::NONBLOCK).unwrap();
}

fn take(told: &Told) -> Vec<(usize, usize, usize)> {
    std::mem::take(&mut told.lock().unwrap())
}

#[test]
fn the_changes_since_the_last_turn_are_told_together() {
    let (base, told) = (EventBase::new().unwrap(), Told::default());
    let mut buffer = EvBuffer::from("12345");
    buffer.add_deferred_callback(&base.handle(), noting(&told));
    turn(&base);
    assert_eq!(take(&told), []);
    buffer.add(b"678").unwrap();
    buffer.drain(6).unwrap();
    buffer.prepend(b"0").unwrap();
    assert_eq!(take(&told), []);
    turn(&base);
    assert_eq!(take(&told), [(5, 4, 6)]);
    turn(&base);
    assert_eq!(take(&told), []);
    buffer.drain(1).unwrap();
    turn(&base);
    assert_eq!(take(&told), [(3, 0, 1)]);
}

#[test]
fn other_callbacks_still_run_at_once() {
    let (base, at_once, later) = (EventBase::new().unwrap(), Told::default(), Told::default());
    let mut buffer = EvBuffer::new();
    buffer.add_deferred_callback(&base.handle(), noting(&later));
    let mut note = noting(&at_once);
    buffer.add_callback(move |_, change| note(change));
    buffer.add(b"now").unwrap();
    assert_eq!((take(&at_once), take(&later)), (vec![(0, 3, 0)], vec![]));
    turn(&base);
    assert_eq!((take(&at_once), take(&later)), (vec![], vec![(0, 3, 0)]));
}

#[test]
fn nobody_is_called_for_a_callback_removed_disabled_or_dropped_with_its_buffer() {
    let (base, told) = (EventBase::new().unwrap(), Told::default());
    let mut buffer = EvBuffer::new();
    let id = buffer.add_deferred_callback(&base.handle(), noting(&told));
    buffer.add(b"x").unwrap();
    assert!(buffer.remove_callback(id));
    turn(&base);

    let id = buffer.add_deferred_callback(&base.handle(), noting(&told));
    assert!(buffer.set_callback_enabled(id, false));
    buffer.add(b"x").unwrap();
    turn(&base);
    assert_eq!(take(&told), []);
    assert!(buffer.set_callback_enabled(id, true));
    buffer.add(b"x").unwrap();
    drop(buffer);
    turn(&base);
    assert_eq!(take(&told), []);
}

#[test]
fn a_base_that_is_gone_is_no_trouble() {
    let (base, told) = (EventBase::new().unwrap(), Told::default());
    let mut buffer = EvBuffer::new();
    buffer.add_deferred_callback(&base.handle(), noting(&told));
    buffer.add(b"x").unwrap();
    drop(base);
    buffer.add(b"x").unwrap();
    assert_eq!((buffer.len(), take(&told)), (2, vec![]));
}

#[test]
fn a_buffer_of_another_thread_tells_the_thread_of_the_base() {
    let (base, told) = (EventBase::new().unwrap(), Told::default());
    let (handle, thread) = (base.handle(), std::thread::current().id());
    let mut note = noting(&told);
    std::thread::spawn(move || {
        let mut buffer = EvBuffer::new();
        buffer.add_deferred_callback(&handle, move |change| {
            assert_eq!(std::thread::current().id(), thread);
            note(change);
        });
        buffer.add(b"from afar").unwrap();
        // Dropped only after the callback has run.
        handle.post(move |_| drop(buffer)).unwrap();
    })
    .join()
    .unwrap();
    turn(&base);
    assert_eq!(take(&told), [(0, 9, 0)]);
}

#[test]
fn two_buffers_that_feed_each_other_go_on_turn_by_turn() {
    let base = EventBase::new().unwrap();
    let buffer = Arc::new(Mutex::new(EvBuffer::new()));
    let again = buffer.clone();
    buffer.lock().unwrap().add_deferred_callback(&base.handle(), move |change| {
        if change.original_length < 10 {
            again.lock().unwrap().add(b"x").unwrap();
        }
    });
    buffer.lock().unwrap().add(b"x").unwrap();
    for _ in 0..20 {
        turn(&base);
    }
    assert_eq!(buffer.lock().unwrap().len(), 11);
}
