//! Calls into JavaScript.
//!
//! JavaScript registers three functions; everything that happens goes through one of them, the
//! dispatcher. In an attached base all calls of a loop's turn share one callback scope, which is
//! opened by the first and runs microtasks and `process.nextTick` when the turn ends, and what a
//! callback throws goes to `uncaughtException`. In a blocking loop ticks are drained after each
//! callback, and what one throws ends the loop and is thrown by it.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use crate::base::Base;
use crate::error::{ErrorParts, Failure};
use crate::handle::Handle;

/// Why the dispatcher is called; the numbers are those of `Kinds` in `raw.d.ts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event = 1,
    Readable = 2,
    Writable = 3,
    BevEvent = 4,
    Accepted = 5,
    ListenerError = 6,
    BufferChanged = 7,
    LoopEnded = 8,
    Once = 9,
    Closed = 10,
    Prepare = 11,
    Check = 12,
    Finalized = 13,
    SlowCallback = 14,
    Message = 15,
    Activated = 16,
    Collected = 17,
    Turn = 18,
    FileClosed = 19,
    Filter = 20,
}

impl Kind {
    pub(crate) const ALL: [(&'static std::ffi::CStr, Self); 20] = [
        (c"EVENT", Self::Event),
        (c"READABLE", Self::Readable),
        (c"WRITABLE", Self::Writable),
        (c"BEV_EVENT", Self::BevEvent),
        (c"ACCEPTED", Self::Accepted),
        (c"LISTENER_ERROR", Self::ListenerError),
        (c"BUFFER_CHANGED", Self::BufferChanged),
        (c"LOOP_ENDED", Self::LoopEnded),
        (c"ONCE", Self::Once),
        (c"CLOSED", Self::Closed),
        (c"PREPARE", Self::Prepare),
        (c"CHECK", Self::Check),
        (c"FINALIZED", Self::Finalized),
        (c"SLOW_CALLBACK", Self::SlowCallback),
        (c"MESSAGE", Self::Message),
        (c"ACTIVATED", Self::Activated),
        (c"COLLECTED", Self::Collected),
        (c"TURN", Self::Turn),
        (c"FILE_CLOSED", Self::FileClosed),
        (c"FILTER", Self::Filter),
    ];
}

/// Handles made by so many calls live at most until the next handle scope.
const CALLS_PER_SCOPE: u32 = 32;

/// How a turn treats ticks and exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// From the host's loop.
    Attached,
    /// Inside a call from JavaScript.
    Blocking,
}

/// What the calls of one turn share.
struct Turn {
    mode: Mode,
    base: Rc<Base>,
    /// Open while `scope` or `function` is set.
    outer: sys::napi_handle_scope,
    scope: sys::napi_callback_scope,
    inner: sys::napi_handle_scope,
    receiver: sys::napi_value,
    function: sys::napi_value,
    calls: u32,
}

/// A call that could not be made, since one before it threw.
pub(crate) struct Missed {
    pub(crate) kind: Kind,
    pub(crate) handle: Handle,
    pub(crate) what: f64,
    pub(crate) extra: f64,
}

/// One environment's way into JavaScript.
pub(crate) struct Dispatch {
    raw: sys::napi_env,
    dispatcher: Cell<sys::napi_ref>,
    errors: Cell<sys::napi_ref>,
    drain: Cell<sys::napi_ref>,
    context: Cell<sys::napi_async_context>,
    turn: RefCell<Option<Turn>>,
    /// JavaScript cannot run here any more.
    dead: Cell<bool>,
    /// A callback of a blocking loop threw; the exception is pending.
    threw: Cell<bool>,
    /// What came after that in the same turn.
    missed: RefCell<Vec<Missed>>,
}

/// Ends a turn when dropped.
pub(crate) struct TurnGuard<'a> {
    dispatch: &'a Dispatch,
    outer: Option<Turn>,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.dispatch.turn.replace(self.outer.take()) {
            self.dispatch.close_scopes(&turn);
        }
    }
}

impl Dispatch {
    pub(crate) fn new(raw: sys::napi_env) -> Self {
        Self {
            raw,
            dispatcher: Cell::new(ptr::null_mut()),
            errors: Cell::new(ptr::null_mut()),
            drain: Cell::new(ptr::null_mut()),
            context: Cell::new(ptr::null_mut()),
            turn: RefCell::default(),
            dead: Cell::new(false),
            threw: Cell::new(false),
            missed: RefCell::default(),
        }
    }

    /// Takes the three functions that JavaScript registers; `None` where a value is no function.
    ///
    /// # Safety
    /// The values belong to an open handle scope of this environment.
    pub(crate) unsafe fn register(&self, functions: [sys::napi_value; 3]) -> Result<(), Failure> {
        let mut kinds = [0; 3];
        for (value, kind) in functions.iter().zip(&mut kinds) {
            // SAFETY: the caller vouches for the values.
            unsafe { sys::napi_typeof(self.raw, *value, kind) };
        }
        let [dispatcher, errors, drain] = kinds;
        let function = sys::ValueType::napi_function;
        if dispatcher != function || errors != function {
            return Err(Failure::Type("the dispatcher and the error factory are functions"));
        }
        self.replace(&self.dispatcher, functions[0]);
        self.replace(&self.errors, functions[1]);
        if drain == function {
            self.replace(&self.drain, functions[2]);
        }
        if self.context.get().is_null() {
            let (mut name, mut context) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: the environment is live and the pointers are ours.
            unsafe {
                sys::napi_create_string_latin1(self.raw, c"evnode".as_ptr(), 6, &mut name);
                sys::napi_async_init(self.raw, ptr::null_mut(), name, &mut context);
            }
            self.context.set(context);
        }
        Ok(())
    }

    fn replace(&self, cell: &Cell<sys::napi_ref>, value: sys::napi_value) {
        let mut reference = ptr::null_mut();
        // SAFETY: the value is a function of this environment, the old reference ours.
        unsafe {
            sys::napi_create_reference(self.raw, value, 1, &mut reference);
            let old = cell.replace(reference);
            if !old.is_null() {
                sys::napi_delete_reference(self.raw, old);
            }
        }
    }

    /// Leaves the asynchronous context to an environment that ends: Deno aborts when it is destroyed
    /// then.
    pub(crate) fn forget_context(&self) {
        self.context.set(ptr::null_mut());
    }

    /// Never calls JavaScript again: the environment ends.
    pub(crate) fn stop(&self) {
        self.dead.set(true);
        for cell in [&self.dispatcher, &self.errors, &self.drain] {
            let reference = cell.replace(ptr::null_mut());
            if !reference.is_null() {
                // SAFETY: the reference is ours and the environment not gone yet.
                unsafe { sys::napi_delete_reference(self.raw, reference) };
            }
        }
        let context = self.context.replace(ptr::null_mut());
        if !context.is_null() {
            // SAFETY: the context is ours and the environment not gone yet.
            unsafe { sys::napi_async_destroy(self.raw, context) };
        }
    }

    /// Whether JavaScript can be called.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.get()
    }

    /// Begins a turn of `base`'s loop; turns of other bases may be under way around it.
    pub(crate) fn enter(&self, mode: Mode, base: &Rc<Base>) -> TurnGuard<'_> {
        let null = ptr::null_mut();
        let turn = Turn {
            mode,
            base: base.clone(),
            outer: ptr::null_mut(),
            scope: ptr::null_mut(),
            inner: ptr::null_mut(),
            receiver: null,
            function: ptr::null_mut(),
            calls: 0,
        };
        self.threw.set(false);
        TurnGuard { dispatch: self, outer: self.turn.replace(Some(turn)) }
    }

    /// The base whose turn it is, if its callbacks may be called together.
    #[inline]
    pub(crate) fn collecting_base(&self) -> Option<Rc<Base>> {
        let turn = self.turn.borrow();
        let turn = turn.as_ref().filter(|turn| turn.mode == Mode::Attached)?;
        turn.base.collects().then(|| turn.base.clone())
    }

    /// Whether a callback of the blocking loop has thrown.
    pub(crate) fn has_thrown(&self) -> bool {
        self.threw.get()
    }

    /// Whether a callback of the blocking loop threw, which is pending; forgets it.
    pub(crate) fn threw(&self) -> bool {
        self.threw.replace(false)
    }

    /// Takes the calls that could not be made in the turn that ends.
    pub(crate) fn take_missed(&self) -> Vec<Missed> {
        self.missed.take()
    }

    fn close_scopes(&self, turn: &Turn) {
        // SAFETY: the scopes are open, were opened in the reverse order and are closed once.
        unsafe {
            if !turn.inner.is_null() {
                sys::napi_close_handle_scope(self.raw, turn.inner);
            }
            if !turn.scope.is_null() {
                sys::napi_close_callback_scope(self.raw, turn.scope);
            }
            if !turn.outer.is_null() {
                sys::napi_close_handle_scope(self.raw, turn.outer);
            }
        }
    }

    /// Opens what a turn's calls need, or opens its handle scope anew.
    fn prepare(&self, turn: &mut Turn) {
        // SAFETY: the environment is live, we are on its thread, and the scopes nest.
        unsafe {
            if turn.outer.is_null() {
                sys::napi_open_handle_scope(self.raw, &mut turn.outer);
                if turn.mode == Mode::Attached {
                    // No runtime looks at the resource: it is the one that the context was made with.
                    sys::napi_open_callback_scope(
                        self.raw,
                        ptr::null_mut(),
                        self.context.get(),
                        &mut turn.scope,
                    );
                }
                sys::napi_get_undefined(self.raw, &mut turn.receiver);
                sys::napi_get_reference_value(self.raw, self.dispatcher.get(), &mut turn.function);
            }
            // The first calls' handles live in the scope around.
            if turn.calls != 0 && turn.calls.is_multiple_of(CALLS_PER_SCOPE) {
                if !turn.inner.is_null() {
                    sys::napi_close_handle_scope(self.raw, turn.inner);
                }
                sys::napi_open_handle_scope(self.raw, &mut turn.inner);
            }
            turn.calls = turn.calls.wrapping_add(1);
        }
    }

    /// Calls the dispatcher, unless JavaScript cannot run; once a callback of the blocking loop threw,
    /// when it runs next.
    pub(crate) fn emit(&self, kind: Kind, handle: Handle, what: f64, extra: f64) {
        if self.dead.get() || self.dispatcher.get().is_null() {
            return;
        }
        if self.threw.get() {
            self.missed.borrow_mut().push(Missed { kind, handle, what, extra });
            return;
        }
        let Some((mode, receiver, function)) = self.prepared() else { return };
        if self.call(receiver, function, kind, handle, what, extra).is_none() {
            self.failed(mode);
        } else if mode == Mode::Blocking {
            self.drain_ticks(receiver);
        }
    }

    /// Calls the dispatcher, which does not throw, for a number; `None` when JavaScript cannot run.
    /// What a callback of a blocking loop has thrown does not count: no bytes can wait for that.
    /// [`answered`](Self::answered) is to follow.
    pub(crate) fn ask(&self, kind: Kind, handle: Handle, what: f64, extra: f64) -> Option<i32> {
        if self.dead.get() || self.dispatcher.get().is_null() {
            return None;
        }
        let (_, receiver, function) = self.prepared()?;
        let (mut exception, mut number) = (ptr::null_mut(), 0);
        if self.threw.get() {
            // SAFETY: the environment is live and a handle scope open.
            unsafe { sys::napi_get_and_clear_last_exception(self.raw, &mut exception) };
        }
        let answer = self.call(receiver, function, kind, handle, what, extra);
        if answer.is_none() {
            self.failed(Mode::Attached);
        }
        // SAFETY: as above; the answer and the exception are in the open scope.
        let status = unsafe {
            if !exception.is_null() {
                sys::napi_throw(self.raw, exception);
            }
            sys::napi_get_value_int32(self.raw, answer?, &mut number)
        };
        (status == sys::Status::napi_ok).then_some(number)
    }

    /// Does what follows a callback, when whoever has asked is done with the answer.
    pub(crate) fn answered(&self) {
        if self.dead.get() || self.threw.get() {
            return;
        }
        if let Some((Mode::Blocking, receiver, _)) = self.prepared() {
            self.drain_ticks(receiver);
        }
    }

    /// What a call needs, within a turn.
    fn prepared(&self) -> Option<(Mode, sys::napi_value, sys::napi_value)> {
        let mut turn = self.turn.borrow_mut();
        let turn = turn.as_mut()?;
        self.prepare(turn);
        Some((turn.mode, turn.receiver, turn.function))
    }

    /// Calls the dispatcher from within a call of JavaScript's, to which it throws what it throws.
    pub(crate) fn emit_inside(
        &self,
        kind: Kind,
        handle: Handle,
        what: f64,
        extra: f64,
    ) -> Result<(), Failure> {
        if self.dead.get() || self.dispatcher.get().is_null() {
            return Ok(());
        }
        let (mut receiver, mut function) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: a call of JavaScript's brings a handle scope with it.
        unsafe {
            sys::napi_get_undefined(self.raw, &mut receiver);
            sys::napi_get_reference_value(self.raw, self.dispatcher.get(), &mut function);
        }
        let answer = self.call(receiver, function, kind, handle, what, extra);
        answer.map(|_| ()).ok_or(Failure::Pending)
    }

    /// Calls a function; `None` when it has thrown.
    fn call(
        &self,
        receiver: sys::napi_value,
        function: sys::napi_value,
        kind: Kind,
        handle: Handle,
        what: f64,
        extra: f64,
    ) -> Option<sys::napi_value> {
        let (mut arguments, mut answer) = ([ptr::null_mut(); 4], ptr::null_mut());
        // The calls that come with every message say no more than whom they are for.
        let count =
            if matches!(kind, Kind::Readable | Kind::Writable | Kind::Collected) { 2 } else { 4 };
        // SAFETY: a handle scope is open; receiver and function live in it or in one around it.
        unsafe {
            sys::napi_create_int32(self.raw, kind as i32, &mut arguments[0]);
            sys::napi_create_int32(self.raw, handle, &mut arguments[1]);
            if count == 4 {
                sys::napi_create_double(self.raw, what, &mut arguments[2]);
                sys::napi_create_double(self.raw, extra, &mut arguments[3]);
            }
            let status = sys::napi_call_function(
                self.raw,
                receiver,
                function,
                count,
                arguments.as_ptr(),
                &mut answer,
            );
            (status == sys::Status::napi_ok).then_some(answer)
        }
    }

    /// Deals with what a callback threw.
    fn failed(&self, mode: Mode) {
        let mut pending = false;
        // SAFETY: the environment is live.
        unsafe { sys::napi_is_exception_pending(self.raw, &mut pending) };
        if mode == Mode::Blocking && pending {
            // It stays pending and is thrown when the call that runs the loop returns.
            self.threw.set(true);
            self.break_loop();
            return;
        }
        let mut exception = ptr::null_mut();
        // SAFETY: as above; a handle scope is open.
        let taken = pending
            && unsafe { sys::napi_get_and_clear_last_exception(self.raw, &mut exception) }
                == sys::Status::napi_ok;
        if !taken || !self.raise(exception) {
            // The environment is being terminated: no callback can run any more.
            self.dead.set(true);
            self.break_loop();
        }
    }

    /// Hands an exception to `uncaughtException`; false when JavaScript cannot run any more.
    fn raise(&self, exception: sys::napi_value) -> bool {
        let mut ignored = ptr::null_mut();
        // SAFETY: the environment is live and the exception in an open scope. The conversion has no
        // effect; it is refused when JavaScript cannot run, where the next call must not be made.
        unsafe {
            sys::napi_coerce_to_bool(self.raw, exception, &mut ignored) == sys::Status::napi_ok
                && sys::napi_fatal_exception(self.raw, exception) == sys::Status::napi_ok
        }
    }

    /// Ends the turn if JavaScript cannot run any more.
    pub(crate) fn look_alive(&self) {
        let (mut scope, mut value) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the environment is live and the scope closed again.
        let runs = unsafe {
            sys::napi_open_handle_scope(self.raw, &mut scope);
            sys::napi_get_undefined(self.raw, &mut value);
            let status = sys::napi_coerce_to_bool(self.raw, value, &mut value);
            sys::napi_close_handle_scope(self.raw, scope);
            status == sys::Status::napi_ok
        };
        if !runs {
            self.dead.set(true);
            self.break_loop();
        }
    }

    /// Runs microtasks and ticks in a blocking loop. What they throw is uncaught, as it is in Node.
    fn drain_ticks(&self, receiver: sys::napi_value) {
        if self.drain.get().is_null() {
            return;
        }
        let mut function = ptr::null_mut();
        // SAFETY: the reference is ours and a handle scope is open.
        let status = unsafe {
            sys::napi_get_reference_value(self.raw, self.drain.get(), &mut function);
            sys::napi_call_function(self.raw, receiver, function, 0, ptr::null(), ptr::null_mut())
        };
        if status != sys::Status::napi_ok {
            self.failed(Mode::Attached);
        }
    }

    fn break_loop(&self) {
        if let Some(turn) = &*self.turn.borrow() {
            turn.base.base.loop_break();
        }
    }

    /// Makes the JavaScript error for a failure; null when none can be made.
    pub(crate) fn error(&self, failure: Failure) -> sys::napi_value {
        let parts = ErrorParts::from(failure);
        let number = |value: f64| {
            let mut result = ptr::null_mut();
            // SAFETY: the environment is live and a handle scope open.
            unsafe { sys::napi_create_double(self.raw, value, &mut result) };
            result
        };
        let text = |value: &str| {
            let mut result = ptr::null_mut();
            let (start, length) = (value.as_ptr().cast(), value.len() as isize);
            // SAFETY: as above; start and length are those of a slice.
            unsafe { sys::napi_create_string_utf8(self.raw, start, length, &mut result) };
            result
        };
        let mut undefined = ptr::null_mut();
        // SAFETY: as above.
        unsafe { sys::napi_get_undefined(self.raw, &mut undefined) };
        let (code, message) = (text(&parts.code), text(&parts.message));
        if !self.errors.get().is_null() {
            let arguments = [
                number(f64::from(parts.kind as i32)),
                code,
                message,
                number(f64::from(parts.errno)),
                parts.syscall.as_deref().map_or(undefined, text),
                parts.address.as_deref().map_or(undefined, text),
                parts.port.map_or(undefined, |port| number(f64::from(port))),
            ];
            let (mut factory, mut error) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: as above; the arguments are live values.
            let status = unsafe {
                sys::napi_get_reference_value(self.raw, self.errors.get(), &mut factory);
                sys::napi_call_function(
                    self.raw,
                    undefined,
                    factory,
                    arguments.len(),
                    arguments.as_ptr(),
                    &mut error,
                )
            };
            return if status == sys::Status::napi_ok { error } else { ptr::null_mut() };
        }
        let mut error = ptr::null_mut();
        // SAFETY: as above; code and message are strings.
        unsafe { sys::napi_create_error(self.raw, code, message, &mut error) };
        error
    }

    /// Throws the JavaScript error for a failure into the call that JavaScript made.
    pub(crate) fn throw(&self, failure: Failure) {
        let mut pending = false;
        // SAFETY: the environment is live.
        unsafe { sys::napi_is_exception_pending(self.raw, &mut pending) };
        if pending || matches!(failure, Failure::Pending) {
            return;
        }
        let error = self.error(failure);
        if !error.is_null() {
            // SAFETY: the error is a live value.
            unsafe { sys::napi_throw(self.raw, error) };
        }
    }

    /// Hands a failure that nobody called for to `uncaughtException`, within a turn.
    pub(crate) fn report(&self, failure: Failure) {
        if self.dead.get() {
            return;
        }
        {
            let mut turn = self.turn.borrow_mut();
            let Some(turn) = &mut *turn else { return };
            self.prepare(turn);
        }
        let error = self.error(failure);
        if error.is_null() || !self.raise(error) {
            self.failed(Mode::Attached);
        }
    }
}
