// A chat room: the first line of a connection is a name, every other goes to all.
//
//   node --import tsx examples/chat.ts [port]

import { EventBase, EventFlags, type BufferEvent } from 'evnode';

const base = new EventBase();
const people = new Map<BufferEvent, string>();

function tellAll(text: string): void {
  for (const [conn] of people) {
    // Who does not read what the others say is not waited for.
    if (!conn.closed && !conn.write(`${text}\n`)) conn.free();
  }
}

const listener = base.listen({ port: Number(process.argv[2] ?? 7001) }, async (conn) => {
  conn.setWatermark(EventFlags.WRITE, 0, 64 * 1024);
  conn.write('Who are you?\n');
  try {
    for await (const line of conn.lines({ maxLength: 4096 })) {
      const name = people.get(conn);
      if (name === undefined) {
        people.set(conn, line);
        tellAll(`${line} has come`);
      } else {
        tellAll(`${name}: ${line}`);
      }
    }
  } catch (error) {
    console.error(error);
  }
  const name = people.get(conn);
  people.delete(conn);
  if (name !== undefined) tellAll(`${name} has gone`);
});

console.log(`chat on port ${listener.address()?.port}`);
