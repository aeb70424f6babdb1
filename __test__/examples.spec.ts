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

test('rot13.ts turns what comes and what goes', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/rot13.ts'));
  t.is(code, 0, stderr);
  t.is(stdout, 'underneath: Uryyb, Jbeyq!\non top: Never mind the badgers!\n');
});

test('proxy.ts passes on every byte no faster than it may', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/proxy.ts', ['--check']));
  t.is(code, 0, stdout + stderr);
  t.regex(stdout, /^4 of 4 clients have their bytes back: 262144 up, 262144 down$/m);
});

test('timers.ts fires once, thrice and a thousand times', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/timers.ts'));
  t.is(code, 0, stderr);
  t.is(stdout, 'once\ntick 1\ntick 2\ntick 3\n1000 idle timeouts\n');
});

test('priorities.ts runs what is urgent first', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/priorities.ts'));
  t.is(code, 0, stderr);
  t.is(stdout, 'request 1\nalarm\nrequest 2\nhousekeeping\n');
});

test('worker-wakeup.ts is woken and ended by its worker', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/worker-wakeup.ts'));
  t.is(code, 0, stderr);
  t.regex(stdout, /^(message \{ step: [123], .*\n){3}activated with 2\nended by the worker\n$/);
});

if (process.platform !== 'win32') {
  test('watch-fd.ts writes when there is room and loses nothing', async (t) => {
    const { code, stdout, stderr } = await outcome(start('examples/watch-fd.ts'));
    t.is(code, 0, stderr);
    t.is(stdout, 'wrote 4194304 bytes, read 4194304\n');
  });

  test("signals.ts counts signals beside Node's own handler and ends", async (t) => {
    const child = start('examples/signals.ts');
    t.teardown(() => child.kill('SIGKILL'));
    let said = '';
    const hear = (wanted: string) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (!said.includes(wanted)) return;
          child.stdout?.off('data', look);
          resolve();
        };
        child.stdout?.on('data', look);
        look();
      });
    child.stdout?.on('data', (text: Buffer) => (said += String(text)));
    await hear('ready');
    child.kill('SIGUSR2');
    await hear('SIGUSR2 1');
    await hear("Node's own handler");
    child.kill('SIGUSR2');
    await hear('SIGUSR2 2');
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    t.deepEqual(await exit, [0, null]);
    await hear('SIGTERM');
  });
}
