//! How a base runs in a host's loop.
//!
//! Whatever the way, a host's turn is one turn of the base: from libuv's own phases on its poll
//! handles (`uv`) or on the base's poll descriptor (`nested`), or on the word of a thread that waits
//! (`waiter`). Without any of them the base runs in blocking calls only (`none`).

pub(crate) mod uv;
mod uv_loop;
mod uv_signal;
mod uv_watch;
#[cfg(unix)]
pub(crate) mod waiter;
mod worker;

use std::rc::Rc;

use evcore::backend::Backend;
use evcore::EventConfig;
use napi::bindgen_prelude::{JsObjectValue, Object};

use crate::base::Base;
use crate::env::EnvRef;
use crate::error::{Failure, Result};

/// What a base asks of its host.
pub(crate) trait Host {
    /// Its name, as `baseAttachment` tells it.
    fn name(&self) -> &'static str;
    /// Keeps the process alive, or no longer.
    fn keep_alive(&self, on: bool);
    /// Something has changed outside of a turn: the next wait may have to end earlier.
    fn changed(&self) {}
    /// Takes a turn soon, though nothing is ready.
    fn kick(&self);
    /// A turn has ended, after which the base may keep the process alive or no longer.
    fn turn_ended(&self) {}
    /// Lets go of the host's loop. Called once; nothing else is called after it.
    fn close(&self);
    /// Whether the host is the base's backend, which cannot wait in a blocking call.
    fn is_backend(&self) -> bool {
        false
    }
}

/// Which way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attach {
    /// libuv's poll handles as backend.
    Uv,
    /// The base's poll descriptor in libuv's loop.
    Nested,
    /// A thread that waits.
    Waiter,
    /// Blocking calls only.
    None,
}

impl Attach {
    /// Reads the option.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>> {
        match text {
            "auto" => Ok(None),
            "uv" => Ok(Some(Self::Uv)),
            "nested" => Ok(Some(Self::Nested)),
            "waiter" => Ok(Some(Self::Waiter)),
            "none" => Ok(Some(Self::None)),
            _ => Err(Failure::Range("attach is auto, uv, nested, waiter or none")),
        }
    }
}

/// Whether the environment's loop is libuv's. The runtime's identity decides: Bun exports libuv's
/// functions as stubs that abort the process, and Deno's do nothing.
pub(crate) fn has_libuv(env: &napi::Env) -> bool {
    let is_other = || -> napi::Result<bool> {
        let process: Object = env.get_global()?.get_named_property("process")?;
        let versions: Object = process.get_named_property("versions")?;
        Ok(versions.has_named_property("bun")? || versions.has_named_property("deno")?)
    };
    !is_other().unwrap_or(false)
}

/// The backend of a base that is to be attached in this way.
pub(crate) fn open_backend(
    env: &EnvRef,
    attach: Attach,
    config: &EventConfig,
    in_worker: bool,
) -> Result<Opened> {
    if attach == Attach::Uv {
        let watchers = uv_watch::Watchers::new(env)?;
        let backend = Box::new(uv_watch::UvBackend::new(&watchers)?);
        return Ok(Opened { backend, watchers: Some(watchers) });
    }
    Ok(Opened { backend: open_own(env, config, in_worker)?, watchers: None })
}

/// A backend of our own, that can wait in a blocking call.
pub(crate) fn open_own(
    env: &EnvRef,
    config: &EventConfig,
    in_worker: bool,
) -> Result<Box<dyn Backend>> {
    let backend = evcore::EventBase::open_backend(config)?;
    if in_worker {
        return Ok(Box::new(worker::WorkerBackend::new(backend, env)));
    }
    Ok(backend)
}

/// A backend, and the poll handles behind it if it is libuv's.
pub(crate) struct Opened {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) watchers: Option<Rc<uv_watch::Watchers>>,
}

/// Attaches a base whose backend [`open_backend`] opened.
pub(crate) fn attach(
    base: &Rc<Base>,
    attach: Attach,
    watchers: Option<Rc<uv_watch::Watchers>>,
    has_libuv: bool,
) -> Result<Option<Rc<dyn Host>>> {
    match attach {
        Attach::None => Ok(None),
        Attach::Uv | Attach::Nested => Ok(Some(uv::UvHost::attach(base, watchers)?)),
        #[cfg(unix)]
        Attach::Waiter => {
            let waiter = waiter::Waiter::attach(base)?;
            if has_libuv {
                // A handler of our own would be gone with the first that Node sets.
                uv::catch_signals(base)?;
            }
            Ok(Some(waiter))
        }
        #[cfg(not(unix))]
        Attach::Waiter => Err(Failure::Core(evcore::Error::Unsupported {
            call: "EventBase::new",
            what: "the waiter thread needs a Unix system here; use attach: 'uv'".to_owned(),
        })),
    }
}
