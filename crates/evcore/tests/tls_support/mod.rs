//! Certificates made for a test, and two ends that talk in memory.
#![allow(dead_code)]

use evcore::tls::{TlsClientConfig, TlsEngine, TlsError, TlsIdentity, TlsServerConfig};
use evcore::EvBuffer;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub chain: String,
    pub key: String,
    pub der: Vec<u8>,
    pub key_der: Vec<u8>,
}

impl Issued {
    pub fn identity(&self) -> TlsIdentity {
        TlsIdentity::from_pem(self.chain.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_with(names, |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "evnode test");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }

    pub fn revoke(&self, serial: u64) -> String {
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: rcgen::date_time_ymd(2021, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    pub fn client(&self) -> TlsClientConfig {
        TlsClientConfig::builder().roots_pem(self.pem.as_bytes()).build().unwrap()
    }
}

/// Both ends, with what each has heard.
pub struct Ends {
    pub client: TlsEngine,
    pub server: TlsEngine,
    pub to_client: EvBuffer,
    pub to_server: EvBuffer,
}

impl Ends {
    pub fn new(client: &TlsClientConfig, server: &TlsServerConfig) -> Self {
        Self::named(client, server, "localhost")
    }

    pub fn named(client: &TlsClientConfig, server: &TlsServerConfig, name: &str) -> Self {
        Self {
            client: TlsEngine::client(client, name).unwrap(),
            server: TlsEngine::server(server).unwrap(),
            to_client: EvBuffer::new(),
            to_server: EvBuffer::new(),
        }
    }

    /// Carries bytes to and fro until there are none; the first error of each end.
    pub fn carry(&mut self) -> (Result<(), TlsError>, Result<(), TlsError>) {
        let (mut at_client, mut at_server) = (Ok(()), Ok(()));
        let mut idle = 0;
        while idle < 2 {
            let moved = self.client.outgoing().len() + self.server.outgoing().len();
            self.server.feed(self.client.outgoing()).unwrap();
            let read = self.server.read(&mut self.to_server, usize::MAX);
            at_server = at_server.and(read.map(|_| ()));
            self.client.feed(self.server.outgoing()).unwrap();
            let read = self.client.read(&mut self.to_client, usize::MAX);
            at_client = at_client.and(read.map(|_| ()));
            idle = if moved == 0 { idle + 1 } else { 0 };
        }
        (at_client, at_server)
    }

    /// As [`carry`](Self::carry), and nothing fails.
    pub fn talk(&mut self) {
        assert_eq!(self.carry(), (Ok(()), Ok(())));
    }

    /// The handshake, after which both are open.
    pub fn open(mut self) -> Self {
        self.talk();
        assert!(!self.client.is_handshaking() && !self.server.is_handshaking());
        self
    }

    /// Sends bytes both ways and compares them.
    pub fn exchange(&mut self, bytes: &[u8]) {
        for to_server in [true, false] {
            let mut plaintext = EvBuffer::from(bytes.to_vec());
            let from = if to_server { &mut self.client } else { &mut self.server };
            assert_eq!(from.write(&mut plaintext, usize::MAX), Ok(bytes.len()));
            assert!(plaintext.is_empty());
            self.talk();
            let heard = if to_server { &mut self.to_server } else { &mut self.to_client };
            assert!(std::mem::take(heard).to_vec() == bytes, "{} bytes", bytes.len());
        }
    }
}
