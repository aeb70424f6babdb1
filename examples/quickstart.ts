// The rot13 server of the libevent book, on evnode and on node:net: a hundred clients in a process of
// their own send 64 MiB of lines, check every byte of the answers, and the servers' CPU is compared.
//
//   npm run demo

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';

import { EventBase, EventFlags } from 'evnode';

const CONNECTIONS = 100;
const BLOCK = 16 * 1024;
const BLOCKS = 4096;
/** Bytes that a client sends at a time. */
const REQUEST = 1024;
const MOST_LINE = 16 * 1024;
const NEWLINE = 10;

/** rot13 of every byte. */
const ROT13 = Uint8Array.from({ length: 256 }, (_, byte) => {
  const letter = byte & ~0x20;
  if (letter < 65 || letter > 90) return byte;
  return byte + (letter < 78 ? 13 : -13);
});

function rot13(bytes: Buffer): Buffer {
  for (let at = 0; at < bytes.length; at++) bytes[at] = ROT13[bytes[at] as number] as number;
  return bytes;
}

/** The server on evnode. */
function evnodeServer(): number {
  const base = new EventBase();
  const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    // A peer that does not take its answers is not asked for more.
    conn.setWatermark(EventFlags.WRITE, 64 * 1024, 256 * 1024);
    conn.setCallbacks({
      read(conn) {
        const bytes = conn.read();
        if (bytes === null) return;
        const end = bytes.lastIndexOf(NEWLINE) + 1;
        if (end > 0) conn.write(rot13(bytes.subarray(0, end)));
        // A line that is not whole waits in the input for its rest.
        if (bytes.length - end > MOST_LINE) conn.free();
        else if (end < bytes.length) conn.input.prepend(bytes.subarray(end));
      },
    });
  });
  return listener.address()?.port ?? 0;
}

/** The same server on node:net. */
async function nodeServer(): Promise<number> {
  const server = net.createServer((socket) => {
    let rest: Buffer | undefined;
    socket.on('data', (data) => {
      const bytes = rest === undefined ? data : Buffer.concat([rest, data]);
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      if (end > 0 && !socket.write(rot13(bytes.subarray(0, end)))) socket.pause();
      rest = end < bytes.length ? bytes.subarray(end) : undefined;
      if (bytes.length - end > MOST_LINE) socket.destroy();
    });
    socket.on('drain', () => socket.resume());
    socket.on('error', () => socket.destroy());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** A process that serves until it is told to say how much CPU that has taken. */
async function serve(kind: string): Promise<void> {
  const port = kind === 'evnode' ? evnodeServer() : await nodeServer();
  const before = process.cpuUsage();
  process.once('message', () => {
    const { user, system } = process.cpuUsage(before);
    process.send?.({ cpu: user + system }, () => process.exit(0));
  });
  process.send?.({ port });
}

/** A block of whole lines of 16 to 112 bytes, different for every client. */
function block(client: number): Buffer {
  const bytes = Buffer.alloc(BLOCK);
  let random = client + 1;
  const next = (below: number) => {
    random = (random * 48_271) % 0x7fff_ffff;
    return random % below;
  };
  for (let left = next(96) + 16, at = 0; at < BLOCK; at++, left--) {
    const ends = left === 1 || at === BLOCK - 1;
    bytes[at] = ends ? NEWLINE : 32 + next(95);
    if (ends) left = next(96) + 17;
  }
  return bytes;
}

/** One client: sends its block many times in small requests, and compares what comes back. */
async function converse(port: number, client: number): Promise<number> {
  const sent = block(client);
  const expected = rot13(Buffer.from(sent));
  const count = Math.floor((BLOCKS - client - 1) / CONNECTIONS) + 1;
  const socket = net.connect(port, '127.0.0.1');
  const total = count * BLOCK;
  let written = 0;
  let received = 0;
  // Sends a request while the answer to the one before is still to come.
  const ask = () => {
    while (written < total && written - received <= REQUEST) {
      const from = written % BLOCK;
      socket.write(sent.subarray(from, from + REQUEST));
      written += REQUEST;
    }
    if (written === total) socket.end();
  };
  socket.on('connect', ask);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length;) {
      const from = received % BLOCK;
      const length = Math.min(BLOCK - from, chunk.length - at);
      if (chunk.compare(expected, from, from + length, at, at + length) !== 0) {
        throw new Error(`client ${client}: a wrong byte after ${received} right ones`);
      }
      at += length;
      received += length;
    }
    ask();
  }
  if (received !== total) {
    throw new Error(`client ${client}: ${received} bytes came back of ${total}`);
  }
  return count * sent.reduce((lines, byte) => lines + (byte === NEWLINE ? 1 : 0), 0);
}

/** The process of the clients. */
async function drive(port: number): Promise<void> {
  const start = performance.now();
  const clients = Array.from({ length: CONNECTIONS }, (_, client) => converse(port, client));
  const lines = (await Promise.all(clients)).reduce((sum, one) => sum + one, 0);
  process.send?.({ lines, seconds: (performance.now() - start) / 1000 });
}

async function answer<T>(child: ChildProcess): Promise<T> {
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`a process ended early with code ${code}`);
    }),
  ]);
  return message as T;
}

/** One server, driven and measured. */
async function measure(kind: string) {
  const server = fork(__filename, ['serve', kind]);
  try {
    const { port } = await answer<{ port: number }>(server);
    const client = fork(__filename, ['drive', String(port)]);
    const { lines, seconds } = await answer<{ lines: number; seconds: number }>(client);
    server.send('done');
    const { cpu } = await answer<{ cpu: number }>(server);
    return { lines, rate: (BLOCKS * BLOCK) / 2 ** 20 / seconds, cpu: cpu / lines };
  } finally {
    server.kill();
  }
}

async function main(): Promise<void> {
  const [mode, argument = ''] = process.argv.slice(2);
  if (mode === 'serve') return serve(argument);
  if (mode === 'drive') return drive(Number(argument));

  console.log(
    `rot13 line server, ${CONNECTIONS} connections, 64 MiB of lines, every byte checked\n`,
  );
  console.log('            lines       MiB/s   server CPU per line');
  const cpu: number[] = [];
  for (const kind of ['evnode', 'node:net']) {
    const result = await measure(kind);
    const rate = result.rate.toFixed(0).padStart(6);
    console.log(
      `${kind.padEnd(10)} ${result.lines}   ${rate}   ${result.cpu.toFixed(3).padStart(10)} µs`,
    );
    cpu.push(result.cpu);
  }
  const [ours = 0, theirs = 1] = cpu;
  console.log(`\nevnode uses ${(ours / theirs).toFixed(2)} of the CPU that node:net uses`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
