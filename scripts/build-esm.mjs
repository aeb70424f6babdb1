// Writes the ECMAScript module entry point. It re-exports the CommonJS implementation by name, so
// that a program which loads evnode through both module systems still has one set of classes, one
// handle table and one state.

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Failure, root } from './lib.mjs';

/** The names that the CommonJS module exports, asked of a process of its own. */
function exportedNames(entry) {
  const code = `console.log(JSON.stringify(Object.keys(require(${JSON.stringify(entry)}))))`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Failure(`${stderr}\ndist/index.js does not load`);
  return JSON.parse(stdout);
}

/** Writes `dist/index.mjs` and `dist/index.d.mts` from the freshly compiled `dist/index.js`. */
export function buildEsm() {
  const dist = join(root, 'dist');
  const names = exportedNames(join(dist, 'index.js'));
  const code = ["import evnode from './index.js';", ''];
  code.push(`export const {\n${names.map((name) => `  ${name},\n`).join('')}} = evnode;`, '');
  writeFileSync(join(dist, 'index.mjs'), code.join('\n'));
  const types = readFileSync(join(dist, 'index.d.ts'), 'utf8');
  if (/export default|export =/.test(types)) {
    throw new Failure('src/index.ts must have named exports only');
  }
  writeFileSync(join(dist, 'index.d.mts'), "export * from './index.js';\n");
}
