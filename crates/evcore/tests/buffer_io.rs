//! Buffers on real descriptors.
#![cfg(all(unix, feature = "buffer"))]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

use evcore::buffer::{BufferEnd, EvBuffer, MAX_READ};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn what_is_sent_on_a_connection_is_received() {
    let (near, far) = tcp_pair();
    let (mut output, mut input) = (EvBuffer::new(), EvBuffer::new());
    output.add(b"hello ").unwrap();
    output.add_bytes("world").unwrap();
    assert_eq!(output.send_to(&near, usize::MAX).unwrap(), 11);
    assert!(output.is_empty());
    while input.len() < 11 {
        assert_ne!(input.recv_from(&far, usize::MAX).unwrap(), 0);
    }
    assert_eq!(input.to_vec(), b"hello world");
}

#[test]
fn a_megabyte_gets_through_whatever_the_kernel_takes_at_a_time() {
    let (near, far) = tcp_pair();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    let bytes: Vec<u8> = (0..1 << 20).map(|number: u32| (number % 251) as u8).collect();
    let (mut output, mut input) = (EvBuffer::new(), EvBuffer::new());
    for (index, chunk) in bytes.chunks(3000).enumerate() {
        if index % 2 == 0 {
            output.add(chunk).unwrap();
        } else {
            output.add_bytes(chunk.to_vec()).unwrap();
        }
    }
    let mut size = 1;
    while input.len() < bytes.len() {
        size = size * 7 % 150_001;
        for result in [output.send_to(&near, size), input.recv_from(&far, size)] {
            match result {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
    assert!(input.to_vec() == bytes);
}

#[test]
fn a_read_that_would_block_leaves_the_buffer_as_it_was() {
    let (_near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let mut buffer = EvBuffer::new();
    for text in ["", "kept"] {
        buffer.add(text.as_bytes()).unwrap();
        for max in [1, 64, 65_536, usize::MAX] {
            assert_eq!(buffer.recv_from(&far, max).unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(buffer.read_from(&far, max).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        assert_eq!(buffer.to_vec(), text.as_bytes());
    }
}

#[test]
fn the_end_of_a_stream_reads_as_nought() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"last words").unwrap();
    drop(near);
    let mut buffer = EvBuffer::new();
    assert_eq!(buffer.recv_from(&far, 4096).unwrap(), 10);
    assert_eq!(buffer.recv_from(&far, 4096).unwrap(), 0);
    assert_eq!(buffer.read_from(&far, 4096).unwrap(), 0);
    assert_eq!(buffer.to_vec(), b"last words");
}

#[test]
fn a_write_to_a_peer_that_has_gone_is_an_error_and_keeps_the_bytes() {
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    let mut buffer = EvBuffer::new();
    buffer.add(b"one segment").unwrap();
    assert_eq!(buffer.send_to(&near, usize::MAX).unwrap_err().kind(), ErrorKind::BrokenPipe);
    buffer.add_bytes(" or two").unwrap();
    assert_eq!(buffer.send_to(&near, usize::MAX).unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(buffer.to_vec(), b"one segment or two");
}

#[test]
fn no_more_is_read_or_written_than_was_asked_for() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(&[7; 5000]).unwrap();
    let mut buffer = EvBuffer::new();
    assert_eq!(buffer.recv_from(&far, 0).unwrap(), 0);
    assert_eq!(buffer.recv_from(&far, 10).unwrap(), 10);
    // Now with room behind the bytes that are there.
    assert_eq!(buffer.recv_from(&far, 100).unwrap(), 100);
    assert_eq!(buffer.recv_from(&far, 3000).unwrap(), 3000);
    assert_eq!(buffer.len(), 3110);

    buffer.add_bytes(vec![8; 10]).unwrap();
    assert_eq!(buffer.send_to(&far, 0).unwrap(), 0);
    assert_eq!(buffer.send_to(&far, 110).unwrap(), 110);
    assert_eq!(buffer.send_to(&far, 3005).unwrap(), 3005);
    assert_eq!(buffer.to_vec(), [8; 5]);
    assert_eq!(near.read(&mut [0; 5000]).unwrap(), 3115);
}

#[test]
fn reads_are_clamped_to_the_most_that_one_call_takes() {
    let file = std::fs::File::open("/dev/zero").unwrap();
    let mut buffer = EvBuffer::new();
    for max in [MAX_READ, MAX_READ + 1, 1 << 31, usize::MAX] {
        let before = buffer.len();
        let read = buffer.read_from(&file, max).unwrap();
        assert!((1..=MAX_READ).contains(&read));
        assert_eq!(buffer.len(), before + read);
    }
}

#[test]
fn hundreds_of_segments_are_written_64_at_a_time() {
    let (near, far) = UnixStream::pair().unwrap();
    let mut output = EvBuffer::new();
    (0..200u8).for_each(|number| output.add_bytes(vec![number; 3]).unwrap());
    assert_eq!(output.send_to(&near, usize::MAX).unwrap(), 192);
    assert_eq!(output.write_to(&near, 190).unwrap(), 190);
    // The rest of a segment counts as one.
    assert_eq!(output.write_to(&near, usize::MAX).unwrap(), 191);
    assert_eq!(output.write_to(&near, usize::MAX).unwrap(), 27);
    let mut input = EvBuffer::new();
    while input.len() < 600 {
        input.recv_from(&far, 1000).unwrap();
    }
    let expected: Vec<u8> = (0..200u8).flat_map(|number| [number; 3]).collect();
    assert!(input.to_vec() == expected);
}

#[test]
fn pipes_are_read_and_written_like_sockets() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut buffer = EvBuffer::new();
    buffer.add(b"through ").unwrap();
    buffer.add_bytes("a pipe").unwrap();
    assert_eq!(buffer.write_to(&writer, usize::MAX).unwrap(), 14);
    assert_eq!(buffer.read_from(&reader, 100).unwrap(), 14);
    assert_eq!(buffer.to_vec(), b"through a pipe");
    assert!(buffer.recv_from(&reader, 100).is_err(), "a pipe is no socket");
    assert_eq!(buffer.to_vec(), b"through a pipe");
}

#[test]
fn a_frozen_end_is_neither_read_to_nor_written_from() {
    let (mut near, far) = UnixStream::pair().unwrap();
    near.write_all(b"waiting").unwrap();
    let mut buffer = EvBuffer::new();
    buffer.add(b"kept").unwrap();
    buffer.freeze(BufferEnd::Back);
    assert_eq!(buffer.recv_from(&far, 100).unwrap_err().kind(), ErrorKind::PermissionDenied);
    buffer.unfreeze(BufferEnd::Back);
    buffer.freeze(BufferEnd::Front);
    assert_eq!(buffer.send_to(&far, 100).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(buffer.recv_from(&far, 100).unwrap(), 7);
    assert_eq!(buffer.to_vec(), b"keptwaiting");
}
