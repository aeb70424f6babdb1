// The same server on Node's own `tls`.
//
//   node node-tls.mjs CERTIFICATE KEY
import { readFileSync } from 'node:fs';
import tls from 'node:tls';

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));

const server = tls.createServer({ cert, key, noDelay: true }, (socket) => {
  socket.on('data', (data) => socket.write(data));
  socket.on('error', () => socket.destroy());
});
server.on('tlsClientError', (_, socket) => socket.destroy());
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`port ${server.address().port}`),
);
process.stdin.on('end', () => process.exit(0)).resume();
