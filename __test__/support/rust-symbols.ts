// Which public symbols evcore has, read from the pages that `cargo doc` writes: they are made by
// the compiler, so that re-exports, traits and macros are all resolved.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ITEM = 'struct|enum|trait|fn|type|constant|macro|static|union';
const MEMBER = 'method|tymethod|variant|associatedconstant|associatedtype|structfield';

const cargo = (root: string, ...args: string[]) =>
  execFileSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, RUSTDOCFLAGS: '-D warnings' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });

/** Documents evcore and tells of a path such as `evcore::EventBase::new` whether it exists. */
export function rustSymbols(root: string): (path: string) => boolean {
  cargo(root, 'doc', '--package', 'evcore', '--all-features', '--no-deps');
  const metadata = cargo(root, 'metadata', '--no-deps', '--format-version', '1');
  const { target_directory: target } = JSON.parse(metadata) as { target_directory: string };
  const pages = new Map<string, string>();
  const read = (file: string) => {
    const text = pages.get(file) ?? readFileSync(file, 'utf8');
    pages.set(file, text);
    return text;
  };

  /** The page of an item, found through the index of the module that exports it. */
  const itemPage = (module: string[], name: string) => {
    const index = join(target, 'doc', ...module, 'index.html');
    if (!existsSync(index)) return undefined;
    const link = new RegExp(`href="([^"#]*\\b(?:${ITEM})\\.${name}\\.html)"`).exec(read(index));
    return link?.[1] && join(dirname(index), link[1]);
  };

  return (path) => {
    const parts = path.split('::');
    const last = parts.at(-1) ?? '';
    if (existsSync(join(target, 'doc', ...parts, 'index.html'))) return true;
    if (itemPage(parts.slice(0, -1), last)) return true;
    const page = itemPage(parts.slice(0, -2), parts.at(-2) ?? '');
    return page !== undefined && new RegExp(`id="(?:${MEMBER})\\.${last}"`).test(read(page));
  };
}
