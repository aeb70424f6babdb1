// What buffers cost from JavaScript: node buffer.mjs PEER CASE. Prints {"CASE": ns of CPU per operation}.
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const KIB = 1024;
const MIB = 1024 * KIB;
const CHUNK = 64 * KIB;
const LINE = 80;
const NEEDLE = Buffer.from('X-Request-Id 421');
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ';

const [peer, name] = process.argv.slice(2);
const { EvBuffer } = peer === 'evnode' ? await import('../../dist/index.mjs') : {};
const { BufferList } = peer === 'bl' ? await import('bl') : {};

/** The least queue of bytes that each peer offers: `take` drops, `message` hands over. */
const queues = {
  evnode: () => {
    const buffer = new EvBuffer();
    return {
      add: (bytes) => buffer.add(bytes),
      take: (length) => buffer.drain(length),
      message: (length) => (buffer.length < length ? null : buffer.remove(length)),
      find: (what) => buffer.search(what),
    };
  },
  bl: () => {
    const list = new BufferList();
    return {
      add: (bytes) => list.append(bytes),
      take: (length) => list.consume(length),
      message(length) {
        if (list.length < length) return null;
        const message = list.slice(0, length);
        list.consume(length);
        return message;
      },
      find: (what) => list.indexOf(what),
    };
  },
  concat: () => {
    let all = Buffer.alloc(0);
    return {
      add: (bytes) => (all = Buffer.concat([all, bytes])),
      take: (length) => (all = all.subarray(length)),
      message(length) {
        if (all.length < length) return null;
        const message = all.subarray(0, length);
        all = all.subarray(length);
        return message;
      },
      find: (what) => all.indexOf(what),
    };
  },
};

/** Runs `step` for about 300 ms. Returns the nanoseconds of CPU for each of its `operations`. */
function time(operations, step) {
  const until = (least) => {
    const before = process.cpuUsage();
    for (let steps = 1; ; steps++) {
      step();
      const { user, system } = process.cpuUsage(before);
      if (user + system >= least) return ((user + system) * 1000) / (steps * operations);
    }
  };
  until(100_000);
  return until(300_000);
}

/** 64 bytes in and 64 out, with `waiting` bytes before them that came 1,460 at a time. */
function addAndTake(waiting) {
  const queue = queues[peer]();
  const [small, segment] = [Buffer.alloc(64, 'x'), Buffer.alloc(1460, 'y')];
  for (let held = 0; held < waiting; held += segment.length) queue.add(segment);
  return time(100, () => {
    for (let i = 0; i < 100; i++) {
      queue.add(small);
      queue.take(small.length);
    }
  });
}

/** Chunks in, messages out as Buffers. */
function messages(chunkLength, length) {
  const queue = queues[peer]();
  const chunk = Buffer.alloc(chunkLength, 'x');
  let count = 0;
  return time(chunkLength / length, () => {
    queue.add(chunk);
    for (let message; (message = queue.message(length)) !== null;) count += message.length;
  });
}

/** Lines of 80 bytes with their CRLF, of letters, digits, "-" and " ". */
function text(length) {
  let seed = 88172645;
  const block = Buffer.alloc(LINE * 4 * KIB);
  for (let i = 0; i < block.length; i++) {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    const at = i % LINE;
    block[i] = at === LINE - 2 ? 13 : at === LINE - 1 ? 10 : LETTERS.charCodeAt(seed & 63);
  }
  return Buffer.alloc(length, block);
}

function* chunks(bytes) {
  for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
}

/** A rare string at the end of 1 MiB in chunks; where there is a queue of them, they are in it before. */
function find(chunkLength) {
  const bytes = text(MIB);
  NEEDLE.copy(bytes, bytes.length - NEEDLE.length);
  const pieces = [];
  for (let at = 0; at < bytes.length; at += chunkLength) {
    pieces.push(bytes.subarray(at, at + chunkLength));
  }
  const queue = peer === 'concat' ? null : queues[peer]();
  for (const piece of pieces) queue?.add(piece);
  const search = () => (queue ? queue.find(NEEDLE) : Buffer.concat(pieces).indexOf(NEEDLE));
  if (search() !== bytes.length - NEEDLE.length) throw new Error('not found where it is');
  return time(1, search);
}

function readable(bytes) {
  const source = chunks(bytes);
  return new Readable({
    read() {
      this.push(source.next().value ?? null);
    },
  });
}

const splitters = {
  evnode(bytes, use) {
    const buffer = new EvBuffer();
    for (const chunk of chunks(bytes)) {
      buffer.add(chunk);
      for (const line of buffer.readLines()) use(line);
    }
    buffer.free();
  },
  split(bytes, use) {
    let rest = '';
    for (const chunk of chunks(bytes)) {
      const lines = (rest + chunk.toString()).split('\r\n');
      rest = lines.pop();
      for (const line of lines) use(line);
    }
  },
  indexOf(bytes, use) {
    let rest = null;
    for (const chunk of chunks(bytes)) {
      const all = rest === null ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end; (end = all.indexOf(10, from)) >= 0; from = end + 1) {
        use(all.toString('utf8', from, all[end - 1] === 13 ? end - 1 : end));
      }
      rest = from < all.length ? all.subarray(from) : null;
    }
  },
  readline(bytes, use) {
    const lines = createInterface({ input: readable(bytes), crlfDelay: Infinity });
    lines.on('line', use);
    return new Promise((resolve) => lines.once('close', resolve));
  },
  async readlineIterator(bytes, use) {
    const lines = createInterface({ input: readable(bytes), crlfDelay: Infinity });
    for await (const line of lines) use(line);
  },
};

/** 100 MiB of lines in chunks of 64 KiB, after as much to warm up, each line a string that is looked at. */
async function lines() {
  const bytes = text(100 * MIB);
  let [count, length] = [0, 0];
  const use = (line) => {
    count++;
    length += line.length;
  };
  await splitters[peer](bytes, use);
  count = length = 0;
  const before = process.cpuUsage();
  await splitters[peer](bytes, use);
  const { user, system } = process.cpuUsage(before);
  if (count !== bytes.length / LINE || length !== count * (LINE - 2))
    throw new Error('lines got lost');
  return ((user + system) * 1000) / count;
}

const cases = {
  'js-add-take': () => addAndTake(0),
  'js-add-take-64KiB': () => addAndTake(64 * KIB),
  'js-add-take-1MiB': () => addAndTake(MIB),
  'js-messages': () => messages(64_000, 1000),
  'js-find-1460B': () => find(1460),
  'js-find-64KiB': () => find(CHUNK),
  'js-lines': lines,
};
console.log(JSON.stringify({ [name]: await cases[name]() }));
