import { once } from 'node:events';
import tls from 'node:tls';
import net, { type AddressInfo } from 'node:net';

import test from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  type EventBase,
  EventFlags,
  EvError,
  statistics,
  TlsClientConfig,
  TlsServerConfig,
  type ListenTlsOptions,
  type TlsServerOptions,
} from 'evnode';

import { authority, client, derOf, renewed, server } from './support/certificates';
import { attached, everywhere, later } from './support/drive';
import { netClient, pair, pattern, portOf } from './support/peers';

const { READ, WRITE } = EventFlags;
const { CONNECTED, EOF, ERROR } = BufferEventFlags;

const trusting = new TlsClientConfig({ ca: authority });

/** A listener for TLS that answers every byte. */
function echo(
  base: EventBase,
  options: Partial<TlsServerOptions> = {},
  more: Partial<ListenTlsOptions> = {},
) {
  const config = new TlsServerConfig({ ...server, ...options });
  return base.listenTls({ port: 0, host: '127.0.0.1', tls: config, ...more }, (conn) => {
    conn.setCallbacks({ read: (conn) => conn.forward(conn) });
  });
}

/** A server of Node's that answers every byte. */
async function nodeEcho(options: tls.TlsOptions = {}) {
  const listener = tls.createServer({ ...server, ...options }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  listener.on('tlsClientError', () => {});
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return { listener, port: (listener.address() as AddressInfo).port };
}

/** A client of Node's that has shaken hands. */
async function nodeClient(port: number, options: tls.ConnectionOptions = {}) {
  const socket = tls.connect({ port, host: '127.0.0.1', ca: authority, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** Bytes that come back. */
async function echoed(bev: BufferEvent, sent: Buffer): Promise<Buffer> {
  const received: Buffer[] = [];
  let count = 0;
  bev.write(sent);
  for await (const chunk of bev.chunks()) {
    received.push(chunk);
    count += chunk.length;
    if (count >= sent.length) break;
  }
  return Buffer.concat(received);
}

const coded = (code: string) => ({ instanceOf: EvError, code: `ERR_EVNODE_TLS_${code}` });

everywhere('two ends agree, tell on what, and pass 4 MiB back and forth', async (t, base) => {
  const listener = echo(base, { alpn: ['evnode/1', 'other'] });
  const config = new TlsClientConfig({ ca: authority, alpn: ['evnode/1'] });
  const bev = await base.connectTls({
    port: portOf(listener),
    serverName: 'localhost',
    tls: config,
  });
  const info = bev.tls;
  t.like(info, {
    state: 'open',
    protocol: 'TLSv1.3',
    alpn: 'evnode/1',
    serverName: 'localhost',
    resumed: false,
    allowDirtyShutdown: false,
  });
  t.regex(info?.cipher ?? '', /^TLS_/);
  t.deepEqual(info?.peerCertificate, derOf(server.cert));
  t.is(bev.underlying?.tls, null);
  const sent = pattern(4 * 1024 * 1024);
  t.true((await echoed(bev, sent)).equals(sent));
  await bev.close();
  listener.free();
});

attached('a client of Node finds its bytes, the certificate and the protocol', async (t, base) => {
  const listener = echo(base, { alpn: ['h2', 'http/1.1'] });
  const socket = await nodeClient(portOf(listener), {
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  t.is(socket.alpnProtocol, 'http/1.1');
  t.deepEqual(socket.getPeerCertificate().raw, derOf(server.cert));
  const sent = pattern(4 * 1024 * 1024);
  const received: Buffer[] = [];
  socket.end(sent);
  for await (const chunk of socket as AsyncIterable<Buffer>) received.push(chunk);
  t.true(Buffer.concat(received).equals(sent));
  listener.free();
});

attached('a server of Node answers 4 MiB', async (t, base) => {
  const { listener, port } = await nodeEcho({ ALPNProtocols: ['evnode/1'] });
  const bev = await base.connectTls({
    host: 'localhost',
    port,
    tls: new TlsClientConfig({ ca: authority, alpn: ['evnode/1'] }),
  });
  t.like(bev.tls, { alpn: 'evnode/1', serverName: 'localhost' });
  const sent = pattern(4 * 1024 * 1024);
  t.true((await echoed(bev, sent)).equals(sent));
  await bev.close();
  listener.close();
});

everywhere('an address is a name that a server can prove', async (t, base) => {
  const listener = echo(base);
  const bev = await base.connectTls({ port: portOf(listener), tls: trusting });
  t.is((await echoed(bev, Buffer.from('here'))).toString(), 'here');
  bev.free();
  listener.free();
});

everywhere('whom nobody trusts, and who has another name, is refused', async (t, base) => {
  const listener = echo(base);
  const port = portOf(listener);
  const stranger = new TlsClientConfig({ ca: client.cert });
  await t.throwsAsync(base.connectTls({ port, tls: stranger }), coded('CERT_UNKNOWN_ISSUER'));
  await t.throwsAsync(
    base.connectTls({ port, tls: trusting, serverName: 'example.com' }),
    coded('CERT_NAME_MISMATCH'),
  );
  const anybody = new TlsClientConfig({ insecure: true });
  const bev = await base.connectTls({ port, tls: anybody, serverName: 'example.com' });
  t.is(bev.tls?.serverName, 'example.com');
  bev.free();
  listener.free();
});

attached('a client of Node that hangs up on the certificate is an error', async (t, base) => {
  const told = later<[number, EvError | null]>();
  const config = new TlsServerConfig(server);
  const listener = base.listenTls({ port: 0, host: '127.0.0.1', tls: config }, (conn) => {
    conn.setCallbacks({
      event: (conn, what, error) => {
        if ((what & CONNECTED) !== 0) return;
        told.resolve([what, error]);
        conn.free();
      },
    });
    conn.enable(READ);
  });
  const socket = tls.connect({ port: portOf(listener), host: '127.0.0.1' });
  await once(socket, 'error');
  const [what, error] = await told.promise;
  t.not(what & ERROR, 0);
  t.is(error?.code, 'ERR_EVNODE_TLS_TRUNCATED');
  t.regex(error?.message ?? '', /^tls: /);
  listener.free();
});

attached('a server that speaks no TLS is an error', async (t, base) => {
  const listener = net.createServer((socket) => socket.end('220 plain words\r\n'));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  await t.throwsAsync(base.connectTls({ port, tls: trusting }), coded('MALFORMED_MESSAGE'));
  listener.close();
});

attached('a server that says nothing is given up after a time, or by a signal', async (t, base) => {
  const sockets: net.Socket[] = [];
  const listener = net.createServer((socket) => sockets.push(socket.on('error', () => {})));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  await t.throwsAsync(base.connectTls({ port, tls: trusting, timeout: 40 }), {
    code: 'ERR_EVNODE_TIMEOUT',
  });
  const reason = new Error('enough');
  const controller = new AbortController();
  const attempt = base.connectTls({ port, tls: trusting, signal: controller.signal });
  listener.once('connection', () => controller.abort(reason));
  t.is(await t.throwsAsync(attempt), reason);
  for (const socket of sockets) socket.destroy();
  listener.close();
});

everywhere('a server can ask for a certificate', async (t, base) => {
  const seen: (Buffer | null)[] = [];
  const refused = later<EvError | null>();
  const ask = (clientCert: 'required' | 'optional') =>
    base.listenTls(
      {
        port: 0,
        host: '127.0.0.1',
        tls: new TlsServerConfig({ ...server, clientCa: authority, clientCert }),
      },
      (conn) => {
        conn.setCallbacks({
          read: (conn) => conn.forward(conn),
          event: (conn, what, error) => {
            if ((what & CONNECTED) !== 0) seen.push(conn.tls?.peerCertificate ?? null);
            if ((what & ERROR) !== 0) refused.resolve(error);
            // What the client is told goes out first.
            if ((what & (ERROR | EOF)) !== 0) void conn.close();
          },
        });
      },
    );
  const required = ask('required');
  const optional = ask('optional');
  const known = new TlsClientConfig({ ca: authority, ...client });
  for (const [listener, config] of [
    [required, known],
    [optional, known],
    [optional, trusting],
  ] as const) {
    const bev = await base.connectTls({ port: portOf(listener), tls: config });
    t.is((await echoed(bev, Buffer.from('hello'))).toString(), 'hello');
    await bev.close();
  }
  t.deepEqual(seen, [derOf(client.cert), derOf(client.cert), null]);
  // With TLS 1.3 the client hears of it only after its handshake.
  const bev = await base.connectTls({ port: portOf(required), tls: trusting });
  await t.throwsAsync(echoed(bev, Buffer.from('hello')), coded('PEER_ALERT'));
  t.is((await refused.promise)?.code, 'ERR_EVNODE_TLS_CERT_REQUIRED');
  bev.free();
  required.free();
  optional.free();
});

everywhere('a certificate is renewed under standing connections', async (t, base) => {
  const config = new TlsServerConfig(server);
  const listener = base.listenTls({ port: 0, host: '127.0.0.1', tls: config }, (conn) => {
    conn.setCallbacks({ read: (conn) => conn.forward(conn) });
  });
  const connect = () =>
    base.connectTls({ port: portOf(listener), tls: new TlsClientConfig({ ca: authority }) });
  const before = await connect();
  t.throws(() => config.setCertificate(renewed.cert, server.key), coded('INVALID_CONFIG'));
  config.setCertificate(renewed.cert.toString(), renewed.key.toString());
  const after = await connect();
  t.deepEqual(before.tls?.peerCertificate, derOf(server.cert));
  t.deepEqual(after.tls?.peerCertificate, derOf(renewed.cert));
  t.is((await echoed(before, Buffer.from('still'))).toString(), 'still');
  before.free();
  after.free();
  listener.free();
});

attached('TLS starts in the middle of a connection, with Node as the client', async (t, base) => {
  const config = new TlsServerConfig(server);
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    conn.setCallbacks({
      read: (plain) => {
        if (plain.input.readln() !== 'STARTTLS') return;
        plain.write('go ahead\n');
        const secret = plain.startTls({ server: config });
        secret.setCallbacks({ read: (secret) => secret.forward(secret) });
      },
    });
  });
  const plain = await netClient(listener);
  plain.write('STARTTLS\n');
  const [answer] = (await once(plain, 'data')) as [Buffer];
  t.is(answer.toString(), 'go ahead\n');
  const secret = tls.connect({ socket: plain, ca: authority, servername: 'localhost' });
  secret.end('under cover');
  const [word] = (await once(secret, 'data')) as [Buffer];
  t.is(word.toString(), 'under cover');
  secret.destroy();
  listener.free();
});

everywhere('TLS starts in the middle of a connection at both ends', async (t, base) => {
  const ends = await pair(base);
  ends.client.write('words in the open\n');
  for await (const line of ends.server.lines()) {
    t.is(line, 'words in the open');
    break;
  }
  const far = ends.server.startTls({ server: new TlsServerConfig(server) });
  const near = ends.client.startTls({ client: trusting, serverName: 'localhost' });
  t.is(far.tls?.state, 'accepting');
  t.is(near.tls?.state, 'connecting');
  t.is(near.underlying, ends.client);
  far.setCallbacks({ read: (far) => far.forward(far) });
  t.is((await echoed(near, Buffer.from('words under cover'))).toString(), 'words under cover');
  t.throws(() => ends.client.startTls({ client: trusting, serverName: 'x' }), {
    code: 'ERR_EVNODE_BUSY',
  });
  near.updateTlsKeys();
  t.is((await echoed(near, Buffer.from('new keys'))).toString(), 'new keys');
  await near.close();
  t.true(ends.client.closed);
  far.free();
});

everywhere('the end without a farewell is an error unless it is allowed', async (t, base) => {
  for (const allowDirtyShutdown of [false, true]) {
    const [near, far] = BufferEvent.pair(base);
    const secret = near.startTls({ client: trusting, serverName: 'localhost', allowDirtyShutdown });
    const other = far.startTls({ server: new TlsServerConfig(server), closeOnFree: false });
    const open = later();
    const end = later<[number, EvError | null]>();
    t.is(secret.tls?.allowDirtyShutdown, allowDirtyShutdown);
    secret.setCallbacks({
      event: (_, what, error) => {
        if ((what & CONNECTED) !== 0) open.resolve();
        else end.resolve([what, error]);
      },
    });
    secret.enable(READ | WRITE);
    await open.promise;
    other.free();
    far.free();
    const [what, error] = await end.promise;
    if (allowDirtyShutdown) t.not(what & EOF, 0);
    else t.is(error?.code, 'ERR_EVNODE_TLS_TRUNCATED');
    secret.free();
  }
});

everywhere('a connection may be freed in each of its callbacks', async (t, base) => {
  const config = new TlsServerConfig(server);
  for (const where of ['CONNECTED', 'READ', 'WRITE'] as const) {
    const gone = later();
    const leave = (conn: BufferEvent) => {
      conn.free();
      gone.resolve();
    };
    const listener = base.listenTls({ port: 0, host: '127.0.0.1', tls: config }, (conn) => {
      conn.setCallbacks({
        event: (conn) => (where === 'CONNECTED' ? leave(conn) : undefined),
        read: (conn) => (where === 'READ' ? leave(conn) : conn.write('answer')),
        write: where === 'WRITE' ? leave : null,
      });
    });
    const bev = await base.connectTls({ port: portOf(listener), tls: trusting });
    const end = later();
    bev.setCallbacks({ read: (bev) => bev.read(), event: () => end.resolve() });
    if (!bev.closed) bev.write('word');
    await Promise.all([gone.promise, end.promise]);
    bev.free();
    listener.free();
    t.pass();
  }
});

everywhere('connections can be iterated, and nothing of them is left', async (t, base) => {
  const before = statistics().bufferevents;
  const config = new TlsServerConfig(server);
  const listener = base.listenTls({ port: 0, host: '127.0.0.1', tls: config });
  const accepted = listener[Symbol.asyncIterator]().next();
  const connected = base.connectTls({ port: portOf(listener), tls: trusting });
  const { value: conn } = await accepted;
  t.is((conn as BufferEvent).tls?.state, 'accepting');
  const bev = await connected;
  bev.write('one\ntwo\n');
  const closed = bev.close();
  const lines: string[] = [];
  for await (const line of (conn as BufferEvent).lines()) lines.push(line);
  t.deepEqual(lines, ['one', 'two']);
  await closed;
  await (conn as BufferEvent).close();
  listener.free();
  // A blocking loop runs promises before it has forgotten what they tell of.
  await new Promise((resolve) => base.once(-1, EventFlags.TIMEOUT, 0, resolve));
  t.is(statistics().bufferevents, before);
});

test('what cannot be used says why', (t) => {
  const bad = (make: () => unknown, message: RegExp) =>
    t.throws(make, { ...coded('INVALID_CONFIG'), message });
  bad(() => new TlsServerConfig({ cert: 'nonsense', key: server.key }), /./);
  bad(() => new TlsServerConfig({ ...server, key: client.key }), /private key is not the one/);
  bad(() => new TlsServerConfig({ ...server, ciphers: ['NULL'] }), /no cipher suite "NULL"/);
  bad(() => new TlsServerConfig({ ...server, alpn: [''] }), /1 to 255 bytes/);
  bad(() => new TlsClientConfig({ ca: '' }), /./);
});

test('certificates and keys may be DER', (t) => {
  const der = { cert: derOf(server.cert), key: derOf(server.key) };
  t.notThrows(() => new TlsServerConfig({ ...der, clientCa: [derOf(authority), authority] }));
  t.notThrows(() => new TlsClientConfig({ ca: derOf(authority), ...der }));
});

attached('only what both sides speak is spoken', async (t, base) => {
  const { listener, port } = await nodeEcho({ maxVersion: 'TLSv1.2' });
  const old = await base.connectTls({ port, tls: trusting });
  t.is(old.tls?.protocol, 'TLSv1.2');
  t.throws(() => old.updateTlsKeys(), coded('NOT_NOW'));
  old.free();
  const modern = new TlsClientConfig({ ca: authority, versions: ['TLSv1.3'] });
  await t.throwsAsync(base.connectTls({ port, tls: modern }), coded('PEER_ALERT'));
  listener.close();
});
