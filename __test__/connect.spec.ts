import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { BufferEvent, EventBase } from 'evnode';

import { attached, everywhere, isWindows } from './support/drive';
import { netClient, portOf, readAll } from './support/peers';

const LOCAL = { port: 0, host: '127.0.0.1' };

attached('a connect is given up while its name is looked up', async (t, base) => {
  const listener = base.listen(LOCAL, (conn) => conn.free());
  const controller = new AbortController();
  const to = { port: portOf(listener), host: 'localhost', signal: controller.signal };
  let given = false;
  const failing = base.connect(to).catch((error: Error) => {
    given = true;
    return error.message;
  });
  controller.abort(new Error('enough'));
  await new Promise<void>((resolve) => {
    queueMicrotask(() => process.nextTick(resolve));
  });
  // No lookup ends so soon.
  t.true(given);
  t.is(await failing, 'enough');
  listener.free();
});

attached('a name without addresses is an error of the lookup', async (t, base) => {
  const connecting = base.connect({ port: 1, host: 'no such name' });
  const error = await t.throwsAsync<NodeJS.ErrnoException>(connecting);
  t.regex(error?.code ?? '', /^(ENOTFOUND|EAI_AGAIN)$/);
  t.is(error?.syscall, 'getaddrinfo');
});

everywhere('closing what never had a socket ends, with bytes queued too', async (t, base) => {
  for (const text of ['', 'nobody will read this']) {
    const bev = new BufferEvent(base);
    bev.write(text);
    await bev.close();
    t.true(bev.closed);
  }
  t.is(base.eventCount, 0);
});

attached('an acceptor may return anything', async (t, base) => {
  const answers: unknown[] = [null, 0, 'text', []];
  const listener = base.listen(LOCAL, ((conn) => {
    conn.write('served');
    void conn.close();
    return answers.shift();
  }) as (conn: BufferEvent) => void);
  for (let left = answers.length; left > 0; left--) {
    t.is(String(await readAll(await netClient(listener))), 'served');
  }
  listener.free();
});

if (!isWindows) {
  test('a path that is too long for a socket is an error that says so', async (t) => {
    const base = new EventBase();
    const path = join(tmpdir(), 'x'.repeat(200));
    const expected = { instanceOf: RangeError, message: /too long/ };
    t.throws(() => base.listen({ path }), expected);
    await t.throwsAsync(base.connect({ path }), expected);
    base.free();
  });
}
