//! What a loop did, in figures, and which of its callbacks took long.

use evcore::base::{Histogram, SlowCallback, Turn};
use napi_derive::napi;

use crate::base::duration;
use crate::dispatch::Kind;
use crate::handle::{Handle, Object};
use crate::raw::cold;

/// What a loop did; histograms by bucket: 0 counts zeroes, bucket `b` what has `b` bits.
#[napi(object, object_from_js = false)]
pub struct NativeMetrics {
    /// Turns of the loop.
    pub turns: f64,
    /// Callbacks of events that ran.
    pub events: f64,
    /// Turns in which the loop was ready to wait.
    pub waits: f64,
    /// Callbacks that ran in each turn.
    pub events_per_turn: Vec<f64>,
    /// Nanoseconds that each callback took; empty without the option `metrics`, as are the next two.
    pub callback_time: Vec<f64>,
    /// Nanoseconds from the end of each timeout to the turn that noticed.
    pub timer_lateness: Vec<f64>,
    /// Nanoseconds that each wait took.
    pub wait_time: Vec<f64>,
}

fn buckets(histogram: &Histogram) -> Vec<f64> {
    histogram.buckets().iter().map(|&count| count as f64).collect()
}

/// What the base's loop did so far; with `reset`, counting starts anew.
#[napi(catch_unwind)]
pub fn base_metrics(env: napi::Env, base: Handle, reset: bool) -> napi::Result<NativeMetrics> {
    cold(&env, |env| {
        let base = &env.base(base)?.base;
        let metrics = base.metrics();
        if reset {
            base.reset_metrics();
        }
        Ok(NativeMetrics {
            turns: metrics.turns as f64,
            events: metrics.events as f64,
            waits: metrics.waits as f64,
            events_per_turn: buckets(&metrics.events_per_turn),
            callback_time: buckets(&metrics.callback_time),
            timer_lateness: buckets(&metrics.timer_lateness),
            wait_time: buckets(&metrics.wait_time),
        })
    })
}

/// Calls SLOW_CALLBACK after every callback that took `ms` or longer; null ends that.
#[napi(catch_unwind)]
pub fn base_set_slow_callback(env: napi::Env, base: Handle, ms: Option<f64>) -> napi::Result<()> {
    cold(&env, |env| {
        let threshold = ms.map_or(Ok(None), duration)?;
        let (found, told) = (env.base(base)?, env.clone());
        let hook = threshold.map(|_| {
            move |slow: &SlowCallback| {
                let Ok(found) = told.base(base) else { return };
                found.slow.replace(Some(slow.clone()));
                told.emit(Kind::SlowCallback, base, 0.0, 0.0);
            }
        });
        found.base.set_slow_callback(threshold.unwrap_or_default(), hook)?;
        found.tells_slow.set(threshold.is_some());
        Ok(())
    })
}

/// Calls TURN at the end of every turn, or (`on` is false) does so no longer.
#[napi(catch_unwind)]
pub fn base_tell_turns(env: napi::Env, base: Handle, on: bool) -> napi::Result<()> {
    cold(&env, |env| {
        let (found, told) = (env.base(base)?, env.clone());
        let hook = on.then_some({
            move |turn: &Turn| {
                told.emit(Kind::Turn, base, turn.events as f64, turn.took.as_secs_f64() * 1000.0);
            }
        });
        found.base.set_turn_hook(hook)?;
        found.tells_turns.set(on);
        Ok(())
    })
}

/// A callback that took longer than it should have.
#[napi(object, object_from_js = false)]
pub struct NativeSlowCallback {
    /// The event's handle; 0 when it is gone or none of JavaScript's.
    pub event: Handle,
    /// Its descriptor or signal, or -1.
    pub fd: f64,
    /// What it was active for.
    pub what: u32,
    /// Milliseconds that the callback took.
    pub ms: f64,
}

/// The callback that SLOW_CALLBACK was called for last.
#[napi(catch_unwind)]
pub fn base_slow_callback(
    env: napi::Env,
    base: Handle,
) -> napi::Result<Option<NativeSlowCallback>> {
    cold(&env, |env| {
        let Some(slow) = env.base(base)?.slow.take() else { return Ok(None) };
        let mut handle = 0;
        env.table.each(|object| match object {
            Object::Event(event) if event.base.handle == base && event.event.id() == slow.event => {
                handle = event.handle;
            }
            _ => {}
        });
        Ok(Some(NativeSlowCallback {
            event: handle,
            fd: slow.fd as f64,
            what: slow.fired.bits().into(),
            ms: slow.took.as_secs_f64() * 1000.0,
        }))
    })
}
