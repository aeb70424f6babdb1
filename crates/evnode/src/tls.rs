//! TLS: configurations, which JavaScript's garbage collector owns, and TLS over bufferevents.

use evcore::bufferevent::{BufferEvent, Tls};
use evcore::tls::{
    TlsClientAuth, TlsClientConfig, TlsIdentity, TlsServerConfig, TlsState, TlsVersion,
};
use napi::bindgen_prelude::{Buffer, External, Uint8Array};
use napi_derive::napi;

use crate::bufferevent::{bev_options, JsBev};
use crate::error::{Failure, Result};
use crate::handle::Handle;
use crate::raw::cold;

/// What both sides can offer. Certificates and keys are PEM, or one certificate or key in DER.
#[napi(object, object_to_js = false)]
pub struct TlsOffer {
    /// The chain, the own certificate first; empty for none.
    pub cert: Vec<Uint8Array>,
    pub key: Option<Uint8Array>,
    /// Who may have issued the peer's certificate.
    pub roots: Vec<Uint8Array>,
    /// Application protocols, the preferred first.
    pub alpn: Vec<String>,
    /// `TLSv1.2`, `TLSv1.3`; empty for both.
    pub versions: Vec<String>,
    /// IANA names of cipher suites; empty for all.
    pub ciphers: Vec<String>,
}

/// What is known of a connection.
#[napi(object, object_from_js = false)]
pub struct NativeTlsInfo {
    /// `connecting`, `accepting` or `open`.
    pub state: String,
    pub protocol: Option<String>,
    pub cipher: Option<String>,
    pub alpn: Option<String>,
    pub server_name: Option<String>,
    /// In DER, the peer's own first.
    pub peer_certificates: Vec<Buffer>,
    pub resumed: bool,
    pub allow_dirty_shutdown: bool,
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn identity(cert: &[Uint8Array], key: &[u8]) -> Result<TlsIdentity> {
    let identity = if cert.iter().all(|cert| is_pem(cert)) {
        let chain: Vec<&[u8]> = cert.iter().map(|cert| &**cert).collect();
        // The last line of one may lack its end.
        TlsIdentity::from_pem(&chain.join(&b'\n'), key)
    } else {
        TlsIdentity::from_der(cert.iter().map(|cert| cert.to_vec()), key.to_vec())
    };
    Ok(identity?)
}

fn versions(names: &[String]) -> Result<Vec<TlsVersion>> {
    let all = [TlsVersion::V1_2, TlsVersion::V1_3];
    let of = |name: &String| all.into_iter().find(|version| version.name() == name);
    let found: Option<Vec<_>> = names.iter().map(of).collect();
    found.ok_or(Failure::Range("a version is \"TLSv1.2\" or \"TLSv1.3\""))
}

/// Makes a server's configuration. `client_auth`: 0 asks clients for no certificate, 1 asks for one,
/// 2 requires one.
#[napi(catch_unwind, ts_return_type = "object")]
pub fn tls_server_config(
    env: napi::Env,
    offer: TlsOffer,
    client_auth: i32,
) -> napi::Result<External<TlsServerConfig>> {
    cold(&env, |_| {
        let auth = match client_auth {
            0 => TlsClientAuth::None,
            1 => TlsClientAuth::Optional,
            _ => TlsClientAuth::Required,
        };
        let own = identity(&offer.cert, offer.key.as_deref().unwrap_or_default())?;
        let mut builder = TlsServerConfig::builder(own)
            .alpn(offer.alpn)
            .versions(&versions(&offer.versions)?)
            .cipher_suites(offer.ciphers);
        for root in &offer.roots {
            builder = if is_pem(root) {
                builder.client_auth_pem(auth, root)
            } else {
                builder.client_auth_der(auth, root.to_vec())
            };
        }
        Ok(External::new(builder.build()?))
    })
}

/// Shows another certificate from the next handshake on.
#[napi(catch_unwind)]
pub fn tls_set_certificate(
    env: napi::Env,
    #[napi(ts_arg_type = "object")] config: &External<TlsServerConfig>,
    cert: Vec<Uint8Array>,
    key: Uint8Array,
) -> napi::Result<()> {
    cold(&env, |_| {
        config.set_certificate(identity(&cert, &key)?);
        Ok(())
    })
}

/// Makes a client's configuration, which trusts the system's roots if it has none of its own, and
/// anybody if it is insecure.
#[napi(catch_unwind, ts_return_type = "object")]
pub fn tls_client_config(
    env: napi::Env,
    offer: TlsOffer,
    insecure: bool,
) -> napi::Result<External<TlsClientConfig>> {
    cold(&env, |_| {
        let mut builder = TlsClientConfig::builder()
            .alpn(offer.alpn)
            .versions(&versions(&offer.versions)?)
            .cipher_suites(offer.ciphers);
        for root in &offer.roots {
            builder = if is_pem(root) {
                builder.roots_pem(root)
            } else {
                builder.root_der(root.to_vec())
            };
        }
        if let Some(key) = &offer.key {
            builder = builder.identity(identity(&offer.cert, key)?);
        }
        if insecure {
            builder = builder.danger_trust_anybody();
        }
        Ok(External::new(builder.build()?))
    })
}

/// Makes the server's end of a TLS connection over a bufferevent; options as those of `bevNew`.
#[napi(catch_unwind)]
pub fn bev_start_tls_server(
    env: napi::Env,
    below: Handle,
    #[napi(ts_arg_type = "object")] config: &External<TlsServerConfig>,
    options: i32,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let (below, options) = (env.bev(below)?, bev_options(options)?);
        let base = below.base().clone();
        let handle = JsBev::insert(base.clone(), Some(below.clone()), |_| {
            Ok(below.bev.start_tls_server(config, options)?)
        })?;
        base.touch();
        Ok(handle)
    })
}

/// Makes the client's end of a TLS connection over a bufferevent.
#[napi(catch_unwind)]
pub fn bev_start_tls_client(
    env: napi::Env,
    below: Handle,
    #[napi(ts_arg_type = "object")] config: &External<TlsClientConfig>,
    server_name: String,
    options: i32,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let (below, options) = (env.bev(below)?, bev_options(options)?);
        let base = below.base().clone();
        let handle = JsBev::insert(base.clone(), Some(below.clone()), |_| {
            Ok(below.bev.start_tls_client(config, &server_name, options)?)
        })?;
        base.touch();
        Ok(handle)
    })
}

/// What is known of a bufferevent's TLS, if it is one over TLS itself.
#[napi(catch_unwind)]
pub fn bev_tls(env: napi::Env, bev: Handle) -> napi::Result<Option<NativeTlsInfo>> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.tls().map(|tls| info(&tls))))
}

fn info(tls: &Tls) -> NativeTlsInfo {
    let state = match tls.state() {
        TlsState::Connecting => "connecting",
        TlsState::Accepting => "accepting",
        TlsState::Open => "open",
    };
    NativeTlsInfo {
        state: state.to_owned(),
        protocol: tls.version().map(|version| version.name().to_owned()),
        cipher: tls.cipher_suite(),
        alpn: tls.alpn().map(|name| String::from_utf8_lossy(&name).into_owned()),
        server_name: tls.server_name(),
        peer_certificates: tls.peer_certificates().into_iter().map(Buffer::from).collect(),
        resumed: tls.was_resumed(),
        allow_dirty_shutdown: tls.allow_dirty_shutdown(),
    }
}

fn tls_of(bev: &BufferEvent) -> Result<Tls> {
    bev.tls().ok_or(Failure::Range("the bufferevent is not one over TLS"))
}

/// Sets whether the end of the stream counts as the peer's farewell.
#[napi(catch_unwind)]
pub fn bev_allow_dirty_shutdown(env: napi::Env, bev: Handle, allow: bool) -> napi::Result<()> {
    cold(&env, |env| {
        tls_of(&env.bev(bev)?.bev)?.set_allow_dirty_shutdown(allow);
        Ok(())
    })
}

/// Changes the keys of what is sent from here on.
#[napi(catch_unwind)]
pub fn bev_update_keys(env: napi::Env, bev: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        tls_of(&bev.bev)?.update_keys()?;
        bev.touch();
        Ok(())
    })
}
