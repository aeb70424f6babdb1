//! Watchers: what runs before and after a loop waits.

use std::rc::Rc;

use evcore::base::Watcher;
use napi_derive::napi;

use crate::dispatch::Kind;
use crate::handle::{Handle, Object};
use crate::raw::cold;

/// Creates a watcher: calls PREPARE before every wait, or, with `check`, CHECK after every wait.
#[napi(catch_unwind)]
pub fn watcher_new(env: napi::Env, base: Handle, check: bool) -> napi::Result<Handle> {
    cold(&env, |env| {
        let base = env.base(base)?;
        env.table.insert(|handle| {
            let env = env.clone();
            let watcher = if check {
                Watcher::check(&base.base, move || env.emit(Kind::Check, handle, 0.0, 0.0))?
            } else {
                Watcher::prepare(&base.base, move |wait| {
                    let ms = wait.map_or(-1.0, |wait| wait.as_secs_f64() * 1000.0);
                    env.emit(Kind::Prepare, handle, ms, 0.0);
                })?
            };
            Ok(Object::Watcher(Rc::new(watcher)))
        })
    })
}

/// Ends a watcher; also while its callback runs.
#[napi(catch_unwind)]
pub fn watcher_free(env: napi::Env, watcher: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.watcher(watcher)?.free();
        drop(env.table.remove(watcher));
        Ok(())
    })
}
