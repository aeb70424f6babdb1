// Loads the native binding, or says why there is none and what to do.

import type * as Binding from '../index.js';
import { EvError } from './errors.js';

/** What prebuilt bindings there are, by platform, architecture and, on Linux, C library. */
const PREBUILT = [
  'darwin-arm64',
  'darwin-x64',
  'freebsd-x64',
  'linux-arm64-gnu',
  'linux-arm64-musl',
  'linux-x64-gnu',
  'linux-x64-musl',
  'win32-x64-msvc',
];

/** The generated loader. It tries a file beside it first, which is what a build from source makes. */
export function loadBinding(): typeof Binding {
  try {
    return require('../index.js') as typeof Binding;
  } catch (error) {
    throw noBinding(error);
  }
}

function platformName(): string {
  const { platform, arch } = process;
  if (platform === 'win32') return `${platform}-${arch}-msvc`;
  if (platform !== 'linux') return `${platform}-${arch}`;
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } };
  return `${platform}-${arch}-${report?.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}

/** Why the package did not load: the first of the loader's attempts that found a file. */
function reasonOf(error: unknown): string {
  const reasons: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) reasons.push(at.message);
  const reason = reasons.slice(1).find((text) => !text.startsWith('Cannot find module'));
  return (reason ?? String(error)).split('\n', 1)[0] ?? '';
}

function noBinding(cause: unknown): EvError {
  const name = platformName();
  const pack = `@evnode/binding-${name}`;
  let message;
  if (!PREBUILT.includes(name)) {
    message =
      `evnode has no prebuilt binding for ${name}, only for ${PREBUILT.join(', ')}. ` +
      'Build it from source: clone the repository and run `npm install && npm run build` with Rust installed.';
  } else if (isInstalled(pack)) {
    message =
      `the native binding of evnode in ${pack} does not load: ${reasonOf(cause)}. ` +
      'Check that it has the same version as evnode, and that the system is not older than the README asks for.';
  } else {
    message =
      `evnode needs the package ${pack}, which is not installed. npm leaves it out when it is told to ` +
      '(--omit=optional, --no-optional), and when node_modules or the lockfile were made on another kind of ' +
      'system. Run `npm install --include=optional`; if that does not bring it, remove node_modules and ' +
      `package-lock.json and run \`npm install\` again, or run \`npm install ${pack}\`.`;
  }
  return Object.assign(new EvError('ERR_EVNODE_NO_BINDING', message), { cause });
}

function isInstalled(pack: string): boolean {
  try {
    require.resolve(pack);
    return true;
  } catch {
    return false;
  }
}
