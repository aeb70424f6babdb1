// TLS: configurations of servers and clients, and TLS over a bufferevent.

import type { TlsOffer } from '../index.js';
import { rangeError, typeError } from './errors.js';
import { binding } from './native.js';
import { asBuffer, boolean, bytes, choice, options, text, type Bytes } from './options.js';

/** A version of TLS, as Node's `tls` names it. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Certificates or a key: PEM as a string or bytes, or one in DER as bytes. */
export type Pem = string | Bytes;

/** What both sides can be told. */
export interface TlsOptions {
  /** Application protocols (ALPN), the preferred first. */
  alpn?: readonly string[];
  /** The versions to speak; both by default. */
  versions?: readonly TlsVersion[];
  /** The cipher suites to speak by their IANA names, the preferred first; all by default. */
  ciphers?: readonly string[];
}

/** What a server shows and asks for. */
export interface TlsServerOptions extends TlsOptions {
  /** The certificates, the own one first. PEM may hold several; in DER, several are an array. */
  cert: Pem | readonly Pem[];
  /** The private key: PKCS#8, PKCS#1 or SEC1, without a password. */
  key: Pem;
  /** Who may have issued clients' certificates; clients are asked for one if it is given. */
  clientCa?: Pem | readonly Pem[];
  /** With `clientCa`: whether a client without a certificate is refused. It is by default. */
  clientCert?: 'required' | 'optional';
}

/** Whom a client trusts and what it shows. */
export interface TlsClientOptions extends TlsOptions {
  /** Who may have issued servers' certificates; by default whoever the system trusts. */
  ca?: Pem | readonly Pem[];
  /** Certificates for servers that ask for them, the own one first; with `key`. */
  cert?: Pem | readonly Pem[];
  /** The private key of `cert`. */
  key?: Pem;
  /** Take any certificate of any server, which lets whoever sits in between read along. */
  insecure?: boolean;
}

/** What is known of a TLS connection. What the handshake decides is null before it is done. */
export interface TlsInfo {
  /** How far it is (`enum bufferevent_ssl_state`). */
  state: 'connecting' | 'accepting' | 'open';
  /** The version that was agreed on. */
  protocol: TlsVersion | null;
  /** The IANA name of the cipher suite that was agreed on. */
  cipher: string | null;
  /** The application protocol that was agreed on. */
  alpn: string | null;
  /** The name under which the client wants the server (SNI). */
  serverName: string | null;
  /** The peer's own certificate in DER, for `new X509Certificate()`; null if it has shown none. */
  peerCertificate: Buffer | null;
  /** All certificates that the peer has shown, its own first. */
  peerCertificates: Buffer[];
  /** Whether the session is one of an earlier connection. */
  resumed: boolean;
  /** Whether the end of the stream counts as the peer's farewell. */
  allowDirtyShutdown: boolean;
}

/** What either end of a connection can be told. */
export interface TlsLayerOptions {
  /**
   * Take the end of the stream for the peer's farewell, and so for `EOF` and not for an error
   * `ERR_EVNODE_TLS_TRUNCATED`; somebody in between can then cut it short unnoticed. False by default.
   */
  allowDirtyShutdown?: boolean;
  /** Free the bufferevent below with this one (`BEV_OPT_CLOSE_ON_FREE`); true by default. */
  closeOnFree?: boolean;
  /** Run callbacks after the events that are active, not at once (`BEV_OPT_DEFER_CALLBACKS`). */
  deferCallbacks?: boolean;
}

/** How to be the server of a TLS connection. */
export interface StartTlsServerOptions extends TlsLayerOptions {
  /** What to show and to ask for. */
  server: TlsServerConfig;
}

/** How to be the client of a TLS connection. */
export interface StartTlsClientOptions extends TlsLayerOptions {
  /** The name, or address, that the server has to prove. */
  serverName: string;
  /** Whom to trust; by default whoever the system trusts. */
  client?: TlsClientConfig;
}

/** Which end of a TLS connection to be, and how. */
export type StartTlsOptions = StartTlsServerOptions | StartTlsClientOptions;

/** A string or bytes as a copy of the bytes. */
function encoded(call: string, name: string, value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.from(value);
  if (value === undefined || value === null || typeof value !== 'object') {
    throw typeError(call, name, 'PEM as a string or bytes, or DER as bytes', value);
  }
  return Buffer.from(asBuffer(bytes(call, name, value)));
}

/** One or several of them. */
function encodings(call: string, name: string, value: unknown): Buffer[] {
  if (!Array.isArray(value)) return [encoded(call, name, value)];
  if (value.length === 0) throw rangeError(call, name, 'one certificate at least', value);
  return value.map((one) => encoded(call, name, one));
}

/** An array of strings, or none. */
function strings(call: string, name: string, value: unknown): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw typeError(call, name, 'an array of strings', value);
  return value.map((one) => text(call, name, one));
}

/** What both sides offer. */
function offer(call: string, given: TlsOptions): Omit<TlsOffer, 'cert' | 'key' | 'roots'> {
  const versions = strings(call, 'versions', given.versions);
  const all = ['TLSv1.2', 'TLSv1.3'] as const;
  return {
    alpn: strings(call, 'alpn', given.alpn),
    versions: versions.map((version) => choice(call, 'versions', version, all)),
    ciphers: strings(call, 'ciphers', given.ciphers),
  };
}

/**
 * What TLS servers show, offer and ask for; it serves any number of connections.
 *
 * ```ts
 * const config = new TlsServerConfig({ cert: readFileSync('chain.pem'), key: readFileSync('key.pem') });
 * base.listenTls({ port: 8443, tls: config }, (conn) => {
 *   conn.setCallbacks({ read: (conn) => conn.forward(conn) });
 * });
 * ```
 */
export class TlsServerConfig {
  /** @internal */
  readonly _native: object;

  /** @throws EvError `ERR_EVNODE_TLS_INVALID_CONFIG` that says what cannot be used. */
  constructor(given: TlsServerOptions) {
    const call = 'new TlsServerConfig';
    const { cert, key, clientCa, clientCert, ...rest } = options(call, given, {
      cert: undefined as unknown as Pem,
      key: '',
    });
    const usual = clientCert === undefined ? 'required' : clientCert;
    const auth = choice(call, 'clientCert', usual, ['required', 'optional']);
    if (clientCert !== undefined && clientCa === undefined) {
      throw typeError(call, 'clientCa', 'who may have issued them, as clientCert asks', clientCa);
    }
    const identity = {
      cert: encodings(call, 'cert', cert),
      key: encoded(call, 'key', key),
      roots: clientCa === undefined ? [] : encodings(call, 'clientCa', clientCa),
    };
    const asked = clientCa === undefined ? 0 : auth === 'optional' ? 1 : 2;
    this._native = binding.tlsServerConfig({ ...identity, ...offer(call, rest) }, asked);
  }

  /**
   * Shows another certificate from the next handshake on. Connections that stand and sessions that
   * are resumed are not touched.
   *
   * @throws EvError `ERR_EVNODE_TLS_INVALID_CONFIG`; the old one is shown further then.
   */
  setCertificate(cert: Pem | readonly Pem[], key: Pem): this {
    const call = 'TlsServerConfig.setCertificate';
    const chain = encodings(call, 'cert', cert);
    binding.tlsSetCertificate(this._native, chain, encoded(call, 'key', key));
    return this;
  }
}

/** Whom TLS clients trust and what they offer; it serves any number of connections, whose sessions it remembers. */
export class TlsClientConfig {
  /** @internal */
  readonly _native: object;

  /** @throws EvError `ERR_EVNODE_TLS_INVALID_CONFIG` that says what cannot be used. */
  constructor(given?: TlsClientOptions) {
    const call = 'new TlsClientConfig';
    const { ca, cert, key, insecure, ...rest } = options(call, given, {});
    if ((cert === undefined) !== (key === undefined)) {
      const [missing, wanted] = cert === undefined ? ['cert', 'key'] : ['key', 'cert'];
      throw typeError(call, missing, `it together with ${wanted}`, undefined);
    }
    const identity: Pick<TlsOffer, 'cert' | 'key' | 'roots'> = {
      cert: cert === undefined ? [] : encodings(call, 'cert', cert),
      roots: ca === undefined ? [] : encodings(call, 'ca', ca),
    };
    if (key !== undefined) identity.key = encoded(call, 'key', key);
    const anybody = boolean(call, 'insecure', insecure, false);
    this._native = binding.tlsClientConfig({ ...identity, ...offer(call, rest) }, anybody);
  }
}

/** The configuration of clients that were given none. */
let usual: TlsClientConfig | null = null;

/** Throws unless it is a client's configuration, or none. */
export function clientConfig(call: string, name: string, value: unknown): TlsClientConfig {
  if (value instanceof TlsClientConfig) return value;
  if (value !== undefined) throw typeError(call, name, 'a TlsClientConfig', value);
  return (usual ??= new TlsClientConfig());
}

/** Throws unless it is a server's configuration. */
export function serverConfig(call: string, name: string, value: unknown): TlsServerConfig {
  if (value instanceof TlsServerConfig) return value;
  throw typeError(call, name, 'a TlsServerConfig', value);
}

/** Puts TLS on the bufferevent behind a handle; gives the handle of the new one. */
export function startTls(call: string, below: number, how: StartTlsOptions, bits: number): number {
  const dirty = boolean(call, 'allowDirtyShutdown', how.allowDirtyShutdown, false);
  const handle = start(call, below, how, bits);
  if (dirty) binding.bevAllowDirtyShutdown(handle, true);
  return handle;
}

function start(call: string, below: number, how: StartTlsOptions, bits: number): number {
  if ('server' in how) {
    return binding.bevStartTlsServer(below, serverConfig(call, 'server', how.server)._native, bits);
  }
  const name = text(call, 'serverName', how.serverName);
  const client = clientConfig(call, 'client', how.client);
  return binding.bevStartTlsClient(below, client._native, name, bits);
}

/** What is known of the TLS of the bufferevent behind a handle. */
export function tlsInfo(handle: number): TlsInfo | null {
  const info = binding.bevTls(handle);
  if (info === null) return null;
  const { state, protocol, cipher, alpn, serverName, peerCertificates, ...rest } = info;
  return {
    state: state as TlsInfo['state'],
    protocol: (protocol as TlsVersion | undefined) ?? null,
    cipher: cipher ?? null,
    alpn: alpn ?? null,
    serverName: serverName ?? null,
    peerCertificate: peerCertificates[0] ?? null,
    peerCertificates,
    ...rest,
  };
}
