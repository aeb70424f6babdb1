//! Connecting to the first of several addresses that answers, and looking those up by name.
//!
//! As RFC 8305 has it: the families take turns, another attempt is started when one fails or has
//! not succeeded for a quarter of a second, and the first that is connected ends all others.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::base::{Event, EventFlags};
use crate::error::{Error, Result};
use crate::util::{getaddrinfo, AddressError, AddressHints, SocketAddress};

use super::core::{Core, Suspended};
use super::socket::SocketTransport;
use super::BufferEvent;

/// How long an attempt is waited for before the next is started.
const STAGGER: Duration = Duration::from_millis(250);
/// How long the system's resolver is waited for.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

type Found = std::result::Result<Vec<SocketAddr>, AddressError>;
type Answer = Arc<Mutex<Option<Found>>>;

/// A connect that is going on, or why the last one found no address.
#[derive(Default)]
pub(super) struct Dial {
    /// What the resolver's thread puts its answer in.
    lookup: Option<Answer>,
    addresses: VecDeque<SocketAddr>,
    attempts: Vec<Attempt>,
    /// Runs the next step; pending all the time, so that the loop goes on.
    timer: Option<Event>,
    started: usize,
    last_error: Option<io::Error>,
    dns_error: Option<Rc<AddressError>>,
}

struct Attempt {
    number: usize,
    // Before the socket, so that it lets go of it first.
    _event: Event,
    socket: SocketTransport,
}

impl BufferEvent {
    /// Connects to the first of `addresses` that answers: the families take turns, the next one is
    /// tried when one fails or has not answered for 250 ms, and those that are late are closed.
    /// Comes to [`CONNECTED`](super::BufferEventFlags::CONNECTED), or to
    /// [`ERROR`](super::BufferEventFlags::ERROR) with the last attempt's error, as
    /// [`connect`](BufferEvent::connect) does.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without an address, when there is a socket already and while
    /// another connect goes on, [`Error::Freed`].
    pub fn connect_any(&self, addresses: &[SocketAddr]) -> Result<()> {
        const CALL: &str = "BufferEvent::connect_any";
        if let Some(link) = self.core.link() {
            self.core.check_open(CALL)?;
            link.connect(CALL, &|below| below.connect_any(addresses))?;
            return self.core.await_connection(CALL);
        }
        if addresses.is_empty() {
            return Err(Error::invalid(CALL, "there is no address"));
        }
        let dial = Dial { addresses: interleave(addresses), ..Dial::default() };
        self.core.dial(CALL, dial, None)
    }

    /// Looks a host up with the system's resolver, in a thread of its own, and connects to the first
    /// of its addresses that answers, as [`connect_any`](BufferEvent::connect_any) does
    /// (`bufferevent_socket_connect_hostname`). A host that is an address needs no lookup.
    ///
    /// When no address is found, the error that is told has the reason as text, and
    /// [`dns_error`](BufferEvent::dns_error) has it too.
    ///
    /// ```
    /// use evcore::bufferevent::{BufferEvent, BufferEventOptions};
    /// use evcore::util::AddressHints;
    /// use evcore::EventBase;
    ///
    /// let base = EventBase::new()?;
    /// let bev = BufferEvent::socket(&base, None, BufferEventOptions::CLOSE_ON_FREE)?;
    /// bev.connect_hostname("localhost", 9, &AddressHints::default())?;
    /// # bev.free();
    /// # Ok::<(), evcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Os`] when there can be no thread, and as [`connect_any`](BufferEvent::connect_any).
    #[doc(alias = "bufferevent_socket_connect_hostname")]
    pub fn connect_hostname(&self, host: &str, port: u16, hints: &AddressHints) -> Result<()> {
        const CALL: &str = "BufferEvent::connect_hostname";
        if let Some(link) = self.core.link() {
            self.core.check_open(CALL)?;
            link.connect(CALL, &|below| below.connect_hostname(host, port, hints))?;
            return self.core.await_connection(CALL);
        }
        let (host, hints) = (host.to_owned(), hints.clone());
        let look_up = move || {
            let found = getaddrinfo(Some(&host), None, &hints)?;
            let with_port = found.addresses.into_iter().map(|mut address| {
                address.set_port(port);
                address
            });
            Ok(with_port.collect())
        };
        self.core.dial(CALL, Dial::default(), Some(Box::new(look_up)))
    }

    /// Why the last [`connect_hostname`](BufferEvent::connect_hostname) found no address
    /// (`bufferevent_socket_get_dns_error`).
    #[doc(alias = "bufferevent_socket_get_dns_error")]
    pub fn dns_error(&self) -> Option<Rc<AddressError>> {
        match self.core.link() {
            Some(link) => link.underlying()?.dns_error(),
            None => self.core.dial.borrow().as_ref()?.dns_error.clone(),
        }
    }
}

impl Core {
    fn dial(
        self: &Rc<Self>,
        call: &'static str,
        mut dial: Dial,
        look_up: Option<Box<dyn FnOnce() -> Found + Send>>,
    ) -> Result<()> {
        self.check_open(call)?;
        if self.is(Suspended::CONNECTING) {
            return Err(Error::invalid(call, "it is connecting already; wait for its event"));
        }
        if self.has_transport() {
            return Err(Error::invalid(call, "it has a socket already; use connect"));
        }
        let base = self.base.upgrade().ok_or(Error::Freed { call })?;
        let timer = Event::timer(&base, self.on_event(Core::dial_on))?;
        self.prioritize(&timer);
        // Adding it after it was made active would take that back.
        timer.add(Some(LONGEST_LOOKUP))?;
        if let Some(look_up) = look_up {
            let answer = Answer::default();
            dial.lookup = Some(answer.clone());
            let (handle, id) = (base.handle(), timer.id());
            let run = move || {
                let found = look_up();
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                // Refused when the base has gone, which nobody waits for.
                let _ = handle.activate(id, EventFlags::TIMEOUT);
            };
            let thread = std::thread::Builder::new().name("evcore-resolver".into());
            thread.spawn(run).map_err(|error| Error::os(call, error))?;
        } else {
            timer.active(EventFlags::TIMEOUT)?;
        }
        dial.timer = Some(timer);
        *self.dial.borrow_mut() = Some(Box::new(dial));
        self.made_socket.set(true);
        self.await_connection(call)
    }

    /// An answer of the resolver has come, or it is time for the next attempt.
    fn dial_on(self: &Rc<Self>) {
        let lookup = self.dial.borrow_mut().as_mut().and_then(|dial| dial.lookup.take());
        if let Some(answer) = lookup {
            let found = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
            match found.unwrap_or(Err(AddressError::Again)) {
                Ok(addresses) => {
                    if let Some(dial) = &mut *self.dial.borrow_mut() {
                        dial.addresses = interleave(&addresses);
                    }
                }
                Err(error) => return self.find_nothing(error),
            }
        }
        self.dial_next();
    }

    fn find_nothing(self: &Rc<Self>, error: AddressError) {
        let told = io::Error::new(io::ErrorKind::NotFound, error.to_string());
        let dial = Dial { dns_error: Some(Rc::new(error)), ..Dial::default() };
        let old = self.dial.replace(Some(Box::new(dial)));
        drop(old);
        self.fail_to_connect(told);
    }

    /// Starts an attempt. When there is nothing left to try or to wait for, that was it.
    fn dial_next(self: &Rc<Self>) {
        loop {
            let next = {
                let mut dial = self.dial.borrow_mut();
                let Some(dial) = &mut *dial else { return };
                dial.addresses.pop_front()
            };
            let Some(address) = next else { break };
            match self.attempt(address) {
                Ok(true) => return,
                Ok(false) => break,
                Err(error) => {
                    if let Some(dial) = &mut *self.dial.borrow_mut() {
                        dial.last_error = Some(error);
                    }
                }
            }
        }
        let failed = match &mut *self.dial.borrow_mut() {
            Some(dial) if dial.attempts.is_empty() => dial.last_error.take(),
            Some(dial) => {
                if let Some(timer) = dial.timer.as_ref().filter(|_| !dial.addresses.is_empty()) {
                    // A timer can always be added on a live base.
                    let _ = timer.add(Some(STAGGER));
                }
                return;
            }
            None => return,
        };
        let old = self.dial.take();
        drop(old);
        self.fail_to_connect(failed.unwrap_or_else(|| io::ErrorKind::NotFound.into()));
    }

    /// Tries an address; `true` when that was all that was needed.
    fn attempt(self: &Rc<Self>, address: SocketAddr) -> io::Result<bool> {
        let address = SocketAddress::Ip(address);
        let socket = SocketTransport::for_address(&address)?;
        if socket.connect(&address)? {
            self.succeed(socket);
            return Ok(true);
        }
        let Some(base) = self.base.upgrade() else { return Ok(true) };
        let mut dial = self.dial.borrow_mut();
        let Some(dial) = &mut *dial else { return Ok(true) };
        dial.started += 1;
        let number = dial.started;
        let watched = || -> Result<Event> {
            let ready = self.on_event_of(number, Core::attempt_is_over);
            let event = Event::new(&base, socket.fd(), EventFlags::WRITE, ready)?;
            self.prioritize(&event);
            event.add(None)?;
            Ok(event)
        };
        let event = watched().map_err(|error| match error {
            Error::Os { source, .. } => source,
            other => io::Error::other(other),
        })?;
        dial.attempts.push(Attempt { number, _event: event, socket });
        Ok(false)
    }

    fn attempt_is_over(self: &Rc<Self>, number: usize) {
        let attempt = {
            let mut dial = self.dial.borrow_mut();
            let Some(dial) = &mut *dial else { return };
            let index = dial.attempts.iter().position(|attempt| attempt.number == number);
            let Some(index) = index else { return };
            dial.attempts.remove(index)
        };
        match attempt.socket.connect_result() {
            Ok(()) => {
                let Attempt { _event: event, socket, .. } = attempt;
                drop(event);
                self.succeed(socket);
            }
            Err(error) => {
                drop(attempt);
                if let Some(dial) = &mut *self.dial.borrow_mut() {
                    dial.last_error = Some(error);
                }
                self.dial_next();
            }
        }
    }

    /// The connection is made: the other attempts end.
    fn succeed(self: &Rc<Self>, socket: SocketTransport) {
        let old = self.dial.take();
        drop(old);
        match self.set_socket("BufferEvent", socket) {
            Ok(()) => self.be_connected(),
            Err(Error::Os { source, .. }) => self.fail_to_connect(source),
            // The base has gone, and the bufferevent with it.
            Err(_) => {}
        }
    }
}

/// Puts the addresses in an order in which the families take turns, that of the first one first.
fn interleave(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first);
    let mut order = VecDeque::with_capacity(addresses.len());
    while !one.is_empty() || !other.is_empty() {
        order.extend(one.pop_front());
        order.extend(other.pop_front());
    }
    order
}

#[cfg(test)]
mod tests {
    use super::interleave;
    use std::net::SocketAddr;

    #[test]
    fn the_families_take_turns() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"].map(parse);
        let order = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"].map(parse);
        assert_eq!(interleave(&found), order);
        assert!(interleave(&[]).is_empty());
    }
}
