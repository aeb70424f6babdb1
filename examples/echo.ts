// An echo server: sends back what it is sent.
//
//   node --import tsx examples/echo.ts [port]

import { EventBase } from 'evnode';

const base = new EventBase();

const listener = base.listen({ port: Number(process.argv[2] ?? 7000) }, (conn) => {
  // Moves the bytes from one buffer to the other; JavaScript never sees them.
  conn.setCallbacks({ read: (bev) => bev.forward(bev) });
});

console.log(`echo on port ${listener.address()?.port}`);
