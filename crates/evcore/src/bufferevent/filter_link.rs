//! Between a bufferevent over a filter and the one below it.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use crate::base::EventFlags;
use crate::buffer::EvBuffer;
use crate::error::Result;
use crate::util::lend;

use super::below::Below;
use super::core::{Core, Pending, Suspended};
use super::filter::{Filter, FilterResult};
use super::transport::{Link, Moved};
use super::{BufferEvent, BufferEventOptions, FlushMode};

/// How many bytes may wait to be written below before the filter is asked for no more, unless the
/// bufferevent there has a high-water mark.
const MOST_BELOW: usize = 256 * 1024;
/// From how many bytes on a filter that takes none of them has stalled.
const MOST_HELD: usize = 16 * 1024 * 1024;
/// By how many bytes a filter may exceed the limit that it was given.
const MOST_EXCESS: usize = 1024 * 1024;
/// Every so many layers are called from the loop and not from the layer below, to spare the stack.
const DEPTH: usize = 16;

pub(super) struct FilterLink {
    pub(super) underlying: BufferEvent,
    /// Taken out while it runs.
    filter: RefCell<Option<Box<dyn Filter>>>,
    /// What the filter has made and there was no room for, on the way up and down.
    up_staged: RefCell<EvBuffer>,
    down_staged: RefCell<EvBuffer>,
    /// How to call the filter the next time.
    up_mode: Cell<Option<FlushMode>>,
    down_mode: Cell<Option<FlushMode>>,
    /// Nothing more comes from the filter: it is the end, or an error still to be told.
    over: RefCell<Option<io::Result<()>>>,
    /// Nothing more comes from below.
    pub(super) ended: Cell<bool>,
    /// The filter has still to agree with the other side.
    opening: Cell<bool>,
    /// The bufferevent below has still to be connected.
    pub(super) connecting: Cell<bool>,
    /// The filter has been told of the end of the output.
    finished: Cell<bool>,
    depth: usize,
}

/// What a call of the filter has done.
struct Called {
    result: FilterResult,
    taken: usize,
    given: usize,
}

impl FilterLink {
    /// Puts `filter` between `core`, which has no transport yet, and `underlying`.
    pub(super) fn put(
        call: &'static str,
        core: &Rc<Core>,
        underlying: &BufferEvent,
        filter: Box<dyn Filter>,
    ) -> Result<()> {
        let opening = !filter.is_open();
        let below = &underlying.core;
        let link = Rc::new(Self {
            underlying: underlying.clone(),
            filter: RefCell::new(Some(filter)),
            up_staged: RefCell::default(),
            down_staged: RefCell::default(),
            up_mode: Cell::new(None),
            down_mode: Cell::new(None),
            over: RefCell::default(),
            ended: Cell::new(false),
            opening: Cell::new(opening),
            connecting: Cell::new(below.is(Suspended::CONNECTING)),
            finished: Cell::new(false),
            depth: below.link().map_or(0, |link| link.depth() + 1),
        });
        core.set_link(call, link.clone())?;
        below.set_handler(Some(Rc::new(Below { core: core.clone(), link: link.clone() })));
        if !opening {
            below.suspend(Suspended::COVERED);
        }
        below.enabled.set(EventFlags::READ | EventFlags::WRITE);
        let watched = below.update_reading(call).and_then(|()| {
            if link.is_open() {
                return Ok(());
            }
            core.await_connection(call)
        });
        if let Err(error) = watched {
            core.free();
            return Err(error);
        }
        core.put_off(Pending::READ | Pending::FLUSH);
        Ok(())
    }

    /// Whether to have the loop call this layer and not the one below.
    pub(super) fn is_deep(&self) -> bool {
        self.depth % DEPTH == DEPTH - 1
    }

    fn ask(&self, question: fn(&dyn Filter) -> bool) -> bool {
        self.filter.borrow().as_ref().is_some_and(|filter| question(&**filter))
    }

    /// Has the filter convert `source` to an empty destination, with nothing borrowed.
    fn call(
        &self,
        core: &Rc<Core>,
        reading: bool,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> io::Result<Called> {
        let before = source.len();
        let mut result = None;
        lend(
            &self.filter,
            || !core.freed.get(),
            |filter| {
                result = Some(if reading {
                    filter.input(source, destination, limit, mode)
                } else {
                    filter.output(source, destination, limit, mode)
                });
            },
        );
        let result = result.ok_or(io::ErrorKind::WouldBlock)?;
        let given = destination.len();
        let taken = before.saturating_sub(source.len());
        if core.is_freed() {
            return Ok(Called { result, taken, given });
        }
        if given > limit.saturating_add(MOST_EXCESS) {
            *destination = EvBuffer::new();
            return Err(invalid(format!("the filter gave {given} bytes where {limit} fit")));
        }
        let idle = taken == 0 && given == 0 && source.len() == before;
        match &result {
            FilterResult::Ok if idle && before > 0 => {
                return Err(invalid(
                    "the filter neither took nor gave a byte, and asked for no more",
                ));
            }
            FilterResult::NeedMore if idle && before >= MOST_HELD => {
                return Err(invalid(format!(
                    "the filter has stalled; it took none of {before} bytes"
                )));
            }
            _ => {}
        }
        if self.opening.get() && self.ask(|filter| filter.is_open()) {
            self.opening.set(false);
            self.underlying.core.suspend(Suspended::COVERED);
            core.put_off(Pending::CONNECTED);
        }
        if reading && self.ask(|filter| filter.holds_output()) {
            core.put_off(Pending::FLUSH);
        }
        Ok(Called { result, taken, given })
    }

    /// Has the filter convert what came from below; says whether that has changed anything.
    fn convert_input(&self, core: &Rc<Core>, limit: usize, destination: &mut EvBuffer) -> bool {
        let below = &self.underlying.core;
        let Some(mut source) = Lent::take(&below.input) else { return false };
        let ended = self.ended.get();
        let mode = self.up_mode.take();
        let mode = if ended { FlushMode::Finished } else { mode.unwrap_or(FlushMode::Normal) };
        let before = source.buffer.len();
        if before == 0 && mode == FlushMode::Normal && !self.ask(|filter| filter.holds_input()) {
            return false;
        }
        let called = self.call(core, true, &mut source.buffer, destination, limit, mode);
        let left = source.buffer.len();
        drop(source);
        if left != before && !below.is_freed() {
            below.input_changed(left);
        }
        let over = match called {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) => Err(error),
            Ok(Called { result: FilterResult::Error(error), .. }) => Err(error),
            Ok(Called { result: FilterResult::End, .. }) => Ok(()),
            Ok(Called { result: FilterResult::NeedMore, .. }) if ended && left > 0 => {
                let what = format!("the stream ended within what its last {left} bytes begin");
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, what))
            }
            Ok(Called { result: FilterResult::NeedMore, taken: 0, given: 0 })
                if below.read_mark.get().is_full(left) =>
            {
                let what =
                    "the filter has stalled; it took none of all bytes that the one below may hold";
                Err(invalid(what))
            }
            Ok(_) if ended && left == 0 && !self.ask(|filter| filter.holds_input()) => Ok(()),
            Ok(called) => return called.taken > 0 || called.given > 0,
        };
        *self.over.borrow_mut() = Some(over);
        true
    }

    /// How many more bytes may be added below.
    fn room_below(&self) -> usize {
        let mark = self.underlying.core.write_mark.get();
        let Ok(output) = self.underlying.core.output.try_borrow() else { return 0 };
        match mark.high {
            0 if output.len() < MOST_BELOW => usize::MAX,
            0 => 0,
            _ => mark.room(output.len()),
        }
    }

    /// Passes on what was held back, as far as there is room; says whether all of it went.
    fn pass_down(&self, room: usize) -> io::Result<bool> {
        let mut staged = self.down_staged.borrow_mut();
        if staged.is_empty() {
            return Ok(true);
        }
        self.pass(&mut staged, room)?;
        Ok(staged.is_empty())
    }

    /// Moves up to `room` bytes below.
    fn pass(&self, bytes: &mut EvBuffer, room: usize) -> io::Result<()> {
        let below = &self.underlying.core;
        below.check_open("BufferEvent").map_err(|_| gone())?;
        let Ok(mut output) = below.output.try_borrow_mut() else { return Ok(()) };
        if bytes.remove_buffer(&mut output, room)? > 0 {
            drop(output);
            below.put_off(Pending::FLUSH);
        }
        Ok(())
    }

    /// Has the filter convert what is to go out, once, and passes that on. What exceeds `limit` is
    /// held back.
    fn convert_output(
        &self,
        core: &Rc<Core>,
        most: usize,
        limit: usize,
        mode: FlushMode,
    ) -> io::Result<Option<Called>> {
        let Some(mut output) = Lent::take(&core.output) else { return Ok(None) };
        let mut rest = EvBuffer::new();
        let most = if core.is(Suspended::CONNECTING) { 0 } else { most };
        if output.buffer.len() > most {
            let mut part = EvBuffer::new();
            output.buffer.remove_buffer(&mut part, most)?;
            rest = std::mem::replace(&mut output.buffer, part);
        }
        let idle = output.buffer.is_empty() && mode == FlushMode::Normal;
        let called = if idle && !self.ask(|filter| filter.holds_output()) {
            Ok(None)
        } else {
            let mut given = EvBuffer::new();
            let called = self.call(core, false, &mut output.buffer, &mut given, limit, mode);
            if !given.is_empty() && !core.is_freed() {
                self.pass(&mut given, limit)?;
                if !given.is_empty() {
                    self.down_staged.borrow_mut().add_buffer(&mut given)?;
                }
            }
            called.map(Some)
        };
        if core.is_freed() {
            output.buffer = EvBuffer::new();
        } else if !rest.is_empty() {
            output.buffer.add_buffer(&mut rest)?;
        }
        called
    }
}

impl Link for FilterLink {
    fn read(&self, core: &Rc<Core>, most: usize) -> io::Result<usize> {
        let mut given = self.up_staged.take();
        if given.is_empty() && self.over.borrow().is_none() {
            self.convert_input(core, most, &mut given);
        }
        if core.is_freed() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !given.is_empty() {
            let moved = match core.input.try_borrow_mut() {
                Ok(mut input) => given.remove_buffer(&mut input, most).map_err(io::Error::from),
                Err(_) => {
                    core.input_is_lent_out();
                    Err(io::ErrorKind::WouldBlock.into())
                }
            };
            if !given.is_empty() {
                self.up_staged.replace(given);
            }
            return moved;
        }
        let mut over = self.over.borrow_mut();
        match over.take() {
            None => Err(io::ErrorKind::WouldBlock.into()),
            Some(result) => {
                *over = Some(Ok(()));
                result.map(|()| 0)
            }
        }
    }

    fn has_more(&self) -> bool {
        self.ended.get()
            || self.over.borrow().is_some()
            || !self.up_staged.borrow().is_empty()
            || self.underlying.core.input.try_borrow().is_ok_and(|input| !input.is_empty())
            || self.ask(|filter| filter.holds_input())
    }

    fn write(&self, core: &Rc<Core>, most: usize) -> io::Result<Moved> {
        let mut count = 0;
        loop {
            if self.underlying.is_freed() {
                return Err(gone());
            }
            let room = self.room_below();
            let passed = self.pass_down(room)?;
            let room = self.room_below();
            if !passed || room == 0 {
                // With nothing to pass on there is nothing to wait for.
                return Ok(Moved { count, blocked: !passed || has_output(core) });
            }
            let mode = self.down_mode.take().unwrap_or(FlushMode::Normal);
            let Some(called) = self.convert_output(core, most - count, room, mode)? else {
                return Ok(Moved { count, blocked: most == count && has_output(core) });
            };
            count += called.taken;
            if core.is_freed() {
                return Ok(Moved { count, blocked: false });
            }
            if mode == FlushMode::Flush {
                let _ = self.underlying.flush(EventFlags::WRITE, mode);
            }
            let blocked = !self.down_staged.borrow().is_empty();
            match called.result {
                FilterResult::Error(error) => return Err(error),
                FilterResult::End => return Err(io::ErrorKind::BrokenPipe.into()),
                FilterResult::Ok if blocked => {}
                FilterResult::Ok if called.taken == 0 && called.given == 0 => {
                    return Ok(Moved { count, blocked });
                }
                FilterResult::Ok if has_output(core) => {}
                FilterResult::Ok if self.ask(|filter| filter.holds_output()) => {}
                FilterResult::Ok | FilterResult::NeedMore => return Ok(Moved { count, blocked }),
            }
        }
    }

    fn set_reading(&self, wanted: bool) {
        let below = &self.underlying.core;
        if below.is_freed() {
            return;
        }
        if wanted {
            if !self.ended.get() {
                below.enabled.set(below.enabled.get() | EventFlags::READ);
            }
            below.resume(Suspended::COVERED);
        } else if !self.opening.get() {
            below.suspend(Suspended::COVERED);
        }
    }

    fn finish(&self, core: &Rc<Core>, close: bool) -> io::Result<bool> {
        if self.underlying.is_freed() {
            return Ok(true);
        }
        if !self.finished.replace(true) {
            self.pass_down(usize::MAX)?;
            let mut mode = FlushMode::Finished;
            while let Some(called) = self.convert_output(core, usize::MAX, usize::MAX, mode)? {
                if core.is_freed() {
                    return Ok(true);
                }
                match called.result {
                    FilterResult::Error(error) => return Err(error),
                    _ if called.taken == 0 && called.given == 0 => break,
                    _ => mode = FlushMode::Normal,
                }
            }
            if has_output(core) {
                return Err(invalid("the filter did not take the last bytes of the output"));
            }
        }
        if !close {
            let _ = self.underlying.flush(EventFlags::WRITE, FlushMode::Finished);
            return Ok(true);
        }
        if core.options.contains(BufferEventOptions::CLOSE_ON_FREE) {
            self.underlying.close();
            return Ok(false);
        }
        Ok(true)
    }

    fn flush(&self, directions: EventFlags, mode: FlushMode) {
        if directions.contains(EventFlags::READ) {
            self.up_mode.set(Some(mode));
            let _ = self.underlying.flush(EventFlags::READ, mode);
        }
        if directions.contains(EventFlags::WRITE) && mode != FlushMode::Finished {
            self.down_mode.set(Some(mode));
        }
    }

    fn release(&self, close: bool) {
        let filter = self.filter.try_borrow_mut().ok().and_then(|mut filter| filter.take());
        drop(filter);
        if self.underlying.is_freed() {
            return;
        }
        self.underlying.set_handler(None);
        if close {
            self.underlying.free();
        } else {
            self.underlying.core.disable_now(EventFlags::READ);
            self.underlying.core.resume(Suspended::COVERED);
        }
    }

    fn open(&self, core: &Rc<Core>) {
        while self.opening.get() && self.over.borrow().is_none() {
            let mut given = EvBuffer::new();
            let progress = self.convert_input(core, usize::MAX, &mut given);
            if core.is_freed() {
                return;
            }
            if !given.is_empty() {
                // Bytes that came with the end of what opened it. Refused only past all bounds.
                let _ = self.up_staged.borrow_mut().add_buffer(&mut given);
            }
            if !progress {
                break;
            }
        }
        if !self.opening.get() || core.is_freed() {
            return;
        }
        let over = self.over.borrow_mut().take();
        if let Some(result) = over {
            *self.over.borrow_mut() = Some(Ok(()));
            // What the filter has still to say to the other side about it.
            let _ = self.write(core, 0);
            let error = result.err().unwrap_or_else(|| {
                let what = "the stream ended before the two sides had agreed";
                io::Error::new(io::ErrorKind::UnexpectedEof, what)
            });
            core.fail_to_connect(error);
        }
    }

    fn is_open(&self) -> bool {
        !self.opening.get() && !self.connecting.get()
    }

    fn depth(&self) -> usize {
        self.depth
    }

    fn connect(
        &self,
        call: &'static str,
        start: &dyn Fn(&BufferEvent) -> Result<()>,
    ) -> Result<()> {
        start(&self.underlying).map_err(|error| error.in_call(call))?;
        self.connecting.set(true);
        Ok(())
    }

    fn underlying(&self) -> Option<&BufferEvent> {
        Some(&self.underlying)
    }
}

/// A buffer taken out of its cell, so that nothing is borrowed. It goes back when this is dropped, by
/// a panic too.
struct Lent<'a> {
    cell: &'a RefCell<EvBuffer>,
    buffer: EvBuffer,
}

impl<'a> Lent<'a> {
    fn take(cell: &'a RefCell<EvBuffer>) -> Option<Self> {
        let buffer = std::mem::take(&mut *cell.try_borrow_mut().ok()?);
        Some(Self { cell, buffer })
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut meanwhile = self.cell.replace(std::mem::take(&mut self.buffer));
        if !meanwhile.is_empty() {
            // Refused only past all bounds, or where the owner has forbidden it.
            let _ = self.cell.borrow_mut().add_buffer(&mut meanwhile);
        }
    }
}

fn has_output(core: &Core) -> bool {
    core.output.try_borrow().map_or(true, |output| !output.is_empty())
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the bufferevent below was freed")
}
