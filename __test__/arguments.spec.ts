// Every public method, given what it does not take: wrong types, NaN, negative and huge numbers, and
// objects that are freed.

import test, { type ExecutionContext } from 'ava';

import {
  BufferEvent,
  BufferEventFlags,
  ConnListener,
  EvBuffer,
  Event,
  EventBase,
  EventFlags,
  EvError,
  FileSegment,
  FilterBufferEvent,
  RateLimitGroup,
  TlsClientConfig,
  TlsServerConfig,
  TokenBucketConfig,
} from 'evnode';

import { authority, server } from './support/certificates';

const { READ, WRITE } = EventFlags;

type Code = 'TYPE' | 'RANGE' | 'VALUE' | 'HANDLE';
/** Arguments that are good, and for some of them, by position, what is bad in their place. */
interface Row {
  good: unknown[];
  bad?: Record<number, Bad[]>;
}
type Bad = [value: unknown, code: Code];
type Table = Record<string, Row>;

const ERRORS = { TYPE: TypeError, RANGE: RangeError, VALUE: RangeError, HANDLE: TypeError };

const types = (...values: unknown[]) => values.map((value): Bad => [value, 'TYPE']);
const ranges = (...values: unknown[]) => values.map((value): Bad => [value, 'RANGE']);

const NO_NUMBER = types(null, '1', true, {}, [], 1n, Symbol('one'), () => 1);
const NO_WHOLE = ranges(Number.NaN, 1.5, Infinity, -Infinity, 1e300, 2 ** 53);
const WHOLE = [...NO_NUMBER, ...NO_WHOLE];
const SIZE = [...WHOLE, ...ranges(-1)];
const RATE = [...NO_NUMBER, ...ranges(Number.NaN, 0, -1, 1.5, -Infinity, 1e300)];
const TIME = [...NO_NUMBER.slice(1), ...ranges(Number.NaN, -1, -0.5, Infinity, 1e300)];
const FLAGS = [...WHOLE, ...ranges(0, -1, 0x10000, 2 ** 32 + 2)];
const DIRECTIONS = [...WHOLE, ...ranges(0, 1, 8, -2, 2 ** 32 + 2)];
const PRIORITY = [...WHOLE, ...ranges(-1, 256)];
const BYTES = types(undefined, null, 1, true, {}, [1, 2], 1n, Symbol('bytes'), () => 'x');
const WORD: Bad[] = [...types(null, 1, {}, Symbol('word')), ...ranges('no such word', '')];
const FUNCTION = types(1, 'callback', {}, [], true);
const NEEDED = [...FUNCTION, ...types(undefined, null)];
const BASE: Bad[] = [...types(undefined, null, 1, 'base', {}, []), [{ _handle: 1 }, 'HANDLE']];
const BUFFER = types(undefined, null, 1, 'buffer', {}, Buffer.from('x'), { _handle: 1 });
const SEGMENT = types(undefined, null, 1, 'segment', {}, [], { _handle: 1 });
const FILE = types(undefined, null, true, {}, [], 1n, () => 'x', 'a\0b');
const OPTIONS = types(null, 1, 'options', true, []);
const CONFIG = types(undefined, 1, 'fast', true, {}, { readRate: 1 });
const SIGNAL = types(null, 1, {}, 'abort');

const named = (name: string, bad: Bad[]) =>
  bad.map(([value, code]): Bad => [{ [name]: value }, code]);
const NEEDLE = BYTES.filter(([value]) => typeof value !== 'number');
const MESSAGE = [...OPTIONS, ...named('maxLength', [...SIZE, ...ranges(2 ** 31)])];
const PREFIX = named('prefix', WORD);
/** Every `read…`, `get…` and `write…` of numbers; what they refuse is tested with their values. */
const NUMBERS = Object.fromEntries(
  [
    'UInt8',
    'Int8',
    'UInt16',
    'Int16',
    'UInt32',
    'Int32',
    'BigUInt64',
    'BigInt64',
    'Float',
    'Double',
  ]
    .flatMap((kind) => (kind.endsWith('8') ? [kind] : [`${kind}LE`, `${kind}BE`]))
    .flatMap((kind): [string, Row][] => [
      [`read${kind}`, { good: [] }],
      [`get${kind}`, { good: [0], bad: { 0: SIZE } }],
      [`write${kind}`, { good: [kind.startsWith('Big') ? 1n : 1] }],
    ]),
);

const nothing = () => {};

function check(t: ExecutionContext, name: string, call: () => unknown, code: Code, value: unknown) {
  let thrown: unknown = 'nothing';
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  const told = `${name} with ${typeof value} ${Array.isArray(value) ? '[]' : String(value)}`;
  t.true(thrown instanceof ERRORS[code], `${told}: ${String(thrown)}`);
  t.is((thrown as EvError).code, `ERR_EVNODE_ARG_${code}`, told);
}

/** What a class and those that it extends can be asked for by name. */
function members(prototype: object): string[] {
  const all = new Set<string>();
  for (let at = prototype; at !== Object.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name !== 'constructor' && !name.startsWith('_')) all.add(name);
    }
  }
  return [...all];
}

/** What a class has under a name. */
function described(prototype: object, name: string): PropertyDescriptor | undefined {
  for (let at = prototype; at !== null; at = Object.getPrototypeOf(at) as object) {
    const found = Object.getOwnPropertyDescriptor(at, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Tests a class: each bad argument of each method, each method and property of a freed object, and
 * that no method is forgotten. `always` still work when the object is freed.
 */
function covers<T extends object>(
  type: { name: string; prototype: T },
  make: () => T,
  free: (object: T) => void,
  table: Table,
  always: readonly string[],
): void {
  const invoke = (object: T, name: string, args: unknown[]) => {
    const method = (object as Record<string, (...args: unknown[]) => unknown>)[name];
    return typeof method === 'function' ? method.apply(object, args) : method;
  };

  test(`every method of ${type.name} answers bad arguments with an error that says so`, (t) => {
    const methods = members(type.prototype).filter(
      (name) => typeof described(type.prototype, name)?.value === 'function',
    );
    const forgotten = methods.filter((name) => !(name in table) && !always.includes(name));
    t.deepEqual(forgotten, [], 'methods that have no row');
    const object = make();
    for (const [name, { good, bad = {} }] of Object.entries(table)) {
      for (const [position, values] of Object.entries(bad)) {
        for (const [value, code] of values) {
          const args = [...good];
          args[Number(position)] = value;
          check(
            t,
            `${type.name}.${name}[${position}]`,
            () => invoke(object, name, args),
            code,
            value,
          );
        }
      }
    }
    free(object);
  });

  test(`every method of a freed ${type.name} says that it is closed`, (t) => {
    const object = make();
    free(object);
    for (const name of members(type.prototype)) {
      if (always.includes(name)) continue;
      const error = t.throws(
        () => invoke(object, name, table[name]?.good ?? []),
        { instanceOf: EvError, code: 'ERR_EVNODE_CLOSED' },
        name,
      );
      t.true((error?.message.length ?? 0) > 10);
    }
    free(object);
  });
}

const base = new EventBase();
const serverTls = new TlsServerConfig(server);
const clientTls = new TlsClientConfig({ ca: authority });
const buffer = new EvBuffer();
const segment = new FileSegment(__filename);
const bev = new BufferEvent(base);
const limit = new TokenBucketConfig({ readRate: 10 });
const group = new RateLimitGroup(base, limit);
const elsewhere = new RateLimitGroup(new EventBase(), limit);

covers(
  EventBase,
  () => new EventBase({ priorities: 2 }),
  (base) => base.free(),
  {
    dispatchSync: { good: [] },
    loop: { good: [1], bad: { 0: [...WHOLE, ...ranges(-1, 8)] } },
    loopExit: { good: [1], bad: { 0: TIME } },
    loopBreak: { good: [] },
    loopContinue: { good: [] },
    priorityInit: { good: [2], bad: { 0: [...WHOLE, ...ranges(0, -1, 257)] } },
    updateCacheTime: { good: [] },
    counts: { good: [] },
    maxCounts: { good: [false], bad: { 0: types(null, 1, 'yes') } },
    foreach: { good: [nothing], bad: { 0: NEEDED } },
    dump: { good: [] },
    activeByFd: {
      good: [0, READ],
      bad: { 0: [...WHOLE, ...ranges(-1, 2 ** 31)], 1: [...FLAGS, ...ranges(0x10)] },
    },
    activeBySignal: { good: [15], bad: { 0: [...types(null, true, {}), ...ranges(0, 65, '')] } },
    initCommonTimeout: { good: [1], bad: { 0: [...TIME, ...types(undefined, null)] } },
    prepare: { good: [nothing], bad: { 0: NEEDED } },
    check: { good: [nothing], bad: { 0: NEEDED } },
    metrics: { good: [false], bad: { 0: types(null, 1, 'yes') } },
    tellSlowCallbacks: { good: [1], bad: { 0: TIME } },
    tellTurns: { good: [false], bad: { 0: types(null, 1, 'yes') } },
    hold: { good: [] },
    handle: { good: [] },
    onMessage: { good: [null], bad: { 0: FUNCTION } },
    ref: { good: [] },
    unref: { good: [] },
    hasRef: { good: [] },
    event: {
      good: [-1, 0, nothing],
      bad: {
        0: [...WHOLE, ...ranges(-2, 2 ** 31)],
        1: [...WHOLE, ...ranges(-1, 0x40, 0x100)],
        2: NEEDED,
      },
    },
    timer: { good: [nothing], bad: { 0: NEEDED } },
    signal: {
      good: ['SIGUSR2', nothing],
      bad: {
        0: [
          ...types(null, true, {}),
          ...ranges(0, -1, 65, Number.NaN, 'SIGNOTHING', '', 'toString'),
        ],
        1: NEEDED,
      },
    },
    once: {
      good: [-1, EventFlags.TIMEOUT, 1, nothing],
      bad: { 0: [...WHOLE, ...ranges(-2)], 1: [...FLAGS, ...ranges(8)], 2: TIME, 3: NEEDED },
    },
    listen: {
      good: [{ port: 0, host: '127.0.0.1' }],
      bad: {
        0: [
          ...OPTIONS,
          ...types(undefined, {}, { port: '1' }, { port: null }, { port: 0, host: 1 }),
          ...types({ path: 1 }, { path: 'a', port: 1 }, { path: 'a', host: '::1' }, { fd: '1' }),
          ...types({ fd: 1, port: 1 }, { port: 0, backlog: '1' }, { port: 0, reusePort: 1 }),
          ...types({ port: 0, signal: 1 }, { port: 0, onSocket: 1 }, { port: 0, disabled: 'no' }),
          ...ranges({ port: -1 }, { port: 65_536 }, { port: 1.5 }, { port: Number.NaN }),
          ...ranges({ port: 0, host: '' }, { port: 0, host: 'no address' }, { path: '' }),
          ...ranges({ path: 'a\0b' }, { port: 0, backlog: -1 }, { fd: -2 }, { fd: 1e10 }),
        ],
        1: FUNCTION,
      },
    },
    listenTls: {
      good: [{ port: 0, host: '127.0.0.1', tls: serverTls }],
      bad: {
        0: [
          ...OPTIONS,
          ...types(undefined, {}, { port: 0 }, { port: 0, tls: {} }, { port: 0, tls: clientTls }),
          ...types({ tls: serverTls }, { port: 0, tls: serverTls, allowDirtyShutdown: 1 }),
          ...ranges({ port: -1, tls: serverTls }),
        ],
        1: FUNCTION,
      },
    },
  },
  ['free', 'closed', 'connect', 'connectTls', 'dispatch'],
);

covers(
  Event,
  () => new Event(base, -1, 0, nothing),
  (event) => event.free(),
  {
    add: { good: [1], bad: { 0: TIME } },
    del: { good: [] },
    removeTimer: { good: [] },
    addCommon: { good: [base.initCommonTimeout(1)], bad: { 0: types(undefined, null, 1, {}) } },
    assign: {
      good: [-1, 0, nothing],
      bad: {
        0: [...WHOLE, ...ranges(-2, 2 ** 31)],
        1: [...WHOLE, ...ranges(-1, 0x40, 0x100)],
        2: FUNCTION,
      },
    },
    finalize: { good: [nothing], bad: { 0: NEEDED } },
    freeFinalize: { good: [nothing], bad: { 0: NEEDED } },
    active: {
      good: [READ, 1],
      bad: { 0: [...FLAGS, ...ranges(0x10, 0x20)], 1: [...WHOLE, ...ranges(-1, 65_536)] },
    },
    pending: { good: [READ], bad: { 0: [...FLAGS, ...ranges(0x10)] } },
    setPriority: { good: [0], bad: { 0: [...PRIORITY, [1, 'VALUE']] } },
  },
  ['free', 'base', 'initialized'],
);

covers(
  EvBuffer,
  () => new EvBuffer().add('some bytes\n'),
  (buffer) => buffer.free(),
  {
    add: { good: ['x', 'utf8'], bad: { 0: BYTES, 1: WORD } },
    addBuffer: { good: [buffer], bad: { 0: BUFFER } },
    addBufferReference: { good: [buffer], bad: { 0: BUFFER } },
    addFile: { good: [__filename], bad: { 0: FILE, 1: OPTIONS } },
    addFileSegment: { good: [segment, 0, 0], bad: { 0: SEGMENT, 1: SIZE, 2: SIZE } },
    readFiles: { good: [0], bad: { 0: SIZE } },
    enableCallback: { good: [true], bad: { 0: types(null, 1, 'on', {}) } },
    deferCallbacks: { good: [base], bad: { 0: types(undefined, 1, 'base', {}, [], buffer) } },
    prepend: { good: ['x', 'utf8'], bad: { 0: BYTES, 1: WORD } },
    prependBuffer: { good: [buffer], bad: { 0: BUFFER } },
    remove: { good: [0], bad: { 0: SIZE } },
    removeInto: { good: [Buffer.alloc(1)], bad: { 0: [...BYTES, ...types('text')] } },
    removeString: { good: [0, 'utf8'], bad: { 0: SIZE, 1: WORD } },
    removeBuffer: { good: [buffer, 0], bad: { 0: BUFFER, 1: [...SIZE, ...types(undefined)] } },
    copyout: { good: [1, 0], bad: { 0: SIZE, 1: SIZE } },
    drain: { good: [0], bad: { 0: [...SIZE, ...types(undefined)] } },
    addPrintf: { good: ['%s', 1], bad: { 0: types(undefined, null, 1, {}, Symbol('x')) } },
    addFrame: {
      good: ['x', 'u8'],
      bad: { 0: [...BYTES, [Buffer.alloc(256), 'RANGE']], 1: WORD },
    },
    peek: { good: [1, 0], bad: { 0: SIZE, 1: [...SIZE, ...ranges(1000)] } },
    indexOf: { good: ['x', 0], bad: { 0: [...NEEDLE, ...ranges(-1, 256, 0.5)], 1: WHOLE } },
    includes: { good: ['x', 0], bad: { 0: NEEDLE, 1: WHOLE } },
    at: { good: [0], bad: { 0: [...WHOLE, ...types(undefined)] } },
    slice: { good: [0, 1], bad: { 0: WHOLE, 1: WHOLE } },
    equals: { good: ['x'], bad: { 0: BYTES } },
    chunks: { good: [1], bad: { 0: [...SIZE, ...ranges(0), ...types(undefined)] } },
    lines: { good: ['lf', 'utf8'], bad: { 0: WORD, 1: WORD } },
    split: { good: ['x', {}], bad: { 0: [...BYTES, ...ranges('')], 1: MESSAGE } },
    frames: { good: [{}], bad: { 0: [...MESSAGE, ...PREFIX] } },
    readUntil: { good: ['x', {}], bad: { 0: [...BYTES, ...ranges('')], 1: MESSAGE } },
    readFrame: { good: [{}], bad: { 0: [...MESSAGE, ...PREFIX] } },
    toJSON: { good: [] },
    toReadable: { good: [] },
    toWeb: { good: [] },
    ...NUMBERS,
    search: { good: ['x', 0, 1], bad: { 0: BYTES, 1: SIZE, 2: SIZE } },
    readln: { good: ['nul', 'utf8'], bad: { 0: WORD, 1: WORD } },
    readLines: {
      good: ['nul', 'utf8', 1],
      bad: { 0: WORD, 1: WORD, 2: [...SIZE, ...ranges(2 ** 31)] },
    },
    readLineInto: {
      good: [Buffer.alloc(10), 0, 'nul'],
      bad: { 0: [...BYTES, ...types('text')], 1: [...SIZE, ...ranges(11)], 2: WORD },
    },
    lineLength: { good: ['lf'], bad: { 0: WORD } },
    pullup: { good: [1], bad: { 0: [...SIZE, ...ranges(1000)] } },
    expand: { good: [1], bad: { 0: [...SIZE, ...types(undefined)] } },
    freeze: { good: ['front'], bad: { 0: types(undefined, null, 1, 'middle', {}) } },
    unfreeze: { good: ['front'], bad: { 0: types(undefined, null, 1, 'middle', {}) } },
    read: { good: [0, 0], bad: { 0: [...WHOLE, ...ranges(-2, 2 ** 31)], 1: SIZE } },
    write: { good: [1, 0], bad: { 0: [...WHOLE, ...ranges(-2, 2 ** 31)], 1: SIZE } },
    setCallback: { good: [null], bad: { 0: FUNCTION } },
    segments: { good: [] },
    toString: { good: [] },
  },
  ['free'],
);

covers(
  BufferEvent,
  () => new BufferEvent(base),
  (bev) => bev.free(),
  {
    connect: {
      good: [{ port: 1, host: '127.0.0.1' }],
      bad: {
        0: [
          ...OPTIONS,
          ...types({}, { port: '1' }, { port: 1, host: 1 }, { path: 1 }, { path: 'a', port: 1 }),
          ...ranges({ port: -1 }, { port: 65_536 }, { port: Number.NaN }, { port: 1, host: '' }),
          ...ranges({ path: '' }, { path: 'a\0b' }),
        ],
      },
    },
    setCallbacks: {
      good: [{}],
      bad: {
        0: [
          ...types(undefined, null, 1, 'read', nothing),
          ...types({ read: 1 }, { write: 'x' }, { event: {} }),
        ],
      },
    },
    enable: { good: [READ], bad: { 0: DIRECTIONS } },
    disable: { good: [READ], bad: { 0: DIRECTIONS } },
    write: { good: ['x', 'utf8'], bad: { 0: BYTES, 1: WORD } },
    writeBuffer: { good: [buffer], bad: { 0: BUFFER } },
    read: { good: [1], bad: { 0: SIZE } },
    readString: { good: [1, 'utf8'], bad: { 0: SIZE, 1: WORD } },
    readBuffer: { good: [buffer], bad: { 0: BUFFER } },
    forward: { good: [bev], bad: { 0: [...BUFFER, ...types(buffer)] } },
    setWatermark: {
      good: [READ, 1, 2],
      bad: { 0: DIRECTIONS, 1: [...SIZE, [3, 'VALUE']], 2: [...SIZE, ...types(undefined)] },
    },
    watermark: { good: [READ], bad: { 0: [...FLAGS, ...ranges(1, 8)] } },
    setTimeouts: { good: [1, 1], bad: { 0: TIME, 1: TIME } },
    startTls: {
      good: [{ client: clientTls, serverName: 'localhost' }],
      bad: {
        0: [
          ...OPTIONS,
          ...types(undefined, {}, { serverName: 1 }, { server: undefined }, { server: clientTls }),
          ...types({ serverName: 'x', client: {} }, { server: serverTls, closeOnFree: 1 }),
          ...types({ server: serverTls, allowDirtyShutdown: 1 }),
          [{ client: clientTls, serverName: '' }, 'VALUE'],
          [{ client: clientTls, serverName: 'no name' }, 'VALUE'],
        ],
      },
    },
    updateTlsKeys: { good: [] },
    setPriority: { good: [0], bad: { 0: [...PRIORITY, [1, 'VALUE']] } },
    connectHostname: {
      good: ['localhost', 1, {}],
      bad: {
        0: [...types(undefined, null, 1, {}), ['', 'RANGE']],
        1: [...WHOLE.slice(1), ...ranges(-1, 65_536)],
        2: [...OPTIONS, ...named('family', WORD)],
      },
    },
    setFd: { good: [-1], bad: { 0: [...WHOLE, ...ranges(-2, 2 ** 31)] } },
    setRateLimit: { good: [limit], bad: { 0: CONFIG } },
    addToRateLimitGroup: {
      good: [group],
      bad: { 0: [...types(undefined, null, 1, {}, limit), [elsewhere, 'VALUE']] },
    },
    removeFromRateLimitGroup: { good: [] },
    setMaxSingleRead: { good: [1], bad: { 0: [...SIZE, ...types(undefined)] } },
    setMaxSingleWrite: { good: [1], bad: { 0: [...SIZE, ...types(undefined)] } },
    decrementReadLimit: { good: [-1], bad: { 0: [...WHOLE, ...types(undefined)] } },
    decrementWriteLimit: { good: [-1], bad: { 0: [...WHOLE, ...types(undefined)] } },
    flush: { good: [WRITE, 'normal'], bad: { 0: DIRECTIONS, 1: WORD } },
    trigger: { good: [READ], bad: { 0: DIRECTIONS } },
    triggerEvent: {
      good: [BufferEventFlags.EOF],
      bad: { 0: [...FLAGS, ...ranges(4, 8, 0x100)] },
    },
    lines: {
      good: [{}],
      bad: {
        0: [
          ...OPTIONS,
          ...WORD.slice(1).map(([eol, code]): Bad => [{ eol }, code]),
          ...WORD.slice(1).map(([encoding, code]): Bad => [{ encoding }, code]),
          ...SIZE.slice(1).map(([maxLength, code]): Bad => [{ maxLength }, code]),
          ...ranges({ maxLength: 0 }),
          ...SIGNAL.map(([signal, code]): Bad => [{ signal }, code]),
        ],
      },
    },
    chunks: {
      good: [{}],
      bad: {
        0: [
          ...OPTIONS.filter(([value]) => typeof value !== 'number'),
          ...named('signal', SIGNAL),
          ...ranges(0, -1, 0.5, Number.NaN, Infinity, 2 ** 31),
        ],
      },
    },
    split: {
      good: ['x', {}],
      bad: { 0: [...BYTES, ...ranges('')], 1: [...MESSAGE, ...named('signal', SIGNAL)] },
    },
    frames: {
      good: [{}],
      bad: { 0: [...MESSAGE, ...PREFIX, ...named('signal', SIGNAL)] },
    },
    toWeb: { good: [{}], bad: { 0: [...OPTIONS, ...ranges({ readableHighWaterMark: 0 })] } },
    toDuplex: {
      good: [{}],
      bad: {
        0: [
          ...OPTIONS,
          ...types({ allowHalfOpen: 1 }, { readableHighWaterMark: '1' }),
          ...ranges({ readableHighWaterMark: 0 }, { writableHighWaterMark: -1 }),
          ...ranges({ writableHighWaterMark: Number.NaN }),
        ],
      },
    },
  },
  ['free', 'close', 'closed', 'base'],
);

covers(
  FileSegment,
  () => new FileSegment(__filename),
  (file) => file.free(),
  { onCleanup: { good: [nothing], bad: { 0: NEEDED } } },
  ['free'],
);

covers(
  RateLimitGroup,
  () => new RateLimitGroup(base, limit),
  (group) => group.free(),
  {
    setConfig: { good: [limit], bad: { 0: [...CONFIG, ...types(null)] } },
    setMinShare: { good: [1], bad: { 0: [...SIZE, ...types(undefined)] } },
    decrementRead: { good: [1], bad: { 0: [...WHOLE, ...types(undefined)] } },
    decrementWrite: { good: [1], bad: { 0: [...WHOLE, ...types(undefined)] } },
    resetTotals: { good: [] },
  },
  ['free'],
);

covers(
  ConnListener,
  () => new ConnListener(base, { port: 0, host: '127.0.0.1' }),
  (listener) => listener.free(),
  {
    address: { good: [] },
    enable: { good: [] },
    disable: { good: [] },
    setCallback: { good: [nothing], bad: { 0: NEEDED } },
    setErrorCallback: { good: [null], bad: { 0: FUNCTION } },
  },
  ['free', 'close', 'closed', 'base', 'setErrorCallback'],
);

test('constructors answer bad arguments with an error that says so', (t) => {
  const config = (bad: Bad[], name: string) =>
    bad.map(([value, code]): Bad => [{ [name]: value }, code]);
  const rows: [name: string, make: (value: unknown) => unknown, bad: Bad[]][] = [
    [
      'EventBase',
      (value) => new EventBase(value as object),
      [
        ...OPTIONS,
        ...config([...types(null, 1), ...ranges('uvx', '')], 'attach'),
        ...config(types(null, 1, {}), 'method'),
        ...config(types(null, 1, 'epoll', [1], {}), 'avoid'),
        ...config([...WHOLE, ...ranges(-1, 32)], 'requireFeatures'),
        ...config([...WHOLE, ...ranges(0, -1, 257)], 'priorities'),
        ...config([...PRIORITY], 'minPriority'),
        ...config(TIME, 'maxDispatchInterval'),
        ...config([...WHOLE, ...ranges(0, -1)], 'maxDispatchCallbacks'),
        ...config(types(null, 1, 'yes'), 'ignoreEnv'),
        ...config(types(null, 1, 'yes'), 'noCacheTime'),
        ...config(types(null, 1, 'yes'), 'preciseTimer'),
        ...config(types(null, 1, 'yes'), 'epollChangelist'),
        ...config(types(null, 1, 'yes'), 'debugMode'),
        ...config(types(null, 1, 'yes'), 'metrics'),
        ...config(TIME, 'slowCallback'),
      ],
    ],
    ['Event', (value) => new Event(value as EventBase, -1, 0, nothing), BASE],
    ['BufferEvent', (value) => new BufferEvent(value as EventBase), BASE],
    [
      'BufferEvent',
      (value) => new BufferEvent(base, value as object),
      [
        ...types(null, 'options', true, []),
        ...config([...WHOLE.slice(1), ...ranges(-2)], 'fd'),
        ...config(types(null, 1, 'yes'), 'closeOnFree'),
        ...config(types(null, 1, 'yes'), 'deferCallbacks'),
      ],
    ],
    ['RateLimitGroup', (value) => new RateLimitGroup(value as EventBase, limit), BASE],
    [
      'RateLimitGroup',
      (value) => new RateLimitGroup(base, value as TokenBucketConfig),
      [...CONFIG, ...types(null)],
    ],
    [
      'TokenBucketConfig',
      (value) => new TokenBucketConfig(value as object),
      [
        ...OPTIONS,
        ...['readRate', 'readBurst', 'writeRate', 'writeBurst'].flatMap((name) =>
          config([...RATE, [2 ** 53, 'RANGE']], name),
        ),
        ...config([...NO_NUMBER.slice(1), ...ranges(Number.NaN, -1, Infinity)], 'tick'),
        [{ tick: 0.5 }, 'VALUE'],
        [{ tick: 86_400_001 }, 'VALUE'],
        [{ readRate: 10, readBurst: 9 }, 'VALUE'],
        [{ writeRate: Infinity, writeBurst: 9 }, 'VALUE'],
      ],
    ],
    [
      'TokenBucketConfig.perSecond',
      (value) => TokenBucketConfig.perSecond(value as object),
      [...OPTIONS, ...config(RATE, 'read'), ...config(RATE, 'write')],
    ],
    ['BufferEvent.pair', (value) => BufferEvent.pair(value as EventBase), BASE],
    [
      'BufferEvent.pair',
      (value) => BufferEvent.pair(base, value as object),
      [...OPTIONS, ...config(types(null, 1, 'yes'), 'deferCallbacks')],
    ],
    [
      'FilterBufferEvent',
      (value) => new FilterBufferEvent(value as BufferEvent),
      [...BUFFER, ...types(buffer, base)],
    ],
    [
      'FilterBufferEvent',
      (value) => new FilterBufferEvent(bev, value as object),
      [
        ...OPTIONS,
        ...config(FUNCTION, 'input'),
        ...config(FUNCTION, 'output'),
        ...config(types(null, 1, 'yes'), 'closeOnFree'),
        ...config(types(null, 1, 'yes'), 'deferCallbacks'),
      ],
    ],
    [
      'TlsServerConfig',
      (value) => new TlsServerConfig(value as typeof server),
      [
        ...OPTIONS,
        ...types(
          undefined,
          {},
          { cert: server.cert },
          { ...server, cert: 1 },
          { ...server, key: [] },
        ),
        ...types({ ...server, alpn: 'h2' }, { ...server, alpn: [1] }, { ...server, ciphers: 'x' }),
        ...types({ ...server, clientCert: 'required' }, { ...server, clientCa: 1 }),
        ...ranges({ ...server, cert: [] }, { ...server, versions: ['TLSv1.1'] }),
        ...ranges({ ...server, clientCa: authority, clientCert: 'maybe' }),
      ],
    ],
    [
      'TlsServerConfig.setCertificate',
      (value) => serverTls.setCertificate(value as Buffer, server.key),
      [...types(undefined, null, 1, {}, [1]), ...ranges([])],
    ],
    [
      'TlsClientConfig',
      (value) => new TlsClientConfig(value as object),
      [
        ...OPTIONS,
        ...types({ cert: server.cert }, { key: server.key }, { ca: 1 }, { insecure: 1 }),
        ...ranges({ ca: [] }, { versions: ['x'] }),
      ],
    ],
    ['ConnListener', (value) => new ConnListener(value as EventBase, { port: 0 }), BASE],
    [
      'EventBase.methodFeatures',
      (value) => EventBase.methodFeatures(value as string),
      [...types(undefined, null, 1, {})],
    ],
  ];
  for (const [name, make, bad] of rows) {
    for (const [value, code] of bad) check(t, name, () => make(value), code, value);
  }
});

test('connect answers bad arguments with a rejection that says so', async (t) => {
  const bad: Bad[] = [
    ...OPTIONS,
    ...types(undefined, {}, { port: '1' }, { port: 1, host: 1 }, { path: 'a', port: 1 }),
    ...types({ port: 1, signal: 1 }, { port: 1, timeout: '1' }, { port: 1, closeOnFree: 1 }),
    ...ranges({ port: -1 }, { port: 65_536 }, { port: 1, timeout: -1 }, { path: '' }),
  ];
  for (const [value, code] of bad) {
    const error = await t.throwsAsync(base.connect(value as { port: number }), {
      instanceOf: ERRORS[code],
    });
    t.is((error as unknown as EvError).code, `ERR_EVNODE_ARG_${code}`);
  }
});

test('promises of a freed base are rejected as closed', async (t) => {
  const base = new EventBase();
  base.free();
  await t.throwsAsync(base.dispatch(), { instanceOf: EvError, code: 'ERR_EVNODE_CLOSED' });
  await t.throwsAsync(base.connect({ port: 1 }), { code: 'ERR_EVNODE_CLOSED' });
});

test('arguments that are freed are told from those that are wrong', (t) => {
  const gone = new EventBase();
  gone.free();
  t.throws(() => new Event(gone, -1, 0, nothing), { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => new BufferEvent(gone), { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => new ConnListener(gone, { port: 0 }), { code: 'ERR_EVNODE_CLOSED' });
  const freed = new EvBuffer();
  freed.free();
  t.throws(() => buffer.addBuffer(freed), { code: 'ERR_EVNODE_CLOSED' });
  const closed = new BufferEvent(base);
  closed.free();
  t.throws(() => bev.forward(closed), { code: 'ERR_EVNODE_CLOSED' });
  t.throws(() => bev.writeBuffer(freed), { code: 'ERR_EVNODE_CLOSED' });
});

test('a message names the call, what was wrong and what to give', (t) => {
  t.throws(() => base.loopExit(Number.NaN), {
    message: /^EventBase\.loopExit: after is NaN; give milliseconds from 0/,
  });
  t.throws(() => buffer.readln('cr' as 'lf'), {
    message: /^EvBuffer\.readln: eol is "cr"; give "any", "crlf"/,
  });
});

test('more memory than there is is refused', (t) => {
  const buffer = new EvBuffer().add('kept');
  t.throws(() => buffer.expand(2 ** 52), { instanceOf: EvError, code: 'ERR_EVNODE_NO_MEMORY' });
  t.is(buffer.toString(), 'kept');
  buffer.free();
});

test('memory that is gone is no memory', (t) => {
  const view = Buffer.from(new ArrayBuffer(16));
  structuredClone(view.buffer, { transfer: [view.buffer] });
  const target = new EvBuffer().add('bytes');
  t.is(target.removeInto(view), 0);
  t.is(target.add(view).length, 5);
  target.free();
});

test.after(() => {
  bev.free();
  buffer.free();
  base.free();
});
