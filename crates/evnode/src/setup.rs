//! What is set up once for the process: its log, and the memory of its buffers.

use std::sync::Arc;

use evcore::{log, mem};
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi::Status;
use napi_derive::napi;

/// Sends the messages of all threads to this thread's `callback`, with their severity: 0 debug,
/// 1 message, 2 warning, 3 error. They come in order, but only when JavaScript has returned to the
/// host's loop. Null: to standard error again, where they also go when the thread has ended.
#[napi(catch_unwind)]
pub fn set_log_callback(
    callback: Option<Function<'_, FnArgs<(u32, String)>, ()>>,
) -> napi::Result<()> {
    let Some(callback) = callback else {
        log::set_log_callback(None);
        return Ok(());
    };
    let callback = callback
        .build_threadsafe_function::<(u32, String)>()
        .weak::<true>()
        .build_callback(|call| Ok(FnArgs::from(call.value)))?;
    log::set_log_callback(Some(Arc::new(move |severity, message| {
        let status = callback.call((severity as u32, message.to_owned()), NonBlocking);
        if status != Status::Ok {
            eprintln!("[{severity}] {message}");
        }
    })));
    Ok(())
}

/// Calls `callback` with what is found of misuse that a program had better not survive, as
/// `setLogCallback` does; the call that found it throws all the same. Null for none.
#[napi(catch_unwind)]
pub fn set_fatal_callback(
    callback: Option<Function<'_, FnArgs<(String,)>, ()>>,
) -> napi::Result<()> {
    let Some(callback) = callback else {
        log::set_fatal_callback(None);
        return Ok(());
    };
    let callback = callback
        .build_threadsafe_function::<String>()
        .weak::<true>()
        .build_callback(|call| Ok(FnArgs::from((call.value,))))?;
    log::set_fatal_callback(Some(Arc::new(move |message| {
        // The message was logged as well: nothing is lost with a thread that has ended.
        let _ = callback.call(message.to_owned(), NonBlocking);
    })));
    Ok(())
}

/// Switches debug messages on or off.
#[napi(catch_unwind)]
pub fn enable_debug_logging(on: bool) {
    log::enable_debug_logging(if on { log::DEBUG_ALL } else { log::DEBUG_NONE });
}

/// What the buffers of the whole process have of memory.
#[napi(object, object_from_js = false)]
pub struct MemoryStatistics {
    /// Bytes in blocks, those kept for later included.
    pub allocated: f64,
    /// The most that this has been.
    pub peak: f64,
    /// The most that it may be; absent when there is no limit.
    pub limit: Option<f64>,
    /// How many blocks there are.
    pub blocks: f64,
    /// How often a block was asked of the allocator.
    pub allocations: f64,
    /// How often there was none, for want of memory or because of the limit.
    pub refused: f64,
}

/// The state of the buffers' memory.
#[napi(catch_unwind)]
pub fn memory_statistics() -> MemoryStatistics {
    let stats = mem::stats();
    MemoryStatistics {
        allocated: stats.allocated as f64,
        peak: stats.peak as f64,
        limit: stats.limit.map(|limit| limit as f64),
        blocks: stats.blocks as f64,
        allocations: stats.allocations as f64,
        refused: stats.refused as f64,
    }
}

/// Limits the bytes in blocks of the whole process; null lifts the limit.
#[napi(catch_unwind)]
pub fn set_memory_limit(bytes: Option<f64>) {
    mem::set_limit(bytes.map(|bytes| bytes as usize));
}

/// Lets go of all that is held for the process and for this thread.
#[napi(catch_unwind)]
pub fn global_shutdown() {
    evcore::global_shutdown();
}

/// The version of the native layer.
#[napi(catch_unwind)]
pub fn version() -> &'static str {
    evcore::version()
}

/// The version as a number, a byte each for major, minor and patch, then one that is 0.
#[napi(catch_unwind)]
pub fn version_number() -> u32 {
    evcore::version_number()
}
