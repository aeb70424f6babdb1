//! Node.js bindings of evcore.
//!
//! JavaScript names every object by an integer handle. Hot functions are raw Node-API functions in
//! one table, `exports.raw`, declared in `raw.d.ts`; all others are generated. What happens on a
//! loop is told to JavaScript through one function, the dispatcher.

mod address;
mod attach;
mod base;
mod batch;
mod buffer;
mod bufferevent;
mod dispatch;
mod env;
mod error;
mod event;
mod file_segment;
mod filter;
mod handle;
mod inspect;
mod listener;
mod metrics;
mod ratelimit;
mod raw;
mod remote;
mod setup;
mod statistics;
mod tell;
mod tls;
mod util;
mod watch;

use napi::bindgen_prelude::{JsValue, Object};
use napi_derive::napi;

/// Sets up an environment: its state and the table of raw functions.
#[napi(module_exports)]
pub fn install(exports: Object, env: napi::Env) -> napi::Result<()> {
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    env::install(&env, exports.raw())
}
