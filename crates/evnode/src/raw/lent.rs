//! Memory of buffers that JavaScript sees in place.
//!
//! A `Buffer` over such memory holds a reference to it, so that it lives as long as JavaScript can
//! reach it, whatever becomes of the buffer that it was lent from. JavaScript can write to what it
//! sees: only memory of a buffer's own is lent, which is ordinary memory of the heap; what else a
//! buffer holds may be a constant or a file. For what is not lent JavaScript is told its length.

use std::ffi::c_void;
use std::ptr;

use evcore::buffer::Lent;
use napi::sys;

use super::value::IntoJs;
use crate::env::EnvState;

/// Shorter pieces are left to JavaScript to copy, which is cheaper than to lend them.
pub(super) const LEAST: usize = 4 * 1024;

/// A longer piece is lent as several: there is a longest `Buffer`.
const MOST: usize = 1 << 30;

/// Pieces that are no longer than a `Buffer` can be.
pub(super) fn bounded(pieces: Vec<Lent>) -> Vec<Lent> {
    let parts = pieces.into_iter().flat_map(|Lent { bytes, own }| {
        let length = bytes.len();
        (0..length).step_by(MOST).map(move |start| {
            let bytes = bytes.slice(start..length.min(start + MOST));
            Lent { bytes, own }
        })
    });
    parts.collect()
}

impl IntoJs for Lent {
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        if self.own && self.bytes.len() >= LEAST {
            lend(env, self)
        } else {
            self.bytes.len().into_js(env)
        }
    }
}

/// A `Buffer` over the bytes themselves.
fn lend(env: &EnvState, piece: Lent) -> sys::napi_value {
    let (start, length) = (piece.bytes.as_ptr().cast_mut().cast(), piece.bytes.len());
    let held = Box::into_raw(Box::new(piece));
    let mut buffer = ptr::null_mut();
    // SAFETY: the memory lives until the reference behind `held` is dropped, which `let_go` does
    // when JavaScript cannot reach it any more.
    let status = unsafe {
        let held = held.cast();
        sys::napi_create_external_buffer(env.raw, length, start, Some(let_go), held, &mut buffer)
    };
    if status != sys::Status::napi_no_external_buffers_allowed {
        return buffer;
    }
    // Some runtimes, Electron for one, show no memory but their own, and take nothing over.
    // SAFETY: this is the box from above, taken back once.
    drop(unsafe { Box::from_raw(held) });
    length.into_js(env)
}

/// Drops a reference to lent memory.
// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn let_go(_env: sys::napi_env, _data: *mut c_void, held: *mut c_void) {
    // SAFETY: this is the box that `lend` made, given back once.
    drop(unsafe { Box::from_raw(held.cast::<Lent>()) });
}
