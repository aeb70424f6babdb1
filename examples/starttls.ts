// A conversation as mail servers have it: words in the open until the client says STARTTLS, and under
// cover from then on.
//
//   node --import tsx examples/starttls.ts CERTIFICATE KEY [port]
//   openssl s_client -starttls smtp -connect 127.0.0.1:2525

import { readFileSync } from 'node:fs';

import { EventBase, TlsServerConfig, type BufferEvent } from 'evnode';

const [cert = 'chain.pem', key = 'key.pem', port = '2525'] = process.argv.slice(2);
const config = new TlsServerConfig({ cert: readFileSync(cert), key: readFileSync(key) });
const base = new EventBase();

/** Answers lines until the peer leaves; says whether TLS is to start. */
async function converse(conn: BufferEvent): Promise<boolean> {
  const secret = conn.tls !== null;
  for await (const line of conn.lines({ maxLength: 512 })) {
    switch (line.split(' ', 1)[0]?.toUpperCase()) {
      case 'EHLO':
        conn.write(secret ? '250 welcome, well covered\r\n' : '250-welcome\r\n250 STARTTLS\r\n');
        break;
      case 'NOOP':
        conn.write('250 done\r\n');
        break;
      case 'STARTTLS':
        if (!secret) return true;
        conn.write('503 that is done\r\n');
        break;
      case 'QUIT':
        conn.write('221 good-bye\r\n');
        return false;
      default:
        conn.write('502 no such command\r\n');
    }
  }
  return false;
}

const listener = base.listen({ port: Number(port), host: '127.0.0.1' }, async (conn) => {
  try {
    conn.write('220 evnode\r\n');
    if (!(await converse(conn))) return await conn.close();
    // What came with the command was said in the open: it must not count as said under cover.
    if (conn.inputLength > 0) return conn.free();
    conn.write('220 go ahead\r\n');
    const secret = conn.startTls({ server: config });
    await converse(secret);
    await secret.close();
  } catch (error) {
    console.error(String(error));
    conn.free();
  }
});

console.log(`port ${listener.address()?.port}`);
