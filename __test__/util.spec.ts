import { closeSync, readFileSync, readSync, writeSync } from 'node:fs';

import test from 'ava';

import { BufferEvent, EvError, EventFlags, util } from 'evnode';

import { attached, everywhere, isWindows, later } from './support/drive';
import { netClient, portOf } from './support/peers';

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

if (!isWindows) {
  attached('a descriptor is made non-blocking', async (t, base) => {
    const end = later<number>();
    const listener = base.listen({
      port: 0,
      host: '127.0.0.1',
      leaveSocketsBlocking: true,
      onSocket: (fd) => end.resolve(fd),
    });
    const client = await netClient(listener);
    const fd = await end.promise;
    util.makeSocketNonblocking(fd);
    t.throws(() => readSync(fd, Buffer.alloc(1)), { code: 'EAGAIN' });
    closeSync(fd);
    t.throws(() => util.makeSocketNonblocking(fd), { code: 'EBADF' });
    t.throws(() => util.makeSocketNonblocking(-1), { code: 'ERR_EVNODE_ARG_RANGE' });
    client.destroy();
    listener.free();
  });
}

if (process.platform === 'linux') {
  everywhere('a silent connection is probed, or not', async (t, base) => {
    const listener = base.listen({ port: 0, host: '127.0.0.1' });
    const accepted = listener[Symbol.asyncIterator]().next();
    const client = await base.connect({ port: portOf(listener) });
    const { value: server } = await accepted;
    const remote = portOf(listener).toString(16).toUpperCase().padStart(4, '0');
    /** The timer of the client's socket and how many hundredths of a second it has left. */
    const timer = () => {
      const line = new RegExp(`^.* 0100007F:${remote} 01 .*$`, 'm').exec(
        readFileSync('/proc/net/tcp', 'utf8'),
      );
      const [kind = '', left = ''] = line?.[0].trim().split(/\s+/)[5]?.split(':') ?? [];
      return { kind: Number(kind), left: Number.parseInt(left, 16) };
    };
    t.is(timer().kind, 0);
    util.setTcpKeepalive(client.fd, 77_000);
    t.is(timer().kind, 2);
    t.true(timer().left > 7000 && timer().left <= 7700);
    util.setTcpKeepalive(client.fd, null);
    t.is(timer().kind, 0);
    server?.free();
    client.free();
    listener.free();
  });

  everywhere('a timerfd expires as often as it is told to', async (t, base) => {
    const fd = util.timerfd({ after: 2, every: 3 });
    const count = new BigUint64Array(1);
    t.throws(() => readSync(fd, count), { code: 'EAGAIN' });
    const start = performance.now();
    const end = later();
    let expired = 0n;
    const event = base.event(fd, EventFlags.READ | EventFlags.PERSIST, () => {
      readSync(fd, count);
      expired += count[0] ?? 0n;
      if (expired < 4n) return;
      event.free();
      end.resolve();
    });
    event.add();
    await end.promise;
    t.true(performance.now() - start >= 9);
    closeSync(fd);
  });

  everywhere('a timerfd expires when the clock shows its time', async (t, base) => {
    const at = new Date(Date.now() + 20);
    const fds = [util.timerfd({ at }), util.timerfd({ at: new Date(-1) })] as const;
    const ends = fds.map((fd) => {
      const end = later();
      base.event(fd, EventFlags.READ, () => end.resolve()).add();
      return end.promise;
    });
    await Promise.all(ends);
    t.true(Date.now() >= at.getTime());
    for (const fd of fds) closeSync(fd);
  });
} else {
  test('a timerfd is refused where there is none', (t) => {
    t.throws(() => util.timerfd({ after: 1 }), { code: 'ERR_EVNODE_UNSUPPORTED' });
  });
}

test('keep-alive and timerfd refuse what they do not take', (t) => {
  const TYPE = { code: 'ERR_EVNODE_ARG_TYPE' };
  const RANGE = { code: 'ERR_EVNODE_ARG_RANGE' };
  t.throws(() => util.setTcpKeepalive('1' as never, 1), TYPE);
  t.throws(() => util.setTcpKeepalive(-1, 1), RANGE);
  t.throws(() => util.setTcpKeepalive(1, -1), RANGE);
  t.throws(() => util.setTcpKeepalive(987_654, 1), { instanceOf: EvError });
  for (const bad of [{}, { after: 1, at: new Date() }, { at: 1 }, { after: '1' }, null]) {
    t.throws(() => util.timerfd(bad as never), TYPE);
  }
  for (const bad of [{ after: -1 }, { at: new Date(Number.NaN) }, { after: 1, every: -1 }]) {
    t.throws(() => util.timerfd(bad), RANGE);
  }
});
