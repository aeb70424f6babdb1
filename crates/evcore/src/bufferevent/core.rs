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
use std::rc::{Rc, Weak};

use crate::base::{Event, EventFlags, WeakEventBase};
use crate::buffer::EvBuffer;
use crate::error::{Error, Result};

use super::handler::BufferEventHandler;
use super::timeouts::Timeouts;
use super::transport::Transport;
use super::watermark::Watermark;
use super::{BufferEvent, BufferEventFlags, BufferEventOptions};

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
    pub(super) base: WeakEventBase,
    pub(super) input: RefCell<EvBuffer>,
    pub(super) output: RefCell<EvBuffer>,
    pub(super) transport: RefCell<Option<Box<dyn Transport>>>,
    pub(super) handler: RefCell<Option<Rc<dyn BufferEventHandler>>>,
    pub(super) error: RefCell<Option<io::Error>>,
    /// Whose input waits for room in this output.
    pub(super) sources: RefCell<Vec<Weak<Core>>>,
    pub(super) read_event: RefCell<Option<Event>>,
    pub(super) write_event: RefCell<Option<Event>>,
    pub(super) deferred: RefCell<Option<Event>>,
    pub(super) timeouts: OnceCell<Box<Timeouts>>,
    pub(super) read_mark: Cell<Watermark>,
    pub(super) write_mark: Cell<Watermark>,
    pub(super) enabled: Cell<EventFlags>,
    pub(super) happened: Cell<BufferEventFlags>,
    /// The directions that found their buffer lent out; giving it back makes them go on.
    pub(super) missed: Cell<EventFlags>,
    pub(super) options: BufferEventOptions,
    pub(super) priority: Cell<Option<u8>>,
    pub(super) suspended: Cell<Suspended>,
    pub(super) pending: Cell<Pending>,
    /// Whether the read event, and the write event, are pending.
    pub(super) reading: Cell<bool>,
    pub(super) writing: Cell<bool>,
    /// The sending side is to end when the output is empty.
    pub(super) finishing: Cell<bool>,
    /// The socket was made by a connect and not given.
    pub(super) made_socket: Cell<bool>,
    /// A step of the state machine runs, which takes care of what is put off.
    pub(super) busy: Cell<bool>,
    /// How many [corks](super::Cork) hold it back.
    pub(super) corks: Cell<u16>,
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
            missed: Cell::default(),
            options,
            priority: Cell::new(None),
            suspended: Cell::default(),
            pending: Cell::default(),
            reading: Cell::new(false),
            writing: Cell::new(false),
            finishing: Cell::new(false),
            made_socket: Cell::new(false),
            busy: Cell::new(false),
            corks: Cell::new(0),
            freed: Cell::new(false),
        })
    }

    pub(super) fn base(&self) -> &WeakEventBase {
        &self.base
    }

    pub(super) fn check_alive(&self, call: &'static str) -> Result<()> {
        if self.is_freed() {
            return Err(Error::Freed { call });
        }
        Ok(())
    }

    /// Refuses what makes no sense once it is being closed.
    pub(super) fn check_open(&self, call: &'static str) -> Result<()> {
        if self.is(Suspended::CLOSING) {
            return Err(Error::Freed { call });
        }
        self.check_alive(call)
    }

    /// Whether it has ended: alone, or with its base.
    pub(super) fn is_freed(&self) -> bool {
        self.freed.get() || self.base.is_freed()
    }

    pub(super) fn is(&self, state: Suspended) -> bool {
        self.suspended.get().contains(state)
    }

    /// What an event calls: a step of the state machine.
    pub(super) fn on_event(self: &Rc<Self>, step: fn(&Rc<Self>)) -> impl FnMut(&Event, EventFlags) {
        let held = HeldByEvent(self.clone());
        move |_, _| held.0.step(step)
    }

    pub(super) fn set_handler(&self, handler: Option<Rc<dyn BufferEventHandler>>) {
        let old = self.handler.replace(handler);
        drop(old);
    }

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
        let read = EventFlags::READ | EventFlags::PERSIST;
        let event = Event::new(&base, fd, read, self.on_event(Core::read))?;
        self.prioritize(&event);
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
        let Some(started) = self.with_transport(start) else {
            return Err(Error::invalid(CALL, "there is no socket to connect"));
        };
        self.suspend(Suspended::CONNECTING);
        self.enabled.set(self.enabled.get() | EventFlags::WRITE);
        match started {
            Ok(false) => {
                let watched = self.start_writing(CALL);
                return watched.inspect_err(|_| self.resume(Suspended::CONNECTING));
            }
            Ok(true) => self.put_off(Pending::CONNECTED),
            Err(error) => {
                self.connect_failed(error);
                self.note_event(BufferEventFlags::ERROR);
            }
        }
        Ok(())
    }

    /// The connection is made, or cannot be.
    pub(super) fn connected(self: &Rc<Self>) {
        if !self.is(Suspended::CONNECTING) {
            return;
        }
        self.stop_writing();
        if let Some(Err(error)) = self.with_transport(|transport| transport.connect_result()) {
            self.connect_failed(error);
            if self.is(Suspended::CLOSING) {
                self.finish_close();
            } else {
                self.tell_event(BufferEventFlags::ERROR);
            }
            return;
        }
        self.resume(Suspended::CONNECTING);
        self.pending.set(self.pending.get() | Pending::FLUSH);
        if !self.is(Suspended::CLOSING) {
            self.tell_event(BufferEventFlags::CONNECTED);
        }
    }

    /// Notes why there is no connection.
    fn connect_failed(self: &Rc<Self>, error: io::Error) {
        if self.made_socket.get() {
            // Not every system connects a socket that has failed to: the next try gets a new one.
            drop((self.read_event.take(), self.write_event.take(), self.transport.take()));
        } else {
            self.disable_now(EventFlags::READ | EventFlags::WRITE);
        }
        self.resume(Suspended::CONNECTING);
        *self.error.borrow_mut() = Some(error);
    }

    /// Runs one step of the state machine and then what it put off.
    pub(super) fn step(self: &Rc<Self>, step: impl FnOnce(&Rc<Self>)) {
        if self.is_freed() {
            return;
        }
        let _busy = Busy::new(self);
        step(self);
        if self.corks.get() == 0 && self.take_pending(Pending::FLUSH) {
            self.flush();
        }
    }

    /// Remembers work for the end of the step that runs, or for the loop's next chance.
    pub(super) fn put_off(self: &Rc<Self>, pending: Pending) {
        self.pending.set(self.pending.get() | pending);
        if !self.busy.get() && self.corks.get() == 0 {
            self.activate_deferred();
        }
    }

    pub(super) fn take_pending(&self, pending: Pending) -> bool {
        let all = self.pending.get();
        self.pending.set(all - pending);
        all.intersects(pending)
    }

    pub(super) fn activate_deferred(self: &Rc<Self>) {
        if self.freed.get() {
            return;
        }
        if self.deferred.borrow().is_none() {
            let Some(base) = self.base.upgrade() else { return };
            // Only a freed base refuses, and nothing runs on it any more.
            let Ok(event) = Event::user(&base, self.on_event(Core::run_deferred)) else { return };
            self.prioritize(&event);
            *self.deferred.borrow_mut() = Some(event);
        }
        if let Some(event) = &*self.deferred.borrow() {
            let _ = event.active(EventFlags::empty());
        }
    }

    pub(super) fn run_deferred(self: &Rc<Self>) {
        if self.take_pending(Pending::CONNECTED) {
            self.connected();
        }
        if self.take_pending(Pending::FLUSH) {
            self.flush();
        }
        // A connection is announced before its bytes are, its end after them.
        let connected = self.happened.get() & BufferEventFlags::CONNECTED;
        if self.pending.get().contains(Pending::EVENT) && !connected.is_empty() {
            self.happened.set(self.happened.get() - connected);
            self.call(|handler, bev| handler.event(bev, connected));
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

    pub(super) fn disable_now(&self, directions: EventFlags) {
        self.enabled.set(self.enabled.get() - directions);
        if directions.contains(EventFlags::WRITE) && !self.is(Suspended::CONNECTING) {
            self.stop_writing();
        }
        self.stop_reading_if_unwanted();
    }

    pub(super) fn set_priority(&self, call: &'static str, priority: usize) -> Result<()> {
        let base = self.base.upgrade().ok_or(Error::Freed { call })?;
        if priority >= base.priorities() {
            let what = format!("priority {priority} of {}; the least is 0", base.priorities());
            return Err(Error::invalid(call, what));
        }
        self.priority.set(Some(priority as u8));
        let timer = self.timeouts().map(|timeouts| &timeouts.timer);
        let events = [&self.read_event, &self.write_event, &self.deferred];
        for event in events.into_iter().chain(timer) {
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

    /// Gives a new event the priority of the others.
    pub(super) fn prioritize(&self, event: &Event) {
        if let Some(priority) = self.priority.get() {
            // Refused if the base has fewer priorities by now: the default is as good as any.
            let _ = event.set_priority(priority.into());
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
    pub(super) fn finish(self: &Rc<Self>) -> bool {
        if self.is(Suspended::CLOSING) {
            self.finish_close();
            return true;
        }
        if self.finishing.take() {
            // The peer may have gone first; reading tells.
            let _ = self.with_transport(|transport| transport.shutdown(Shutdown::Write));
        }
        false
    }

    pub(super) fn finish_close(self: &Rc<Self>) {
        if !self.options.contains(BufferEventOptions::CLOSE_ON_FREE) {
            // Nobody closes the descriptor for us. The peer may have gone first, which is as good.
            let _ = self.with_transport(|transport| transport.shutdown(Shutdown::Write));
        }
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
        if let Some(transport) = self.transport.take() {
            if !self.options.contains(BufferEventOptions::CLOSE_ON_FREE) {
                transport.release();
            }
        }
        for buffer in [&self.input, &self.output] {
            if let Ok(mut buffer) = buffer.try_borrow_mut() {
                *buffer = EvBuffer::new();
            }
        }
        self.release_sources();
        drop(self.handler.take());
    }
}

/// What an event's callback holds. A base that is freed drops the callbacks and with them their
/// bufferevents, whoever else holds those: their own handlers, for one.
struct HeldByEvent(Rc<Core>);

impl Drop for HeldByEvent {
    fn drop(&mut self) {
        if self.0.base.is_freed() {
            self.0.free();
        }
    }
}

/// Marks that a step runs, until it is left, by a panic too. What was put off is never forgotten.
struct Busy<'a>(&'a Rc<Core>);

impl<'a> Busy<'a> {
    fn new(core: &'a Rc<Core>) -> Self {
        core.busy.set(true);
        Self(core)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        if !self.0.pending.get().is_empty() && self.0.corks.get() == 0 {
            self.0.activate_deferred();
        }
    }
}
