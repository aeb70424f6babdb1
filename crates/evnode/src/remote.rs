//! Bases as other threads know them.
//!
//! A base that is to be reached gets a random name of 128 bits, which is text and can be sent
//! anywhere. The one thing here that the process shares is the list of these names with evcore's
//! handles on the bases; what arrives on a base's own thread finds the base by the same name there.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use evcore::{BaseHandle, Error};
use napi::bindgen_prelude::{Buffer, Uint8Array};
use napi_derive::napi;

use crate::base::Base;
use crate::dispatch::Kind;
use crate::error::{Failure, Result};
use crate::event::event_flags;
use crate::handle::Handle;
use crate::raw::cold;

static HANDLES: LazyLock<Mutex<HashMap<String, BaseHandle>>> = LazyLock::new(Mutex::default);

thread_local! {
    static BASES: RefCell<HashMap<String, Weak<Base>>> = RefCell::default();
}

fn handles() -> MutexGuard<'static, HashMap<String, BaseHandle>> {
    // Nothing that runs under the lock can leave the map half changed.
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A base's side: its name, once it has one, and what was sent to it.
#[derive(Default)]
pub(crate) struct Remote {
    name: OnceCell<String>,
    messages: RefCell<VecDeque<Vec<u8>>>,
}

impl Remote {
    /// Nobody can reach the base any more.
    pub(crate) fn end(&self) {
        if let Some(name) = self.name.get() {
            handles().remove(name);
            BASES.with_borrow_mut(|bases| bases.remove(name));
        }
        self.messages.take();
    }
}

/// A name for the base by which other threads reach it; the same at every call.
#[napi(catch_unwind)]
pub fn base_token(env: napi::Env, base: Handle) -> napi::Result<String> {
    cold(&env, |env| {
        let base = env.base(base)?;
        if let Some(name) = base.remote.name.get() {
            return Ok(name.clone());
        }
        let mut bytes = [0; 16];
        evcore::util::secure_random_bytes(&mut bytes).map_err(|error| Failure::Os {
            call: "getrandom",
            error,
            address: None,
        })?;
        let name: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        handles().insert(name.clone(), base.base.handle());
        BASES.with_borrow_mut(|bases| bases.insert(name.clone(), Rc::downgrade(&base)));
        Ok(base.remote.name.get_or_init(|| name).clone())
    })
}

fn find(token: &str) -> Result<BaseHandle> {
    handles().get(token).cloned().ok_or(Failure::Closed)
}

/// Runs `call` with the base on its own thread.
fn send(token: String, call: impl FnOnce(&Base) + Send + 'static) -> Result<()> {
    let handle = find(&token)?;
    handle.post(move |_| {
        let found = BASES.with_borrow(|bases| bases.get(&token).and_then(Weak::upgrade));
        if let Some(base) = found {
            call(&base);
        }
    })?;
    Ok(())
}

/// Sends a message to a base, from any thread.
#[napi(catch_unwind)]
pub fn remote_post(env: napi::Env, token: String, message: Uint8Array) -> napi::Result<()> {
    cold(&env, |_| {
        let message = message.to_vec();
        send(token, |base| {
            base.remote.messages.borrow_mut().push_back(message);
            base.env.emit(Kind::Message, base.handle, 0.0, 0.0);
        })
    })
}

/// Has a base's event made active, from any thread.
#[napi(catch_unwind)]
pub fn remote_activate(
    env: napi::Env,
    token: String,
    event: Handle,
    what: i32,
) -> napi::Result<()> {
    cold(&env, |_| {
        let what = f64::from(event_flags(what)?.bits());
        send(token, move |base| {
            base.env.emit(Kind::Activated, base.handle, what, f64::from(event));
        })
    })
}

/// Ends a base's loop after the callback that runs, from any thread.
#[napi(catch_unwind)]
pub fn remote_loop_break(env: napi::Env, token: String) -> napi::Result<()> {
    cold(&env, |_| tell(&token, BaseHandle::loop_break))
}

/// Ends a base's loop after the events that are active, from any thread.
#[napi(catch_unwind)]
pub fn remote_loop_exit(env: napi::Env, token: String) -> napi::Result<()> {
    cold(&env, |_| tell(&token, BaseHandle::loop_exit))
}

/// Makes a base's loop turn once, from any thread.
#[napi(catch_unwind)]
pub fn remote_wake(env: napi::Env, token: String) -> napi::Result<()> {
    cold(&env, |_| tell(&token, BaseHandle::wake))
}

fn tell(token: &str, how: fn(&BaseHandle) -> Result<(), Error>) -> Result<()> {
    Ok(how(&find(token)?)?)
}

/// The message that came first of those not yet taken.
#[napi(catch_unwind)]
pub fn base_take_message(env: napi::Env, base: Handle) -> napi::Result<Option<Buffer>> {
    cold(&env, |env| {
        let message = env.base(base)?.remote.messages.borrow_mut().pop_front();
        Ok(message.map(Buffer::from))
    })
}
