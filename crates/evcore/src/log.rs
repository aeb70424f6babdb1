//! What the library has to say, and to whom.
//!
//! Errors are returned, never only logged. What is logged besides is for people: warnings, misuse
//! that [debug mode](crate::EventConfig::debug_mode) finds, and, on request, what every event does.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How much a message matters (`EVENT_LOG_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// What every event does; only after [`enable_debug_logging`] (`EVENT_LOG_DEBUG`).
    #[doc(alias = "EVENT_LOG_DEBUG")]
    Debug = 0,
    /// Worth knowing (`EVENT_LOG_MSG`).
    #[doc(alias = "EVENT_LOG_MSG")]
    Message = 1,
    /// Something is odd, and the library has dealt with it (`EVENT_LOG_WARN`).
    #[doc(alias = "EVENT_LOG_WARN")]
    Warning = 2,
    /// The program uses the library wrongly (`EVENT_LOG_ERR`).
    #[doc(alias = "EVENT_LOG_ERR")]
    Error = 3,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Message => "msg",
            Self::Warning => "warn",
            Self::Error => "err",
        })
    }
}

/// Logs no debug messages (`EVENT_DBG_NONE`).
#[doc(alias = "EVENT_DBG_NONE")]
pub const DEBUG_NONE: u32 = 0;
/// Logs all debug messages (`EVENT_DBG_ALL`).
#[doc(alias = "EVENT_DBG_ALL")]
pub const DEBUG_ALL: u32 = u32::MAX;

type LogCallback = dyn Fn(Severity, &str) + Send + Sync;
type FatalCallback = dyn Fn(&str) + Send + Sync;

static LOG: RwLock<Option<Arc<LogCallback>>> = RwLock::new(None);
static FATAL: RwLock<Option<Arc<FatalCallback>>> = RwLock::new(None);
static DEBUG: AtomicU32 = AtomicU32::new(DEBUG_NONE);

thread_local! {
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sends the messages of all threads to `callback`, or, with `None`, to standard error again
/// (`event_set_log_callback`). What the callback itself makes the library say is dropped.
#[doc(alias = "event_set_log_callback")]
pub fn set_log_callback(callback: Option<Arc<LogCallback>>) {
    replace(&LOG, callback);
}

/// Calls `callback` where libevent would end the process: when misuse has been found that a program
/// had better not survive (`event_set_fatal_callback`). Here the call that found it errs when the
/// callback has returned.
#[doc(alias = "event_set_fatal_callback")]
pub fn set_fatal_callback(callback: Option<Arc<FatalCallback>>) {
    replace(&FATAL, callback);
}

/// Switches debug messages on or off: [`DEBUG_ALL`] or [`DEBUG_NONE`]
/// (`event_enable_debug_logging`). They are composed only when they are on.
#[doc(alias = "event_enable_debug_logging")]
pub fn enable_debug_logging(which: u32) {
    DEBUG.store(which, Ordering::Relaxed);
}

/// Logs what `message` says, if debug messages are on. Not to be called with anything borrowed.
#[inline]
pub(crate) fn debug(message: impl FnOnce() -> String) {
    if DEBUG.load(Ordering::Relaxed) != DEBUG_NONE {
        log(Severity::Debug, &message());
    }
}

/// Logs a message. Not to be called with anything borrowed: callbacks may do anything.
#[cold]
pub(crate) fn log(severity: Severity, message: &str) {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            LOGGING.set(false);
        }
    }
    if LOGGING.replace(true) {
        return;
    }
    let _done = Done;
    match current(&LOG) {
        Some(callback) => callback(severity, message),
        None => eprintln!("[{severity}] {message}"),
    }
}

/// Logs misuse and calls the fatal callback.
#[cold]
pub(crate) fn fatal(message: &str) {
    log(Severity::Error, message);
    if let Some(callback) = current(&FATAL) {
        callback(message);
    }
}

fn current<T: ?Sized>(slot: &RwLock<Option<Arc<T>>>) -> Option<Arc<T>> {
    // The lock is never held while foreign code runs, so that nothing is half done when it panics.
    slot.read().unwrap_or_else(PoisonError::into_inner).clone()
}

fn replace<T: ?Sized>(slot: &RwLock<Option<Arc<T>>>, new: Option<Arc<T>>) {
    let old = std::mem::replace(&mut *slot.write().unwrap_or_else(PoisonError::into_inner), new);
    drop(old);
}
