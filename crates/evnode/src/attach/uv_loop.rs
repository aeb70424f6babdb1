//! libuv, as far as we need it: its functions, looked up when first used, and handles that free
//! themselves when libuv has closed them.
//!
//! Nothing is linked: the module loads where there is no libuv, and the functions are looked up in
//! the running program. libuv gives addons no promise about the layout of its structures, so handles
//! are allocated in the size that libuv tells and touched through its functions alone.

use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout};
use std::ffi::{c_int, c_void};
use std::io;
use std::marker::PhantomData;
use std::mem::{align_of, size_of};
use std::ptr::NonNull;
use std::sync::OnceLock;

use evcore::backend::RawFd;
use napi::sys;

use crate::env::EnvRef;
use crate::error::{Failure, Result};

/// A handle of libuv's, of whatever type.
pub(super) type RawHandle = *mut c_void;
pub(super) type Callback = unsafe extern "C" fn(RawHandle);
pub(super) type PollCallback = unsafe extern "C" fn(RawHandle, c_int, c_int);
pub(super) type SignalCallback = unsafe extern "C" fn(RawHandle, c_int);

pub(super) const READABLE: c_int = 1;
pub(super) const WRITABLE: c_int = 2;
pub(super) const DISCONNECT: c_int = 4;

/// The kinds of handle that we use, with libuv's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HandleType {
    Async = 1,
    Check = 2,
    Idle = 6,
    Poll = 8,
    Prepare = 9,
    Timer = 13,
    Signal = 16,
}

macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// libuv's functions.
        pub(super) struct Uv {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Uv {
            fn load() -> Option<Self> {
                #[cfg(unix)]
                let program = libloading::os::unix::Library::this();
                #[cfg(windows)]
                let program = libloading::os::windows::Library::this().ok()?;
                // SAFETY: the names are libuv's public functions, whose types these are; the
                // program they are in is never unloaded.
                unsafe {
                    Some(Self {
                        $($name: *program
                            .get(concat!(stringify!($name), "\0").as_bytes())
                            .ok()?,)*
                    })
                }
            }
        }
    };
}

functions! {
    uv_handle_size: fn(c_int) -> usize;
    uv_close: fn(RawHandle, Option<Callback>);
    uv_ref: fn(RawHandle);
    uv_unref: fn(RawHandle);
    uv_async_init: fn(*mut sys::uv_loop_s, RawHandle, Option<Callback>) -> c_int;
    uv_async_send: fn(RawHandle) -> c_int;
    uv_check_init: fn(*mut sys::uv_loop_s, RawHandle) -> c_int;
    uv_check_start: fn(RawHandle, Callback) -> c_int;
    uv_idle_init: fn(*mut sys::uv_loop_s, RawHandle) -> c_int;
    uv_idle_start: fn(RawHandle, Callback) -> c_int;
    uv_idle_stop: fn(RawHandle) -> c_int;
    uv_prepare_init: fn(*mut sys::uv_loop_s, RawHandle) -> c_int;
    uv_prepare_start: fn(RawHandle, Callback) -> c_int;
    uv_timer_init: fn(*mut sys::uv_loop_s, RawHandle) -> c_int;
    uv_timer_start: fn(RawHandle, Callback, u64, u64) -> c_int;
    uv_timer_stop: fn(RawHandle) -> c_int;
    uv_now: fn(*mut sys::uv_loop_s) -> u64;
    uv_poll_init_socket: fn(*mut sys::uv_loop_s, RawHandle, RawFd) -> c_int;
    uv_poll_start: fn(RawHandle, c_int, PollCallback) -> c_int;
    uv_signal_init: fn(*mut sys::uv_loop_s, RawHandle) -> c_int;
    uv_signal_start: fn(RawHandle, SignalCallback, c_int) -> c_int;
    uv_err_name: fn(c_int) -> *const std::ffi::c_char;
}

impl Uv {
    /// libuv's functions, where the program has them.
    pub(super) fn get() -> Result<&'static Self> {
        static UV: OnceLock<Option<Uv>> = OnceLock::new();
        UV.get_or_init(Self::load).as_ref().ok_or_else(|| {
            Failure::Core(evcore::Error::Unsupported {
                call: "EventBase::new",
                what: "this runtime has no libuv; use attach: 'waiter' or 'none'".to_owned(),
            })
        })
    }

    /// The loop of an environment.
    pub(super) fn event_loop(env: &EnvRef) -> Result<*mut sys::uv_loop_s> {
        let mut event_loop = std::ptr::null_mut();
        // SAFETY: the environment is live and we are on its thread.
        let status = unsafe { sys::napi_get_uv_event_loop(env.raw, &mut event_loop) };
        if status != sys::Status::napi_ok || event_loop.is_null() {
            return Err(Failure::EnvClosing);
        }
        Ok(event_loop)
    }
}

/// A result of libuv's as one of ours. On Unix libuv's errors are negated errno values; elsewhere
/// they have numbers of their own, of which only the name means anything.
pub(super) fn check(uv: &Uv, result: c_int) -> io::Result<()> {
    if result >= 0 {
        return Ok(());
    }
    if cfg!(unix) {
        return Err(io::Error::from_raw_os_error(-result));
    }
    // SAFETY: libuv's names of errors are static strings.
    let name = unsafe { std::ffi::CStr::from_ptr((uv.uv_err_name)(result)) };
    Err(io::Error::other(name.to_string_lossy().into_owned()))
}

/// What stands in memory before a handle.
#[repr(C, align(16))]
struct Header<T> {
    env: EnvRef,
    data: T,
    size: u32,
}

/// A handle of libuv's that we own, with data for its callbacks; dropping it closes it, and libuv
/// frees it later. The data must stay what it is until then: it is dropped with the handle.
pub(super) struct UvHandle<T> {
    raw: NonNull<c_void>,
    data: PhantomData<T>,
}

impl<T> UvHandle<T> {
    /// Allocates a handle that keeps nothing alive by itself, and initialises it.
    pub(super) fn new(
        env: &EnvRef,
        uv: &Uv,
        kind: HandleType,
        data: T,
        init: impl FnOnce(RawHandle) -> c_int,
    ) -> io::Result<Self> {
        // SAFETY: the number is that of a handle type.
        let size = size_of::<Header<T>>() + unsafe { (uv.uv_handle_size)(kind as c_int) };
        let layout = layout::<T>(size);
        // SAFETY: the size is not zero.
        let Some(memory) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        let header = Header { env: env.clone(), data, size: size as u32 };
        // SAFETY: the memory is ours and begins with room for the header, the handle following it.
        let raw = unsafe {
            memory.cast::<Header<T>>().write(header);
            memory.add(size_of::<Header<T>>()).cast::<c_void>()
        };
        if let Err(error) = check(uv, init(raw.as_ptr())) {
            // SAFETY: a handle that libuv refused to initialise is ours to free at once.
            drop(unsafe { free::<T>(raw.as_ptr()) });
            return Err(error);
        }
        env.host_handle_opened();
        // SAFETY: the handle is initialised.
        unsafe { (uv.uv_unref)(raw.as_ptr()) };
        Ok(Self { raw, data: PhantomData })
    }

    pub(super) fn raw(&self) -> RawHandle {
        self.raw.as_ptr()
    }

    pub(super) fn data(&self) -> &T {
        // SAFETY: the handle is ours and not closed.
        unsafe { data_of(self.raw()) }
    }
}

impl<T> Drop for UvHandle<T> {
    fn drop(&mut self) {
        if let Ok(uv) = Uv::get() {
            // SAFETY: the handle is initialised and closed here only, on its loop's thread.
            unsafe { (uv.uv_close)(self.raw(), Some(closed::<T>)) };
        }
    }
}

/// The data of a handle, for its callbacks.
///
/// # Safety
/// `handle` is the raw pointer of a `UvHandle<T>` that is not closed before the reference's end.
pub(super) unsafe fn data_of<'a, T>(handle: RawHandle) -> &'a T {
    // SAFETY: the header stands right before the handle.
    unsafe { &(*handle.cast::<Header<T>>().sub(1)).data }
}

// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn closed<T>(handle: RawHandle) {
    // SAFETY: libuv calls this once, when it has let go of the handle.
    unsafe { free::<T>(handle) }.host_handle_closed();
}

/// # Safety
/// `handle` is the raw pointer of a `UvHandle<T>` that nobody uses any more.
unsafe fn free<T>(handle: RawHandle) -> EnvRef {
    // SAFETY: the header stands right before the handle and is read out before its memory goes.
    unsafe {
        let start = handle.cast::<Header<T>>().sub(1);
        let Header { env, size, .. } = start.read();
        dealloc(start.cast(), layout::<T>(size as usize));
        env
    }
}

fn layout<T>(size: usize) -> Layout {
    // SAFETY: the alignment is a type's, and libuv's handles are a few hundred bytes large.
    unsafe { Layout::from_size_align_unchecked(size, align_of::<Header<T>>()) }
}
