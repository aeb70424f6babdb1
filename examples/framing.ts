// A protocol of frames, each behind its length: a server that adds numbers up, a client that asks it
// and checks the answers, and one that sends more than is allowed.
//
//   node --import tsx examples/framing.ts

import assert from 'node:assert/strict';

import { EventBase, EvError, type BufferEvent, type FrameReadOptions } from 'evnode';

const LAYOUT: FrameReadOptions = { prefix: 'u16be', maxLength: 1000 };

/** A request is a count and so many doubles; the answer is their sum. */
async function serve(conn: BufferEvent): Promise<void> {
  try {
    for await (const frame of conn.frames(LAYOUT)) {
      let sum = 0;
      for (let at = 0; at < frame.readUInt8(); at++) sum += frame.readDoubleBE(1 + 8 * at);
      const answer = Buffer.alloc(8);
      answer.writeDoubleBE(sum);
      conn.output.addFrame(answer, 'u16be');
    }
    await conn.close();
  } catch (error) {
    console.log('server:', error instanceof EvError ? error.code : error);
    conn.free();
  }
}

const base = new EventBase();
const listener = base.listen({ port: 0, host: '127.0.0.1' }, (conn) => void serve(conn));
const port = listener.address()?.port ?? 0;

async function client(): Promise<void> {
  const conn = await base.connect({ port });
  const questions = Array.from({ length: 1000 }, (_, count) =>
    Array.from({ length: count % 100 }, (_, at) => count + at / 8),
  );
  // All at once: the frames tell the answers apart, however the bytes come.
  for (const numbers of questions) {
    conn.output.writeUInt16BE(1 + 8 * numbers.length).writeUInt8(numbers.length);
    for (const number of numbers) conn.output.writeDoubleBE(number);
  }
  let answers = 0;
  for await (const frame of conn.frames(LAYOUT)) {
    const expected = questions[answers]?.reduce((sum, number) => sum + number, 0);
    assert.equal(frame.readDoubleBE(), expected);
    if (++answers === questions.length) break;
  }
  assert.equal(answers, questions.length);
  await conn.close();
  console.log(`client: ${answers} answers are right`);
}

async function rude(): Promise<void> {
  const conn = await base.connect({ port });
  conn.output.addFrame(Buffer.alloc(1001), 'u16be');
  for await (const frame of conn.frames(LAYOUT)) assert.fail(`an answer: ${String(frame)}`);
  conn.free();
}

async function main(): Promise<void> {
  await client();
  // Whoever is cut off may see the end of the connection or that it was reset.
  await rude().catch((error: unknown) => assert.equal((error as EvError).code, 'ECONNRESET'));
  listener.free();
}

void main();
