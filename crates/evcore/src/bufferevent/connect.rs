//! Connecting.

use std::io;
use std::rc::Rc;

use crate::backend::OwnedFd;
use crate::base::EventFlags;
use crate::error::{Error, Result};
use crate::util::SocketAddress;

use super::core::{Core, Pending, Suspended};
use super::socket::SocketTransport;
use super::transport::Transport;
use super::{BufferEvent, BufferEventFlags};

impl BufferEvent {
    /// Connects to `address` (`bufferevent_socket_connect`), over a new socket unless there is one.
    /// Comes to [`BufferEventFlags::CONNECTED`] or [`BufferEventFlags::ERROR`], never inside this
    /// call. A write timeout bounds the time that it takes; what is written meanwhile is sent then.
    /// After an error it can be tried again, with a new socket unless it was given one. Over a filter
    /// the bufferevent below connects.
    ///
    /// # Errors
    /// [`Error::Os`] when there can be no socket, [`Error::InvalidArgument`] for a path that is too
    /// long, while another connect goes on, when it is connected and for a pair, [`Error::Freed`].
    #[doc(alias = "bufferevent_socket_connect")]
    pub fn connect(&self, address: &SocketAddress) -> Result<()> {
        const CALL: &str = "BufferEvent::connect";
        self.core.check_open(CALL)?;
        if self.core.is(Suspended::CONNECTING) && self.core.link().is_none() {
            return Err(Error::invalid(CALL, "it is connecting already; wait for its event"));
        }
        if self.peer_address().is_some() {
            return Err(Error::invalid(CALL, "it is connected already; make another bufferevent"));
        }
        if let Some(link) = self.core.link() {
            link.connect(CALL, &|below| below.connect(address))?;
            return self.core.await_connection(CALL);
        }
        if !self.core.has_transport() {
            let socket =
                SocketTransport::for_address(address).map_err(|error| Error::os(CALL, error))?;
            self.core.set_socket(CALL, socket)?;
            self.core.made_socket.set(true);
        }
        self.core.connect(address)
    }

    /// Goes on over another connected socket, or over none, and gives the old one back, open: keep it
    /// as `bufferevent_setfd` does, or drop it to close it as `bufferevent_replacefd` does. What is in
    /// the buffers stays; nothing is told.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] over a filter, in a pair and while it is connecting, [`Error::Os`]
    /// when the new one cannot be watched, [`Error::Freed`].
    #[doc(alias = "bufferevent_setfd")]
    pub fn replace_fd(&self, fd: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
        const CALL: &str = "BufferEvent::replace_fd";
        let core = &self.core;
        core.check_open(CALL)?;
        if core.link().is_some() {
            return Err(Error::invalid(CALL, "it is not over a socket; ask the one below"));
        }
        if core.is(Suspended::CONNECTING) {
            return Err(Error::invalid(CALL, "it is connecting; wait for its event"));
        }
        let new = fd.map(|fd| SocketTransport::new(fd.into())).transpose();
        let new = new.map_err(|error| Error::os(CALL, error))?;
        let events = [&core.read_event, &core.write_event].map(|event| event.take());
        // The events let go of the descriptor before its new owner may close it.
        drop(events);
        core.reading.set(false);
        core.writing.set(false);
        core.stop_timer_if_idle();
        core.made_socket.set(false);
        let old = match core.transport.take() {
            Some(Transport::Socket(socket)) => Some(socket.into_fd()),
            _ => None,
        };
        if let Some(new) = new {
            core.set_socket(CALL, new)?;
            core.put_off(Pending::FLUSH);
        }
        Ok(old)
    }
}

impl Core {
    /// Starts to connect the socket that was set.
    fn connect(self: &Rc<Self>, address: &SocketAddress) -> Result<()> {
        const CALL: &str = "BufferEvent::connect";
        let Some(started) = self.with_socket(|socket| socket.connect(address)) else {
            return Err(Error::invalid(CALL, "there is no socket to connect"));
        };
        match started {
            Ok(false) => return self.await_connection(CALL),
            Ok(true) => {
                self.begin_to_connect();
                self.put_off(Pending::CONNECTED);
            }
            Err(error) => {
                self.begin_to_connect();
                self.connect_failed(error);
                self.note_event(BufferEventFlags::ERROR);
            }
        }
        Ok(())
    }

    fn begin_to_connect(&self) {
        self.suspend(Suspended::CONNECTING);
        self.enabled.set(self.enabled.get() | EventFlags::WRITE);
    }

    /// The connection is being made, for which the write timeout counts.
    pub(super) fn await_connection(self: &Rc<Self>, call: &'static str) -> Result<()> {
        self.begin_to_connect();
        self.start_writing(call).inspect_err(|_| self.resume(Suspended::CONNECTING))
    }

    /// The socket says that the connection is made, or cannot be.
    pub(super) fn connected(self: &Rc<Self>) {
        if !self.is(Suspended::CONNECTING) {
            return;
        }
        match self.with_socket(SocketTransport::connect_result) {
            Some(Err(error)) => self.fail_to_connect(error),
            Some(Ok(())) => self.be_connected(),
            None if self.link().is_some_and(|link| link.is_open()) => self.be_connected(),
            None => {}
        }
    }

    /// The connection is made.
    pub(super) fn be_connected(self: &Rc<Self>) {
        self.stop_writing();
        self.resume(Suspended::CONNECTING);
        self.pending.set(self.pending.get() | Pending::FLUSH);
        if !self.is(Suspended::CLOSING) {
            self.tell_event(BufferEventFlags::CONNECTED);
        }
    }

    /// The connection cannot be made.
    pub(super) fn fail_to_connect(self: &Rc<Self>, error: io::Error) {
        self.stop_writing();
        self.connect_failed(error);
        if self.is(Suspended::CLOSING) {
            self.finish_close();
        } else {
            self.tell_event(BufferEventFlags::ERROR);
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
}
