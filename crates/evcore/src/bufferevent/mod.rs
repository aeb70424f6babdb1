//! Bufferevents: a stream with a buffer on either side, that reads, writes and tells.
//!
//! A [`BufferEvent`] reads into its input buffer when bytes come and writes from its output buffer
//! when the other end takes them. Its owner is told through a [`BufferEventHandler`] or three
//! closures, and only from the loop: no call on a bufferevent runs a callback before it returns.

mod below;
mod close;
mod connect;
mod core;
mod cork;
mod dial;
mod filter;
mod filter_link;
mod flags;
mod guard;
mod handler;
mod limits;
mod pair;
mod read;
mod socket;
mod tell;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod watermark;
mod write;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

pub use cork::Cork;
pub use filter::{filter_fn, Filter, FilterResult};
pub use flags::{BufferEventFlags, BufferEventOptions, FlushMode};
pub use guard::BufferGuard;
pub use handler::{BufferEventHandler, DataCallback, EventCallback};
#[cfg(feature = "tls")]
pub use tls::Tls;

use self::core::{Core, Pending};
use crate::backend::{OwnedFd, RawFd};
use crate::base::{EventBase, EventFlags};
use crate::buffer::EvBuffer;
use crate::error::{Error, Result};
use crate::util::SocketAddress;
use handler::Callbacks;
use socket::SocketTransport;
use watermark::Watermark;

/// A stream with buffers (`struct bufferevent`). A clone is another handle on the same stream.
///
/// As in libevent a bufferevent lives until [`free`](BufferEvent::free) or
/// [`close`](BufferEvent::close), whoever holds handles on it; freeing its base ends it too.
///
/// ```
/// use evcore::bufferevent::{BufferEvent, BufferEventFlags, BufferEventOptions};
/// use evcore::{EventBase, EventFlags};
/// use std::io::{Read, Write};
///
/// let (mut peer, ours) = std::os::unix::net::UnixStream::pair()?;
/// let base = EventBase::new()?;
/// let bev = BufferEvent::socket(&base, Some(ours.into()), BufferEventOptions::CLOSE_ON_FREE)?;
/// bev.set_callbacks(
///     Some(Box::new(|bev| {
///         // Sends back what came, without copying it.
///         bev.forward(bev).unwrap();
///         bev.close();
///     })),
///     None,
///     None,
/// );
/// bev.enable(EventFlags::READ)?;
/// peer.write_all(b"hello")?;
/// base.dispatch()?;
/// let mut answer = String::new();
/// peer.read_to_string(&mut answer)?;
/// assert_eq!(answer, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "bufferevent")]
#[derive(Clone)]
pub struct BufferEvent {
    core: Rc<Core>,
}

impl std::fmt::Debug for BufferEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BufferEvent")
            .field("fd", &self.fd())
            .field("freed", &self.is_freed())
            .finish_non_exhaustive()
    }
}

impl PartialEq for BufferEvent {
    /// Whether both are handles on the same stream.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.core, &other.core)
    }
}

impl BufferEvent {
    /// Makes a bufferevent over a connected stream socket, or over none, to be
    /// [connected](BufferEvent::connect) (`bufferevent_socket_new`). The socket is made
    /// non-blocking and, if it is one of TCP, sends at once (`TCP_NODELAY`): a bufferevent gathers what is
    /// written within a turn by itself. Writing is enabled, reading is not.
    ///
    /// # Errors
    /// [`Error::Os`] when the descriptor cannot be watched, [`Error::Freed`] when the base was freed.
    #[doc(alias = "bufferevent_socket_new")]
    pub fn socket(
        base: &EventBase,
        fd: Option<OwnedFd>,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::socket";
        if base.is_freed() {
            return Err(Error::Freed { call: CALL });
        }
        let core = Core::new(base.downgrade(), options);
        if let Some(fd) = fd {
            let transport =
                SocketTransport::new(fd.into()).map_err(|error| Error::os(CALL, error))?;
            core.set_socket(CALL, transport)?;
        }
        Ok(Self { core })
    }

    /// Is told from now on what happens, in place of an earlier handler.
    #[doc(alias = "bufferevent_setcb")]
    pub fn set_handler(&self, handler: Option<Rc<dyn BufferEventHandler>>) {
        if !self.is_freed() {
            self.core.set_handler(handler);
        }
    }

    /// The handler that it has (`bufferevent_getcb`). Closures are one as well.
    #[doc(alias = "bufferevent_getcb")]
    pub fn handler(&self) -> Option<Rc<dyn BufferEventHandler>> {
        self.core.handler.borrow().clone()
    }

    /// Calls these from now on: when the input has grown, when the output has shrunk, and when
    /// anything else happened (`bufferevent_setcb`).
    #[doc(alias = "bufferevent_setcb")]
    pub fn set_callbacks(
        &self,
        read: Option<DataCallback>,
        write: Option<DataCallback>,
        event: Option<EventCallback>,
    ) {
        self.set_handler(Some(Rc::new(Callbacks::new(read, write, event))));
    }

    /// Enables reading, writing or both (`bufferevent_enable`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for other flags, [`Error::Os`], [`Error::Freed`].
    #[doc(alias = "bufferevent_enable")]
    pub fn enable(&self, directions: EventFlags) -> Result<()> {
        const CALL: &str = "BufferEvent::enable";
        self.core.check_alive(CALL)?;
        check_directions(CALL, directions)?;
        self.core.enabled.set(self.core.enabled.get() | directions);
        if directions.contains(EventFlags::WRITE) {
            self.core.put_off(Pending::FLUSH);
        }
        self.core.update_reading(CALL)
    }

    /// Disables reading, writing or both (`bufferevent_disable`). What is in the buffers stays.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for other flags, [`Error::Freed`].
    #[doc(alias = "bufferevent_disable")]
    pub fn disable(&self, directions: EventFlags) -> Result<()> {
        const CALL: &str = "BufferEvent::disable";
        self.core.check_alive(CALL)?;
        check_directions(CALL, directions)?;
        self.core.disable_now(directions);
        Ok(())
    }

    /// The directions that are enabled (`bufferevent_get_enabled`).
    #[doc(alias = "bufferevent_get_enabled")]
    pub fn enabled(&self) -> EventFlags {
        self.core.enabled.get()
    }

    /// Sets watermarks, in bytes (`bufferevent_setwatermark`). Reading: callbacks run from `low`
    /// bytes in the input on, and nothing more is read from `high` on. Writing: callbacks run at
    /// `low` bytes in the output or fewer; from `high` on this bufferevent reads nothing more and
    /// takes no [forwarded](BufferEvent::forward) bytes, until half of it has gone. A `high` of 0 is
    /// none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for flags that are no directions or a `low` above a `high`,
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_setwatermark")]
    pub fn set_watermark(&self, directions: EventFlags, low: usize, high: usize) -> Result<()> {
        const CALL: &str = "BufferEvent::set_watermark";
        self.core.check_alive(CALL)?;
        check_directions(CALL, directions)?;
        if high != 0 && low > high {
            let what = format!("the low mark {low} is above the high mark {high}");
            return Err(Error::invalid(CALL, what));
        }
        if directions.contains(EventFlags::READ) {
            self.core.read_mark.set(Watermark { low, high });
            self.core.suspend_if_full();
            if let Ok(input) = self.core.input.try_borrow() {
                self.core.input_changed(input.len());
            }
        }
        if directions.contains(EventFlags::WRITE) {
            self.core.write_mark.set(Watermark { low, high });
            self.core.put_off(Pending::FLUSH);
        }
        Ok(())
    }

    /// The low and the high mark of a direction, in bytes (`bufferevent_getwatermark`).
    #[doc(alias = "bufferevent_getwatermark")]
    pub fn watermark(&self, direction: EventFlags) -> (usize, usize) {
        let write = direction.contains(EventFlags::WRITE);
        let mark = if write { &self.core.write_mark } else { &self.core.read_mark }.get();
        (mark.low, mark.high)
    }

    /// Sets how long reading, or writing that cannot go on, may bring nothing before
    /// [`BufferEventFlags::TIMEOUT`] is reported and the direction disabled
    /// (`bufferevent_set_timeouts`). A connect counts as writing.
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_set_timeouts")]
    pub fn set_timeouts(&self, read: Option<Duration>, write: Option<Duration>) -> Result<()> {
        self.core.check_alive("BufferEvent::set_timeouts")?;
        self.core.set_timeouts(|timeouts, now| {
            timeouts.read.set(read, now);
            timeouts.write.set(write, now);
        })
    }

    /// The timeouts for reading and for writing.
    pub fn timeouts(&self) -> (Option<Duration>, Option<Duration>) {
        let timeouts = self.core.timeouts();
        timeouts.map_or((None, None), |timeouts| (timeouts.read.limit(), timeouts.write.limit()))
    }

    /// The input buffer, from which to take what came (`bufferevent_get_input`).
    ///
    /// # Panics
    /// When a guard of the same buffer is still held, as a `RefCell` does.
    #[doc(alias = "bufferevent_get_input")]
    pub fn input(&self) -> BufferGuard<'_> {
        self.guard(&self.core.input, false)
    }

    /// The output buffer, to which to add what is to go (`bufferevent_get_output`).
    ///
    /// # Panics
    /// When a guard of the same buffer is still held, as a `RefCell` does.
    #[doc(alias = "bufferevent_get_output")]
    pub fn output(&self) -> BufferGuard<'_> {
        self.guard(&self.core.output, true)
    }

    /// Adds bytes to the output (`bufferevent_write`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the buffer would grow past all bounds or is lent out,
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_write")]
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        const CALL: &str = "BufferEvent::write";
        let mut output = self.try_guard(CALL, &self.core.output, true)?;
        output.add(bytes).map_err(|error| Error::invalid(CALL, error.to_string()))
    }

    /// Moves all of `buffer` to the output (`bufferevent_write_buffer`).
    ///
    /// # Errors
    /// As [`write`](BufferEvent::write).
    #[doc(alias = "bufferevent_write_buffer")]
    pub fn write_buffer(&self, buffer: &mut EvBuffer) -> Result<()> {
        const CALL: &str = "BufferEvent::write_buffer";
        let mut output = self.try_guard(CALL, &self.core.output, true)?;
        output.add_buffer(buffer).map_err(|error| Error::invalid(CALL, error.to_string()))
    }

    /// Takes bytes from the input and says how many (`bufferevent_read`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the buffer is lent out, [`Error::Freed`].
    #[doc(alias = "bufferevent_read")]
    pub fn read(&self, bytes: &mut [u8]) -> Result<usize> {
        const CALL: &str = "BufferEvent::read";
        let mut input = self.try_guard(CALL, &self.core.input, false)?;
        input.remove(bytes).map_err(|error| Error::invalid(CALL, error.to_string()))
    }

    /// Moves all of the input to `buffer` and says how many bytes (`bufferevent_read_buffer`).
    ///
    /// # Errors
    /// As [`read`](BufferEvent::read).
    #[doc(alias = "bufferevent_read_buffer")]
    pub fn read_buffer(&self, buffer: &mut EvBuffer) -> Result<usize> {
        const CALL: &str = "BufferEvent::read_buffer";
        let mut input = self.try_guard(CALL, &self.core.input, false)?;
        let length = input.len();
        buffer.add_buffer(&mut input).map_err(|error| Error::invalid(CALL, error.to_string()))?;
        Ok(length)
    }

    /// Moves the input to the output of `target`, which may be this bufferevent itself, and says how
    /// many bytes. No byte is copied. What does not fit below `target`'s write high-water mark stays;
    /// reading stops until there is room, and then the read callback runs again to go on.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when one of the buffers is lent out, [`Error::Freed`].
    pub fn forward(&self, target: &Self) -> Result<usize> {
        const CALL: &str = "BufferEvent::forward";
        let mut input = self.try_guard(CALL, &self.core.input, false)?;
        let mut output = target.try_guard(CALL, &target.core.output, true)?;
        let length = input.len();
        let room = target.core.write_mark.get().room(output.len());
        let moved = if room >= length {
            output.add_buffer(&mut input).map(|()| length)
        } else {
            input.remove_buffer(&mut output, room)
        };
        let moved = moved.map_err(|error| Error::invalid(CALL, error.to_string()))?;
        if moved < length {
            self.core.wait_for(&target.core);
        }
        Ok(moved)
    }

    /// Writes and reads as far as that is possible (`bufferevent_flush`), in the loop's next step.
    /// Over a socket and in a pair bytes are never held back; a [`Filter`] is asked to give what it
    /// holds, and so are those below it. With [`FlushMode::Finished`] the sending side ends once the
    /// output is empty.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for flags that are no directions, [`Error::Freed`].
    #[doc(alias = "bufferevent_flush")]
    pub fn flush(&self, directions: EventFlags, mode: FlushMode) -> Result<()> {
        const CALL: &str = "BufferEvent::flush";
        self.core.check_alive(CALL)?;
        check_directions(CALL, directions)?;
        if let Some(link) = self.core.link() {
            link.flush(directions, mode);
            self.core.put_off(Pending::READ);
        }
        if directions.contains(EventFlags::WRITE) {
            if mode == FlushMode::Finished {
                self.core.finish_writing();
            } else {
                self.core.put_off(Pending::FLUSH);
            }
        }
        Ok(())
    }

    /// Stops reading, writes what is queued, and frees; then tells
    /// [`closed`](BufferEventHandler::closed). A write timeout bounds how long that may take, and an
    /// error ends it. No more is taken to be written.
    ///
    /// Bytes of the peer's that nobody has read make TCP reset the connection, which may cost the
    /// peer the last bytes of ours. Where it may still be sending,
    /// [`flush`](BufferEvent::flush) with [`FlushMode::Finished`] and close at its end of the stream.
    pub fn close(&self) {
        if !self.is_freed() {
            self.core.close();
        }
    }

    /// Frees the bufferevent at once; what is queued is dropped (`bufferevent_free`). No callback
    /// runs any more. May be called in a callback.
    #[doc(alias = "bufferevent_free")]
    pub fn free(&self) {
        self.core.free();
    }

    /// Whether it was freed, or its base was.
    pub fn is_freed(&self) -> bool {
        self.core.is_freed()
    }

    /// The descriptor, if there is one (`bufferevent_getfd`).
    #[doc(alias = "bufferevent_getfd")]
    pub fn fd(&self) -> Option<RawFd> {
        self.core.at_socket(SocketTransport::fd)
    }

    /// The base, unless it is gone (`bufferevent_get_base`).
    #[doc(alias = "bufferevent_get_base")]
    pub fn base(&self) -> Option<EventBase> {
        self.core.base().upgrade()
    }

    /// Gives the bufferevent's events a priority; 0 is the most urgent (`bufferevent_priority_set`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no such priority, or in a callback of the same
    /// bufferevent's while it is active again; [`Error::Freed`].
    #[doc(alias = "bufferevent_priority_set")]
    pub fn set_priority(&self, priority: usize) -> Result<()> {
        const CALL: &str = "BufferEvent::set_priority";
        self.core.check_alive(CALL)?;
        self.core.set_priority(CALL, priority)
    }

    /// The priority of the bufferevent's events (`bufferevent_get_priority`).
    #[doc(alias = "bufferevent_get_priority")]
    pub fn priority(&self) -> usize {
        self.core.priority()
    }

    /// Runs the read or write callback in the loop's next step, if the watermarks allow it
    /// (`bufferevent_trigger`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for flags that are no directions or when the buffer is lent out,
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_trigger")]
    pub fn trigger(&self, directions: EventFlags) -> Result<()> {
        const CALL: &str = "BufferEvent::trigger";
        self.core.check_alive(CALL)?;
        check_directions(CALL, directions)?;
        if directions.contains(EventFlags::READ)
            && buffered(CALL, &self.core.input)? >= self.core.read_mark.get().low
        {
            self.core.put_off(Pending::READABLE);
        }
        if directions.contains(EventFlags::WRITE)
            && buffered(CALL, &self.core.output)? <= self.core.write_mark.get().low
        {
            self.core.put_off(Pending::WRITABLE);
        }
        Ok(())
    }

    /// Runs the event callback with `what` in the loop's next step (`bufferevent_trigger_event`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_trigger_event")]
    pub fn trigger_event(&self, what: BufferEventFlags) -> Result<()> {
        self.core.check_alive("BufferEvent::trigger_event")?;
        self.core.note_event(what);
        Ok(())
    }

    /// Takes the error that the last [`BufferEventFlags::ERROR`] was about
    /// (`EVUTIL_SOCKET_ERROR`).
    #[doc(alias = "EVUTIL_SOCKET_ERROR")]
    pub fn take_error(&self) -> Option<io::Error> {
        self.core.error.borrow_mut().take()
    }

    /// The address of this end, if it is connected.
    pub fn local_address(&self) -> Option<SocketAddress> {
        self.core.at_socket(|socket| socket.local_address().ok()).flatten()
    }

    /// The address of the other end, if it is connected.
    pub fn peer_address(&self) -> Option<SocketAddress> {
        self.core.at_socket(|socket| socket.peer_address().ok()).flatten()
    }

    fn guard<'a>(&'a self, buffer: &'a RefCell<EvBuffer>, is_output: bool) -> BufferGuard<'a> {
        let buffer = buffer.borrow_mut();
        BufferGuard { length: buffer.len(), buffer, core: &self.core, is_output }
    }

    fn try_guard<'a>(
        &'a self,
        call: &'static str,
        buffer: &'a RefCell<EvBuffer>,
        is_output: bool,
    ) -> Result<BufferGuard<'a>> {
        if is_output {
            self.core.check_open(call)?;
        } else {
            self.core.check_alive(call)?;
        }
        let buffer = buffer.try_borrow_mut().map_err(|_| lent_out(call))?;
        Ok(BufferGuard { length: buffer.len(), buffer, core: &self.core, is_output })
    }
}

/// How many bytes a buffer holds, unless it is lent out.
fn buffered(call: &'static str, buffer: &RefCell<EvBuffer>) -> Result<usize> {
    buffer.try_borrow().map(|buffer| buffer.len()).map_err(|_| lent_out(call))
}

fn lent_out(call: &'static str) -> Error {
    Error::invalid(call, "a guard of the buffer is still held; drop it")
}

fn check_directions(call: &'static str, directions: EventFlags) -> Result<()> {
    let both = EventFlags::READ | EventFlags::WRITE;
    if directions.is_empty() || !both.contains(directions) {
        return Err(Error::invalid(call, format!("{directions:?}; READ, WRITE or both go")));
    }
    Ok(())
}
