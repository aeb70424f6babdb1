//! Numbers as they lie in a buffer: whole ones of 1 to 8 bytes and floating-point ones, in either order
//! of bytes.

use std::ptr;

use napi::sys;

use super::value::{FromJs, IntoJs};
use crate::env::EnvState;
use crate::error::{Failure, Result};

/// The longest of them in bytes.
pub(super) const LONGEST: usize = 8;

/// What a number's bytes mean. Its code, of which `raw.d.ts` tells, is that of the kind and 16 more
/// when the most significant byte is the first.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

/// A number on its way to JavaScript.
pub(super) enum Number {
    Double(f64),
    Unsigned(u64),
    Signed(i64),
}

impl FromJs for Layout {
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        const KINDS: [Kind; 10] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::U64,
            Kind::I64,
            Kind::F32,
            Kind::F64,
        ];
        let code = usize::try_from(i32::from_js(env, value)?).ok();
        let kind = code.filter(|code| *code < 32).and_then(|code| KINDS.get(code & 15));
        let kind = *kind.ok_or(Failure::Range("there is no kind of number of this code"))?;
        Ok(Self { kind, big_endian: code.is_some_and(|code| code >= 16) })
    }
}

impl Layout {
    /// How many bytes it takes.
    pub(super) fn len(self) -> usize {
        match self.kind {
            Kind::U8 | Kind::I8 => 1,
            Kind::U16 | Kind::I16 => 2,
            Kind::U32 | Kind::I32 | Kind::F32 => 4,
            Kind::U64 | Kind::I64 | Kind::F64 => LONGEST,
        }
    }

    /// The number whose bytes are the first of these.
    pub(super) fn decode(self, bytes: [u8; LONGEST]) -> Number {
        let len = self.len();
        let mut bytes = bytes;
        if self.big_endian {
            bytes[..len].reverse();
        }
        bytes[len..].fill(0);
        let bits = u64::from_le_bytes(bytes);
        match self.kind {
            Kind::U8 | Kind::U16 | Kind::U32 => Number::Double(bits as f64),
            Kind::I8 => Number::Double(f64::from(bits as i8)),
            Kind::I16 => Number::Double(f64::from(bits as i16)),
            Kind::I32 => Number::Double(f64::from(bits as i32)),
            Kind::F32 => Number::Double(f64::from(f32::from_bits(bits as u32))),
            Kind::F64 => Number::Double(f64::from_bits(bits)),
            Kind::U64 => Number::Unsigned(bits),
            Kind::I64 => Number::Signed(bits as i64),
        }
    }

    /// The bytes of a length, which must fit.
    pub(super) fn encode_length(self, length: usize) -> Result<[u8; LONGEST]> {
        let bits = length as u64;
        if self.len() < LONGEST && bits >> (8 * self.len()) != 0 {
            return Err(Failure::Range("the number is too short for the length"));
        }
        Ok(self.arranged(bits))
    }

    /// The bytes of a number; so many of the first as it takes.
    pub(super) fn encode(self, env: &EnvState, value: sys::napi_value) -> Result<[u8; LONGEST]> {
        let bits = match self.kind {
            // Two's complement: the low bits are those of a shorter number too.
            Kind::U64 => big(env, value, sys::napi_get_value_bigint_uint64)?,
            Kind::I64 => big(env, value, sys::napi_get_value_bigint_int64)? as u64,
            Kind::F32 => u64::from((f64::from_js(env, value)? as f32).to_bits()),
            Kind::F64 => f64::from_js(env, value)?.to_bits(),
            _ => f64::from_js(env, value)? as i64 as u64,
        };
        Ok(self.arranged(bits))
    }

    fn arranged(self, bits: u64) -> [u8; LONGEST] {
        let mut bytes = bits.to_le_bytes();
        if self.big_endian {
            bytes[..self.len()].reverse();
        }
        bytes
    }
}

/// Reads a BigInt that fits.
fn big<T: Default>(
    env: &EnvState,
    value: sys::napi_value,
    read: unsafe fn(sys::napi_env, sys::napi_value, *mut T, *mut bool) -> sys::napi_status,
) -> Result<T> {
    let (mut result, mut lossless) = (T::default(), false);
    // SAFETY: the value belongs to the call that is running; `read` is a getter of Node-API.
    if unsafe { read(env.raw, value, &mut result, &mut lossless) } != sys::Status::napi_ok {
        return Err(Failure::Type("the argument is not a bigint"));
    }
    if !lossless {
        return Err(Failure::Range("the argument does not fit into 64 bits"));
    }
    Ok(result)
}

impl IntoJs for Number {
    #[inline]
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the result belongs to the call that is running.
        unsafe {
            match self {
                Self::Double(number) => return number.into_js(env),
                Self::Unsigned(bits) => {
                    sys::napi_create_bigint_uint64(env.raw, bits, &mut result);
                }
                Self::Signed(bits) => {
                    sys::napi_create_bigint_int64(env.raw, bits, &mut result);
                }
            }
        }
        result
    }
}
