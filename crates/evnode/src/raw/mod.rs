//! The hot functions: raw Node-API functions on handles, and what the generated ones share with them.
//!
//! Each stands in the table of its noun and is declared in `raw.d.ts`. All go through one guard,
//! which turns failures and panics into exceptions; the functions themselves are safe code on
//! arguments that [`value`] has checked.

mod buffer;
mod bufferevent;
mod event;
mod lent;
mod memory;
mod number;
mod setup;
mod value;

use std::ffi::{c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use crate::env::{EnvRef, EnvState};
use crate::error::{Failure, Result};

pub(crate) use memory::{fd_from, owned_fd, raw_fd, with_fd, OwnedFd};
use value::IntoJs;

/// One function of the table.
type Entry = (
    &'static CStr,
    unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value,
);

/// Defines a table of raw functions. The arguments are converted by their types in order; an
/// argument that is left out is `undefined`.
macro_rules! functions {
    ($($js:literal $name:ident($cx:ident $(, $argument:ident: $type:ty)*) -> $result:ty $body:block)*) => {
        $(
            // SAFETY: called by the runtime that it was given to, with what it was given for.
            unsafe extern "C" fn $name(
                raw: napi::sys::napi_env,
                info: napi::sys::napi_callback_info,
            ) -> napi::sys::napi_value {
                const COUNT: usize = { let names: &[&str] = &[$(stringify!($argument)),*]; names.len() };
                fn run(
                    $cx: &$crate::env::EnvState,
                    arguments: [napi::sys::napi_value; COUNT],
                ) -> $crate::error::Result<$result> {
                    let [$($argument),*] = arguments;
                    $(let $argument = <$type as $crate::raw::value::FromJs>::from_js($cx, $argument)?;)*
                    $body
                }
                // SAFETY: Node calls this with what it gave the function's creation.
                unsafe { $crate::raw::guard(raw, info, run) }
            }
        )*

        /// The functions of this file.
        pub(super) const TABLE: &[$crate::raw::Entry] = &[$(($js, $name)),*];
    };
}
use functions;

/// Runs a function's body; what it fails with is thrown.
///
/// # Safety
/// `raw` and `info` are those of a call of a function that [`install`] made.
#[inline]
unsafe fn guard<const COUNT: usize, R: IntoJs>(
    raw: sys::napi_env,
    info: sys::napi_callback_info,
    run: fn(&EnvState, [sys::napi_value; COUNT]) -> Result<R>,
) -> sys::napi_value {
    let mut arguments = [ptr::null_mut(); COUNT];
    let (mut count, mut data) = (COUNT, ptr::null_mut());
    // SAFETY: the pointers are those of variables of this size.
    let env = unsafe {
        sys::napi_get_cb_info(
            raw,
            info,
            &mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &mut data,
        );
        // The data is the state, which lives as long as JavaScript can run.
        &*data.cast::<EnvState>()
    };
    let result = catch_unwind(AssertUnwindSafe(|| {
        env.check_open()?;
        run(env, arguments)
    }));
    let failure = match result {
        Ok(Ok(value)) => return value.into_js(env),
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::panic(&*panic),
    };
    env.dispatch.throw(failure);
    ptr::null_mut()
}

/// Runs the body of a generated function; what it fails with is thrown.
pub(crate) fn cold<R>(env: &napi::Env, run: impl FnOnce(&EnvRef) -> Result<R>) -> napi::Result<R> {
    let state = match EnvState::of(env) {
        Ok(state) => state,
        Err(_) => return Err(napi::Error::from_reason("this environment ends")),
    };
    let result = catch_unwind(AssertUnwindSafe(|| run(&state)));
    let result = result.unwrap_or_else(|panic| Err(Failure::panic(&*panic)));
    result.map_err(|failure| {
        state.dispatch.throw(failure);
        napi::Error::from_status(napi::Status::PendingException)
    })
}

/// Puts the table of raw functions on the module's exports.
///
/// # Safety
/// The values are those of a live environment, whose state `env` is.
pub(crate) unsafe fn install(env: &Rc<EnvState>, exports: sys::napi_value) -> napi::Result<()> {
    let raw = env.raw;
    let data = Rc::as_ptr(env).cast_mut().cast::<c_void>();
    let mut table = ptr::null_mut();
    // SAFETY: the caller vouches for the values; the names are C strings.
    unsafe {
        check(sys::napi_create_object(raw, &mut table))?;
        let tables = [setup::TABLE, event::TABLE, buffer::TABLE, bufferevent::TABLE];
        for (name, function) in tables.into_iter().flatten() {
            let mut value = ptr::null_mut();
            let length = name.count_bytes() as isize;
            check(sys::napi_create_function(
                raw,
                name.as_ptr(),
                length,
                Some(*function),
                data,
                &mut value,
            ))?;
            check(sys::napi_set_named_property(raw, table, name.as_ptr(), value))?;
        }
        let mut kinds = ptr::null_mut();
        check(sys::napi_create_object(raw, &mut kinds))?;
        for (name, kind) in crate::dispatch::Kind::ALL {
            let mut value = ptr::null_mut();
            check(sys::napi_create_int32(raw, kind as i32, &mut value))?;
            check(sys::napi_set_named_property(raw, kinds, name.as_ptr(), value))?;
        }
        check(sys::napi_object_freeze(raw, kinds))?;
        check(sys::napi_set_named_property(raw, table, c"kinds".as_ptr(), kinds))?;
        check(sys::napi_set_named_property(raw, exports, c"raw".as_ptr(), table))
    }
}

fn check(status: sys::napi_status) -> napi::Result<()> {
    if status == sys::Status::napi_ok {
        return Ok(());
    }
    Err(napi::Error::from_status(status.into()))
}
