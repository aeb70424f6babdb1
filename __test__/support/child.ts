// Programs of `fixtures/` in processes of their own.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

/** A process that runs a TypeScript file of this package. */
export function start(file: string, args: string[] = [], flags: string[] = []): ChildProcess {
  const node = [...flags, '--import', 'tsx', join(root, file), ...args];
  return spawn(process.execPath, node, { cwd: root, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** How a process ended, and what it has said. */
export interface Outcome {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Waits for the end of a process. */
export async function outcome(child: ChildProcess): Promise<Outcome> {
  const said = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said.stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...said };
}

/** Runs a scenario of a fixture to its end. */
export function run(file: string, args: string[] = [], flags: string[] = []): Promise<Outcome> {
  return outcome(start(join('__test__', 'fixtures', file), args, flags));
}

/** The first line that a process says, once it matches. */
export async function lineOf(child: ChildProcess, wanted: RegExp): Promise<RegExpExecArray> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const found = wanted.exec(text);
    if (found) return found;
  }
  throw new Error(`the process ended without saying ${wanted}: ${text}`);
}
