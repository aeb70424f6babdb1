//! What there is once per environment: the main thread's and each worker's.
//!
//! Nothing here is a process-wide static: workers load the same module. An environment ends through
//! one cleanup hook, which frees every object, joins our threads and closes the handles of the host's
//! loop; in Node it is an asynchronous one and lets go only when the last of those is closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use evcore::buffer::CallbackId;
use napi::sys;

use crate::batch::List;
use crate::dispatch::{Dispatch, Kind};
use crate::error::{Failure, Result};
use crate::handle::{Handle, Table};

/// A reference to an environment, as callbacks keep it.
pub(crate) type EnvRef = Rc<EnvState>;

/// One environment's state.
pub(crate) struct EnvState {
    this: Weak<EnvState>,
    pub(crate) raw: sys::napi_env,
    pub(crate) table: Table,
    pub(crate) dispatch: Dispatch,
    pub(crate) list: List,
    /// Set for good when the environment begins to end.
    closing: Cell<bool>,
    /// Handles of the host's loop that are not closed yet.
    host_handles: Cell<usize>,
    hook: Cell<sys::napi_async_cleanup_hook_handle>,
    /// Changes of watched buffers that JavaScript was not told of yet.
    changes: Arc<Changes>,
    /// The callbacks of watched buffers.
    pub(crate) watches: RefCell<HashMap<Handle, CallbackId>>,
}

/// Changes of watched buffers, and files that were let go. Buffers may be sent to other threads, and so may their callbacks.
#[derive(Default)]
pub(crate) struct Changes {
    list: Mutex<Vec<Change>>,
    any: AtomicBool,
}

impl Changes {
    /// Notes a change that JavaScript is told of as soon as no buffer is borrowed.
    pub(crate) fn note(&self, change: Change) {
        // Nothing that runs under the lock can leave the list half changed.
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        self.any.store(true, Ordering::Relaxed);
    }
}

/// What happens while a buffer is borrowed.
pub(crate) enum Change {
    /// A watched buffer has changed.
    Buffer { buffer: Handle, added: usize, removed: usize },
    /// Nobody holds the file segment any more that JavaScript gave this number.
    FileClosed { token: f64 },
}

impl Change {
    /// What JavaScript is told of it.
    pub(crate) fn call(&self) -> (Kind, Handle, f64, f64) {
        match *self {
            Self::Buffer { buffer, added, removed } => {
                (Kind::BufferChanged, buffer, added as f64, removed as f64)
            }
            Self::FileClosed { token } => (Kind::FileClosed, 0, token, 0.0),
        }
    }
}

impl EnvState {
    /// Makes the environment's state and ties it to the environment's life.
    ///
    /// # Safety
    /// `raw` is an environment, and this is called once for it, on its thread.
    pub(crate) unsafe fn create(raw: sys::napi_env, has_libuv: bool) -> napi::Result<Rc<Self>> {
        let state = Rc::new_cyclic(|this| Self {
            this: this.clone(),
            raw,
            table: Table::default(),
            dispatch: Dispatch::new(raw),
            list: List::default(),
            closing: Cell::new(false),
            host_handles: Cell::new(0),
            hook: Cell::new(ptr::null_mut()),
            changes: Arc::default(),
            watches: RefCell::default(),
        });
        let mut hook = ptr::null_mut();
        let instance = Rc::into_raw(state.clone()).cast_mut().cast::<c_void>();
        let ending = Rc::into_raw(state.clone()).cast_mut().cast::<c_void>();
        // SAFETY: raw is live; both pointers are references of ours that the callbacks give back.
        let status = unsafe {
            sys::napi_set_instance_data(raw, instance, Some(release), ptr::null_mut());
            if has_libuv {
                sys::napi_add_async_cleanup_hook(raw, Some(end), ending, &mut hook)
            } else {
                sys::napi_add_env_cleanup_hook(raw, Some(end_at_once), ending)
            }
        };
        if status != sys::Status::napi_ok {
            return Err(napi::Error::from_status(status.into()));
        }
        state.hook.set(hook);
        Ok(state)
    }

    /// The state of a live environment, on its thread.
    pub(crate) fn of(env: &napi::Env) -> Result<Rc<Self>> {
        let mut data = ptr::null_mut();
        // SAFETY: an Env is live while a function that was given it runs.
        let status = unsafe { sys::napi_get_instance_data(env.raw(), &mut data) };
        if status != sys::Status::napi_ok || data.is_null() {
            return Err(Failure::EnvClosing);
        }
        // SAFETY: the data was set by `create` and lives until `release`.
        let state = unsafe { &*data.cast::<Self>() };
        state.check_open()?;
        Ok(state.rc())
    }

    /// Another reference.
    pub(crate) fn rc(&self) -> Rc<Self> {
        // The instance data holds a reference whenever JavaScript or the loop can call us.
        self.this.upgrade().expect("somebody holds what is being borrowed")
    }

    /// Errs once the environment ends.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closing.get() {
            return Err(Failure::EnvClosing);
        }
        Ok(())
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Notes that a handle of the host's loop was opened.
    pub(crate) fn host_handle_opened(&self) {
        self.host_handles.set(self.host_handles.get() + 1);
    }

    /// Notes that a handle of the host's loop is closed; the last one lets the environment end.
    pub(crate) fn host_handle_closed(&self) {
        self.host_handles.set(self.host_handles.get() - 1);
        self.let_go();
    }

    pub(crate) fn host_handles(&self) -> usize {
        self.host_handles.get()
    }

    /// Where callbacks of watched buffers note what changed.
    pub(crate) fn changes(&self) -> Arc<Changes> {
        self.changes.clone()
    }

    /// Whether there are changes to tell JavaScript of.
    #[inline]
    pub(crate) fn has_changes(&self) -> bool {
        self.changes.any.load(Ordering::Relaxed)
    }

    pub(crate) fn take_changes(&self) -> Vec<Change> {
        self.changes.any.store(false, Ordering::Relaxed);
        std::mem::take(&mut self.changes.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells the garbage collector that what it could free of ours has grown by so many bytes.
    pub(crate) fn adjust_memory(&self, change: i64) {
        if self.closing.get() {
            return;
        }
        let mut ignored = 0;
        // SAFETY: the environment is live and we are on its thread.
        unsafe { sys::napi_adjust_external_memory(self.raw, change, &mut ignored) };
    }

    fn let_go(&self) {
        if !self.closing.get() || self.host_handles.get() > 0 {
            return;
        }
        let hook = self.hook.replace(ptr::null_mut());
        if !hook.is_null() {
            // SAFETY: the handle is the one that napi_add_async_cleanup_hook gave, removed once.
            unsafe { sys::napi_remove_async_cleanup_hook(hook) };
        }
    }
}

/// As [`end`], where there are no handles of libuv's to wait for. Deno frees an asynchronous hook
/// twice.
// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn end_at_once(data: *mut c_void) {
    // SAFETY: the same reference, given to this hook instead.
    unsafe {
        (*data.cast::<EnvState>()).dispatch.forget_context();
        end(ptr::null_mut(), data);
    }
}

/// Runs when the environment begins to end: JavaScript cannot be called any more.
// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn end(_hook: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    // SAFETY: this is the reference that `create` gave to the hook, which runs once.
    let state = unsafe { Rc::from_raw(data.cast::<EnvState>().cast_const()) };
    state.closing.set(true);
    state.dispatch.stop();
    let objects = state.table.take_all();
    for object in &objects {
        object.shut_down();
    }
    drop(objects);
    state.let_go();
}

/// Runs when the environment is gone.
// SAFETY: called by the runtime that it was given to, with what it was given for.
unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: this is the reference that `create` gave to the instance data.
    drop(unsafe { Rc::from_raw(data.cast::<EnvState>().cast_const()) });
}

/// Sets up an environment that has just loaded the module.
pub(crate) fn install(env: &napi::Env, exports: sys::napi_value) -> napi::Result<()> {
    // SAFETY: Node calls a module's initialisation once per environment, with live values.
    unsafe {
        let state = EnvState::create(env.raw(), crate::attach::has_libuv(env))?;
        crate::raw::install(&state, exports)
    }
}
