// The same server on Bun's own `Bun.listen` with TLS.
//
//   bun bun-tls.mjs CERTIFICATE KEY
const [cert, key] = process.argv.slice(2).map((file) => Bun.file(file));

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
  tls: { cert, key },
  socket: {
    open(socket) {
      socket.setNoDelay(true);
    },
    data: write,
    drain(socket) {
      const rest = socket.data;
      socket.data = undefined;
      if (rest) write(socket, rest);
    },
    end(socket) {
      socket.end();
    },
    error(socket) {
      socket.end();
    },
  },
});
console.log(`port ${server.port}`);
process.stdin.on('end', () => process.exit(0)).resume();
