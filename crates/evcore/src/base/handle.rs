//! What other threads hold of a base.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backend::Wake;
use crate::error::{Error, Result};

use super::event::{EventFlags, EventId};
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
    shared: Arc<Shared>,
}

pub(super) enum Post {
    Run(Box<dyn FnOnce(&EventBase) + Send>),
    Activate(EventId, EventFlags),
    Break,
    Exit,
}

/// What a base and its handles share.
pub(super) struct Shared {
    mailbox: Mutex<Mailbox>,
    /// Set while the mailbox is not empty, so that the loop need not lock it to know.
    any: AtomicBool,
}

struct Mailbox {
    posts: Vec<Post>,
    /// `None` once the base is gone.
    waker: Option<Arc<dyn Wake>>,
}

impl Shared {
    pub(super) fn new(waker: Arc<dyn Wake>) -> Arc<Self> {
        let mailbox = Mailbox { posts: Vec::new(), waker: Some(waker) };
        Arc::new(Self { mailbox: Mutex::new(mailbox), any: AtomicBool::new(false) })
    }

    pub(super) fn take(&self) -> Vec<Post> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut mailbox = self.lock();
        self.any.store(false, Ordering::Release);
        std::mem::take(&mut mailbox.posts)
    }

    pub(super) fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        let mut mailbox = self.lock();
        let posts = if waker.is_none() { std::mem::take(&mut mailbox.posts) } else { Vec::new() };
        mailbox.waker = waker;
        drop(mailbox);
        // What was posted may run code of its own when dropped: not under the lock.
        drop(posts);
    }

    pub(super) fn has_posts(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        // Nothing that runs under the lock can leave the mailbox half changed.
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, call: &'static str, post: Post) -> Result<()> {
        let mut mailbox = self.lock();
        let Some(waker) = mailbox.waker.clone() else { return Err(Error::Freed { call }) };
        mailbox.posts.push(post);
        let first = !self.any.swap(true, Ordering::AcqRel);
        drop(mailbox);
        if first {
            waker.wake().map_err(|source| Error::os(call, source))?;
        }
        Ok(())
    }
}

impl BaseHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs `call` on the loop's thread, in its next turn. Calls run in the order of their posting.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    pub fn post(&self, call: impl FnOnce(&EventBase) + Send + 'static) -> Result<()> {
        self.shared.post("BaseHandle::post", Post::Run(Box::new(call)))
    }

    /// Makes an event active, as [`Event::active`](super::Event::active) does (`event_active`). An
    /// event that was freed in the meantime is passed over.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_active")]
    pub fn activate(&self, event: EventId, flags: EventFlags) -> Result<()> {
        self.shared.post("BaseHandle::activate", Post::Activate(event, flags))
    }

    /// Ends the loop after the callback that is running (`event_base_loopbreak`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_base_loopbreak")]
    pub fn loop_break(&self) -> Result<()> {
        self.shared.post("BaseHandle::loop_break", Post::Break)
    }

    /// Ends the loop after the events that are active (`event_base_loopexit`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    #[doc(alias = "event_base_loopexit")]
    pub fn loop_exit(&self) -> Result<()> {
        self.shared.post("BaseHandle::loop_exit", Post::Exit)
    }

    /// Makes a waiting loop turn once.
    ///
    /// # Errors
    /// [`Error::Freed`] when the base is gone.
    pub fn wake(&self) -> Result<()> {
        self.shared.post("BaseHandle::wake", Post::Run(Box::new(|_| ())))
    }
}
