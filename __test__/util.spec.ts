import { closeSync, readSync, writeSync } from 'node:fs';

import test from 'ava';

import { BufferEvent, EvError, EventFlags, util } from 'evnode';

import { everywhere, isWindows, later } from './support/drive';

test('addresses with ports are read', (t) => {
  const ip = (family: 'IPv4' | 'IPv6', address: string, port: number) => ({
    family,
    address,
    port,
  });
  t.deepEqual(util.parseSockaddrPort('1.2.3.4:80'), ip('IPv4', '1.2.3.4', 80));
  t.deepEqual(util.parseSockaddrPort('1.2.3.4'), ip('IPv4', '1.2.3.4', 0));
  t.deepEqual(util.parseSockaddrPort('[::1]:80'), ip('IPv6', '::1', 80));
  t.like(util.parseSockaddrPort('unix:name.sock'), { family: 'unix', address: 'name.sock' });
  for (const bad of ['', 'localhost:80', '1.2.3.4:65536', '[::1', '1.2.3.4:+1']) {
    t.throws(() => util.parseSockaddrPort(bad), {
      instanceOf: RangeError,
      code: 'ERR_EVNODE_ARG_VALUE',
    });
  }
  t.throws(() => util.parseSockaddrPort(1 as never), { code: 'ERR_EVNODE_ARG_TYPE' });
});

test('addresses are compared, their ports only when they count', (t) => {
  t.true(util.sockaddrCmp('1.2.3.4:1', '1.2.3.4:2') < 0);
  t.is(util.sockaddrCmp('1.2.3.4:1', '1.2.3.4:2', false), 0);
  t.true(util.sockaddrCmp('[::1]:1', '1.2.3.4:2') > 0);
  const sorted = ['10.0.0.2', '9.0.0.1', '10.0.0.1'].sort((a, b) => util.sockaddrCmp(a, b));
  t.deepEqual(sorted, ['9.0.0.1', '10.0.0.1', '10.0.0.2']);
});

test('addresses become bytes and text again', (t) => {
  t.deepEqual([...(util.inetPton('1.2.3.4') ?? [])], [1, 2, 3, 4]);
  const six = util.inetPton('2001:DB8:0::1');
  t.is(six?.length, 16);
  t.is(util.inetNtop(six ?? Buffer.alloc(0)), '2001:db8::1');
  t.is(util.inetNtop(new Uint8Array([127, 0, 0, 1]).buffer), '127.0.0.1');
  t.is(util.inetPton('1.2.3'), null);
  t.throws(() => util.inetNtop(Buffer.alloc(5)), { code: 'ERR_EVNODE_ARG_RANGE' });
});

test('getaddrinfo waits for the addresses of this machine', (t) => {
  const { addresses } = util.getaddrinfo('localhost', 80, { family: 'IPv4' });
  t.deepEqual(addresses[0], { family: 'IPv4', address: '127.0.0.1', port: 80 });
  const passive = util.getaddrinfo(null, 1, { passive: true, family: 'IPv6' });
  t.is(passive.addresses[0]?.address, '::');
  const named = util.getaddrinfo('127.0.0.1', null, { canonicalName: true });
  t.is(named.canonicalName, '127.0.0.1');
});

test('getaddrinfo says why there is no address', (t) => {
  t.throws(() => util.getaddrinfo('localhost', null, { numeric: true }), {
    instanceOf: EvError,
    code: 'EAI_NONAME',
    message: /there is no host or service of this name/,
  });
  t.throws(() => util.getaddrinfo('::1', null, { family: 'IPv4' }), { code: 'EAI_ADDRFAMILY' });
  t.throws(() => util.getaddrinfo('::1', '65536'), { code: 'EAI_SERVICE' });
  t.throws(() => util.getaddrinfo(1 as never), { code: 'ERR_EVNODE_ARG_TYPE' });
});

if (!isWindows) {
  test('what one end of a socketpair writes the other reads', (t) => {
    const [left, right] = util.socketpair();
    const bytes = Buffer.alloc(4);
    t.throws(() => readSync(right, bytes), { code: 'EAGAIN' });
    writeSync(left, 'ping');
    t.is(readSync(right, bytes), 4);
    t.is(String(bytes), 'ping');
    closeSync(left);
    closeSync(right);
  });
}

everywhere('a bufferevent takes over an end of a socketpair', async (t, base) => {
  const [left, right] = util.socketpair();
  const end = later<string>();
  const a = new BufferEvent(base, { fd: left });
  const b = new BufferEvent(base, { fd: right });
  b.setCallbacks({ read: (bev) => end.resolve(bev.readString() ?? '') });
  b.enable(EventFlags.READ);
  a.write('hello');
  t.is(await end.promise, 'hello');
  a.free();
  b.free();
});
