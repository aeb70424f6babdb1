// Which of Rust's own symbols exist, asked of rustdoc: a link to one that does not is an error.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Those of paths such as `std::mem::offset_of` and `u64::MAX` that name nothing. */
export function missingFromStd(paths: readonly string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'evnode-std-'));
  try {
    const source = join(folder, 'links.rs');
    writeFileSync(source, paths.map((path) => `//! [\`${path}\`]\n`).join(''));
    const args = ['--crate-type', 'lib', '-D', 'warnings', '--out-dir', folder, source];
    const { status, stderr, error } = spawnSync('rustdoc', args, { encoding: 'utf8' });
    if (error) throw error;
    const missing = [...stderr.matchAll(/^error: unresolved link to `(.+)`$/gm)];
    if (status !== 0 && missing.length === 0) throw new Error(stderr);
    return missing.map(([, path = '']) => path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
