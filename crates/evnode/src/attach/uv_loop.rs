//! libuv, as far as we need it: its functions, looked up when first used, and handles that free
//! themselves when libuv has closed them.
//!
//! Nothing is linked: the module loads where there is no libuv, and the functions are looked up in
//! the running program. libuv gives addons no promise about the layout of its structures, so handles
//! are allocated in the size that libuv tells and touched through its functions alone.

use std::alloc::{alloc_zeroed, dealloc, handle_alloc_error, Layout};
use std::ffi::{c_int, c_void};
use std::io;
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
struct Header {
    env: Option<EnvRef>,
    owner: *const c_void,
    layout: Layout,
}

/// A handle of libuv's that we own; dropping it closes it, and libuv frees it later.
pub(super) struct UvHandle {
    raw: NonNull<c_void>,
    uv: &'static Uv,
}

impl UvHandle {
    /// Allocates a handle and initialises it. `owner` is what [`owner_of`] returns in its callbacks.
    pub(super) fn new(
        env: &EnvRef,
        uv: &'static Uv,
        kind: HandleType,
        owner: *const c_void,
        init: impl FnOnce(RawHandle) -> c_int,
    ) -> io::Result<Self> {
        // SAFETY: the number is that of a handle type.
        let size = size_of::<Header>() + unsafe { (uv.uv_handle_size)(kind as c_int) };
        let layout = Layout::from_size_align(size, align_of::<Header>())
            .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        // SAFETY: the size is not zero.
        let Some(memory) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        let header = memory.cast::<Header>();
        // SAFETY: the memory is ours and begins with room for the header, the handle following it.
        let raw = unsafe {
            header.write(Header { env: None, owner, layout });
            memory.add(size_of::<Header>()).cast::<c_void>()
        };
        if let Err(error) = check(uv, init(raw.as_ptr())) {
            // SAFETY: a handle that libuv refused to initialise is ours to free at once.
            unsafe { free(raw.as_ptr()) };
            return Err(error);
        }
        env.host_handle_opened();
        // SAFETY: the header was written above.
        unsafe { (*header.as_ptr()).env = Some(env.clone()) };
        Ok(Self { raw, uv })
    }

    pub(super) fn raw(&self) -> RawHandle {
        self.raw.as_ptr()
    }
}

impl Drop for UvHandle {
    fn drop(&mut self) {
        // SAFETY: the handle is initialised and closed here only, on its loop's thread.
        unsafe { (self.uv.uv_close)(self.raw(), Some(closed)) };
    }
}

/// What the handle's owner gave as such.
///
/// # Safety
/// `handle` is the raw pointer of a [`UvHandle`] that is not closed.
pub(super) unsafe fn owner_of(handle: RawHandle) -> *const c_void {
    // SAFETY: the header stands right before the handle.
    unsafe { (*handle.cast::<Header>().sub(1)).owner }
}

unsafe extern "C" fn closed(handle: RawHandle) {
    // SAFETY: libuv calls this once, when it has let go of the handle.
    let env = unsafe { free(handle) };
    if let Some(env) = env {
        env.host_handle_closed();
    }
}

/// # Safety
/// `handle` is the raw pointer of a [`UvHandle`] that nobody uses any more.
unsafe fn free(handle: RawHandle) -> Option<EnvRef> {
    let header = handle.cast::<Header>();
    // SAFETY: the header stands right before the handle and is read out before its memory goes.
    unsafe {
        let header = header.sub(1);
        let Header { env, layout, .. } = header.read();
        dealloc(header.cast(), layout);
        env
    }
}
