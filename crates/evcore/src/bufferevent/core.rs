//! The state machine under every bufferevent: when to read, when to write, whom to tell.
//!
//! It runs from the loop, out of one of four events: the descriptor is readable, it is writable, a
//! timeout has passed, or a call from outside put work off (`deferred`). A call on a bufferevent only
//! changes state and puts off, so that no callback runs inside a user's call; within a callback,
//! what was put off runs right after it, so that an answer leaves in the turn of its question and
//! many small writes leave as one.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

use crate::base::{Event, EventFlags, WeakEventBase};
use crate::buffer::EvBuffer;
use crate::error::{Error, Result};

use super::handler::BufferEventHandler;
use super::timeouts::Timeouts;
use super::transport::Transport;
use super::watermark::Watermark;
use super::{BufferEvent, BufferEventFlags, BufferEventOptions};

/// The least and the most that one read asks for, in bytes. The size grows while reads come back
/// full and shrinks when they come back nearly empty.
const LEAST_READ: u32 = 4 * 1024;
const MOST_READ: u32 = 64 * 1024;

bitflags::bitflags! {
    /// Why reading is held up though it is enabled. It goes on when no reason is left.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Suspended: u8 {
        /// The input has reached its high-water mark.
        const INPUT_FULL = 1;
        /// The output has reached its high-water mark: a peer that does not take its answers is not
        /// asked for more.
        const OUTPUT_FULL = 2;
        /// The output that this input is forwarded to is full.
        const TARGET_FULL = 4;
        /// The connection is still being made.
        const CONNECTING = 8;
        /// It was closed: what still comes is of no use.
        const CLOSING = 16;
    }
}

bitflags::bitflags! {
    /// What was put off.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Pending: u8 {
        const CONNECTED = 1;
        const FLUSH = 2;
        const READABLE = 4;
        const WRITABLE = 8;
        const EVENT = 16;
    }
}

pub(super) struct Core {
    base: WeakEventBase,
    pub(super) input: RefCell<EvBuffer>,
    pub(super) output: RefCell<EvBuffer>,
    transport: RefCell<Option<Box<dyn Transport>>>,
    handler: RefCell<Option<Rc<dyn BufferEventHandler>>>,
    pub(super) error: RefCell<Option<io::Error>>,
    /// Whose input waits for room in this output.
    sources: RefCell<Vec<BufferEvent>>,
    read_event: RefCell<Option<Event>>,
    write_event: RefCell<Option<Event>>,
    deferred: RefCell<Option<Event>>,
    timeouts: OnceCell<Box<Timeouts>>,
    pub(super) read_mark: Cell<Watermark>,
    pub(super) write_mark: Cell<Watermark>,
    pub(super) enabled: Cell<EventFlags>,
    happened: Cell<BufferEventFlags>,
    options: BufferEventOptions,
    read_size: Cell<u32>,
    priority: Cell<Option<u8>>,
    suspended: Cell<Suspended>,
    pending: Cell<Pending>,
    /// Whether the read event, and the write event, are pending.
    reading: Cell<bool>,
    writing: Cell<bool>,
    /// The sending side is to end when the output is empty.
    finishing: Cell<bool>,
    /// A step of the state machine runs, which takes care of what is put off.
    busy: Cell<bool>,
    pub(super) freed: Cell<bool>,
}

impl Core {
    pub(super) fn new(base: WeakEventBase, options: BufferEventOptions) -> Rc<Self> {
        Rc::new(Self {
            base,
            input: RefCell::default(),
            output: RefCell::default(),
            transport: RefCell::default(),
            handler: RefCell::default(),
            error: RefCell::default(),
            sources: RefCell::default(),
            read_event: RefCell::default(),
            write_event: RefCell::default(),
            deferred: RefCell::default(),
            timeouts: OnceCell::new(),
            read_mark: Cell::default(),
            write_mark: Cell::default(),
            // As libevent has it: what is written goes out, what comes waits to be asked for.
            enabled: Cell::new(EventFlags::WRITE),
            happened: Cell::default(),
            options,
            read_size: Cell::new(LEAST_READ),
            priority: Cell::new(None),
            suspended: Cell::default(),
            pending: Cell::default(),
            reading: Cell::new(false),
            writing: Cell::new(false),
            finishing: Cell::new(false),
            busy: Cell::new(false),
            freed: Cell::new(false),
        })
    }

    pub(super) fn base(&self) -> &WeakEventBase {
        &self.base
    }

    pub(super) fn check_alive(&self, call: &'static str) -> Result<()> {
        if self.freed.get() {
            return Err(Error::Freed { call });
        }
        Ok(())
    }

    pub(super) fn set_handler(&self, handler: Option<Rc<dyn BufferEventHandler>>) {
        let old = self.handler.replace(handler);
        drop(old);
    }

    // ---- the transport -------------------------------------------------------------------------

    pub(super) fn has_transport(&self) -> bool {
        self.transport.borrow().is_some()
    }

    pub(super) fn with_transport<R>(&self, run: impl FnOnce(&mut dyn Transport) -> R) -> Option<R> {
        self.transport.borrow_mut().as_mut().map(|transport| run(&mut **transport))
    }

    /// Takes a transport into service.
    pub(super) fn set_transport(
        self: &Rc<Self>,
        call: &'static str,
        transport: Box<dyn Transport>,
    ) -> Result<()> {
        let fd = transport.fd();
        let base = self.base.upgrade().ok_or(Error::Freed { call })?;
        let core = self.clone();
        let read = EventFlags::READ | EventFlags::PERSIST;
        let event = Event::new(&base, fd, read, move |_, _| core.step(Core::read))?;
        self.prioritize(&event)?;
        *self.read_event.borrow_mut() = Some(event);
        *self.transport.borrow_mut() = Some(transport);
        self.update_reading(call)
    }

    /// Starts to connect the transport that was set.
    pub(super) fn connect(
        self: &Rc<Self>,
        start: impl FnOnce(&mut dyn Transport) -> io::Result<bool>,
    ) -> Result<()> {
        const CALL: &str = "BufferEvent::connect";
        self.suspend(Suspended::CONNECTING);
        match self.with_transport(start) {
            Some(Ok(false)) => self.start_writing(CALL),
            Some(Ok(true)) => {
                self.put_off(Pending::CONNECTED);
                Ok(())
            }
            Some(Err(error)) => {
                *self.error.borrow_mut() = Some(error);
                self.put_off(Pending::CONNECTED);
                Ok(())
            }
            None => Err(Error::invalid(CALL, "there is no socket to connect")),
        }
    }

    fn connected(self: &Rc<Self>) {
        if !self.suspended.get().contains(Suspended::CONNECTING) {
            return;
        }
        self.stop_writing();
        if self.error.borrow().is_none() {
            if let Some(Err(error)) = self.with_transport(|transport| transport.connect_result()) {
                *self.error.borrow_mut() = Some(error);
            }
        }
        if self.error.borrow().is_some() {
            if self.suspended.get().contains(Suspended::CLOSING) {
                self.finish_close();
            }
            self.tell_event(BufferEventFlags::ERROR);
            return;
        }
        self.resume(Suspended::CONNECTING);
        self.pending.set(self.pending.get() | Pending::FLUSH);
        self.tell_event(BufferEventFlags::CONNECTED);
    }

    // ---- steps and what is put off -------------------------------------------------------------

    /// Runs one step of the state machine and then what it put off.
    fn step(self: &Rc<Self>, step: impl FnOnce(&Rc<Self>)) {
        if self.freed.get() {
            return;
        }
        let busy = Busy::new(self);
        step(self);
        if self.take_pending(Pending::FLUSH) {
            self.flush();
        }
        drop(busy);
        if !self.pending.get().is_empty() {
            self.activate_deferred();
        }
    }

    /// Remembers work for the end of the step that runs, or for the loop's next chance.
    pub(super) fn put_off(self: &Rc<Self>, pending: Pending) {
        self.pending.set(self.pending.get() | pending);
        if !self.busy.get() {
            self.activate_deferred();
        }
    }

    fn take_pending(&self, pending: Pending) -> bool {
        let all = self.pending.get();
        self.pending.set(all - pending);
        all.intersects(pending)
    }

    fn activate_deferred(self: &Rc<Self>) {
        if self.freed.get() {
            return;
        }
        if self.deferred.borrow().is_none() {
            let Some(base) = self.base.upgrade() else { return };
            let core = self.clone();
            let run = move |_: &Event, _| core.step(Core::run_deferred);
            // Only a freed base refuses, and nothing runs on it any more.
            let Ok(event) = Event::user(&base, run) else { return };
            let _ = self.prioritize(&event);
            *self.deferred.borrow_mut() = Some(event);
        }
        if let Some(event) = &*self.deferred.borrow() {
            let _ = event.active(EventFlags::empty());
        }
    }

    fn run_deferred(self: &Rc<Self>) {
        if self.take_pending(Pending::CONNECTED) {
            self.connected();
        }
        if self.take_pending(Pending::FLUSH) {
            self.flush();
        }
        // A connection is announced before its bytes are, its end after them.
        if self.happened.get().contains(BufferEventFlags::CONNECTED)
            && self.take_pending(Pending::EVENT)
        {
            self.call_event();
        }
        if self.take_pending(Pending::READABLE) {
            self.call(|handler, bev| handler.readable(bev));
        }
        if self.take_pending(Pending::WRITABLE) {
            self.call(|handler, bev| handler.writable(bev));
        }
        if self.take_pending(Pending::EVENT) {
            self.call_event();
        }
        self.suspend_if_full();
    }

    // ---- reading -------------------------------------------------------------------------------

    fn read(self: &Rc<Self>) {
        let mark = self.read_mark.get();
        let size = self.read_size.get();
        let result = {
            let Ok(mut input) = self.input.try_borrow_mut() else { return };
            let room = mark.room(input.len()).min(size as usize);
            if room == 0 {
                drop(input);
                self.suspend(Suspended::INPUT_FULL);
                return;
            }
            let result = self.with_transport(|transport| transport.read(&mut input, room));
            result.map(|result| result.map(|count| (count, input.len())))
        };
        match result {
            None => {}
            Some(Ok((0, _))) => {
                self.disable_now(EventFlags::READ);
                self.tell_event(BufferEventFlags::EOF | BufferEventFlags::READING);
            }
            Some(Ok((count, length))) => {
                self.read_size.set(next_read_size(size, count));
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.read.restart(self.base.now());
                }
                if length >= mark.low {
                    self.tell_readable();
                }
                self.suspend_if_full();
            }
            Some(Err(error)) if is_transient(&error) => {}
            Some(Err(error)) => self.fail(error, EventFlags::READ, BufferEventFlags::READING),
        }
    }

    /// Stops to read while the input has reached its high-water mark.
    pub(super) fn suspend_if_full(&self) {
        let Ok(input) = self.input.try_borrow() else { return };
        if self.read_mark.get().is_full(input.len()) {
            self.suspend(Suspended::INPUT_FULL);
        }
    }

    /// The input may have shrunk: goes on to read if there is room again.
    pub(super) fn input_changed(&self, length: usize) {
        if self.suspended.get().contains(Suspended::INPUT_FULL)
            && !self.read_mark.get().is_full(length)
        {
            self.resume(Suspended::INPUT_FULL);
        }
    }

    pub(super) fn suspend(&self, why: Suspended) {
        self.suspended.set(self.suspended.get() | why);
        // A removal that fails leaves an event that finds nothing to do.
        let _ = self.update_reading("BufferEvent");
    }

    pub(super) fn resume(&self, why: Suspended) {
        self.suspended.set(self.suspended.get() - why);
        if let Err(Error::Os { source, .. }) = self.update_reading("BufferEvent") {
            *self.error.borrow_mut() = Some(source);
        }
    }

    /// Makes the read event pending exactly while there is a reason to read.
    pub(super) fn update_reading(&self, call: &'static str) -> Result<()> {
        let event = self.read_event.borrow();
        let Some(event) = &*event else { return Ok(()) };
        let wanted = self.enabled.get().contains(EventFlags::READ)
            && self.suspended.get().is_empty()
            && !self.freed.get();
        if wanted == self.reading.get() {
            return Ok(());
        }
        let result = if wanted { event.add(None) } else { event.del() };
        if result.is_ok() {
            self.reading.set(wanted);
            if wanted {
                self.restart_timer(|timeouts, now| timeouts.read.restart(now));
            }
        }
        result.map_err(|error| match error {
            Error::Os { source, .. } => Error::os(call, source),
            other => other,
        })
    }

    // ---- writing -------------------------------------------------------------------------------

    /// Writes what the transport takes. Called whenever the output may have grown.
    fn flush(self: &Rc<Self>) {
        if !self.writing.get() && self.can_write() {
            self.write();
        }
        self.suspend_if_output_full();
    }

    fn can_write(&self) -> bool {
        self.enabled.get().contains(EventFlags::WRITE)
            && !self.suspended.get().contains(Suspended::CONNECTING)
            && !self.freed.get()
    }

    /// The descriptor is writable.
    fn writable(self: &Rc<Self>) {
        if self.suspended.get().contains(Suspended::CONNECTING) {
            self.connected();
        } else if self.can_write() {
            self.write();
            self.suspend_if_output_full();
        } else {
            self.stop_writing();
        }
    }

    fn write(self: &Rc<Self>) {
        let result = {
            let Ok(mut output) = self.output.try_borrow_mut() else { return };
            if output.is_empty() {
                drop(output);
                self.stop_writing();
                if !self.finish() {
                    self.make_room(0);
                }
                return;
            }
            let result = self.with_transport(|transport| transport.write(&mut output, usize::MAX));
            result.map(|result| result.map(|_| output.len()))
        };
        match result {
            None => {}
            Some(Ok(left)) => {
                if let Some(timeouts) = self.timeouts.get() {
                    timeouts.write.restart(self.base.now());
                }
                if left == 0 {
                    self.stop_writing();
                } else if let Err(Error::Os { source, .. }) = self.start_writing("BufferEvent") {
                    self.fail(source, EventFlags::WRITE, BufferEventFlags::WRITING);
                    return;
                }
                self.wrote(left);
            }
            Some(Err(error)) if is_transient(&error) => {
                if let Err(Error::Os { source, .. }) = self.start_writing("BufferEvent") {
                    self.fail(source, EventFlags::WRITE, BufferEventFlags::WRITING);
                }
            }
            Some(Err(error)) => self.fail(error, EventFlags::WRITE, BufferEventFlags::WRITING),
        }
    }

    /// The output has shrunk to `left` bytes.
    fn wrote(self: &Rc<Self>, left: usize) {
        if left == 0 && self.finish() {
            return;
        }
        self.make_room(left);
        if left <= self.write_mark.get().low {
            self.tell_writable();
        }
    }

    /// Lets those go on that wait for the output to shrink.
    fn make_room(&self, left: usize) {
        let mark = self.write_mark.get();
        if left <= mark.low || left <= mark.high / 2 {
            if self.suspended.get().contains(Suspended::OUTPUT_FULL) {
                self.resume(Suspended::OUTPUT_FULL);
            }
            let sources = std::mem::take(&mut *self.sources.borrow_mut());
            for source in sources {
                source.core.resume(Suspended::TARGET_FULL);
                source.core.put_off(Pending::READABLE);
            }
        }
    }

    fn suspend_if_output_full(&self) {
        let Ok(output) = self.output.try_borrow() else { return };
        if self.write_mark.get().is_full(output.len()) {
            self.suspend(Suspended::OUTPUT_FULL);
        }
    }

    fn start_writing(self: &Rc<Self>, call: &'static str) -> Result<()> {
        if self.writing.get() {
            return Ok(());
        }
        if self.write_event.borrow().is_none() {
            let base = self.base.upgrade().ok_or(Error::Freed { call })?;
            let Some(fd) = self.with_transport(|transport| transport.fd()) else { return Ok(()) };
            let core = self.clone();
            let write = EventFlags::WRITE | EventFlags::PERSIST;
            let event = Event::new(&base, fd, write, move |_, _| core.step(Core::writable))?;
            self.prioritize(&event)?;
            *self.write_event.borrow_mut() = Some(event);
        }
        if let Some(event) = &*self.write_event.borrow() {
            event.add(None)?;
        }
        self.writing.set(true);
        self.restart_timer(|timeouts, now| timeouts.write.restart(now));
        Ok(())
    }

    fn stop_writing(&self) {
        if self.writing.replace(false) {
            if let Some(event) = &*self.write_event.borrow() {
                // A removal that fails leaves an event that finds nothing to do.
                let _ = event.del();
            }
        }
    }

    /// Waits with the rest of this input until `target` has room for it.
    pub(super) fn wait_for(self: &Rc<Self>, target: &Rc<Core>) {
        self.suspend(Suspended::TARGET_FULL);
        let mut sources = target.sources.borrow_mut();
        if !sources.iter().any(|source| Rc::ptr_eq(&source.core, self)) {
            sources.push(BufferEvent { core: self.clone() });
        }
    }

    // ---- telling -------------------------------------------------------------------------------

    fn tell_readable(self: &Rc<Self>) {
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::READABLE);
        } else {
            self.call(|handler, bev| handler.readable(bev));
        }
    }

    fn tell_writable(self: &Rc<Self>) {
        if !self.handler.borrow().as_ref().is_some_and(|handler| handler.wants_write()) {
            return;
        }
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) {
            self.put_off(Pending::WRITABLE);
        } else {
            self.call(|handler, bev| handler.writable(bev));
        }
    }

    pub(super) fn tell_event(self: &Rc<Self>, what: BufferEventFlags) {
        self.happened.set(self.happened.get() | what);
        if self.options.contains(BufferEventOptions::DEFER_CALLBACKS) || !self.busy.get() {
            self.put_off(Pending::EVENT);
        } else {
            self.call_event();
        }
    }

    fn call_event(self: &Rc<Self>) {
        let what = self.happened.take();
        if !what.is_empty() {
            self.call(|handler, bev| handler.event(bev, what));
        }
    }

    fn call(self: &Rc<Self>, call: impl FnOnce(&dyn BufferEventHandler, &BufferEvent)) {
        if self.freed.get() {
            return;
        }
        let handler = self.handler.borrow().clone();
        if let Some(handler) = handler {
            call(&*handler, &BufferEvent { core: self.clone() });
        }
    }

    fn fail(self: &Rc<Self>, error: io::Error, direction: EventFlags, what: BufferEventFlags) {
        *self.error.borrow_mut() = Some(error);
        self.disable_now(direction);
        if self.suspended.get().contains(Suspended::CLOSING) {
            self.finish_close();
            return;
        }
        self.tell_event(what | BufferEventFlags::ERROR);
    }

    // ---- switching, timing, ending -------------------------------------------------------------

    pub(super) fn disable_now(&self, directions: EventFlags) {
        self.enabled.set(self.enabled.get() - directions);
        if directions.contains(EventFlags::WRITE)
            && !self.suspended.get().contains(Suspended::CONNECTING)
        {
            self.stop_writing();
        }
        // A removal that fails leaves an event that finds nothing to do.
        let _ = self.update_reading("BufferEvent::disable");
    }

    pub(super) fn set_priority(&self, call: &'static str, priority: usize) -> Result<()> {
        let base = self.base.upgrade().ok_or(Error::Freed { call })?;
        if priority >= base.priorities() {
            let what = format!("priority {priority} of {}; the least is 0", base.priorities());
            return Err(Error::invalid(call, what));
        }
        self.priority.set(Some(priority as u8));
        for event in [&self.read_event, &self.write_event, &self.deferred] {
            if let Some(event) = &*event.borrow() {
                event.set_priority(priority)?;
            }
        }
        Ok(())
    }

    pub(super) fn priority(&self) -> usize {
        let default = || self.base.upgrade().map_or(0, |base| base.priorities() / 2);
        self.priority.get().map_or_else(default, usize::from)
    }

    fn prioritize(&self, event: &Event) -> Result<()> {
        self.priority.get().map_or(Ok(()), |priority| event.set_priority(priority.into()))
    }

    pub(super) fn timeouts(&self) -> Option<&Timeouts> {
        self.timeouts.get().map(|timeouts| &**timeouts)
    }

    pub(super) fn set_timeouts(self: &Rc<Self>, set: impl FnOnce(&Timeouts, u64)) -> Result<()> {
        const CALL: &str = "BufferEvent::set_timeouts";
        let timeouts = self.timeouts.get_or_init(Box::default);
        if timeouts.timer.borrow().is_none() {
            let base = self.base.upgrade().ok_or(Error::Freed { call: CALL })?;
            let core = self.clone();
            let timer = Event::timer(&base, move |_, _| core.step(Core::timed_out))?;
            self.prioritize(&timer)?;
            *timeouts.timer.borrow_mut() = Some(timer);
        }
        self.restart_timer(set);
        Ok(())
    }

    /// Changes the timeouts, if there are any, and sets the timer for the first that is counting.
    fn restart_timer(&self, change: impl FnOnce(&Timeouts, u64)) {
        let Some(timeouts) = self.timeouts.get() else { return };
        let now = self.base.now();
        change(timeouts, now);
        let read = timeouts.read.deadline().filter(|_| self.reading.get());
        let write = timeouts.write.deadline().filter(|_| self.writing.get());
        let Some(timer) = &*timeouts.timer.borrow() else { return };
        // Adding and deleting a timer that has no descriptor cannot fail on a live base.
        let _ = match read.into_iter().chain(write).min() {
            Some(deadline) => {
                timer.add(Some(std::time::Duration::from_nanos(deadline.saturating_sub(now))))
            }
            None => timer.del(),
        };
    }

    fn timed_out(self: &Rc<Self>) {
        let Some(timeouts) = self.timeouts.get() else { return };
        let now = self.base.now();
        let over = |deadline: Option<u64>| deadline.is_some_and(|deadline| deadline <= now);
        let read = self.reading.get() && over(timeouts.read.deadline());
        let write = self.writing.get() && over(timeouts.write.deadline());
        if read {
            self.disable_now(EventFlags::READ);
            self.tell_event(BufferEventFlags::TIMEOUT | BufferEventFlags::READING);
        }
        if write && !self.freed.get() {
            self.stop_writing();
            self.disable_now(EventFlags::WRITE);
            if self.suspended.get().contains(Suspended::CLOSING) {
                self.finish_close();
                return;
            }
            self.tell_event(BufferEventFlags::TIMEOUT | BufferEventFlags::WRITING);
        }
        if !self.freed.get() {
            self.restart_timer(|_, _| ());
        }
    }

    /// Stops to read, writes what is queued, and frees.
    pub(super) fn close(self: &Rc<Self>) {
        self.suspend(Suspended::CLOSING);
        self.enabled.set(self.enabled.get() | EventFlags::WRITE);
        self.put_off(Pending::FLUSH);
    }

    /// Ends the sending side once the output is empty.
    pub(super) fn finish_writing(self: &Rc<Self>) {
        self.finishing.set(true);
        self.put_off(Pending::FLUSH);
    }

    /// Everything is written: does what waited for that, and says whether that was the end.
    fn finish(self: &Rc<Self>) -> bool {
        if self.suspended.get().contains(Suspended::CLOSING) {
            self.finish_close();
            return true;
        }
        if self.finishing.take() {
            // The peer may have gone first; reading tells.
            let _ = self.with_transport(|transport| transport.shutdown(Shutdown::Write));
        }
        false
    }

    fn finish_close(self: &Rc<Self>) {
        // The peer may have gone first, which is as good.
        let _ = self.with_transport(|transport| transport.shutdown(Shutdown::Write));
        let handler = self.handler.borrow().clone();
        self.free();
        if let Some(handler) = handler {
            handler.closed(&BufferEvent { core: self.clone() });
        }
    }

    pub(super) fn free(&self) {
        if self.freed.replace(true) {
            return;
        }
        let events =
            [&self.read_event, &self.write_event, &self.deferred].map(|event| event.take());
        let timer = self.timeouts.get().and_then(|timeouts| timeouts.timer.take());
        // The events let go of the descriptor before it is closed.
        drop((events, timer));
        self.release_transport();
        for buffer in [&self.input, &self.output] {
            if let Ok(mut buffer) = buffer.try_borrow_mut() {
                *buffer = EvBuffer::new();
            }
        }
        for source in self.sources.take() {
            source.core.resume(Suspended::TARGET_FULL);
        }
        drop(self.handler.take());
    }

    fn release_transport(&self) {
        let transport = self.transport.take();
        if let Some(transport) = transport {
            if !self.options.contains(BufferEventOptions::CLOSE_ON_FREE) {
                transport.release();
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // A base that is freed drops its bufferevents without asking them.
        self.release_transport();
    }
}

/// Marks that a step runs, until it is left, by a panic too.
struct Busy<'a> {
    core: &'a Core,
    before: bool,
}

impl<'a> Busy<'a> {
    fn new(core: &'a Core) -> Self {
        Self { core, before: core.busy.replace(true) }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.core.busy.set(self.before);
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn next_read_size(size: u32, count: usize) -> u32 {
    if count >= size as usize {
        (size * 4).min(MOST_READ)
    } else if count < size as usize / 8 {
        (size / 2).max(LEAST_READ)
    } else {
        size
    }
}
