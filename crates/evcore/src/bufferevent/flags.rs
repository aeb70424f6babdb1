//! The small vocabulary of bufferevents.

bitflags::bitflags! {
    /// What happened to a bufferevent besides bytes (`BEV_EVENT_…`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BufferEventFlags: u16 {
        /// It happened while reading (`BEV_EVENT_READING`).
        const READING = 0x01;
        /// It happened while writing (`BEV_EVENT_WRITING`).
        const WRITING = 0x02;
        /// The peer has ended its sending side (`BEV_EVENT_EOF`).
        const EOF = 0x10;
        /// An error; [`BufferEvent::take_error`](super::BufferEvent::take_error) has it
        /// (`BEV_EVENT_ERROR`).
        const ERROR = 0x20;
        /// A timeout passed; its direction is disabled now (`BEV_EVENT_TIMEOUT`).
        const TIMEOUT = 0x40;
        /// The connect has succeeded (`BEV_EVENT_CONNECTED`).
        const CONNECTED = 0x80;
    }
}

bitflags::bitflags! {
    /// How a bufferevent is made (`BEV_OPT_…`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct BufferEventOptions: u32 {
        /// Close the descriptor when the bufferevent is freed (`BEV_OPT_CLOSE_ON_FREE`).
        const CLOSE_ON_FREE = 1;
        /// Run the callbacks after the events that are active now, not at once
        /// (`BEV_OPT_DEFER_CALLBACKS`).
        const DEFER_CALLBACKS = 4;
    }
}

/// How urgently to flush (`enum bufferevent_flush_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FlushMode {
    /// What can be passed on well (`BEV_NORMAL`).
    Normal,
    /// All that there is (`BEV_FLUSH`).
    Flush,
    /// All, and no more will follow (`BEV_FINISHED`).
    Finished,
}
