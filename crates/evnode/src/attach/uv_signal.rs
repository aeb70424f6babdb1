//! Signals through libuv, which puts handlers of its own in place of any other's.

use std::ffi::c_int;
use std::io;
use std::sync::Arc;

use evcore::base::{SignalSink, SignalSource};
use napi::sys;

use super::uv_loop::{self, HandleType, RawHandle, Uv, UvHandle};
use crate::env::EnvRef;

/// Catches signals with libuv's signal handles.
pub(super) struct UvSignals {
    env: EnvRef,
    uv: &'static Uv,
    event_loop: *mut sys::uv_loop_s,
    watched: Vec<(i32, UvHandle<Arc<SignalSink>>)>,
}

impl UvSignals {
    pub(super) fn new(env: &EnvRef, uv: &'static Uv, event_loop: *mut sys::uv_loop_s) -> Self {
        Self { env: env.clone(), uv, event_loop, watched: Vec::new() }
    }
}

impl SignalSource for UvSignals {
    fn watch(&mut self, signum: i32, sink: &Arc<SignalSink>) -> io::Result<()> {
        self.unwatch(signum);
        // SAFETY: loop and handle are live.
        let init = |raw| unsafe { (self.uv.uv_signal_init)(self.event_loop, raw) };
        let handle = UvHandle::new(&self.env, self.uv, HandleType::Signal, sink.clone(), init)?;
        // SAFETY: the handle is initialised.
        let started = unsafe { (self.uv.uv_signal_start)(handle.raw(), caught, signum) };
        uv_loop::check(self.uv, started)?;
        self.watched.push((signum, handle));
        Ok(())
    }

    fn unwatch(&mut self, signum: i32) {
        self.watched.retain(|(watched, _)| *watched != signum);
    }
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn caught(handle: RawHandle, signum: c_int) {
    // SAFETY: libuv calls back for handles that are not closed.
    let sink = unsafe { uv_loop::data_of::<Arc<SignalSink>>(handle) };
    sink.raise(signum);
}
