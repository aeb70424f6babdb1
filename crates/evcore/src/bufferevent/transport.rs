//! What carries a bufferevent's bytes.

use std::io;
use std::rc::Rc;

use crate::error::{Error, Result};

use super::core::Core;
use super::socket::SocketTransport;
use super::{BufferEvent, FlushMode};
use crate::base::EventFlags;

/// Carries bytes between a bufferevent's buffers and the world. Nothing in it blocks, and when it
/// can't go on it says so.
pub(super) enum Transport {
    /// A socket, whose readiness the loop tells. Most are, so that no call of it is virtual.
    Socket(SocketTransport),
    /// Another bufferevent of this process, which tells itself when there is something to do.
    Link(Rc<dyn Link>),
}

/// What a [`Link`] has done with a bufferevent's output.
pub(super) struct Moved {
    /// How many bytes it took.
    pub(super) count: usize,
    /// It would take more if that were allowed or if there were room beyond it, and calls [`Core::flush`] when there is.
    pub(super) blocked: bool,
}

/// Carries bytes between two bufferevents. Nothing of the core is borrowed while it is called, since
/// it may call a user's filter, which may do anything.
pub(super) trait Link {
    /// Moves at most `most` bytes to the end of the input; 0 is the end of the stream.
    fn read(&self, core: &Rc<Core>, most: usize) -> io::Result<usize>;
    /// Whether there may be more to read now.
    fn has_more(&self) -> bool;
    /// Takes at most `most` bytes from the front of the output.
    fn write(&self, core: &Rc<Core>, most: usize) -> io::Result<Moved>;
    /// Whether input is wanted now. Once it is, [`Core::read_link`] is called in any case.
    fn set_reading(&self, wanted: bool);
    /// Ends the sending side, all output being taken, or with `close` everything; `false` while that
    /// goes on, which comes to [`Core::flush`] or to [`Core::finish_close`].
    fn finish(&self, core: &Rc<Core>, close: bool) -> io::Result<bool>;
    /// Passes on what it holds back at the next chance.
    fn flush(&self, directions: EventFlags, mode: FlushMode);
    /// The bufferevent was freed. With `close` what is underneath goes too.
    fn release(&self, close: bool);
    /// Whether bytes are in the input already of which the owner has not been told.
    fn has_arrived(&self) -> bool {
        false
    }
    /// Goes on with what has to be done before bytes can pass.
    fn open(&self, _: &Rc<Core>) {}
    /// Whether bytes can pass.
    fn is_open(&self) -> bool {
        true
    }
    /// How many links there are below.
    fn depth(&self) -> usize {
        0
    }
    /// Has the bufferevent below start to connect.
    fn connect(
        &self,
        call: &'static str,
        _start: &dyn Fn(&BufferEvent) -> Result<()>,
    ) -> Result<()> {
        Err(Error::invalid(call, "there is no socket under it to connect"))
    }
    /// The bufferevent below.
    fn underlying(&self) -> Option<&BufferEvent> {
        None
    }
    /// The other end of a pair.
    fn partner(&self) -> Option<BufferEvent> {
        None
    }
}
