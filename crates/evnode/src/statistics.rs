//! What is alive, for tests of leaks.

use napi_derive::napi;

use crate::handle::Object;
use crate::raw::cold;

/// Live handles by kind.
#[napi(object, object_from_js = false)]
#[derive(Default)]
pub struct Statistics {
    /// Bases.
    pub bases: u32,
    /// Events.
    pub events: u32,
    /// Buffers made by `bufferNew`.
    pub buffers: u32,
    /// Bufferevents.
    pub bufferevents: u32,
    /// Listeners.
    pub listeners: u32,
    /// Watchers.
    pub watchers: u32,
    /// File segments that are held.
    pub file_segments: u32,
    /// Rate limit groups.
    pub rate_limit_groups: u32,
    /// Handles of the host's loop (libuv) that are open or closing.
    pub host_handles: u32,
}

/// What is alive in this environment; all zero after a clean shutdown.
#[napi(catch_unwind)]
pub fn statistics(env: napi::Env) -> napi::Result<Statistics> {
    cold(&env, |env| {
        let mut alive =
            Statistics { host_handles: env.host_handles() as u32, ..Statistics::default() };
        env.table.each(|object| match object {
            Object::Base(_) => alive.bases += 1,
            Object::Event(_) => alive.events += 1,
            Object::Buffer(_) => alive.buffers += 1,
            Object::Bev(_) => alive.bufferevents += 1,
            Object::Listener(_) => alive.listeners += 1,
            Object::Watcher(_) => alive.watchers += 1,
            Object::File(_) => alive.file_segments += 1,
            Object::Group(_) => alive.rate_limit_groups += 1,
            Object::Input(_) | Object::Output(_) => {}
        });
        Ok(alive)
    })
}
