// Certificates that are good for nothing but tests: one authority, and what it has issued for
// `localhost` and 127.0.0.1, twice, and for a client. P-256, valid for a hundred years; the
// authority's key is gone.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const pem = (name: string) => readFileSync(join(__dirname, '..', 'fixtures', 'tls', `${name}.pem`));

/** Who has issued the others. */
export const authority = pem('authority');

const issued = (name: string) => ({ cert: pem(name), key: pem(`${name}-key`) });

/** For `localhost` and 127.0.0.1. */
export const server = issued('server');
/** For the same names, with another key. */
export const renewed = issued('renewed');
/** For clients. */
export const client = issued('client');

/** The DER within PEM. */
export function derOf(given: Buffer): Buffer {
  const [, body = ''] = /-----BEGIN [^-]+-----([^-]+)-----END/.exec(given.toString()) ?? [];
  return Buffer.from(body, 'base64');
}
