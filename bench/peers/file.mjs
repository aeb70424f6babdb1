// A server that sends one file to everybody who connects, and then closes.
//
//   node file.mjs evnode|evnode-read|node FILE
import { createReadStream } from 'node:fs';
import net from 'node:net';

import { EventBase, FileSegment } from '../../dist/index.mjs';

const [kind, path] = process.argv.slice(2);

if (kind === 'node') {
  const server = net.createServer((socket) => {
    createReadStream(path).pipe(socket);
    socket.on('error', () => socket.destroy());
  });
  server.listen({ port: 0, host: '127.0.0.1' }, () => console.log(`port ${server.address().port}`));
} else {
  const file = new FileSegment(path, { disableSendfile: kind === 'evnode-read' });
  const listener = new EventBase().listen({ port: 0, host: '127.0.0.1' }, (conn) => {
    conn.output.addFileSegment(file);
    conn.close();
  });
  console.log(`port ${listener.address().port}`);
}

process.stdin.on('end', () => process.exit(0)).resume();
