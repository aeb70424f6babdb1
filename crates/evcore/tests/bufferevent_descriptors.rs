//! A process that has no descriptors left. Alone in its file, since the limit is the process's.
#![cfg(all(target_os = "linux", feature = "bufferevent"))]

use std::cell::Cell;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions};
use evcore::{Error, EventBase};

#[test]
fn a_connect_without_a_descriptor_left_is_an_error_and_works_once_there_is_one() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let told = Rc::new(Cell::new(BufferEventFlags::empty()));
    let bev = BufferEvent::socket(&base, None, BufferEventOptions::CLOSE_ON_FREE).unwrap();
    let noted = told.clone();
    bev.set_callbacks(None, None, Some(Box::new(move |_, what| noted.set(what))));
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: sets a limit of this process from a struct that is initialized.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    assert!(matches!(bev.connect(&address.into()), Err(Error::Os { .. })));
    bev.connect_any(&[address, address]).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.take(), BufferEventFlags::ERROR);
    assert_eq!(bev.take_error().unwrap().raw_os_error(), Some(libc::EMFILE));
    files.clear();
    bev.connect(&address.into()).unwrap();
    base.dispatch().unwrap();
    assert_eq!(told.take(), BufferEventFlags::CONNECTED);
    bev.free();
}
