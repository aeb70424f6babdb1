//! What can go wrong with TLS, and by which name.
#![cfg(feature = "tls")]

mod tls_support;

use evcore::tls::{
    TlsClientConfig, TlsEngine, TlsError, TlsErrorKind, TlsEvent, TlsIdentity, TlsServerConfig,
    TlsVersion,
};
use evcore::EvBuffer;
use rcgen::{date_time_ymd, ExtendedKeyUsagePurpose, SerialNumber};
use tls_support::{Authority, Ends, Issued};

fn server(issued: &Issued) -> TlsServerConfig {
    TlsServerConfig::builder(issued.identity()).build().unwrap()
}

/// What a client says to this certificate, with the kind that the server hears of.
fn verdict(client: &TlsClientConfig, issued: &Issued) -> &'static str {
    let mut ends = Ends::new(client, &server(issued));
    let (at_client, at_server) = ends.carry();
    let error = at_client.unwrap_err();
    assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::PeerAlert);
    assert_eq!(ends.client.next_event(), Some(TlsEvent::Failed(error.clone())));
    assert_eq!(ends.client.take_error(), Some(error.clone()));
    assert_eq!(ends.client.take_error(), None);
    // It stays failed, with the same words.
    assert_eq!(ends.client.read(&mut EvBuffer::new(), 1), Err(error.clone()));
    assert_eq!(ends.client.write(&mut EvBuffer::from(vec![1]), 1), Err(error.clone()));
    error.name()
}

#[test]
fn every_fault_of_a_certificate_has_its_name() {
    let authority = Authority::new("faults");
    let client = authority.client();
    let expired = authority.issue_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    });
    assert_eq!(verdict(&client, &expired), "CERT_EXPIRED");
    let early = authority.issue_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(2090, 1, 1);
        params.not_after = date_time_ymd(2091, 1, 1);
    });
    assert_eq!(verdict(&client, &early), "CERT_NOT_YET_VALID");
    let other = Authority::new("others").issue(&["localhost"]);
    assert_eq!(verdict(&client, &other), "CERT_UNKNOWN_ISSUER");
    assert_eq!(verdict(&client, &authority.issue(&["example.org"])), "CERT_NAME_MISMATCH");
    // The name of the one authority, the signature of another.
    let forged = Authority::new("faults").issue(&["localhost"]);
    assert_eq!(verdict(&client, &forged), "CERT_BAD_SIGNATURE");
    let purpose = authority.issue_with(&["localhost"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    assert_eq!(verdict(&client, &purpose), "CERT_WRONG_PURPOSE");
    let revoked = authority.issue_with(&["localhost"], |params| {
        params.serial_number = Some(SerialNumber::from(7));
    });
    let list = authority.revoke(7);
    let builder = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
    let strict = builder.revocation_lists_pem(list.as_bytes()).build().unwrap();
    assert_eq!(verdict(&strict, &revoked), "CERT_REVOKED");
    Ends::new(&strict, &server(&authority.issue(&["localhost"]))).open();
    // Who asks for no proof gets none.
    let anybody = TlsClientConfig::builder().danger_trust_anybody().build().unwrap();
    for issued in [&expired, &early, &other, &forged] {
        Ends::new(&anybody, &server(issued)).open();
    }
}

#[test]
fn ends_without_a_common_version_or_cipher_say_so() {
    let authority = Authority::new("nothing in common");
    let builder = TlsServerConfig::builder(authority.issue(&["localhost"]).identity());
    let new_only = builder.clone().versions(&[TlsVersion::V1_3]).build().unwrap();
    let client = TlsClientConfig::builder().roots_pem(authority.pem.as_bytes());
    let old_only = client.clone().versions(&[TlsVersion::V1_2]).build().unwrap();
    let (at_client, at_server) = Ends::new(&old_only, &new_only).carry();
    assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::PeerIncompatible);
    assert_eq!(at_client.unwrap_err().alert(), Some(70));
    let one = client.cipher_suites(["TLS_AES_128_GCM_SHA256"]).build().unwrap();
    let other = builder.cipher_suites(["TLS_AES_256_GCM_SHA384"]).build().unwrap();
    let (_, at_server) = Ends::new(&one, &other).carry();
    assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::PeerIncompatible);
}

fn open() -> Ends {
    let authority = Authority::new("open");
    Ends::new(&authority.client(), &server(&authority.issue(&["localhost"]))).open()
}

#[test]
fn a_stream_that_is_cut_short_is_an_error_unless_that_is_allowed() {
    for allowed in [false, true] {
        let mut ends = open();
        ends.client.write(&mut EvBuffer::from(b"part".to_vec()), usize::MAX).unwrap();
        ends.server.set_allow_dirty_shutdown(allowed);
        assert_eq!(ends.server.allow_dirty_shutdown(), allowed);
        ends.server.feed(ends.client.outgoing()).unwrap();
        ends.server.end();
        let mut heard = EvBuffer::new();
        // What came is given first, whatever its end is worth.
        assert_eq!(ends.server.read(&mut heard, 4), Ok(4));
        assert!(ends.server.holds_input());
        let end = ends.server.read(&mut heard, 4);
        if allowed {
            assert_eq!(end, Ok(0));
            assert!(ends.server.has_peer_closed());
        } else {
            assert_eq!(end.unwrap_err().name(), "TRUNCATED");
        }
        assert!(!ends.server.holds_input());
    }
}

#[test]
fn a_stream_that_is_cut_within_the_handshake_is_an_error_in_any_case() {
    let authority = Authority::new("cut");
    let mut ends = Ends::new(&authority.client(), &server(&authority.issue(&["localhost"])));
    for end in [&mut ends.client, &mut ends.server] {
        end.set_allow_dirty_shutdown(true);
        end.end();
        let error = end.read(&mut EvBuffer::new(), 1).unwrap_err();
        assert_eq!(error.kind(), TlsErrorKind::Truncated);
    }
}

#[test]
fn a_record_that_was_changed_ends_the_connection_with_an_alert() {
    let mut ends = open();
    ends.client.write(&mut EvBuffer::from(vec![1; 100]), usize::MAX).unwrap();
    let record = ends.client.outgoing().pullup_mut(None).unwrap();
    record[50] ^= 1;
    let (at_client, at_server) = ends.carry();
    assert_eq!(at_server.unwrap_err().kind(), TlsErrorKind::BadRecord);
    assert_eq!(at_client.unwrap_err().alert(), Some(20));
    assert!(ends.to_server.is_empty());
}

#[test]
fn what_is_not_tls_is_told_from_what_is() {
    let authority = Authority::new("not tls");
    let server = server(&authority.issue(&["localhost"]));
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 100], &[0xff; 20_000], b"\x16\x03\x01"] {
        let mut engine = TlsEngine::server(&server).unwrap();
        engine.feed(&mut EvBuffer::from(bytes.to_vec())).unwrap();
        let result = engine.read(&mut EvBuffer::new(), usize::MAX);
        if bytes.len() > 3 {
            let kind = result.unwrap_err().kind();
            assert!(matches!(kind, TlsErrorKind::Malformed | TlsErrorKind::BadRecord), "{kind:?}");
            assert!(!engine.outgoing().is_empty(), "an alert");
        } else {
            assert_eq!(result, Ok(0));
        }
    }
}

#[test]
fn any_change_of_any_byte_of_a_handshake_is_survived() {
    let authority = Authority::new("flips");
    let server = server(&authority.issue(&["localhost"]));
    let client = authority.client();
    for position in 0..1200 {
        let mut ends = Ends::new(&client, &server);
        let mut at = position;
        // The flips go through the client's first message and then the server's first flight.
        for flight in 0..4 {
            let from = if flight % 2 == 0 { &mut ends.client } else { &mut ends.server };
            let len = from.outgoing().len();
            if at < len {
                from.outgoing().pullup_mut(None).unwrap()[at] ^= 1 << (position % 8);
                break;
            }
            at -= len;
            let Ends { client, server, to_client, to_server } = &mut ends;
            let (from, to, heard) = if flight % 2 == 0 {
                (client, server, to_server)
            } else {
                (server, client, to_client)
            };
            to.feed(from.outgoing()).unwrap();
            let _ = to.read(heard, usize::MAX);
        }
        let _ = ends.carry();
    }
}

#[test]
fn nothing_that_was_said_is_lost_when_a_buffer_refuses() {
    use evcore::buffer::BufferEnd;
    let mut ends = open();
    let mut said = EvBuffer::from(b"frozen".to_vec());
    said.freeze(BufferEnd::Front);
    let error = ends.client.write(&mut said, usize::MAX).unwrap_err();
    assert_eq!((error.name(), said.len()), ("BUFFER", 6));
    assert!(ends.client.outgoing().is_empty());
    said.unfreeze(BufferEnd::Front);
    assert_eq!(ends.client.write(&mut said, usize::MAX), Ok(6));
    ends.talk();
    assert_eq!(ends.to_server.to_vec(), b"frozen");
}

fn refused<T: std::fmt::Debug>(result: Result<T, TlsError>, word: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), TlsErrorKind::InvalidConfig);
    assert!(error.message().contains(word), "{error}");
}

#[test]
fn settings_that_cannot_be_used_are_refused_with_the_reason() {
    let authority = Authority::new("settings");
    let (one, two) = (authority.issue(&["a"]), authority.issue(&["b"]));
    let (chain, key) = (one.chain.as_bytes(), one.key.as_bytes());
    refused(TlsIdentity::from_pem(chain, two.key.as_bytes()), "not the one of");
    refused(TlsIdentity::from_pem(b"", key), "no certificate");
    refused(TlsIdentity::from_pem(key, key), "no certificate");
    refused(TlsIdentity::from_pem(chain, chain), "no private key");
    let locked =
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(TlsIdentity::from_pem(chain, locked), "password");
    let torn = &one.key.as_bytes()[..one.key.len() / 2];
    refused(TlsIdentity::from_pem(chain, torn), "PEM");
    refused(TlsIdentity::from_der([], one.key_der.clone()), "no certificate");
    refused(TlsIdentity::from_der([one.der.clone()], vec![1, 2, 3]), "DER");
    refused(TlsIdentity::from_der([vec![1, 2, 3]], one.key_der.clone()), "certificate");
    let client = TlsClientConfig::builder;
    refused(client().roots_pem(b"nothing").build(), "no certificate");
    refused(client().root_der(vec![1, 2, 3]).build(), "root certificate 1");
    let rooted = || client().roots_pem(authority.pem.as_bytes());
    refused(rooted().cipher_suites(["RC4-MD5"]).build(), "TLS_AES_128_GCM_SHA256");
    refused(rooted().alpn([""]).build(), "1 to 255");
    refused(rooted().alpn(["x".repeat(256)]).build(), "1 to 255");
    refused(rooted().revocation_lists_pem(b"x").build(), "no revocation list");
    let only = rooted().cipher_suites(["TLS_AES_128_GCM_SHA256"]);
    refused(only.versions(&[TlsVersion::V1_2]).build(), "versions and cipher suites");
    let config = rooted().build().unwrap();
    for name in ["", "a b", "-", &"x".repeat(300)] {
        refused(TlsEngine::client(&config, name), "neither a host name nor an address");
    }
}
