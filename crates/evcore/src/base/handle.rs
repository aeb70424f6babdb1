//! What other threads hold of a base.

use std::sync::Arc;

use crate::error::{Error, Result};

use super::event::{EventFlags, EventId};
use super::mailbox::Mailbox;
use super::EventBase;

/// A handle on a base for other threads: libevent's locks, as messages.
///
/// What libevent's own locks need is met by the language: a base cannot leave its thread, a handle
/// can, and the compiler checks both, so that there is no lock to choose, set up or debug.
///
/// However many calls are made between two turns of the loop, they cost one system call together.
///
/// ```
/// use evcore::{EventBase, LoopFlags};
///
/// let base = EventBase::new()?;
/// let handle = base.handle();
/// let worker = std::thread::spawn(move || handle.post(|base| base.loop_break()));
/// base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
/// assert!(base.got_break());
/// worker.join().unwrap()?;
/// # Ok::<(), evcore::Error>(())
/// ```
#[doc(alias = "evthread_use_pthreads")]
#[doc(alias = "evthread_use_windows_threads")]
#[doc(alias = "evthread_make_base_notifiable")]
#[doc(alias = "evthread_set_lock_callbacks")]
#[doc(alias = "evthread_set_condition_callbacks")]
#[doc(alias = "evthread_set_id_callback")]
#[doc(alias = "evthread_enable_lock_debugging")]
#[derive(Clone)]
pub struct BaseHandle {
    mailbox: Arc<Mailbox<Post>>,
}

pub(super) enum Post {
    Run(Box<dyn FnOnce(&EventBase) + Send>),
    Activate(EventId, EventFlags),
    Break,
    Exit,
}

impl BaseHandle {
    pub(super) fn new(mailbox: Arc<Mailbox<Post>>) -> Self {
        Self { mailbox }
    }

    fn put(&self, call: &'static str, post: Post) -> Result<()> {
        match self.mailbox.put(post) {
            Some(woken) => woken.map_err(|source| Error::os(call, source)),
            None => Err(Error::Freed { call }),
        }
    }

    /// Runs `call` on the loop's thread, after the callback that is running or in the next turn. Calls
    /// run in the order of their posting.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    pub fn post(&self, call: impl FnOnce(&EventBase) + Send + 'static) -> Result<()> {
        self.put("BaseHandle::post", Post::Run(Box::new(call)))
    }

    /// Makes an event active, as [`Event::active`](super::Event::active) does (`event_active`). An
    /// event that was freed in the meantime is passed over.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_active")]
    pub fn activate(&self, event: EventId, flags: EventFlags) -> Result<()> {
        self.put("BaseHandle::activate", Post::Activate(event, flags))
    }

    /// Ends the loop after the callback that is running (`event_base_loopbreak`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_base_loopbreak")]
    pub fn loop_break(&self) -> Result<()> {
        self.put("BaseHandle::loop_break", Post::Break)
    }

    /// Ends the loop after the events that are active (`event_base_loopexit`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_base_loopexit")]
    pub fn loop_exit(&self) -> Result<()> {
        self.put("BaseHandle::loop_exit", Post::Exit)
    }

    /// Makes a waiting loop turn once.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    pub fn wake(&self) -> Result<()> {
        self.put("BaseHandle::wake", Post::Run(Box::new(|_| ())))
    }
}
