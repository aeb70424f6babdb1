//! What a bufferevent asks of a TCP socket.
#![cfg(feature = "bufferevent")]

use std::net::{TcpListener, TcpStream};

use evcore::bufferevent::{BufferEvent, BufferEventOptions};
use evcore::EventBase;

#[test]
fn a_socket_of_tcp_sends_without_delay() {
    let base = EventBase::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let same = ours.try_clone().unwrap();
    assert!(!same.nodelay().unwrap());
    let options = BufferEventOptions::CLOSE_ON_FREE;
    let bev = BufferEvent::socket(&base, Some(ours.into()), options).unwrap();
    assert!(same.nodelay().unwrap());
    bev.free();
}
