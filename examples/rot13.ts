// The rot13 of the libevent book, as a filter: what comes is turned, and so is what is sent. The
// program talks to itself over a pair and shows what is under the filter.
//
//   node --import tsx examples/rot13.ts

import { BufferEvent, EventBase, EventFlags, FilterBufferEvent, type EvBuffer } from 'evnode';

function rot13(source: EvBuffer, destination: EvBuffer, limit: number): void {
  const bytes = source.remove(limit);
  for (const [at, byte] of bytes.entries()) {
    const letter = byte & ~0x20;
    if (letter >= 65 && letter <= 90) bytes[at] = byte + (letter < 78 ? 13 : -13);
  }
  destination.add(bytes);
}

const base = new EventBase();
const [near, far] = BufferEvent.pair(base);
const bev = new FilterBufferEvent(near, { input: rot13, output: rot13 });

// The other end sees turned letters and answers in them.
far.setCallbacks({
  read(far) {
    console.log(`underneath: ${far.readString()}`);
    far.write('Arire zvaq gur onqtref!');
    void far.close();
  },
});
far.enable(EventFlags.READ);

bev.write('Hello, World!');
async function listen(): Promise<void> {
  for await (const chunk of bev) console.log(`on top: ${chunk}`);
  base.free();
}
void listen();
