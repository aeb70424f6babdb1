//! What a bufferevent calls.

use std::cell::RefCell;

use crate::util::lend;

use super::{BufferEvent, BufferEventFlags};

/// Is told what happens to a bufferevent: the three callbacks of `bufferevent_setcb` as one object.
///
/// All run from the loop, never inside a call on the bufferevent, and may do anything to it, freeing
/// it included.
pub trait BufferEventHandler {
    /// The input has grown and holds at least the read low-water mark (`bufferevent_data_cb`).
    fn readable(&self, _bev: &BufferEvent) {}

    /// The output has shrunk to the write low-water mark or below (`bufferevent_data_cb`).
    fn writable(&self, _bev: &BufferEvent) {}

    /// The connection was made, ended or failed, or a timeout passed (`bufferevent_event_cb`).
    fn event(&self, _bev: &BufferEvent, _what: BufferEventFlags) {}

    /// A bufferevent that was [closed](BufferEvent::close) has written its output, or cannot any
    /// more, and is freed now.
    fn closed(&self, _bev: &BufferEvent) {}

    /// Whether [`writable`](BufferEventHandler::writable) is to be called at all.
    fn wants_write(&self) -> bool {
        true
    }
}

/// A callback for bytes that came or went (`bufferevent_data_cb`).
pub type DataCallback = Box<dyn FnMut(&BufferEvent)>;
/// A callback for everything else (`bufferevent_event_cb`).
pub type EventCallback = Box<dyn FnMut(&BufferEvent, BufferEventFlags)>;

/// Three closures as a handler.
pub(super) struct Callbacks {
    wants_write: bool,
    read: RefCell<Option<DataCallback>>,
    write: RefCell<Option<DataCallback>>,
    event: RefCell<Option<EventCallback>>,
}

impl Callbacks {
    pub(super) fn new(
        read: Option<DataCallback>,
        write: Option<DataCallback>,
        event: Option<EventCallback>,
    ) -> Self {
        Self {
            wants_write: write.is_some(),
            read: RefCell::new(read),
            write: RefCell::new(write),
            event: RefCell::new(event),
        }
    }
}

impl BufferEventHandler for Callbacks {
    fn readable(&self, bev: &BufferEvent) {
        lend(&self.read, || true, |callback| callback(bev));
    }

    fn writable(&self, bev: &BufferEvent) {
        lend(&self.write, || true, |callback| callback(bev));
    }

    fn event(&self, bev: &BufferEvent, what: BufferEventFlags) {
        lend(&self.event, || true, |callback| callback(bev, what));
    }

    fn wants_write(&self) -> bool {
        self.wants_write
    }
}
