//! Letting go of what belongs to no object.

/// Lets go of all that the library holds for the process and for this thread
/// (`libevent_global_shutdown`): the current base of the obsolete functions, the memory kept for
/// buffers to come, the log and fatal callbacks. For leak checkers, at the end of each thread and
/// last in `main`. The library can be used on afterwards.
///
/// What cannot be undone safely stays: a signal's handler, once installed, goes on to do by default
/// what the signal does by default.
#[doc(alias = "libevent_global_shutdown")]
pub fn global_shutdown() {
    crate::base::compat::shutdown();
    #[cfg(feature = "buffer")]
    crate::mem::trim();
    crate::log::set_log_callback(None);
    crate::log::set_fatal_callback(None);
    crate::log::enable_debug_logging(crate::log::DEBUG_NONE);
}
