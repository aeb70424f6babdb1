//! Buffers: `EvBuffer`, and those of bufferevents.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use evcore::buffer::{BufferEnd, EolStyle, EvBuffer};
use napi_derive::napi;

use crate::bufferevent::JsBev;
use crate::env::{Change, EnvRef, EnvState};
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::cold;

/// The garbage collector is told when a buffer has grown or shrunk by so many bytes.
const TELL: usize = 64 * 1024;

/// A buffer that JavaScript made.
pub(crate) struct JsBuffer {
    env: EnvRef,
    buffer: RefCell<EvBuffer>,
    /// What the garbage collector, which frees forgotten buffers, was told that it weighs.
    told: Cell<usize>,
}

impl JsBuffer {
    pub(crate) fn new(env: &EnvState) -> Self {
        Self { env: env.rc(), buffer: RefCell::default(), told: Cell::new(0) }
    }

    #[inline]
    fn with<R>(&self, run: impl FnOnce(&mut EvBuffer) -> R) -> R {
        let mut buffer = self.buffer.borrow_mut();
        let result = run(&mut buffer);
        let length = buffer.in_memory();
        drop(buffer);
        if length.abs_diff(self.told.get()) >= TELL {
            self.tell(length);
        }
        result
    }

    /// As [`with`](Self::with), on a buffer that allows changes at both ends from now on.
    pub(crate) fn with_unfrozen<R>(&self, run: impl FnOnce(&mut EvBuffer) -> R) -> R {
        self.with(|buffer| {
            buffer.unfreeze(BufferEnd::Front);
            buffer.unfreeze(BufferEnd::Back);
            run(buffer)
        })
    }

    #[cold]
    fn tell(&self, length: usize) {
        let told = self.told.replace(length);
        self.env.adjust_memory(length as i64 - told as i64);
    }
}

impl Drop for JsBuffer {
    fn drop(&mut self) {
        if self.told.get() > 0 {
            self.tell(0);
        }
    }
}

/// A buffer, whoever owns it.
pub(crate) enum AnyBuffer {
    Owned(Rc<JsBuffer>),
    Input(Rc<JsBev>),
    Output(Rc<JsBev>),
}

impl AnyBuffer {
    pub(crate) fn of(object: Object) -> Option<Self> {
        match object {
            Object::Buffer(buffer) => Some(Self::Owned(buffer)),
            Object::Input(bev) => Some(Self::Input(bev)),
            Object::Output(bev) => Some(Self::Output(bev)),
            _ => None,
        }
    }

    /// Lends the buffer for one operation. JavaScript does not run meanwhile, so that nothing else
    /// can hold it.
    #[inline]
    pub(crate) fn with<R>(&self, run: impl FnOnce(&mut EvBuffer) -> R) -> R {
        match self {
            Self::Owned(buffer) => buffer.with(run),
            Self::Input(bev) => {
                let result = run(&mut bev.bev.input());
                bev.touch();
                result
            }
            Self::Output(bev) => {
                let result = run(&mut bev.bev.output());
                bev.touch();
                result
            }
        }
    }

    /// Lends two buffers at once; `None` when they are the same.
    pub(crate) fn with_both<R>(
        &self,
        other: &Self,
        run: impl FnOnce(&mut EvBuffer, &mut EvBuffer) -> R,
    ) -> Option<R> {
        if self.is(other) {
            return None;
        }
        Some(self.with(|first| other.with(|second| run(first, second))))
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Owned(one), Self::Owned(other)) => Rc::ptr_eq(one, other),
            (Self::Input(one), Self::Input(other)) | (Self::Output(one), Self::Output(other)) => {
                Rc::ptr_eq(one, other)
            }
            _ => false,
        }
    }

    /// Starts or stops to note the buffer's changes.
    pub(crate) fn set_watched(&self, handle: Handle, on: bool, env: &EnvState) {
        let mut watches = env.watches.borrow_mut();
        if on == watches.contains_key(&handle) {
            return;
        }
        self.with(|buffer| {
            if let Some(id) = watches.remove(&handle) {
                buffer.remove_callback(id);
                return;
            }
            let changes = env.changes();
            let id = buffer.add_callback(move |_, change| {
                let (added, removed) = (change.added, change.deleted);
                changes.note(Change::Buffer { buffer: handle, added, removed });
            });
            watches.insert(handle, id);
        });
    }
}

/// An end-of-line style as `raw.d.ts` numbers it.
pub(crate) fn eol_style(number: i32) -> Result<EolStyle> {
    match number {
        0 => Ok(EolStyle::Any),
        1 => Ok(EolStyle::Crlf),
        2 => Ok(EolStyle::CrlfStrict),
        3 => Ok(EolStyle::Lf),
        4 => Ok(EolStyle::Nul),
        _ => Err(Failure::Range("an end-of-line style is a number from 0 to 4")),
    }
}

/// Lengths of the contiguous pieces that a buffer is made of.
#[napi(catch_unwind)]
pub fn buffer_segments(env: napi::Env, buffer: Handle) -> napi::Result<Vec<f64>> {
    cold(&env, |env| {
        let lengths =
            |buffer: &mut EvBuffer| buffer.segments().map(|segment| segment.len() as f64).collect();
        Ok(env.buffer(buffer)?.with(lengths))
    })
}
