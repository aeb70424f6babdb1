// The programs of `examples/` do what they say.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import tls from 'node:tls';

import test from 'ava';

import { lineOf, outcome, start } from './support/child';
import { authority } from './support/certificates';
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

test('static-file.ts serves a file', async (t) => {
  const child = start('examples/static-file.ts', ['examples/static-file.ts', '0']);
  t.teardown(() => child.kill());
  const port = Number((await lineOf(child, /127\.0\.0\.1:(\d+)/))[1]);
  const file = readFileSync('examples/static-file.ts', 'utf8');
  for (let again = 0; again < 2; again++) {
    const client = net.connect(port, '127.0.0.1');
    client.write('GET / HTTP/1.0\r\nHost: localhost\r\n\r\n');
    const [head, body] = String(await readAll(client)).split('\r\n\r\n');
    t.is(head, `HTTP/1.0 200 OK\r\nContent-Length: ${Buffer.byteLength(file)}`);
    t.is(body, file);
  }
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

test('framing.ts gets all answers right and cuts off who sends too much', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/framing.ts'));
  t.is(code, 0, stderr);
  t.is(stdout, 'client: 1000 answers are right\nserver: ERR_EVNODE_FRAME_TOO_LARGE\n');
});

test('multicast.ts sends one message to many and holds it once', async (t) => {
  const { code, stdout, stderr } = await outcome(start('examples/multicast.ts'));
  t.is(code, 0, stderr);
  t.is(stdout, '50 connections have received all of the message\n');
});

test('starttls.ts goes under cover in the middle of a conversation', async (t) => {
  const files = ['server', 'server-key'].map((name) => `__test__/fixtures/tls/${name}.pem`);
  const child = start('examples/starttls.ts', [...files, '0']);
  t.teardown(() => child.kill());
  const port = Number((await lineOf(child, /port (\d+)/))[1]);
  const plain = net.connect(port, '127.0.0.1');
  const say = async (socket: net.Socket, line: string) => {
    socket.write(line);
    return String((await once(socket, 'data'))[0]);
  };
  t.is(await say(plain, ''), '220 evnode\r\n');
  t.is(await say(plain, 'EHLO me\r\n'), '250-welcome\r\n250 STARTTLS\r\n');
  t.is(await say(plain, 'STARTTLS\r\n'), '220 go ahead\r\n');
  const secret = tls.connect({ socket: plain, ca: authority, servername: 'localhost' });
  await once(secret, 'secureConnect');
  t.is(await say(secret, 'EHLO me\r\n'), '250 welcome, well covered\r\n');
  secret.write('QUIT\r\n');
  t.is(String(await readAll(secret)), '221 good-bye\r\n');

  // Words that are smuggled in before the cover end the connection.
  const smuggler = net.connect(port, '127.0.0.1');
  t.is(await say(smuggler, ''), '220 evnode\r\n');
  smuggler.end('STARTTLS\r\nNOOP\r\n');
  t.is(String(await readAll(smuggler)), '');
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

if (process.platform === 'linux') {
  test('watch-fd.ts counts how often a timer of the kernel has expired', async (t) => {
    const { code, stdout, stderr } = await outcome(start('examples/watch-fd.ts'));
    t.is(code, 0, stderr);
    t.regex(stdout, /^(expired \d+ times\n){1,3}$/);
    t.true(Number(/(\d+) times\n$/.exec(stdout)?.[1]) >= 3);
  });
}

if (process.platform !== 'win32') {
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
