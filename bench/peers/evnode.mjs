// The same server on this package.
//
//   node evnode.mjs attached|nested|waiter|blocking echo|sink
import { BufferEventFlags, Event, EventBase, EventFlags } from '../../dist/index.mjs';

const [, , mode, pattern] = process.argv;
const attach = { attached: 'uv', nested: 'nested', waiter: 'waiter', blocking: 'none' }[mode];
const base = new EventBase({ attach });

const echo = (conn) => {
  conn.forward(conn);
};
const drop = ({ input }) => {
  input.drain(input.length);
};
const callbacks = {
  read: pattern === 'sink' ? drop : echo,
  event: (conn, what) => {
    if (what & (BufferEventFlags.EOF | BufferEventFlags.ERROR)) conn.free();
  },
};

const listener = base.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, (conn) => {
  conn.setCallbacks(callbacks);
});
console.log(`port ${listener.address().port}`);

// The bench closes our stdin when it is done. A blocking base leaves nothing to Node's own streams.
new Event(base, 0, EventFlags.READ, () => process.exit(0)).add();

// The idle bench asks for a collection before it reads the memory.
if (globalThis.gc) process.on('SIGUSR2', () => globalThis.gc());
if (mode === 'blocking') base.dispatchSync();
