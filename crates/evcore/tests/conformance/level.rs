//! Readiness that lasts.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use evcore::backend::Interest;
use socket2::{Domain, Socket, Type};

use super::Watch;

pub fn reports_a_readable_pipe_until_it_is_drained(mut watch: Watch) {
    let (mut reader, mut writer) = io::pipe().unwrap();
    watch.add(&reader, Interest::READ);
    assert_eq!(watch.now(), []);
    writer.write_all(b"ab").unwrap();
    for _ in 0..3 {
        assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
    }
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(watch.now(), [(reader.as_raw_fd(), Interest::READ)]);
    reader.read_exact(&mut [0]).unwrap();
    assert_eq!(watch.now(), []);
    writer.write_all(b"c").unwrap();
    assert_eq!(watch.until_ready(&reader), Interest::READ);
}

pub fn reports_a_writable_socket_until_it_is_full(mut watch: Watch) {
    let (mut socket, mut peer) = UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    watch.add(&socket, Interest::WRITE);
    for _ in 0..3 {
        assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    }
    let mut written = 0;
    let full = loop {
        match socket.write(&[0; 4096]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(watch.now(), []);
    peer.read_exact(&mut vec![0; written]).unwrap();
    assert_eq!(watch.until_ready(&socket), Interest::WRITE);
}

pub fn reports_only_what_was_asked_for(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    watch.add(&socket, Interest::READ);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
    watch.remove(&socket, Interest::READ);
    watch.add(&socket, Interest::WRITE);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
}

pub fn reports_both_kinds_of_readiness_at_once(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    let both = Interest::READ | Interest::WRITE;
    watch.add(&socket, both);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), both)]);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), both)]);
}

pub fn reports_a_connection_on_a_listener(mut watch: Watch) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    watch.add(&listener, Interest::READ);
    assert_eq!(watch.now(), []);
    let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(watch.until_ready(&listener), Interest::READ);
    listener.accept().unwrap();
    assert_eq!(watch.now(), []);
}

pub fn reports_a_finished_connect_as_writable(mut watch: Watch) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = connecting(listener.local_addr().unwrap());
    watch.add(&socket, Interest::WRITE);
    assert_eq!(watch.until_ready(&socket), Interest::WRITE);
    assert!(socket.take_error().unwrap().is_none());
}

pub fn reports_a_refused_connect_to_whoever_waits_for_it(mut watch: Watch) {
    // Bound, so that nobody else can listen there, but not listening.
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    let address = bound.local_addr().unwrap().as_socket().unwrap();
    let socket = connecting(address);
    watch.add(&socket, Interest::WRITE);
    assert!(watch.until_ready(&socket).contains(Interest::WRITE));
    let error = socket.take_error().unwrap().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

pub fn modify_changes_what_is_reported(mut watch: Watch) {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"x").unwrap();
    watch.add(&socket, Interest::READ);
    watch.modify(&socket, Interest::READ, Interest::WRITE);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::WRITE)]);
    let both = Interest::READ | Interest::WRITE;
    watch.modify(&socket, Interest::WRITE, both);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), both)]);
    watch.modify(&socket, both, Interest::READ);
    assert_eq!(watch.now(), [(socket.as_raw_fd(), Interest::READ)]);
}

pub fn a_removed_descriptor_is_not_reported(mut watch: Watch) {
    let (first, mut first_peer) = UnixStream::pair().unwrap();
    let (second, mut second_peer) = UnixStream::pair().unwrap();
    first_peer.write_all(b"x").unwrap();
    second_peer.write_all(b"x").unwrap();
    watch.add(&first, Interest::READ);
    watch.add(&second, Interest::READ);
    assert_eq!(watch.now().len(), 2);
    watch.remove(&first, Interest::READ);
    assert_eq!(watch.now(), [(second.as_raw_fd(), Interest::READ)]);
    watch.add(&first, Interest::READ);
    watch.remove(&second, Interest::READ);
    assert_eq!(watch.now(), [(first.as_raw_fd(), Interest::READ)]);
    watch.remove(&first, Interest::READ);
    assert_eq!(watch.now(), []);
}

pub fn reports_each_of_a_thousand_descriptors(mut watch: Watch) {
    let mut pipes: Vec<_> = (0..1000).map(|_| io::pipe().unwrap()).collect();
    let mut waiting = HashSet::new();
    for (reader, writer) in &mut pipes {
        watch.add(reader, Interest::READ);
        writer.write_all(b"x").unwrap();
        waiting.insert(reader.as_raw_fd());
    }
    // A wait may find a part of them only, but the next ones get to the others too.
    for _ in 0..1000 {
        for (fd, what) in watch.now() {
            assert_eq!(what, Interest::READ);
            waiting.remove(&fd);
        }
        if waiting.is_empty() {
            break;
        }
    }
    assert!(waiting.is_empty(), "never reported: {waiting:?}");
    for (reader, _) in pipes.iter_mut().take(999) {
        reader.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(watch.now(), [(pipes[999].0.as_raw_fd(), Interest::READ)]);
}

fn connecting(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    if let Err(error) = socket.connect(&address.into()) {
        assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS));
    }
    socket
}
