// The same server on Node's own `net`.
//
//   node node.mjs echo|sink
import net from 'node:net';

const sink = process.argv[2] === 'sink';

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('data', sink ? () => {} : (data) => socket.write(data));
  socket.on('error', () => socket.destroy());
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
  console.log(`port ${server.address().port}`),
);

// The idle bench asks for a collection before it reads the memory.
if (globalThis.gc) process.on('SIGUSR2', () => globalThis.gc());
process.stdin.on('end', () => process.exit(0)).resume();
