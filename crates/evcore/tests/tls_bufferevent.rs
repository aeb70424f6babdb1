//! TLS as a bufferevent: over sockets, pairs and other filters, with all that happens to it.
#![cfg(all(unix, feature = "tls"))]

mod tls_support;

use std::cell::{Cell, RefCell};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions, FlushMode};
use evcore::tls::{TlsClientConfig, TlsError, TlsErrorKind, TlsServerConfig, TlsState, TlsVersion};
use evcore::util::SocketAddress;
use evcore::{EventBase, EventFlags};
use tls_support::Authority;

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const BOTH: EventFlags = EventFlags::READ.union(EventFlags::WRITE);

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Setting {
    base: EventBase,
    client: TlsClientConfig,
    server: TlsServerConfig,
}

fn setting() -> Setting {
    let authority = Authority::new("bufferevents");
    let identity = authority.issue(&["localhost"]).identity();
    let server = TlsServerConfig::builder(identity).build().unwrap();
    let base = EventBase::new().unwrap();
    Setting { base, client: authority.client(), server }
}

/// What one end was told, in order, with the names of the errors.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<String>>>);

impl Told {
    fn note(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }

    fn list(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    fn event(&self, bev: &BufferEvent, what: BufferEventFlags) {
        for (flag, name) in [
            (BufferEventFlags::CONNECTED, "connected"),
            (BufferEventFlags::EOF, "eof"),
            (BufferEventFlags::TIMEOUT, "timeout"),
        ] {
            if what.contains(flag) {
                self.note(name);
            }
        }
        if what.contains(BufferEventFlags::ERROR) {
            let error = bev.take_error();
            let name = error.as_ref().and_then(TlsError::of).map(TlsError::name);
            self.note(name.map_or(format!("{error:?}"), str::to_owned));
        }
    }
}

/// Notes everything, and ends the loop when `last` was noted by `ends` ends.
fn watch(bev: &BufferEvent, told: &Told, last: impl Fn(&[String]) -> bool + 'static) {
    let told = told.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            told.event(bev, what);
            if last(&told.list()) {
                if let Some(base) = bev.base() {
                    base.loop_exit(None).unwrap();
                }
            }
        })),
    );
    bev.enable(BOTH).unwrap();
}

/// Both ends over a pair of sockets.
fn ends(setting: &Setting) -> (BufferEvent, BufferEvent) {
    let (one, two) = UnixStream::pair().unwrap();
    let Setting { base, client, server } = setting;
    (
        BufferEvent::tls_client(base, Some(one.into()), client, "localhost", CLOSE).unwrap(),
        BufferEvent::tls_server(base, two.into(), server, CLOSE).unwrap(),
    )
}

/// Sends back what comes, and closes when the other end does.
fn echo(bev: &BufferEvent) {
    bev.set_callbacks(
        Some(Box::new(|bev| {
            bev.forward(bev).unwrap();
        })),
        None,
        Some(Box::new(|bev, what| {
            if what.intersects(BufferEventFlags::EOF | BufferEventFlags::ERROR) {
                bev.close();
            }
        })),
    );
    bev.enable(BOTH).unwrap();
}

/// Writes `bytes`, compares what comes back, closes, and ends the loop.
fn compare_echo(bev: &BufferEvent, bytes: &Rc<Vec<u8>>, done: &Rc<Cell<bool>>) {
    bev.write(bytes).unwrap();
    let (expected, done) = (bytes.clone(), done.clone());
    bev.set_callbacks(
        Some(Box::new(move |bev| {
            if bev.input().len() < expected.len() {
                return;
            }
            assert!(bev.input().to_vec() == *expected);
            done.set(true);
            bev.close();
        })),
        None,
        Some(Box::new(|bev, what| {
            assert!(!what.contains(BufferEventFlags::ERROR), "{:?}", bev.take_error());
        })),
    );
    bev.enable(BOTH).unwrap();
}

fn pattern(len: usize) -> Rc<Vec<u8>> {
    Rc::new((0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect())
}

#[test]
fn bytes_pass_both_ways_and_both_hear_that_they_can() -> Outcome {
    let setting = setting();
    let (client, server) = ends(&setting);
    assert_eq!(client.tls().unwrap().state(), TlsState::Connecting);
    assert_eq!(server.tls().unwrap().state(), TlsState::Accepting);
    let (bytes, done) = (pattern(3_000_000), Rc::new(Cell::new(false)));
    echo(&server);
    compare_echo(&client, &bytes, &done);
    setting.base.dispatch()?;
    assert!(done.get());
    Ok(())
}

#[test]
fn what_was_agreed_on_can_be_asked() -> Outcome {
    let setting = setting();
    let (client, server) = ends(&setting);
    let told = Told::default();
    watch(&client, &told, |told| told.len() == 2);
    watch(&server, &told, |told| told.len() == 2);
    setting.base.dispatch()?;
    assert_eq!(told.list(), ["connected", "connected"]);
    for bev in [&client, &server] {
        let tls = bev.tls().unwrap();
        assert_eq!(tls.state(), TlsState::Open);
        assert_eq!(tls.version(), Some(TlsVersion::V1_3));
        assert_eq!(tls.server_name().as_deref(), Some("localhost"));
        assert_eq!((tls.alpn(), tls.was_resumed()), (None, false));
        assert!(tls.cipher_suite().unwrap().starts_with("TLS_"));
        assert_eq!(tls.renegotiate().unwrap_err().kind(), TlsErrorKind::RenegotiationRefused);
    }
    assert_eq!(client.tls().unwrap().peer_certificates().len(), 1);
    assert_eq!(server.tls().unwrap().peer_certificates().len(), 0);
    assert!(BufferEvent::socket(&setting.base, None, CLOSE)?.tls().is_none());
    Ok(())
}

#[test]
fn a_client_connects_over_tcp_and_then_shakes_hands() -> Outcome {
    let Setting { base, client, server } = setting();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let bev = BufferEvent::tls_client(&base, None, &client, "localhost", CLOSE)?;
    let (bytes, done) = (pattern(100_000), Rc::new(Cell::new(false)));
    compare_echo(&bev, &bytes, &done);
    bev.connect(&SocketAddress::Ip(listener.local_addr()?))?;
    let (accepted, _) = listener.accept()?;
    echo(&BufferEvent::tls_server(&base, accepted.into(), &server, CLOSE)?);
    base.dispatch()?;
    assert!(done.get());
    Ok(())
}

#[test]
fn a_refused_connection_is_an_error_of_the_system_and_not_of_tls() -> Outcome {
    let Setting { base, client, .. } = setting();
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let bev = BufferEvent::tls_client(&base, None, &client, "localhost", CLOSE)?;
    let told = Told::default();
    watch(&bev, &told, |_| true);
    bev.connect(&SocketAddress::Ip(address))?;
    base.dispatch()?;
    assert!(told.list()[0].contains("ConnectionRefused"), "{:?}", told.list());
    Ok(())
}

#[test]
fn a_certificate_that_is_not_trusted_fails_both_ends_by_name() -> Outcome {
    let mut setting = setting();
    setting.client = Authority::new("others").client();
    let (client, server) = ends(&setting);
    let (at_client, at_server) = (Told::default(), Told::default());
    watch(&client, &at_client, |_| false);
    let heard = at_client.clone();
    watch(&server, &at_server, move |_| !heard.list().is_empty());
    setting.base.dispatch()?;
    assert_eq!(at_client.list(), ["CERT_UNKNOWN_ISSUER"]);
    assert_eq!(at_server.list(), ["PEER_ALERT"]);
    let tls = client.tls().unwrap();
    assert_eq!(tls.take_error().unwrap().name(), "CERT_UNKNOWN_ISSUER");
    assert_eq!(tls.take_error(), None);
    Ok(())
}

#[test]
fn a_close_says_farewell_and_a_free_does_not() -> Outcome {
    for (polite, allowed, expected) in
        [(true, false, "eof"), (false, false, "TRUNCATED"), (false, true, "eof")]
    {
        let authority = Authority::new("farewell");
        let server = TlsServerConfig::builder(authority.issue(&["localhost"]).identity());
        // A ticket that nobody has read would make a reset of the end.
        let server = server.tickets(false).sessions(0).build()?;
        let setting = Setting { base: EventBase::new()?, client: authority.client(), server };
        let (client, server) = ends(&setting);
        let tls = server.tls().unwrap();
        assert!(!tls.allow_dirty_shutdown());
        tls.set_allow_dirty_shutdown(allowed);
        assert_eq!(tls.allow_dirty_shutdown(), allowed);
        let told = Told::default();
        let ending = client.clone();
        let noted = told.clone();
        server.set_callbacks(
            Some(Box::new(move |bev| {
                assert_eq!(bev.input().to_vec(), b"last words");
                if polite {
                    ending.close();
                } else {
                    ending.free();
                }
            })),
            None,
            Some(Box::new(move |bev, what| {
                noted.event(bev, what);
                if !what.contains(BufferEventFlags::CONNECTED) {
                    bev.free();
                }
            })),
        );
        server.enable(BOTH)?;
        client.write(b"last words")?;
        setting.base.dispatch()?;
        assert_eq!(told.list(), ["connected", expected], "{polite} {allowed}");
    }
    Ok(())
}

#[test]
fn one_direction_can_be_ended() -> Outcome {
    let setting = setting();
    let (client, server) = ends(&setting);
    let answered = Rc::new(Cell::new(false));
    client.write(b"all that I say")?;
    client.flush(EventFlags::WRITE, FlushMode::Finished)?;
    server.set_callbacks(
        None,
        None,
        Some(Box::new(|bev, what| {
            if what.contains(BufferEventFlags::EOF) {
                assert_eq!(bev.input().to_vec(), b"all that I say");
                bev.write(b"and I").unwrap();
                bev.close();
            }
        })),
    );
    server.enable(BOTH)?;
    let done = answered.clone();
    client.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            if what.contains(BufferEventFlags::EOF) {
                assert_eq!(bev.input().to_vec(), b"and I");
                done.set(true);
                bev.free();
            }
            assert!(!what.contains(BufferEventFlags::ERROR), "{:?}", bev.take_error());
        })),
    );
    client.enable(BOTH)?;
    setting.base.dispatch()?;
    assert!(answered.get());
    Ok(())
}

#[test]
fn tls_starts_after_words_in_the_open() -> Outcome {
    let Setting { base, client, server } = setting();
    let (one, two) = UnixStream::pair()?;
    let one = BufferEvent::socket(&base, Some(one.into()), CLOSE)?;
    let two = BufferEvent::socket(&base, Some(two.into()), CLOSE)?;
    let done = Rc::new(Cell::new(false));
    two.set_callbacks(
        Some(Box::new(move |bev| {
            let asked = bev.input().to_vec();
            if asked.ends_with(b"\n") {
                assert_eq!(asked, b"STARTTLS\r\n");
                bev.input().drain(asked.len()).unwrap();
                bev.write(b"220 go\r\n").unwrap();
                echo(&bev.start_tls_server(&server, CLOSE).unwrap());
            }
        })),
        None,
        None,
    );
    two.enable(EventFlags::READ)?;
    one.write(b"STARTTLS\r\n")?;
    let finished = done.clone();
    one.set_callbacks(
        Some(Box::new(move |bev| {
            let answer = bev.input().to_vec();
            if answer.ends_with(b"\n") {
                assert_eq!(answer, b"220 go\r\n");
                bev.input().drain(answer.len()).unwrap();
                let secure = bev.start_tls_client(&client, "localhost", CLOSE).unwrap();
                compare_echo(&secure, &pattern(200_000), &finished);
            }
        })),
        None,
        None,
    );
    one.enable(EventFlags::READ)?;
    base.dispatch()?;
    assert!(done.get());
    Ok(())
}

#[test]
fn tls_runs_over_a_pair_and_over_tls() -> Outcome {
    let Setting { base, client, server } = setting();
    let (one, two) = BufferEvent::pair(&base, CLOSE)?;
    let (mut one, mut two) = (one, two);
    for _ in 0..3 {
        one = one.start_tls_client(&client, "localhost", CLOSE)?;
        two = two.start_tls_server(&server, CLOSE)?;
    }
    let done = Rc::new(Cell::new(false));
    echo(&two);
    compare_echo(&one, &pattern(1_000_000), &done);
    base.dispatch()?;
    assert!(done.get());
    Ok(())
}

#[test]
fn a_slow_reader_holds_the_writer_up() -> Outcome {
    let setting = setting();
    let (client, server) = ends(&setting);
    let bytes = pattern(4_000_000);
    client.write(&bytes)?;
    client.enable(BOTH)?;
    server.set_watermark(EventFlags::READ, 0, 50_000)?;
    let (got, expected) = (Rc::new(Cell::new(0)), bytes.clone());
    let count = got.clone();
    server.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            assert!(input.len() <= 50_000, "{}", input.len());
            let part = input.to_vec();
            assert!(part == expected[count.get()..count.get() + part.len()]);
            count.set(count.get() + part.len());
            let len = input.len();
            input.drain(len).unwrap();
            drop(input);
            if count.get() == expected.len() {
                bev.base().unwrap().loop_exit(None).unwrap();
            }
        })),
        None,
        None,
    );
    server.enable(BOTH)?;
    setting.base.dispatch()?;
    assert_eq!(got.get(), bytes.len());
    Ok(())
}

#[test]
fn keys_are_updated_while_bytes_pass() -> Outcome {
    let setting = setting();
    let (client, server) = ends(&setting);
    let rounds = Rc::new(Cell::new(0));
    echo(&server);
    let count = rounds.clone();
    client.write(b"round")?;
    client.set_callbacks(
        Some(Box::new(move |bev| {
            if bev.input().len() < 5 {
                return;
            }
            bev.input().drain(5).unwrap();
            count.set(count.get() + 1);
            if count.get() == 10 {
                return bev.close();
            }
            bev.tls().unwrap().update_keys().unwrap();
            bev.write(b"round").unwrap();
        })),
        None,
        None,
    );
    client.enable(BOTH)?;
    setting.base.dispatch()?;
    assert_eq!(rounds.get(), 10);
    Ok(())
}

#[test]
fn a_peer_that_says_nothing_runs_into_the_timeout() -> Outcome {
    let Setting { base, server, .. } = setting();
    let (_silent, ours) = UnixStream::pair()?;
    let bev = BufferEvent::tls_server(&base, ours.into(), &server, CLOSE)?;
    let told = Told::default();
    watch(&bev, &told, |_| true);
    bev.set_timeouts(Some(Duration::from_millis(30)), Some(Duration::from_millis(30)))?;
    base.dispatch()?;
    assert_eq!(told.list()[0], "timeout");
    Ok(())
}

#[test]
fn plain_bytes_to_a_tls_server_are_an_error_by_name() -> Outcome {
    use std::io::{Read, Write};
    let Setting { base, server, .. } = setting();
    let (mut plain, ours) = UnixStream::pair()?;
    let bev = BufferEvent::tls_server(&base, ours.into(), &server, CLOSE)?;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let told = Told::default();
    let noted = told.clone();
    bev.set_callbacks(
        None,
        None,
        Some(Box::new(move |bev, what| {
            noted.event(bev, what);
            bev.close();
        })),
    );
    bev.enable(BOTH)?;
    base.dispatch()?;
    assert_eq!(told.list(), ["MALFORMED_MESSAGE"]);
    let mut alert = Vec::new();
    plain.read_to_end(&mut alert)?;
    assert_eq!(alert.first(), Some(&21), "an alert record: {alert:?}");
    Ok(())
}

#[test]
fn either_end_may_be_freed_in_any_callback() -> Outcome {
    for moment in 0..4 {
        for whom in 0..2 {
            let setting = setting();
            let (client, server) = ends(&setting);
            for bev in [&client, &server] {
                let both = [client.clone(), server.clone()];
                let free = move |now| {
                    if now == moment {
                        both[whom].free();
                        both[1 - whom].free();
                    }
                };
                let (on_read, on_write, on_event) = (free.clone(), free.clone(), free);
                bev.set_callbacks(
                    Some(Box::new(move |_| on_read(0))),
                    Some(Box::new(move |_| on_write(1))),
                    Some(Box::new(move |_, what| {
                        on_event(if what.contains(BufferEventFlags::CONNECTED) { 2 } else { 3 });
                    })),
                );
                bev.enable(BOTH)?;
                bev.write(&[7; 100_000])?;
            }
            if moment == 3 {
                let closing = client.clone();
                client.set_callbacks(Some(Box::new(move |_| closing.close())), None, None);
            }
            setting.base.dispatch()?;
            assert!(client.is_freed() && server.is_freed(), "{moment} {whom}");
        }
    }
    Ok(())
}

#[test]
fn a_descriptor_that_is_not_ours_is_left_open() -> Outcome {
    let Setting { base, client, .. } = setting();
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let (mut accepted, _) = listener.accept()?;
    accepted.set_nonblocking(true)?;
    let options = BufferEventOptions::empty();
    let bev = BufferEvent::tls_client(&base, Some(stream.into()), &client, "localhost", options)?;
    let below = bev.underlying().unwrap();
    bev.free();
    assert!(below.is_freed());
    let end = std::io::Read::read(&mut accepted, &mut [0]).unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::WouldBlock);
    Ok(())
}
