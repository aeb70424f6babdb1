//! The operations.

use std::io::{BufRead, ErrorKind, IoSlice, Read};

use bytes::{Buf, BufMut};
use evcore::buffer::{BufferEnd, BufferError, EvBuffer, Position};

use super::plain::{eol, find, style};
use super::{data, length, owned, range, succeeded, Model, World, BUFFERS, ENOUGH};

/// The arguments of an operation.
#[derive(Clone, Copy)]
struct Args {
    /// Two different buffers.
    to: usize,
    from: usize,
    /// A length, and numbers to make other arguments from.
    len: usize,
    x: u16,
    y: u16,
}

impl World {
    /// Does what six bytes stand for.
    pub(super) fn apply(&mut self, op: &[u8]) {
        let number = |at: usize| u16::from_le_bytes([op[at], op[at + 1]]);
        let (which, pair) = (op[0], usize::from(op[1]));
        let (to, other) = (pair % BUFFERS, pair / BUFFERS % (BUFFERS - 1));
        let from = (to + 1 + other) % BUFFERS;
        let (x, y) = (number(2), number(4));
        let args = Args { to, from, len: length(x), x, y };
        if self.models[to].bytes.len() > ENOUGH {
            return self.models[to].empty();
        }
        match which % 64 {
            0..=3 => self.models[to].add(args),
            4..=6 => self.add_bytes(args),
            7 => self.models[to].add_text(args),
            8..=10 => self.models[to].prepend(args),
            11 => self.models[to].expand(args),
            12..=14 => self.models[to].reserve(args),
            15..=18 => self.models[to].drain(args),
            19..=20 => self.models[to].remove(args),
            21 => self.models[to].read(args),
            22 => self.models[to].copyout(args),
            23..=24 => self.models[to].pullup(args),
            25..=28 => self.add_buffer(args),
            29..=30 => self.prepend_buffer(args),
            31..=34 => self.remove_buffer(args),
            35..=37 => self.add_buffer_reference(args),
            38 => self.models[to].search(args),
            39 => self.models[to].search_eol(args),
            40..=41 => self.models[to].readln(args),
            42 => self.models[to].freeze(args),
            43..=45 => self.models[to].unfreeze(),
            46 => self.models[to].peek(args),
            47 => self.models[to].take_with_buf(args),
            48..=50 => self.send(args),
            51..=53 => self.receive(args),
            54..=56 => self.add_file(args),
            57 => self.models[to].load_files(args),
            58 => self.models[to].limit(args),
            59 => self.models[to].unlimit(),
            60 => self.models[to].switch_callback(),
            61 => self.models[to].keep_position(args),
            _ => self.models[to].empty(),
        }
    }

    fn two(&mut self, args: Args) -> (&mut Model, &mut Model) {
        let [to, from] = self.models.get_disjoint_mut([args.to, args.from]).expect("they differ");
        (to, from)
    }

    fn add_bytes(&mut self, args: Args) {
        let (one, data) = (&mut self.models[args.to], data(args.len, args.y));
        let too_much = one.is_too_much(data.len());
        let result = one.buffer.add_bytes(owned(data, &self.held));
        if succeeded(one.back_frozen, too_much, &result) {
            one.append(data);
        }
    }

    fn add_file(&mut self, args: Args) {
        let Some(segment) = self.files.get(usize::from(args.y & 1)) else { return };
        let one = &mut self.models[args.to];
        let range = range(args.len, usize::from(args.y) * 4);
        let too_much = one.is_too_much(range.len());
        let (offset, len) = (range.start as u64, range.len() as u64);
        let result = one.buffer.add_file_segment(segment, offset, Some(len));
        if succeeded(one.back_frozen, too_much, &result) {
            one.append(&super::text()[range]);
        }
        let outside =
            one.buffer.add_file_segment(segment, segment.len() - offset / 2, Some(len + offset));
        if len + offset > 0 && !one.back_frozen {
            assert!(matches!(outside, Err(BufferError::OutOfRange { .. })));
        }
    }

    fn add_buffer(&mut self, args: Args) {
        let (to, from) = self.two(args);
        let too_much = to.is_too_much(from.bytes.len());
        let result = to.buffer.add_buffer(&mut from.buffer);
        if succeeded(to.back_frozen || from.front_frozen, too_much, &result) {
            to.append(&from.take(from.bytes.len()));
        }
    }

    fn prepend_buffer(&mut self, args: Args) {
        let (to, from) = self.two(args);
        let too_much = to.is_too_much(from.bytes.len());
        let result = to.buffer.prepend_buffer(&mut from.buffer);
        if succeeded(to.front_frozen || from.front_frozen, too_much, &result) {
            to.put_before(&from.take(from.bytes.len()));
        }
    }

    fn remove_buffer(&mut self, args: Args) {
        let (to, from) = self.two(args);
        let wanted = match args.y % 4 {
            0 => args.len,
            _ => usize::from(args.y) % (from.bytes.len() + 2),
        };
        let len = wanted.min(from.bytes.len());
        let too_much = to.is_too_much(len);
        let moved = from.buffer.remove_buffer(&mut to.buffer, wanted);
        if succeeded(to.back_frozen || from.front_frozen, too_much, &moved) {
            assert_eq!(moved, Ok(len));
            to.append(&from.take(len));
        }
    }

    fn add_buffer_reference(&mut self, args: Args) {
        let (to, from) = self.two(args);
        let too_much = to.is_too_much(from.bytes.len());
        let result = to.buffer.add_buffer_reference(&mut from.buffer);
        if succeeded(to.back_frozen, too_much, &result) {
            to.append(&from.bytes);
        }
    }

    fn send(&mut self, args: Args) {
        let (one, Some(wire)) = (&mut self.models[args.to], &mut self.wire) else { return };
        let sent = match args.y % 2 {
            0 => one.buffer.send_to(&wire.near, args.len),
            _ => one.buffer.write_to(&wire.near, args.len),
        };
        match sent {
            Ok(sent) => {
                assert!(sent > 0 || args.len == 0 || one.bytes.is_empty());
                wire.bytes.append(&mut one.take(sent));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => assert!(one.front_frozen, "{error}"),
        }
    }

    fn receive(&mut self, args: Args) {
        let (one, Some(wire)) = (&mut self.models[args.to], &mut self.wire) else { return };
        let received = match args.y % 2 {
            0 => one.buffer.recv_from(&wire.far, args.len),
            _ => one.buffer.read_from(&wire.far, args.len),
        };
        match received {
            Ok(received) => {
                assert!(received <= args.len && !one.is_too_much(received));
                let bytes: Vec<u8> = wire.bytes.drain(..received).collect();
                one.append(&bytes);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(wire.bytes.is_empty()),
            Err(error) => assert!(one.back_frozen || one.is_too_much(1), "{error}"),
        }
    }
}

impl Model {
    fn add(&mut self, args: Args) {
        let data = data(args.len, args.y);
        let too_much = self.is_too_much(data.len());
        let result = match args.y % 4 {
            0 => {
                let (first, second) = data.split_at(data.len() / 3);
                let slices = [IoSlice::new(first), IoSlice::new(second)];
                let written = std::io::Write::write_vectored(&mut self.buffer, &slices);
                written.map(drop).map_err(|error| error.downcast().expect("it is the buffer's"))
            }
            _ => self.buffer.add(data),
        };
        if succeeded(self.back_frozen, too_much, &result) {
            self.append(data);
        }
    }

    fn add_text(&mut self, Args { x, y, .. }: Args) {
        let text = format!("{x} and {y:>9}");
        let too_much = self.is_too_much(text.len());
        let added = self.buffer.add_fmt(format_args!("{x} and {y:>9}"));
        if succeeded(self.back_frozen, too_much, &added) {
            assert_eq!(added, Ok(text.len()));
            self.append(text.as_bytes());
        }
    }

    fn prepend(&mut self, args: Args) {
        let data = data(args.len, args.y);
        let too_much = self.is_too_much(data.len());
        if succeeded(self.front_frozen, too_much, &self.buffer.prepend(data)) {
            self.put_before(data);
        }
    }

    fn expand(&mut self, args: Args) {
        let too_much = self.is_too_much(args.len);
        succeeded(self.back_frozen, too_much, &self.buffer.expand(args.len));
    }

    fn reserve(&mut self, args: Args) {
        let data = data(args.len, args.y);
        let len = data.len();
        let used = usize::from(args.y) % (len + 1);
        let (frozen, too_much) = (self.back_frozen, self.is_too_much(len));
        let room = match args.y % 3 {
            0 => self.buffer.reserve_contiguous(len),
            _ => self.buffer.reserve(len),
        };
        if !succeeded(frozen, too_much, &room) {
            return;
        }
        let mut room = room.expect("it was checked");
        assert_eq!(room.len(), len);
        if args.y % 3 == 2 {
            let mut writer = room.writer();
            writer.put_slice(&data[..used]);
            assert_eq!(writer.remaining_mut(), len - used);
        } else {
            let [first, second] = room.slices();
            assert!(!args.y.is_multiple_of(3) || second.is_empty());
            let (one, other) = data.split_at(first.len());
            first.copy_from_slice(one);
            second.copy_from_slice(other);
        }
        if !args.y.is_multiple_of(5) {
            room.commit(used).expect("there is room");
            self.append(&data[..used]);
        }
    }

    fn drain(&mut self, args: Args) {
        let drained = self.buffer.drain(args.len);
        if succeeded(self.front_frozen, false, &drained) {
            let len = args.len.min(self.bytes.len());
            assert_eq!(drained, Ok(len));
            self.take(len);
        }
    }

    fn remove(&mut self, args: Args) {
        let mut out = vec![0; args.len];
        let removed = self.buffer.remove(&mut out);
        if succeeded(self.front_frozen, false, &removed) {
            let len = args.len.min(self.bytes.len());
            assert_eq!(removed, Ok(len));
            assert!(self.take(len) == out[..len]);
        }
    }

    fn read(&mut self, args: Args) {
        if args.y.is_multiple_of(2) {
            let mut out = vec![0; args.len];
            match self.buffer.read(&mut out) {
                Ok(read) => assert!(self.take(read) == out[..read]),
                Err(_) => assert!(self.front_frozen),
            }
            return;
        }
        match self.buffer.fill_buf() {
            Ok(chunk) => {
                assert_eq!(chunk.is_empty(), self.bytes.is_empty());
                assert!(self.bytes.starts_with(chunk));
                let len = args.len.min(chunk.len());
                self.buffer.consume(len);
                self.take(len);
            }
            Err(_) => assert!(self.front_frozen),
        }
    }

    /// From the front, from somewhere in it or from a position that was valid once.
    fn copyout(&mut self, args: Args) {
        let mut out = vec![0; args.len];
        let (copied, from) = match args.y % 3 {
            0 => (self.buffer.copyout(&mut out), 0),
            1 => {
                let start = self.position;
                (self.buffer.copyout_from(start, &mut out), start.offset())
            }
            _ => {
                let offset = self.offset(args);
                let Some(start) = self.position_at(offset) else { return };
                (self.buffer.copyout_from(start, &mut out), offset)
            }
        };
        let rest = self.bytes.get(from..).unwrap_or_default();
        assert_eq!(copied, args.len.min(rest.len()));
        assert!(out[..copied] == rest[..copied]);
    }

    fn pullup(&mut self, args: Args) {
        let len = if args.y.is_multiple_of(8) { self.bytes.len() } else { args.len };
        match self.buffer.pullup((!args.y.is_multiple_of(16)).then_some(len)) {
            Ok(bytes) => assert!(bytes == &self.bytes[..len]),
            Err(BufferError::OutOfRange { .. }) => assert!(len > self.bytes.len()),
            Err(error) => panic!("{error}"),
        }
        assert!(self.buffer.contiguous_space() >= len || len > self.bytes.len());
    }

    fn search(&mut self, args: Args) {
        let needle = data(usize::from(args.x) % 5, args.y ^ args.x);
        let offset = self.offset(args);
        let Some(start) = self.position_at(offset) else { return };
        let len = args.len.min(self.bytes.len() - offset);
        let end = self.buffer.ptr_add(start, len).expect("it is in the buffer");
        let found = self.buffer.search_range(needle, Some(start), Some(end));
        let expected = find(&self.bytes[offset..offset + len], needle);
        assert_eq!(found.map(Position::offset), expected.map(|found| offset + found));
    }

    fn search_eol(&mut self, args: Args) {
        let offset = self.offset(args);
        let Some(start) = self.position_at(offset) else { return };
        let found = self.buffer.search_eol(Some(start), style(args.x));
        let expected = eol(&self.bytes, offset, style(args.x));
        assert_eq!(found.map(|(end, len)| (end.offset(), len)), expected);
    }

    fn readln(&mut self, args: Args) {
        let found = eol(&self.bytes, 0, style(args.x)).filter(|_| !self.front_frozen);
        let expected = found.map(|(end, len)| {
            let mut line = self.take(end + len);
            line.truncate(end);
            line
        });
        assert_eq!(self.buffer.readln(style(args.x)), expected);
    }

    fn peek(&mut self, args: Args) {
        let mut slices = Vec::new();
        let offset = self.offset(args);
        let start = self.position_at(offset);
        let count = self.buffer.peek(Some(args.len), start, &mut slices);
        assert_eq!(count, slices.len());
        let rest = &self.bytes[start.map_or(0, Position::offset)..];
        let seen: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        assert!(seen == rest[..args.len.min(rest.len())]);
    }

    fn take_with_buf(&mut self, args: Args) {
        let available = if self.front_frozen { 0 } else { self.bytes.len() };
        assert_eq!(self.buffer.remaining(), available);
        let len = args.len.min(available);
        let bytes = self.buffer.copy_to_bytes(len);
        assert!(self.take(len) == bytes);
    }

    fn load_files(&mut self, args: Args) {
        let len = (!args.y.is_multiple_of(3)).then_some(args.len);
        self.buffer.read_files(len).expect("the file is there");
    }

    fn freeze(&mut self, args: Args) {
        if args.y.is_multiple_of(2) {
            self.buffer.freeze(BufferEnd::Front);
            self.front_frozen = true;
        } else {
            self.buffer.freeze(BufferEnd::Back);
            self.back_frozen = true;
        }
    }

    fn unfreeze(&mut self) {
        self.buffer.unfreeze(BufferEnd::Front);
        self.buffer.unfreeze(BufferEnd::Back);
        (self.front_frozen, self.back_frozen) = (false, false);
    }

    fn limit(&mut self, args: Args) {
        self.max_len = self.bytes.len() / 2 + args.len;
        self.buffer.set_max_len(Some(self.max_len));
    }

    fn unlimit(&mut self) {
        self.max_len = EvBuffer::MAX_LEN;
        self.buffer.set_max_len(None);
    }

    fn switch_callback(&mut self) {
        self.other_enabled = !self.other_enabled;
        assert!(self.buffer.set_callback_enabled(self.other, self.other_enabled));
    }

    fn keep_position(&mut self, args: Args) {
        let offset = self.offset(args);
        self.position = self.position_at(offset).unwrap_or_default();
    }

    /// Keeps the buffers from growing for ever.
    fn empty(&mut self) {
        self.unfreeze();
        let mut taken = EvBuffer::new();
        taken.add_buffer(&mut self.buffer).expect("nothing is frozen");
        assert!(taken.to_vec() == self.take(self.bytes.len()));
    }

    /// An offset in the buffer or a little behind its end.
    fn offset(&self, args: Args) -> usize {
        usize::from(args.y) % (self.bytes.len() + 3)
    }

    fn position_at(&self, offset: usize) -> Option<Position> {
        let position = self.buffer.ptr_set(offset).ok();
        assert_eq!(position.is_some(), offset <= self.bytes.len());
        position
    }
}
