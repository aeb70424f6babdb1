// Which public symbols the package has: in the declarations, asked of the TypeScript compiler, and
// at run time, asked of the module. What Node and JavaScript have themselves is asked of them.

import { createRequire } from 'node:module';
import { join } from 'node:path';

import * as evnode from 'evnode';
import ts from 'typescript';

/** `A.prototype[Symbol.dispose]` → `A`, `prototype`, `[Symbol.dispose]`. */
const split = (path: string) => path.match(/\[[^\]]+\]|[^.[\]]+/g) ?? [];
const load = createRequire(__filename) as (name: string) => object;
const symbolName = (part: string) => /^\[Symbol\.(\w+)\]$/.exec(part)?.[1];

function atRunTime(path: string, module: object = evnode): boolean {
  const [first = '', ...rest] = split(path);
  let at = (module as Record<string, unknown>)[first];
  if (at === undefined) return false;
  for (const part of rest) {
    const name = symbolName(part);
    const key = name ? (Symbol as unknown as Record<string, symbol>)[name] : part;
    if (key === undefined || !(key in Object(at))) return false;
    // A getter on a prototype has no object to work on here; that it is there is all we ask.
    at = Object.getOwnPropertyDescriptor(at, key)?.value;
  }
  return true;
}

/** Of `node:dns.lookup` or `globalThis.Date.now`; `undefined` for what is the package's own. */
function inNode(path: string): boolean | undefined {
  const [first = '', ...rest] = split(path);
  if (first === 'globalThis') return atRunTime(rest.join('.'), globalThis);
  if (first.startsWith('node:')) return atRunTime(rest.join('.'), load(first));
  return undefined;
}

/** Tells of a path such as `EvBuffer.prototype.drain` whether it exists. */
export function typescriptSymbols(root: string): (path: string) => boolean {
  const entry = join(root, 'dist', 'index.d.ts');
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    types: ['node'],
    lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  };
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  if (!source || !module) throw new Error('dist/index.d.ts is missing; run `npm run build`');
  const exported = new Map(checker.getExportsOfModule(module).map((it) => [it.name, it]));

  const member = (type: ts.Type, part: string) => {
    const name = symbolName(part);
    if (!name) return checker.getPropertyOfType(type, part);
    return type.getProperties().find((it) => it.escapedName.toString().startsWith(`__@${name}@`));
  };

  return (path) => {
    const ofNode = inNode(path);
    if (ofNode !== undefined) return ofNode;
    const [first = '', ...rest] = split(path);
    let symbol = exported.get(first);
    if (symbol && symbol.flags & ts.SymbolFlags.Alias) symbol = checker.getAliasedSymbol(symbol);
    if (!symbol) return false;
    const isValue = (symbol.flags & ts.SymbolFlags.Value) !== 0;
    const ofInstance = rest[0] === 'prototype' || !isValue;
    if (rest[0] === 'prototype') rest.shift();
    let type = ofInstance
      ? checker.getDeclaredTypeOfSymbol(symbol)
      : checker.getTypeOfSymbol(symbol);
    let isField = false;
    for (const part of rest) {
      const found = member(type, part);
      if (!found) return false;
      type = checker.getTypeOfSymbol(found);
      isField = ofInstance && (found.flags & ts.SymbolFlags.Property) !== 0;
    }
    // A field stands on the objects, not on the prototype: it is enough that the class exists.
    return !isValue || atRunTime(isField ? first : path);
  };
}
