//! TLS between two ends in memory: what is agreed on and how bytes pass.
#![cfg(feature = "tls")]

mod tls_support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use evcore::tls::{
    cipher_suites, TlsClientAuth, TlsClientConfig, TlsErrorKind, TlsEvent, TlsIdentity,
    TlsServerConfig, TlsState, TlsVersion,
};
use evcore::EvBuffer;
use tls_support::{Authority, Ends};

const BOTH: [TlsVersion; 2] = [TlsVersion::V1_2, TlsVersion::V1_3];

struct Usual {
    authority: Authority,
    client: TlsClientConfig,
    server: TlsServerConfig,
}

fn usual() -> Usual {
    let authority = Authority::new("usual");
    let server = TlsServerConfig::builder(authority.issue(&["localhost"]).identity());
    Usual { client: authority.client(), server: server.build().unwrap(), authority }
}

fn with_versions(versions: &[TlsVersion]) -> Usual {
    let authority = Authority::new("versions");
    let server = TlsServerConfig::builder(authority.issue(&["localhost"]).identity());
    let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
    Usual {
        client: client.versions(versions).build().unwrap(),
        server: server.build().unwrap(),
        authority,
    }
}

#[test]
fn both_versions_shake_hands_and_carry_bytes_of_any_length() {
    for version in BOTH {
        let Usual { client, server, .. } = with_versions(&[version]);
        let mut ends = Ends::new(&client, &server);
        assert_eq!(ends.client.state(), TlsState::Connecting);
        assert_eq!(ends.server.state(), TlsState::Accepting);
        ends = ends.open();
        for end in [&mut ends.client, &mut ends.server] {
            assert_eq!(end.state(), TlsState::Open);
            assert_eq!(end.version(), Some(version));
            assert_eq!(end.next_event(), Some(TlsEvent::Open));
            assert_eq!(end.next_event(), None);
            assert_eq!(end.server_name(), Some("localhost"));
            assert_eq!(end.alpn(), None);
        }
        let suite = ends.client.cipher_suite().unwrap();
        assert_eq!(ends.server.cipher_suite().as_ref(), Some(&suite));
        assert!(cipher_suites().any(|name| name == suite), "{suite}");
        assert_eq!(suite.contains("_WITH_"), version == TlsVersion::V1_2, "{suite}");
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| ((number * 7) >> 3) as u8).collect();
        for len in [1, 64, 16_383, 16_384, 16_385, 65_536, 65_537, 300_000] {
            ends.exchange(&bytes[..len]);
        }
    }
}

#[test]
fn a_plaintext_in_many_pieces_fills_records() {
    let Usual { client, server, .. } = usual();
    let mut ends = Ends::new(&client, &server).open();
    let mut plaintext = EvBuffer::new();
    for number in 0..1000 {
        plaintext.add_bytes(vec![number as u8; 300]).unwrap();
    }
    let bytes = plaintext.to_vec();
    assert_eq!(ends.client.write(&mut plaintext, usize::MAX), Ok(300_000));
    let records = 300_000_usize.div_ceil(16_384);
    assert_eq!(ends.client.outgoing().len(), 300_000 + records * 22);
    ends.talk();
    assert!(ends.to_server.to_vec() == bytes);
}

#[test]
fn ciphertext_may_come_in_pieces_of_any_size() {
    for version in BOTH {
        let Usual { client, server, .. } = with_versions(&[version]);
        for piece in [1, 3, 7, 100, 5000] {
            let mut ends = Ends::new(&client, &server);
            let bytes = vec![7; 40_000];
            let mut said = EvBuffer::from(bytes.clone());
            while ends.to_server.len() < bytes.len() {
                ends.client.write(&mut said, usize::MAX).unwrap();
                for to_server in [true, false] {
                    let Ends { client, server, to_client, to_server: heard } = &mut ends;
                    let (from, to, heard) = if to_server {
                        (client, server, heard)
                    } else {
                        (server, client, to_client)
                    };
                    while !from.outgoing().is_empty() {
                        let mut part = EvBuffer::new();
                        from.outgoing().remove_buffer(&mut part, piece).unwrap();
                        to.feed(&mut part).unwrap();
                        to.read(heard, usize::MAX).unwrap();
                    }
                }
            }
            assert!(ends.to_server.to_vec() == bytes);
        }
    }
}

#[test]
fn no_more_is_read_than_there_is_room_for() {
    let Usual { client, server, .. } = usual();
    let mut ends = Ends::new(&client, &server).open();
    let mut bytes = EvBuffer::from(vec![1; 50_000]);
    ends.client.write(&mut bytes, 40_000).unwrap();
    assert_eq!(bytes.len(), 10_000);
    ends.server.feed(ends.client.outgoing()).unwrap();
    let mut got = EvBuffer::new();
    let mut expected = 0;
    while ends.server.holds_input() {
        let len = ends.server.read(&mut got, 999).unwrap();
        assert!(len <= 999);
        expected += len;
        assert_eq!(got.len(), expected);
        // Writing in between gives away nothing of what is still to be read.
        ends.server.write(&mut EvBuffer::from(vec![2; 10]), usize::MAX).unwrap();
    }
    assert_eq!(got.len(), 40_000);
    assert_eq!(ends.server.read(&mut got, 0), Ok(0));
}

#[test]
fn nothing_is_taken_before_the_handshake_is_done() {
    let Usual { client, server, .. } = usual();
    let mut ends = Ends::new(&client, &server);
    let mut early = EvBuffer::from(b"early".to_vec());
    assert_eq!(ends.client.write(&mut early, usize::MAX), Ok(0));
    assert_eq!(early.to_vec(), b"early");
    ends = ends.open();
    assert_eq!(ends.client.write(&mut early, usize::MAX), Ok(5));
}

#[test]
fn the_servers_order_decides_on_the_application_protocol() {
    let authority = Authority::new("alpn");
    let identity = authority.issue(&["localhost"]).identity();
    let server = TlsServerConfig::builder(identity).alpn(["h2", "http/1.1"]).build().unwrap();
    let client = |protocols: &[&str]| {
        let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
        client.alpn(protocols).build().unwrap()
    };
    for (offered, agreed) in
        [(&["http/1.1", "h2"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let ends = Ends::new(&client(offered), &server).open();
        assert_eq!(ends.client.alpn(), agreed.map(str::as_bytes));
        assert_eq!(ends.server.alpn(), agreed.map(str::as_bytes));
    }
    let (at_client, at_server) = Ends::new(&client(&["spdy"]), &server).carry();
    assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::NoApplicationProtocol);
    let error = at_client.unwrap_err();
    assert_eq!((error.kind(), error.alert()), (TlsErrorKind::PeerAlert, Some(120)));
}

#[test]
fn a_callback_chooses_the_certificate_by_name_and_protocol() {
    let authority = Authority::new("sni");
    let (one, two) = (authority.issue(&["one.test"]), authority.issue(&["two.test"]));
    let chosen = two.identity();
    let server = TlsServerConfig::builder(one.identity())
        .choose_certificate(move |hello| match hello.server_name {
            Some("two.test") => {
                assert_eq!(hello.alpn, [b"x".as_slice(), b"y"]);
                Ok(Some(chosen.clone()))
            }
            Some("refused.test") => Err("nobody of that name".into()),
            Some("panic.test") => panic!("on purpose"),
            _ => Ok(None),
        })
        .build()
        .unwrap();
    let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes()).alpn(["x", "y"]);
    let client = client.build().unwrap();
    for (name, issued) in [("one.test", &one), ("two.test", &two)] {
        let ends = Ends::named(&client, &server, name).open();
        assert_eq!(ends.client.peer_certificates().next(), Some(&*issued.der));
        assert_eq!(ends.server.server_name(), Some(name));
    }
    for (name, why) in
        [("refused.test", "nobody of that name"), ("panic.test", "the callback has panicked")]
    {
        let (at_client, at_server) = Ends::named(&client, &server, name).carry();
        let error = at_server.unwrap_err();
        assert_eq!((error.kind(), error.message()), (TlsErrorKind::ChoiceRefused, why));
        assert_eq!(at_client.unwrap_err().kind(), TlsErrorKind::PeerAlert);
    }
}

#[test]
fn an_address_is_no_server_name_but_can_be_verified() {
    let authority = Authority::new("address");
    let identity = authority.issue(&["127.0.0.1"]).identity();
    let server = TlsServerConfig::builder(identity).build().unwrap();
    let ends = Ends::named(&authority.client(), &server, "127.0.0.1").open();
    assert_eq!(ends.server.server_name(), None);
}

#[test]
fn a_client_can_keep_the_servers_name_to_itself() {
    let Usual { authority, server, .. } = usual();
    let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
    let client = client.send_server_name(false).build().unwrap();
    assert_eq!(Ends::new(&client, &server).open().server.server_name(), None);
}

#[test]
fn client_certificates_are_asked_for_and_required() {
    let authority = Authority::new("server side");
    let clients = Authority::new("client side");
    let shown = clients.issue(&["a client"]);
    let server = |auth| {
        TlsServerConfig::builder(authority.issue(&["localhost"]).identity())
            .client_auth_pem(auth, clients.pem.as_bytes())
            .build()
            .unwrap()
    };
    for version in BOTH {
        let client = |identity: Option<TlsIdentity>| {
            let mut client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
            if let Some(identity) = identity {
                client = client.identity(identity);
            }
            client.versions(&[version]).build().unwrap()
        };
        for auth in [TlsClientAuth::Optional, TlsClientAuth::Required] {
            let ends = Ends::new(&client(Some(shown.identity())), &server(auth)).open();
            assert_eq!(ends.server.peer_certificates().next(), Some(&*shown.der));
        }
        let ends = Ends::new(&client(None), &server(TlsClientAuth::Optional)).open();
        assert_eq!(ends.server.peer_certificates().count(), 0);
        let (at_client, at_server) =
            Ends::new(&client(None), &server(TlsClientAuth::Required)).carry();
        assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::CertificateRequired);
        assert_eq!(at_client.unwrap_err().kind(), TlsErrorKind::PeerAlert);
        let strange = authority.issue(&["of another authority"]).identity();
        let (_, at_server) =
            Ends::new(&client(Some(strange)), &server(TlsClientAuth::Optional)).carry();
        assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::CertificateUnknownIssuer);
    }
}

#[test]
fn sessions_are_resumed_by_ticket_and_by_memory_and_not_without_either() {
    let authority = Authority::new("sessions");
    for version in BOTH {
        for (tickets, sessions, remembered, resumed) in [
            (true, 0, 256, true),
            (false, 256, 256, true),
            (false, 0, 256, false),
            (true, 256, 0, false),
        ] {
            let server = TlsServerConfig::builder(authority.issue(&["localhost"]).identity())
                .tickets(tickets)
                .sessions(sessions)
                .build()
                .unwrap();
            let client = TlsClientConfig::builder()
                .roots_pem(authority.pem.as_bytes())
                .versions(&[version])
                .sessions(remembered)
                .build()
                .unwrap();
            for round in 0..3 {
                let mut ends = Ends::new(&client, &server).open();
                let expected = resumed && round > 0;
                let case = format!("{version:?} {tickets} {sessions} {remembered} {round}");
                assert_eq!(ends.client.was_resumed(), expected, "{case}");
                assert_eq!(ends.server.was_resumed(), expected, "{case}");
                assert_eq!(ends.server.server_name(), Some("localhost"));
                assert_eq!(ends.client.peer_certificates().count(), 1);
                ends.exchange(b"after all");
            }
        }
    }
}

#[test]
fn a_certificate_is_renewed_under_connections_that_stand() {
    let authority = Authority::new("renewal");
    let (old, new) = (authority.issue(&["localhost"]), authority.issue(&["localhost"]));
    let server = TlsServerConfig::builder(old.identity()).build().unwrap();
    let copy = server.clone();
    let shown = |ends: &Ends| ends.client.peer_certificates().next().unwrap().to_vec();
    let mut before = Ends::new(&authority.client(), &server).open();
    let pending = Ends::new(&authority.client(), &server);
    copy.set_certificate(new.identity());
    let after = Ends::new(&authority.client(), &server).open();
    assert_eq!((shown(&before), shown(&after)), (old.der, new.der.clone()));
    assert_eq!(shown(&pending.open()), new.der);
    before.exchange(b"still there");
}

#[test]
fn the_callback_is_asked_once_a_handshake_from_any_thread() {
    let authority = Authority::new("threads");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = TlsServerConfig::builder(authority.issue(&["localhost"]).identity())
        .choose_certificate(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        })
        .build()
        .unwrap();
    let client = authority.client();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| Ends::new(&client, &server).open().exchange(b"x"));
        }
    });
    assert_eq!(asked.load(Ordering::Relaxed), 4);
}

#[test]
fn keys_are_changed_in_the_middle_of_a_conversation() {
    let Usual { client, server, .. } = with_versions(&[TlsVersion::V1_3]);
    let mut ends = Ends::new(&client, &server);
    assert_eq!(ends.client.update_keys().unwrap_err().kind(), TlsErrorKind::NotNow);
    ends = ends.open();
    for _ in 0..3 {
        ends.exchange(b"before");
        assert!(ends.client.outgoing().is_empty());
        ends.client.update_keys().unwrap();
        assert!(!ends.client.outgoing().is_empty());
        ends.exchange(b"after");
        ends.server.update_keys().unwrap();
        ends.exchange(&[3; 20_000]);
    }
    let Usual { client, server, .. } = with_versions(&[TlsVersion::V1_2]);
    let mut ends = Ends::new(&client, &server).open();
    assert_eq!(ends.client.update_keys().unwrap_err().kind(), TlsErrorKind::NotNow);
    ends.exchange(b"it goes on");
}

#[test]
fn renegotiation_is_refused_and_the_connection_goes_on() {
    let Usual { client, server, .. } = usual();
    let mut ends = Ends::new(&client, &server).open();
    let error = ends.client.renegotiate().unwrap_err();
    assert_eq!(error.name(), "RENEGOTIATION_REFUSED");
    assert!(error.message().contains("update_keys"), "{error}");
    assert_eq!((ends.client.take_error(), ends.client.take_error()), (Some(error), None));
    ends.exchange(b"it goes on");
}

#[test]
fn a_farewell_ends_one_direction_and_leaves_the_other() {
    for version in BOTH {
        let Usual { client, server, .. } = with_versions(&[version]);
        let mut ends = Ends::new(&client, &server).open();
        ends.client.write(&mut EvBuffer::from(b"last".to_vec()), usize::MAX).unwrap();
        ends.client.close().unwrap();
        ends.client.close().unwrap();
        ends.talk();
        assert_eq!(ends.to_server.to_vec(), b"last");
        assert!(ends.server.has_peer_closed() && !ends.client.has_peer_closed());
        assert_eq!(ends.server.next_event(), Some(TlsEvent::Open));
        assert_eq!(ends.server.next_event(), Some(TlsEvent::PeerClosed));
        ends.server.end();
        assert_eq!(ends.server.read(&mut EvBuffer::new(), 10), Ok(0));
        let mut more = EvBuffer::from(b"more".to_vec());
        let error = ends.client.write(&mut more, usize::MAX).unwrap_err();
        assert_eq!((error.kind(), more.len()), (TlsErrorKind::Closed, 4));
        ends.server.write(&mut more, usize::MAX).unwrap();
        ends.server.close().unwrap();
        ends.talk();
        assert_eq!(ends.to_client.to_vec(), b"more");
        assert!(ends.client.has_peer_closed());
    }
}

#[test]
fn roots_and_identities_are_read_from_der_as_well() {
    let authority = Authority::new("der");
    let issued = authority.issue(&["localhost"]);
    let identity = TlsIdentity::from_der([issued.der.clone()], issued.key_der.clone()).unwrap();
    assert_eq!(identity.certificates().collect::<Vec<_>>(), [&*issued.der]);
    let server = TlsServerConfig::builder(identity).build().unwrap();
    // Only a test's root is its own leaf.
    let client = TlsClientConfig::builder().danger_trust_anybody().build().unwrap();
    Ends::new(&client, &server).open().exchange(b"der");
}

#[test]
fn a_chosen_cipher_suite_is_used() {
    let Usual { authority, server, .. } = usual();
    for name in ["TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"] {
        let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
        let client = client.cipher_suites([name]).versions(if name.contains("WITH") {
            &[TlsVersion::V1_2]
        } else {
            &[TlsVersion::V1_3]
        });
        let mut ends = Ends::new(&client.build().unwrap(), &server).open();
        assert_eq!(ends.server.cipher_suite().as_deref(), Some(name));
        ends.exchange(&[1; 20_000]);
    }
}

#[test]
fn an_open_idle_connection_holds_no_buffers() {
    let Usual { client, server, .. } = usual();
    let mut ends = Ends::new(&client, &server).open();
    ends.exchange(&[1; 100]);
    assert!(ends.client.outgoing().is_empty() && ends.server.outgoing().is_empty());
    assert!(!ends.client.holds_input() && !ends.server.holds_input());
}
