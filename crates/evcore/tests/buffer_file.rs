//! Files in buffers, sent and looked at.
#![cfg(all(unix, feature = "buffer"))]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc};
use std::thread;

use bytes::Buf;
use evcore::buffer::{
    BufferEnd, BufferError, EolStyle, EvBuffer, FileSegment, FileSegmentFlags, Position,
};

/// A file that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(bytes: &[u8]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("evcore-buffer-file-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn file(&self) -> File {
        File::open(&self.0).unwrap()
    }

    fn segment(&self, offset: u64, len: Option<u64>) -> FileSegment {
        FileSegment::open(&self.0, offset, len, FileSegmentFlags::empty()).unwrap()
    }

    fn set_len(&self, len: u64) {
        OpenOptions::new().write(true).open(&self.0).unwrap().set_len(len).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|number| (number % 251) as u8).collect()
}

/// A buffer with the whole file, and nothing of it in memory.
fn holding(scratch: &Scratch) -> EvBuffer {
    let mut buffer = EvBuffer::new();
    buffer.add_file_segment(&scratch.segment(0, None), 0, None).unwrap();
    buffer
}

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Sends all and returns what the peer received, and in how many calls.
fn send_all(buffer: &mut EvBuffer) -> (Vec<u8>, usize) {
    let (near, mut far) = tcp_pair();
    let peer = thread::spawn(move || {
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        received
    });
    let mut calls = 0;
    while !buffer.is_empty() {
        assert_ne!(buffer.send_to(&near, usize::MAX).unwrap(), 0);
        calls += 1;
    }
    drop(near);
    (peer.join().unwrap(), calls)
}

#[test]
fn a_file_is_sent_between_the_bytes_around_it() {
    let bytes = pattern(3_000_000);
    let scratch = Scratch::new(&bytes);
    for flags in [FileSegmentFlags::empty(), FileSegmentFlags::DISABLE_SENDFILE] {
        let segment = FileSegment::new(scratch.file(), 1000, None, flags).unwrap();
        assert_eq!((segment.offset(), segment.len()), (1000, 2_999_000));
        let mut buffer = EvBuffer::new();
        buffer.add(b"head ").unwrap();
        buffer.add_file_segment(&segment, 500, Some(2_000_000)).unwrap();
        buffer.add(b" middle ").unwrap();
        buffer.add_file_segment(&segment, 2_998_999, None).unwrap();
        buffer.add(b" tail").unwrap();
        let expected =
            [b"head ", &bytes[1500..2_001_500], b" middle ", &bytes[2_999_999..], b" tail"]
                .concat();
        assert_eq!(buffer.len(), expected.len());
        let (received, calls) = send_all(&mut buffer);
        assert!(received == expected);
        assert!(flags.is_empty() == (calls < 25), "{calls} calls");
    }
}

#[test]
fn a_file_goes_to_local_sockets_pipes_and_files() {
    let bytes = pattern(200_000);
    let scratch = Scratch::new(&bytes);
    let (near, mut far) = UnixStream::pair().unwrap();
    let target = Scratch::new(b"");
    let mut file = OpenOptions::new().append(true).open(&target.0).unwrap();
    let peer = thread::spawn(move || {
        let mut received = Vec::new();
        far.read_to_end(&mut received).unwrap();
        received
    });
    let (mut to_socket, mut to_file) = (holding(&scratch), holding(&scratch));
    while !to_socket.is_empty() {
        to_socket.send_to(&near, 30_000).unwrap();
    }
    while !to_file.is_empty() {
        to_file.write_to(&file, usize::MAX).unwrap();
    }
    file.flush().unwrap();
    drop(near);
    assert!(peer.join().unwrap() == bytes);
    assert!(fs::read(&target.0).unwrap() == bytes);
}

#[test]
fn a_full_socket_would_block_and_the_file_stays() {
    let scratch = Scratch::new(&pattern(100_000));
    let (near, _far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let mut buffer = EvBuffer::new();
    let segment = scratch.segment(0, None);
    loop {
        buffer.add_file_segment(&segment, 0, None).unwrap();
        let before = buffer.len();
        match buffer.send_to(&near, usize::MAX) {
            Ok(sent) => assert_eq!(buffer.len(), before - sent),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert_eq!(buffer.len(), before);
                break;
            }
        }
    }
}

#[test]
fn whatever_looks_at_a_file_sees_its_bytes() {
    let mut bytes = pattern(300_000);
    bytes[65_530..65_542].copy_from_slice(b"needle\r\nnext");
    let scratch = Scratch::new(&bytes);

    let buffer = holding(&scratch);
    assert_eq!(buffer.contiguous_space(), 0, "nothing was read yet");
    assert_eq!(buffer.in_memory(), 0);
    assert!(buffer.segments().flatten().eq(&bytes));
    assert_eq!(buffer.search(b"needle", None).map(Position::offset), Some(65_530));
    let far = buffer.ptr_set(299_990).unwrap();
    let mut end = [0; 20];
    assert_eq!(holding(&scratch).copyout_from(far, &mut end), 10);
    assert_eq!(end[..10], bytes[299_990..]);
    let mut slices = Vec::new();
    assert_eq!(buffer.peek(Some(70_000), Some(buffer.ptr_set(65_000).unwrap()), &mut slices), 3);
    assert!(slices.iter().flat_map(|slice| slice.iter()).eq(&bytes[65_000..135_000]));
    assert_eq!(buffer.in_memory(), bytes.len());
    assert!(holding(&scratch).to_vec() == bytes);

    let mut buffer = holding(&scratch);
    assert!(buffer.pullup(Some(200_000)).unwrap() == &bytes[..200_000]);
    assert_eq!(buffer.len(), bytes.len());
    assert!(buffer.to_vec() == bytes);

    let mut buffer = holding(&scratch);
    let mut piece = vec![0; 100_000];
    for part in bytes.chunks(100_000) {
        assert_eq!(buffer.remove(&mut piece), Ok(100_000));
        assert!(piece == part);
    }

    let mut buffer = holding(&scratch);
    assert_eq!(buffer.remaining(), bytes.len());
    assert!(buffer.copy_to_bytes(150_000) == bytes[..150_000]);
    assert_eq!(buffer.get_u8(), bytes[150_000]);

    let mut buffer = holding(&scratch);
    let mut all = Vec::new();
    while let Some(chunk) = Some(buffer.fill_buf().unwrap()).filter(|chunk| !chunk.is_empty()) {
        assert!(chunk.len() <= 65_536);
        all.extend_from_slice(chunk);
        let len = chunk.len();
        buffer.consume(len);
    }
    assert!(all == bytes);
}

#[test]
fn lines_are_read_from_a_file() {
    let text: String = (0..20_000).map(|number| format!("line {number}\r\n")).collect();
    let scratch = Scratch::new(text.as_bytes());
    let mut buffer = holding(&scratch);
    for number in 0..20_000 {
        assert_eq!(
            buffer.readln(EolStyle::Crlf).as_deref(),
            Some(format!("line {number}").as_bytes())
        );
    }
    assert!(buffer.is_empty());
}

#[test]
fn files_move_split_and_are_shared_like_other_bytes() {
    let bytes = pattern(200_000);
    let scratch = Scratch::new(&bytes);
    let (mut one, mut two) = (holding(&scratch), EvBuffer::new());
    one.prepend(b"<").unwrap();
    one.add(b">").unwrap();
    two.add_buffer_reference(&mut one).unwrap();
    assert_eq!(one.remove_buffer(&mut two, 70_001), Ok(70_001));
    two.prepend_buffer(&mut one).unwrap();
    two.drain(1000).unwrap();
    let expected = [&bytes[71_000..], b">", b"<", &bytes, b">", b"<", &bytes[..70_000]].concat();
    assert_eq!(two.len(), expected.len());
    one.add_buffer(&mut two).unwrap();
    assert!(one.to_vec() == expected);
    assert!(send_all(&mut one).0 == expected);
}

#[test]
fn a_file_that_becomes_shorter_gives_errors_and_no_harm() {
    let bytes = pattern(200_000);
    let scratch = Scratch::new(&bytes);
    let holding = || {
        scratch.set_len(200_000);
        let mut buffer = EvBuffer::new();
        buffer.add(b"before").unwrap();
        buffer.add_file_segment(&scratch.segment(0, None), 0, None).unwrap();
        buffer.add(b"behind").unwrap();
        scratch.set_len(100_000);
        buffer
    };
    let kind = |error: BufferError| match error {
        BufferError::Unreadable { kind, .. } => kind,
        error => panic!("{error}"),
    };

    let mut buffer = holding();
    assert_eq!(kind(buffer.pullup(None).unwrap_err()), ErrorKind::UnexpectedEof);
    assert_eq!(kind(buffer.read_files(None).unwrap_err()), ErrorKind::UnexpectedEof);
    assert_eq!(kind(buffer.remove(&mut [0; 150_000]).unwrap_err()), ErrorKind::UnexpectedEof);
    assert_eq!(buffer.len(), 200_012);
    assert_eq!(buffer.pullup(Some(65_000)).unwrap()[..6], *b"before");
    assert_eq!(buffer.search(b"behind", None), None);
    assert_eq!(buffer.search_eol(None, EolStyle::CrlfStrict), None);
    assert_eq!(buffer.readln(EolStyle::CrlfStrict), None);
    assert_eq!(buffer.to_vec().len(), buffer.copyout(&mut vec![0; 300_000]));
    assert_eq!(buffer.remaining(), buffer.to_vec().len());
    assert!(buffer.remaining() < 100_006);
    let remaining = buffer.remaining();
    buffer.advance(remaining);
    assert_eq!((buffer.remaining(), buffer.chunk()), (0, &[][..]));
    assert_eq!(buffer.fill_buf().unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let gap = buffer.len() - 6;
    assert_eq!(buffer.drain(gap), Ok(gap));
    assert_eq!(buffer.to_vec(), b"behind");

    // However the file has come into the buffer.
    let moves: [fn(&mut EvBuffer, &mut EvBuffer); 5] = [
        |to, from| to.add_buffer(from).unwrap(),
        |to, from| to.prepend_buffer(from).unwrap(),
        |to, from| to.add_buffer_reference(from).unwrap(),
        |to, from| assert_eq!(from.remove_buffer(to, 199_000), Ok(199_000)),
        |to, from| {
            to.add(b"something").unwrap();
            to.add_buffer(from).unwrap();
        },
    ];
    for change in moves {
        let (mut buffer, mut from) = (EvBuffer::new(), holding());
        change(&mut buffer, &mut from);
        assert_eq!(kind(buffer.pullup(None).unwrap_err()), ErrorKind::UnexpectedEof);
        assert!(buffer.remaining() < 101_000);
    }

    for sendfile in [true, false] {
        let mut buffer = holding();
        if !sendfile {
            buffer.drain(usize::MAX).unwrap();
            scratch.set_len(200_000);
            let flags = FileSegmentFlags::DISABLE_SENDFILE;
            let segment = FileSegment::open(&scratch.0, 0, None, flags).unwrap();
            buffer.add_file_segment(&segment, 0, None).unwrap();
            scratch.set_len(100_000);
        }
        let (near, mut far) = tcp_pair();
        let peer = thread::spawn(move || io::copy(&mut far, &mut io::sink()).unwrap());
        let before = buffer.len() as u64;
        let error = loop {
            match buffer.send_to(&near, usize::MAX) {
                Ok(sent) => assert_ne!(sent, 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        drop(near);
        assert_eq!(peer.join().unwrap(), before - buffer.len() as u64);
    }

    let (_far, near) = UnixStream::pair().unwrap();
    let mut buffer = holding();
    buffer.drain(150_000).unwrap();
    assert_eq!(buffer.write_to(&near, 10).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn ranges_outside_the_file_are_refused() {
    let scratch = Scratch::new(b"0123456789");
    let new = |offset, len| FileSegment::open(&scratch.0, offset, len, FileSegmentFlags::all());
    let hostile = [11, 1 << 31, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 5, u64::MAX];
    for bad in hostile {
        assert_eq!(new(bad, None).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(new(bad, Some(0)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(new(0, Some(bad)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(new(1, Some(bad)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let segment = new(2, Some(6)).unwrap();
    let mut buffer = EvBuffer::new();
    for (offset, len) in hostile
        .into_iter()
        .flat_map(|bad| [(bad, None), (bad, Some(0)), (0, Some(bad)), (bad, Some(bad))])
        .chain([(7, None), (0, Some(7)), (6, Some(1)), (1, Some(6))])
    {
        let error = buffer.add_file_segment(&segment, offset, len).unwrap_err();
        assert!(matches!(error, BufferError::OutOfRange { .. }), "{offset} {len:?} {error}");
    }
    assert!(buffer.is_empty());
    buffer.add_file_segment(&segment, 6, None).unwrap();
    buffer.add_file_segment(&segment, 0, Some(0)).unwrap();
    assert_eq!(buffer.segments().count(), 0);
    buffer.add_file_segment(&segment, 5, Some(1)).unwrap();
    assert_eq!(buffer.to_vec(), b"7");
}

#[test]
fn only_regular_files_have_segments() {
    let directory = FileSegment::open(std::env::temp_dir(), 0, None, FileSegmentFlags::empty());
    assert_eq!(directory.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (_near, far) = UnixStream::pair().unwrap();
    let socket = EvBuffer::new().add_file(std::os::fd::OwnedFd::from(far), 0, None);
    assert_eq!(socket.unwrap_err().kind(), ErrorKind::InvalidInput);
    let missing = std::env::temp_dir().join("evcore-no-such-file");
    let missing = FileSegment::open(missing, 0, None, FileSegmentFlags::empty());
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_huge_file_takes_no_memory_until_it_is_read() {
    let scratch = Scratch::new(b"");
    let len = 1_u64 << 40;
    scratch.set_len(len);
    let before = evcore::mem::stats().allocated;
    let mut buffer = holding(&scratch);
    let len = len as usize;
    assert_eq!(buffer.len(), len);
    let middle = buffer.ptr_set(len / 2).unwrap();
    assert_eq!(buffer.copyout_from(middle, &mut [1; 100]), 100);
    let mut other = EvBuffer::new();
    other.add_buffer_reference(&mut buffer).unwrap();
    assert_eq!(buffer.remove_buffer(&mut other, len / 4), Ok(len / 4));
    assert_eq!(other.drain(len), Ok(len));
    assert_eq!(other.len(), len / 4);
    assert_eq!(buffer.readln(EolStyle::Nul).as_deref(), Some(&b""[..]));
    // Other tests run beside this one.
    assert!(evcore::mem::stats().allocated < before + (64 << 20));
}

#[test]
fn clean_up_comes_once_when_the_last_holder_has_gone() {
    let scratch = Scratch::new(b"0123456789");
    let segment = scratch.segment(0, None);
    let (tell, told) = mpsc::channel();
    for number in 1..=2 {
        let tell = tell.clone();
        segment.add_cleanup(move || tell.send(number).unwrap());
    }
    let (mut one, mut two) = (EvBuffer::new(), EvBuffer::new());
    one.add_file_segment(&segment, 0, Some(5)).unwrap();
    one.add_buffer_reference(&mut EvBuffer::from("x")).unwrap();
    two.add_buffer_reference(&mut one).unwrap();
    drop(segment);
    one.pullup(None).unwrap();
    drop(one);
    assert!(told.try_recv().is_err());
    thread::spawn(move || drop(two)).join().unwrap();
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn frozen_ends_and_the_greatest_length_hold_for_files() {
    let scratch = Scratch::new(b"0123456789");
    let segment = scratch.segment(0, None);
    let mut buffer = EvBuffer::new();
    buffer.set_max_len(Some(15));
    buffer.add_file_segment(&segment, 0, None).unwrap();
    let error = buffer.add_file_segment(&segment, 0, None).unwrap_err();
    assert!(matches!(error, BufferError::TooLarge { requested: 10, .. }));
    buffer.freeze(BufferEnd::Back);
    let error = buffer.add_file_segment(&segment, 0, Some(1)).unwrap_err();
    assert!(matches!(error, BufferError::Frozen { end: BufferEnd::Back, .. }));
    buffer.freeze(BufferEnd::Front);
    let (near, _far) = UnixStream::pair().unwrap();
    assert_eq!(buffer.send_to(&near, 5).unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(buffer.to_vec(), b"0123456789");
}

#[test]
fn callbacks_hear_of_files_added_and_sent() {
    let scratch = Scratch::new(b"0123456789");
    let changes = Arc::new(AtomicUsize::new(0));
    let (mut buffer, total) = (EvBuffer::new(), changes.clone());
    buffer.add_callback(move |_, change| {
        total.fetch_add(change.added * 100 + change.deleted, Ordering::Relaxed);
    });
    buffer.add_file(scratch.file(), 0, None).unwrap();
    assert_eq!(changes.load(Ordering::Relaxed), 1000);
    let (near, _far) = UnixStream::pair().unwrap();
    assert_eq!(buffer.send_to(&near, 4).unwrap(), 4);
    assert_eq!(changes.load(Ordering::Relaxed), 1004);
    buffer.pullup(None).unwrap();
    assert_eq!(changes.load(Ordering::Relaxed), 1004);
}

#[cfg(feature = "bufferevent")]
mod bufferevents {
    use std::cell::RefCell;
    use std::rc::Rc;

    use evcore::bufferevent::{BufferEventFlags, BufferEventOptions};
    use evcore::{BufferEvent, EventBase};

    use super::*;

    /// Sends the file, after a head, from a loop; returns what the peer received and the events.
    fn serve(scratch: &Scratch, truncate_to: Option<u64>) -> (Vec<u8>, Vec<BufferEventFlags>) {
        let (near, mut far) = tcp_pair();
        let peer = thread::spawn(move || {
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            received
        });
        let base = EventBase::new().unwrap();
        near.set_nonblocking(true).unwrap();
        let options = BufferEventOptions::CLOSE_ON_FREE;
        let bev = BufferEvent::socket(&base, Some(near.into()), options).unwrap();
        let events = Rc::new(RefCell::new(Vec::new()));
        let noted = events.clone();
        bev.set_callbacks(
            None,
            Some(Box::new(|bev: &BufferEvent| bev.free())),
            Some(Box::new(move |bev: &BufferEvent, event| {
                noted.borrow_mut().push(event);
                bev.free();
            })),
        );
        bev.output().add(b"head ").unwrap();
        bev.output().add_file(scratch.file(), 0, None).unwrap();
        if let Some(len) = truncate_to {
            scratch.set_len(len);
        }
        base.dispatch().unwrap();
        assert!(bev.is_freed());
        let received = peer.join().unwrap();
        let events = events.borrow().clone();
        (received, events)
    }

    #[test]
    fn a_bufferevent_sends_a_file() {
        let bytes = pattern(5_000_000);
        let scratch = Scratch::new(&bytes);
        let (received, events) = serve(&scratch, None);
        assert!(received == [b"head ", &bytes[..]].concat());
        assert_eq!(events, []);
    }

    #[test]
    fn a_bufferevent_reports_a_file_that_became_shorter() {
        let bytes = pattern(5_000_000);
        let scratch = Scratch::new(&bytes);
        let (received, events) = serve(&scratch, Some(1_000_000));
        assert!(received == [b"head ", &bytes[..1_000_000]].concat());
        assert_eq!(events, [BufferEventFlags::WRITING | BufferEventFlags::ERROR]);
    }
}

#[test]
fn lines_of_a_file_are_lent_piece_by_piece() {
    let lines: Vec<String> = (0..20_000).map(|number| format!("line {number}")).collect();
    let scratch = Scratch::new((lines.join("\r\n") + "\r\n").as_bytes());
    let mut buffer = EvBuffer::new();
    buffer.add(b"before\n").unwrap();
    buffer.add_file_segment(&scratch.segment(0, None), 0, None).unwrap();
    buffer.add(b"behind\nrest").unwrap();
    let (mut taken, mut spans) = (Vec::new(), Vec::new());
    while let text @ [_, ..] = buffer.pullup_lines(EolStyle::Crlf, usize::MAX, &mut spans).unwrap()
    {
        let line = |span: std::ops::Range<usize>| String::from_utf8(text[span].to_vec()).unwrap();
        taken.extend(spans.drain(..).map(line));
        let used = text.len();
        buffer.drain(used).unwrap();
    }
    assert_eq!((taken.remove(0), taken.pop()), ("before".into(), Some("behind".into())));
    assert!(taken == lines);
    assert_eq!(buffer.to_vec(), b"rest");
}

#[test]
fn lines_before_a_file_that_cannot_be_read_are_lent() {
    let scratch = Scratch::new(&[b'x'; 1000]);
    let mut buffer = EvBuffer::new();
    buffer.add(b"one\ntwo\nthree").unwrap();
    buffer.add_file_segment(&scratch.segment(0, None), 0, None).unwrap();
    scratch.set_len(0);
    let mut spans = Vec::new();
    assert_eq!(buffer.pullup_lines(EolStyle::Lf, 9, &mut spans).unwrap(), b"one\ntwo\n");
    buffer.drain(8).unwrap();
    assert_eq!(buffer.pullup_lines(EolStyle::Lf, 9, &mut spans).unwrap(), b"");
    assert_eq!(spans.len(), 2);
}
