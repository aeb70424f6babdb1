//! JavaScript values as arguments and results.

use std::ptr;
use std::rc::Rc;

use evcore::base::Watcher;
use evcore::buffer::FileSegment;
use evcore::ratelimit::RateLimitGroup;
use napi::sys;

use crate::base::Base;
use crate::buffer::AnyBuffer;
use crate::bufferevent::JsBev;
use crate::env::EnvState;
use crate::error::{Failure, Result};
use crate::event::JsEvent;
use crate::handle::{Handle, Object};
use crate::listener::JsListener;

/// What an argument can be read as.
pub(super) trait FromJs: Sized {
    /// Reads a value, which may be anything.
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self>;
}

/// What can be a result.
pub(super) trait IntoJs {
    /// Makes the value; null, which stands for `undefined`, when that fails.
    fn into_js(self, env: &EnvState) -> sys::napi_value;
}

impl FromJs for sys::napi_value {
    fn from_js(_env: &EnvState, value: sys::napi_value) -> Result<Self> {
        Ok(value)
    }
}

impl FromJs for f64 {
    #[inline]
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        let mut result = 0.0;
        // SAFETY: the value belongs to the call that is running.
        let status = unsafe { sys::napi_get_value_double(env.raw, value, &mut result) };
        if status != sys::Status::napi_ok {
            return Err(Failure::Type("the argument is not a number"));
        }
        Ok(result)
    }
}

impl FromJs for i32 {
    #[inline]
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        let number = f64::from_js(env, value)?;
        let integer = number as i32;
        if f64::from(integer) != number {
            return Err(Failure::Range("the argument is not a 32-bit integer"));
        }
        Ok(integer)
    }
}

impl FromJs for usize {
    #[inline]
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        let number = f64::from_js(env, value)?;
        let integer = number as u64;
        if integer as f64 != number || integer > (1 << 53) {
            return Err(Failure::Range("the argument is not a length in bytes"));
        }
        usize::try_from(integer).map_err(|_| Failure::Range("the argument is too large"))
    }
}

impl FromJs for bool {
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        let mut result = false;
        // SAFETY: the value belongs to the call that is running.
        let status = unsafe { sys::napi_get_value_bool(env.raw, value, &mut result) };
        if status != sys::Status::napi_ok {
            return Err(Failure::Type("the argument is not a boolean"));
        }
        Ok(result)
    }
}

/// Reads a handle; what is no number is no handle.
#[inline]
pub(super) fn handle_from(env: &EnvState, value: sys::napi_value) -> Result<Handle> {
    let mut handle = 0;
    // SAFETY: the value belongs to the call that is running.
    let status = unsafe { sys::napi_get_value_int32(env.raw, value, &mut handle) };
    if status != sys::Status::napi_ok {
        return Err(Failure::Handle);
    }
    Ok(handle)
}

/// An object together with its handle.
pub(super) struct Held<T> {
    pub(super) object: T,
    pub(super) handle: Handle,
}

macro_rules! objects {
    ($($type:ty: $find:ident, $variant:pat => $object:expr;)*) => {
        impl EnvState {
            $(
                /// Finds the object of a handle.
                #[inline]
                pub(crate) fn $find(&self, handle: Handle) -> Result<$type> {
                    self.table.pick(handle, |object| match object {
                        $variant => Some($object),
                        _ => None,
                    })
                }
            )*
        }

        $(
            impl FromJs for $type {
                #[inline]
                fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
                    env.$find(handle_from(env, value)?)
                }
            }
        )*
    };
}

objects! {
    Rc<Base>: base, Object::Base(base) => base;
    Rc<JsEvent>: event, Object::Event(event) => event;
    Rc<JsBev>: bev, Object::Bev(bev) => bev;
    Rc<JsListener>: listener, Object::Listener(listener) => listener;
    Rc<Watcher>: watcher, Object::Watcher(watcher) => watcher;
    RateLimitGroup: group, Object::Group(group) => group;
}

impl EnvState {
    /// Finds the buffer of a handle, whoever owns it.
    #[inline]
    pub(crate) fn buffer(&self, handle: Handle) -> Result<AnyBuffer> {
        self.table.pick(handle, AnyBuffer::of)
    }

    /// Finds the file segment of a handle.
    pub(crate) fn file(&self, handle: Handle) -> Result<FileSegment> {
        self.table.pick(handle, |object| match object {
            Object::File(segment) => Some(segment),
            _ => None,
        })
    }
}

impl FromJs for AnyBuffer {
    #[inline]
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        env.buffer(handle_from(env, value)?)
    }
}

impl<T: FromJs> FromJs for Held<T> {
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        Ok(Self { object: T::from_js(env, value)?, handle: handle_from(env, value)? })
    }
}

impl IntoJs for sys::napi_value {
    fn into_js(self, _env: &EnvState) -> sys::napi_value {
        self
    }
}

impl IntoJs for () {
    #[inline]
    fn into_js(self, _env: &EnvState) -> sys::napi_value {
        ptr::null_mut()
    }
}

impl IntoJs for bool {
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the result is one of the environment's own.
        unsafe { sys::napi_get_boolean(env.raw, self, &mut result) };
        result
    }
}

impl IntoJs for i32 {
    #[inline]
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the result belongs to the call that is running.
        unsafe { sys::napi_create_int32(env.raw, self, &mut result) };
        result
    }
}

impl IntoJs for f64 {
    #[inline]
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        let mut result = ptr::null_mut();
        // SAFETY: the result belongs to the call that is running.
        unsafe { sys::napi_create_double(env.raw, self, &mut result) };
        result
    }
}

impl IntoJs for usize {
    #[inline]
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        if let Ok(small) = i32::try_from(self) {
            return small.into_js(env);
        }
        let mut result = ptr::null_mut();
        // SAFETY: the result belongs to the call that is running.
        unsafe { sys::napi_create_double(env.raw, self as f64, &mut result) };
        result
    }
}

impl<T: IntoJs> IntoJs for Option<T> {
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        if let Some(value) = self {
            return value.into_js(env);
        }
        let mut result = ptr::null_mut();
        // SAFETY: the result belongs to the call that is running.
        unsafe { sys::napi_get_null(env.raw, &mut result) };
        result
    }
}

impl<T: IntoJs> IntoJs for Vec<T> {
    fn into_js(self, env: &EnvState) -> sys::napi_value {
        let mut array = ptr::null_mut();
        // SAFETY: array and elements belong to the call that is running.
        unsafe {
            sys::napi_create_array_with_length(env.raw, self.len(), &mut array);
            for (index, value) in self.into_iter().enumerate() {
                sys::napi_set_element(env.raw, array, index as u32, value.into_js(env));
            }
        }
        array
    }
}
