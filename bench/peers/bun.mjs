// The same server on Bun's own `Bun.listen`.
//
//   bun bun.mjs echo|sink
const sink = process.argv[2] === 'sink';

// What a full socket buffer did not take is kept in `socket.data` until `drain`.
function write(socket, data) {
  if (socket.data) {
    socket.data = Buffer.concat([socket.data, data]);
    return;
  }
  const written = socket.write(data);
  if (written < data.length) socket.data = Buffer.from(data.subarray(Math.max(written, 0)));
}

const server = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: {
    open(socket) {
      socket.setNoDelay(true);
    },
    data: sink ? () => {} : write,
    drain(socket) {
      const rest = socket.data;
      socket.data = undefined;
      if (rest) write(socket, rest);
    },
    error(socket) {
      socket.end();
    },
  },
});
console.log(`port ${server.port}`);

// The idle bench asks for a collection before it reads the memory.
process.on('SIGUSR2', () => Bun.gc(true));
process.stdin.on('end', () => process.exit(0)).resume();
