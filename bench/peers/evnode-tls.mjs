// The same server on this package.
//
//   node evnode-tls.mjs CERTIFICATE KEY
import { readFileSync } from 'node:fs';

import {
  BufferEventFlags,
  Event,
  EventBase,
  EventFlags,
  TlsServerConfig,
} from '../../dist/index.mjs';

const [cert, key] = process.argv.slice(2).map((file) => readFileSync(file));
const base = new EventBase();

const callbacks = {
  read: (conn) => {
    conn.forward(conn);
  },
  event: (conn, what) => {
    if (what & (BufferEventFlags.EOF | BufferEventFlags.ERROR)) conn.free();
  },
};

const where = {
  port: 0,
  host: '127.0.0.1',
  backlog: 4096,
  tls: new TlsServerConfig({ cert, key }),
};
const listener = base.listenTls(where, (conn) => {
  conn.setCallbacks(callbacks);
});
console.log(`port ${listener.address().port}`);

// The bench closes our stdin when it is done.
new Event(base, 0, EventFlags.READ, () => process.exit(0)).add();
