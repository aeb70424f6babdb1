// Serves one file over HTTP. The system sends it from its cache; neither JavaScript nor this process's
// memory sees the bytes.
//
//   node --import tsx examples/static-file.ts FILE [port]

import { EventBase, FileSegment } from 'evnode';

const [path, port] = process.argv.slice(2);
if (path === undefined) {
  console.error('usage: static-file.ts FILE [port]');
  process.exit(2);
}

const base = new EventBase();
// Opened once: all connections share it.
const file = new FileSegment(path);

const listener = base.listen({ port: Number(port ?? 8080) }, async (conn) => {
  try {
    // The request's head ends with an empty line; a client that says nothing for long is let go.
    conn.setTimeouts(10_000, 10_000);
    for await (const line of conn.lines()) if (line === '') break;
    conn.write(`HTTP/1.0 200 OK\r\nContent-Length: ${file.length}\r\n\r\n`);
    conn.output.addFileSegment(file);
  } catch {
    // The client has gone.
  } finally {
    conn.close();
  }
});

console.log(`${path} on http://127.0.0.1:${listener.address()?.port}`);
