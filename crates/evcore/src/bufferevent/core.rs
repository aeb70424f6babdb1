//! The state machine under every bufferevent: when to read, when to write, whom to tell.
//!
//! It runs from the loop, out of one of four events: the descriptor is readable, it is writable, a
//! timeout has passed, or a call from outside put work off (`deferred`). A call on a bufferevent only
//! changes state and puts off, so that no callback runs inside a user's call; within a callback,
//! what was put off runs right after it, so that an answer leaves in the turn of its question and
//! many small writes leave as one.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::rc::{Rc, Weak};

use crate::base::{Event, EventFlags, WeakEventBase};
use crate::buffer::EvBuffer;
use crate::error::{Error, Result};

use super::dial::Dial;
use super::handler::BufferEventHandler;
use super::limits::Limits;
use super::socket::SocketTransport;
use super::timeouts::Timeouts;
use super::transport::{Link, Transport};
use super::watermark::Watermark;
use super::{BufferEventFlags, BufferEventOptions};

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
        /// The bufferevent on top wants no more.
        const COVERED = 32;
        /// Its own rate limit has no tokens.
        const BANDWIDTH = 64;
        /// It has none of its group's tokens.
        const GROUP = 128;
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
        const READ = 32;
    }
}

pub(super) struct Core {
    pub(super) base: WeakEventBase,
    pub(super) input: RefCell<EvBuffer>,
    pub(super) output: RefCell<EvBuffer>,
    pub(super) transport: RefCell<Option<Transport>>,
    pub(super) handler: RefCell<Option<Rc<dyn BufferEventHandler>>>,
    pub(super) error: RefCell<Option<io::Error>>,
    /// Whose input waits for room in this output.
    pub(super) sources: RefCell<Vec<Weak<Core>>>,
    pub(super) read_event: RefCell<Option<Event>>,
    pub(super) write_event: RefCell<Option<Event>>,
    pub(super) deferred: RefCell<Option<Event>>,
    pub(super) timeouts: OnceCell<Box<Timeouts>>,
    pub(super) limits: OnceCell<Box<Limits>>,
    /// Its end of a TLS connection, for what there is to ask of it.
    #[cfg(feature = "tls")]
    pub(super) tls: OnceCell<super::tls::SharedEngine>,
    pub(super) dial: RefCell<Option<Box<Dial>>>,
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
            limits: OnceCell::new(),
            #[cfg(feature = "tls")]
            tls: OnceCell::new(),
            dial: RefCell::default(),
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

    /// As [`on_event`](Self::on_event), of a step that knows more than its core.
    pub(super) fn on_event_of(
        self: &Rc<Self>,
        number: usize,
        step: fn(&Rc<Self>, usize),
    ) -> impl FnMut(&Event, EventFlags) {
        let held = HeldByEvent(self.clone());
        move |_, _| held.0.step(|core| step(core, number))
    }

    pub(super) fn set_handler(&self, handler: Option<Rc<dyn BufferEventHandler>>) {
        let old = self.handler.replace(handler);
        drop(old);
    }

    pub(super) fn has_transport(&self) -> bool {
        self.transport.borrow().is_some()
    }

    /// Asks the socket, if that is what carries the bytes.
    pub(super) fn with_socket<R>(&self, ask: impl FnOnce(&SocketTransport) -> R) -> Option<R> {
        match &*self.transport.borrow() {
            Some(Transport::Socket(socket)) => Some(ask(socket)),
            _ => None,
        }
    }

    /// What carries the bytes if that is no socket.
    pub(super) fn link(&self) -> Option<Rc<dyn Link>> {
        match &*self.transport.borrow() {
            Some(Transport::Link(link)) => Some(link.clone()),
            _ => None,
        }
    }

    /// The core that has the socket: this one, or one below.
    pub(super) fn at_socket<R>(&self, ask: impl FnOnce(&SocketTransport) -> R) -> Option<R> {
        match self.link() {
            None => self.with_socket(ask),
            Some(link) => {
                let mut below = link.underlying().cloned()?;
                while let Some(link) = below.core.link() {
                    below = link.underlying().cloned()?;
                }
                below.core.with_socket(ask)
            }
        }
    }

    /// Takes a socket into service.
    pub(super) fn set_socket(
        self: &Rc<Self>,
        call: &'static str,
        socket: SocketTransport,
    ) -> Result<()> {
        let base = self.base.upgrade().ok_or(Error::Freed { call })?;
        let read = EventFlags::READ | EventFlags::PERSIST;
        let event = Event::new(&base, socket.fd(), read, self.on_event(Core::read))?;
        self.prioritize(&event);
        *self.read_event.borrow_mut() = Some(event);
        *self.transport.borrow_mut() = Some(Transport::Socket(socket));
        self.update_reading(call)
    }

    /// Takes a link into service. The bufferevent lives from then on, as one over a socket does.
    pub(super) fn set_link(self: &Rc<Self>, call: &'static str, link: Rc<dyn Link>) -> Result<()> {
        if !self.make_deferred() {
            return Err(Error::Freed { call });
        }
        *self.transport.borrow_mut() = Some(Transport::Link(link));
        Ok(())
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
        if self.freed.get() || !self.make_deferred() {
            return;
        }
        if let Some(event) = &*self.deferred.borrow() {
            let _ = event.active(EventFlags::empty());
        }
    }

    /// Makes the event that runs what was put off; only a freed base refuses.
    fn make_deferred(self: &Rc<Self>) -> bool {
        if self.deferred.borrow().is_some() {
            return true;
        }
        let Some(base) = self.base.upgrade() else { return false };
        let Ok(event) = Event::user(&base, self.on_event(Core::run_deferred)) else { return false };
        self.prioritize(&event);
        *self.deferred.borrow_mut() = Some(event);
        true
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
        if self.take_pending(Pending::READ) {
            self.read_link();
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
        let limit = self.limits.get().map(|limits| &limits.timer);
        let events = [&self.read_event, &self.write_event, &self.deferred];
        for event in events.into_iter().chain(timer).chain(limit) {
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
