//! The process's signal handlers, shared by all bases and with whoever else handles signals.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook_registry::{SigId, FORBIDDEN};

use crate::base::{SignalSink, SignalSource};

const SIGNALS: usize = 128;

/// How many sources watch each signal.
static WATCHERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];
/// Whether each signal's default action is kept for the time when nobody watches it.
static PREPARED: [AtomicBool; SIGNALS] = [const { AtomicBool::new(false) }; SIGNALS];
static PREPARING: Mutex<()> = Mutex::new(());
/// The registry's handler, which is the same for all signals.
static HANDLER: OnceLock<libc::sigaction> = OnceLock::new();

/// Catches signals with a handler that runs beside those that were installed before.
#[derive(Default)]
pub(crate) struct HandlerSource {
    watched: Vec<(i32, SigId)>,
}

impl SignalSource for HandlerSource {
    fn watch(&mut self, signum: i32, sink: &Arc<SignalSink>) -> io::Result<()> {
        let known = usize::try_from(signum).is_ok_and(|index| (1..SIGNALS).contains(&index));
        if !known || FORBIDDEN.contains(&signum) {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        prepare(signum)?;
        let sink = sink.clone();
        // SAFETY: the action only calls `SignalSink::raise`, which is made for signal handlers: it
        // touches atomics and writes to a descriptor.
        let id = unsafe { signal_hook_registry::register(signum, move || sink.raise(signum)) }?;
        install_anew(signum)?;
        WATCHERS[signum as usize].fetch_add(1, Ordering::SeqCst);
        self.unwatch(signum);
        self.watched.push((signum, id));
        Ok(())
    }

    fn unwatch(&mut self, signum: i32) {
        if let Some(position) = self.watched.iter().position(|&(watched, _)| watched == signum) {
            let (_, id) = self.watched.swap_remove(position);
            signal_hook_registry::unregister(id);
            WATCHERS[signum as usize].fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for HandlerSource {
    fn drop(&mut self) {
        while let Some(&(signum, _)) = self.watched.last() {
            self.unwatch(signum);
        }
    }
}

/// Makes sure that a signal nobody watches any more does again what it does by default. The
/// registry's handler stays installed for good and would swallow it.
///
/// A handler for one time, such as Node's for SIGINT, is taken for the default: it raises the signal
/// again in the belief that it is gone by then, while the registry would run it without end.
fn prepare(signum: i32) -> io::Result<()> {
    let _preparing = PREPARING.lock().unwrap_or_else(PoisonError::into_inner);
    if PREPARED[signum as usize].load(Ordering::SeqCst) {
        return Ok(());
    }
    let current = disposition(signum)?;
    let is_one_shot = current.sa_flags & libc::SA_RESETHAND != 0;
    if is_one_shot {
        set_default(signum);
    }
    if is_one_shot || current.sa_sigaction == libc::SIG_DFL {
        // SAFETY: the action calls `sigaction` and `raise` only, which are async-signal-safe.
        unsafe {
            signal_hook_registry::register(signum, move || {
                if WATCHERS[signum as usize].load(Ordering::SeqCst) == 0 {
                    act_by_default(signum);
                }
            })
        }?;
        let installed = disposition(signum)?;
        if installed.sa_sigaction != libc::SIG_DFL {
            HANDLER.get_or_init(|| installed);
        }
    }
    PREPARED[signum as usize].store(true, Ordering::SeqCst);
    Ok(())
}

/// Installs the registry's handler where it is gone: the registry does so once for each signal, but
/// libuv goes back to the default action when its own last handler ends, as does [`act_by_default`].
fn install_anew(signum: i32) -> io::Result<()> {
    let Some(handler) = HANDLER.get() else { return Ok(()) };
    if disposition(signum)?.sa_sigaction != libc::SIG_DFL {
        return Ok(());
    }
    // SAFETY: the handler is one that was installed for signals, and nothing is returned.
    match unsafe { libc::sigaction(signum, handler, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn disposition(signum: i32) -> io::Result<libc::sigaction> {
    let mut current = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: a null action only asks; the old one is written into the room given for it.
    let outcome = unsafe { libc::sigaction(signum, std::ptr::null(), current.as_mut_ptr()) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `sigaction` succeeded, so it filled the structure in.
    Ok(unsafe { current.assume_init() })
}

fn act_by_default(signum: i32) {
    set_default(signum);
    // SAFETY: the call is allowed in a signal handler. The signal is delivered when this handler
    // returns and unblocks it.
    unsafe { libc::raise(signum) };
}

fn set_default(signum: i32) {
    // SAFETY: zeroed is a valid `sigaction` (no flags, empty mask), SIG_DFL a valid handler, and the
    // call is allowed in a signal handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signum, &action, std::ptr::null_mut());
    }
}
