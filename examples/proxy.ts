// A TCP proxy that limits how fast its clients are, each by itself and all together, and shows in the
// terminal what passes.
//
//   node --import tsx examples/proxy.ts PORT HOST:PORT [BYTES-PER-CLIENT [BYTES-FOR-ALL]]
//   node --import tsx examples/proxy.ts --check
//
// Limits are in bytes a second. `--check` proxies to a server of its own and checks bytes and time.

import { once } from 'node:events';
import net from 'node:net';

import {
  EventBase,
  EventFlags,
  BufferEventFlags,
  RateLimitGroup,
  TokenBucketConfig,
  type BufferEvent,
} from 'evnode';

const { WRITE } = EventFlags;
const { EOF, ERROR, TIMEOUT } = BufferEventFlags;
/** So many bytes wait for a side that is slow before the other is read no more. */
const MOST_WAITING = 256 * 1024;

const base = new EventBase();

/** Moves what comes from one side to the other, and its end. */
function join(from: BufferEvent, to: BufferEvent, done: (ended: boolean) => void): void {
  let ended = false;
  const move = () => {
    from.forward(to);
    if (!ended || from.inputLength > 0) return;
    to.flush(WRITE, 'finished');
    done(true);
  };
  to.setWatermark(WRITE, 0, MOST_WAITING);
  from.setCallbacks({
    read: move,
    event(_, what) {
      if ((what & (ERROR | TIMEOUT)) !== 0) return done(false);
      if ((what & EOF) === 0) return;
      ended = true;
      move();
    },
  });
}

/** Listens and passes on; says how to see and to end it. */
function proxy(
  port: number,
  target: { host: string; port: number },
  perClient: number,
  all: number,
) {
  const both = (rate: number) => TokenBucketConfig.perSecond({ read: rate, write: rate });
  const group = new RateLimitGroup(base, both(all));
  let clients = 0;
  const listener = base.listen({ port, host: '127.0.0.1' }, async (client) => {
    clients++;
    client.setRateLimit(both(perClient)).addToRateLimitGroup(group);
    let server: BufferEvent | undefined;
    try {
      server = await base.connect(target);
      await relay(client, server);
    } catch (error) {
      console.error(`${target.host}:${target.port}: ${(error as Error).message}`);
    } finally {
      await Promise.all([client.close(), server?.close()]);
      clients--;
    }
  });
  return { listener, group, clients: () => clients };
}

/** Fulfilled when both sides have ended or one has failed. */
function relay(client: BufferEvent, server: BufferEvent): Promise<void> {
  return new Promise((resolve) => {
    let open = 2;
    const done = (ended: boolean) => {
      open -= 1;
      if (!ended || open === 0) resolve();
    };
    join(client, server, done);
    join(server, client, done);
  });
}

const rate = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB/s`;

/** Shows once a second what has passed: in place in a terminal, in lines elsewhere. */
function show({ group, clients }: ReturnType<typeof proxy>): NodeJS.Timeout {
  let before = group.totals;
  return setInterval(() => {
    const { read, write } = group.totals;
    const line = `${clients()} clients   up ${rate(read - before.read)}   down ${rate(write - before.write)}`;
    before = { read, write };
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${line}`);
    else console.log(line);
  }, 1000);
}

/** Four clients have 64 KiB each sent back, through limits that make that take half a second. */
async function check(): Promise<void> {
  const [each, perClient, all] = [64 * 1024, 200_000, 400_000];
  const echo = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  const target = { host: '127.0.0.1', port: (echo.address() as net.AddressInfo).port };
  const running = proxy(0, target, perClient, all);
  const sent = Buffer.from(Uint8Array.from({ length: each }, (_, at) => at * 31));
  const start = performance.now();
  const clients = Array.from({ length: 4 }, async () => {
    const socket = net.connect(running.listener.address()?.port ?? 0, '127.0.0.1');
    socket.end(sent);
    const chunks: Buffer[] = [];
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks).equals(sent);
  });
  const right = (await Promise.all(clients)).filter(Boolean).length;
  const seconds = (performance.now() - start) / 1000;
  const { read, write } = running.group.totals;
  const { writeBurst, writeRate } = running.group.config;
  // A burst passes at once, and the first tick may come right after it.
  const least = (4 * each - writeBurst - writeRate) / all;
  console.log(`${right} of 4 clients have their bytes back: ${read} up, ${write} down`);
  console.log(`it took ${seconds.toFixed(2)} s, at least ${least.toFixed(2)} s were asked for`);
  echo.close();
  base.free();
  if (right !== 4 || seconds < least || write !== 4 * each) process.exitCode = 1;
}

const [port = '', target = '', perClient = '1000000', all = '4000000'] = process.argv.slice(2);
if (port === '--check') {
  void check();
} else {
  const [host = '127.0.0.1', targetPort] = target.split(':');
  const to = { host, port: Number(targetPort) };
  const running = proxy(Number(port), to, Number(perClient), Number(all));
  console.log(`proxy on port ${running.listener.address()?.port} to ${host}:${to.port}`);
  show(running);
}
