// The programs of `examples/` do what they say.

import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';

import test from 'ava';

import { lineOf, outcome, start } from './support/child';
import { readAll } from './support/peers';

test('echo.ts sends back what it is sent', async (t) => {
  const child = start('examples/echo.ts', ['0']);
  t.teardown(() => child.kill());
  const port = Number((await lineOf(child, /port (\d+)/))[1]);
  const client = net.connect(port, '127.0.0.1');
  client.end('hello, echo');
  t.is(String(await readAll(client)), 'hello, echo');
});

test('chat.ts tells everybody what somebody says', async (t) => {
  const child = start('examples/chat.ts', ['0']);
  t.teardown(() => child.kill());
  const port = Number((await lineOf(child, /port (\d+)/))[1]);
  const join = async (name: string) => {
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const lines = createInterface(socket)[Symbol.asyncIterator]();
    const hear = async () => (await lines.next()).value as string | undefined;
    t.is(await hear(), 'Who are you?');
    socket.write(`${name}\n`);
    t.is(await hear(), `${name} has come`);
    return { socket, hear };
  };
  const ann = await join('Ann');
  const bob = await join('Bob');
  t.is(await ann.hear(), 'Bob has come');
  bob.socket.write('hello\n');
  t.is(await ann.hear(), 'Bob: hello');
  t.is(await bob.hear(), 'Bob: hello');
  bob.socket.end();
  t.is(await bob.hear(), undefined);
  t.is(await ann.hear(), 'Bob has gone');
  ann.socket.destroy();
});

test('quickstart.ts serves 64 MiB of lines, checks every byte and compares', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/quickstart.ts'));
  t.is(code, 0, stderr);
  t.regex(stdout, /^evnode +\d+ +\d+ +[\d.]+ µs$/m);
  t.regex(stdout, /^node:net +\d+ +\d+ +[\d.]+ µs$/m);
  t.regex(stdout, /evnode uses [\d.]+ of the CPU that node:net uses/);
});
