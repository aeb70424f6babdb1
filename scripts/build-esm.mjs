// Writes the ECMAScript module entry point. It re-exports the CommonJS implementation by name, so
// that a program which loads evnode through both module systems still has one set of classes, one
// handle table and one state.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { root } from './lib.mjs';

/** Writes `dist/index.mjs` and `dist/index.d.mts` from the freshly compiled `dist/index.js`. */
export async function buildEsm() {
  const dist = join(root, 'dist');
  const require = createRequire(import.meta.url);
  const names = Object.keys(require(join(dist, 'index.js'))).filter((name) => name !== 'default');
  const code = ["import evnode from './index.js';", ''];
  code.push(`export const {\n${names.map((name) => `  ${name},\n`).join('')}} = evnode;`, '');
  writeFileSync(join(dist, 'index.mjs'), code.join('\n'));
  const types = readFileSync(join(dist, 'index.d.ts'), 'utf8');
  if (/export default|export =/.test(types)) {
    throw new Error('src/index.ts must have named exports only');
  }
  writeFileSync(join(dist, 'index.d.mts'), "export * from './index.js';\n");
}
