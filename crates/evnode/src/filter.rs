//! Filters: `FilterBufferEvent`, whose functions are JavaScript's.

use std::io;
use std::rc::Rc;

use evcore::bufferevent::{BufferEvent, Filter, FilterResult, FlushMode};
use evcore::filter::{Compressed, FrameWidth, Frames, Lines};
use evcore::EvBuffer;
use napi_derive::napi;

use crate::buffer::JsBuffer;
use crate::bufferevent::{bev_options, JsBev};
use crate::dispatch::Kind;
use crate::env::EnvRef;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::cold;

/// Bits of `what` of a FILTER call; those below are the mode.
const OUTPUT: i32 = 4;

/// Which functions JavaScript has.
const HAS_INPUT: i32 = 1;
const HAS_OUTPUT: i32 = 2;

/// The most that JavaScript can count exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// A filter whose bytes cross in two buffers, which are JavaScript's while it converts.
struct JsFilter {
    env: EnvRef,
    /// The bufferevent over it.
    handle: Handle,
    source: Lent,
    destination: Lent,
    functions: i32,
}

/// One of the two buffers.
struct Lent {
    buffer: Rc<JsBuffer>,
    handle: Handle,
}

impl Lent {
    fn new(env: &EnvRef) -> Result<Self> {
        let buffer = Rc::new(JsBuffer::new(env));
        let handle = env.table.insert(|_| Ok(Object::Buffer(buffer.clone())))?;
        Ok(Self { buffer, handle })
    }

    /// Moves all that JavaScript has left in it to `bytes`, whatever it has done with it.
    fn take(&self, bytes: &mut EvBuffer) -> io::Result<()> {
        self.buffer.with_unfrozen(|buffer| bytes.add_buffer(buffer)).map_err(Into::into)
    }
}

impl JsFilter {
    /// Has JavaScript convert, or passes everything on.
    fn convert(
        &self,
        is_output: bool,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> io::Result<FilterResult> {
        let function = if is_output { HAS_OUTPUT } else { HAS_INPUT };
        if self.functions & function == 0 {
            source.remove_buffer(destination, limit)?;
            return Ok(FilterResult::Ok);
        }
        // Nothing is left of what was added since the last call.
        self.source.take(&mut EvBuffer::new())?;
        self.destination.take(&mut EvBuffer::new())?;
        self.source.buffer.with_unfrozen(|buffer| buffer.add_buffer(source))?;
        let what = mode as i32 | if is_output { OUTPUT } else { 0 };
        let limit = (limit as f64).min(MAX_SAFE_INTEGER);
        let answer = self.env.ask(Kind::Filter, self.handle, what.into(), limit);
        self.source.take(source)?;
        self.destination.take(destination)?;
        self.env.dispatch.answered();
        Ok(match answer {
            Some(0) => FilterResult::Ok,
            Some(1) => FilterResult::NeedMore,
            Some(2) => FilterResult::End,
            // What it threw stays in JavaScript.
            _ => FilterResult::Error(io::Error::new(
                io::ErrorKind::InvalidData,
                "the filter's function failed",
            )),
        })
    }
}

impl Filter for JsFilter {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let result = self.convert(false, source, destination, limit, mode);
        result.unwrap_or_else(FilterResult::Error)
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        let result = self.convert(true, source, destination, limit, mode);
        result.unwrap_or_else(FilterResult::Error)
    }
}

impl Drop for JsFilter {
    fn drop(&mut self) {
        for lent in [&self.source, &self.destination] {
            self.env.watches.borrow_mut().remove(&lent.handle);
            drop(self.env.table.remove(lent.handle));
        }
    }
}

/// Makes a bufferevent over another one (`below`) whose bytes FILTER calls convert. `functions` says
/// what these are asked for: 1 what comes, 2 what goes out; the rest is passed on. Options as those
/// of `bevNew`.
///
/// @returns the handles of the bufferevent and of the two buffers that FILTER calls are about
#[napi(catch_unwind)]
pub fn bev_filter(
    env: napi::Env,
    below: Handle,
    functions: i32,
    options: i32,
) -> napi::Result<Vec<Handle>> {
    cold(&env, |env| {
        let (below, options) = (env.bev(below)?, bev_options(options)?);
        let base = below.base().clone();
        let (source, destination) = (Lent::new(env)?, Lent::new(env)?);
        let buffers = [source.handle, destination.handle];
        let handle = JsBev::insert(base.clone(), Some(below.clone()), |handle| {
            let env = env.clone();
            let filter = JsFilter { env, handle, source, destination, functions };
            Ok(BufferEvent::filter(&below.bev, filter, options)?)
        })?;
        base.touch();
        Ok([&[handle], &buffers[..]].concat())
    })
}

/// Makes a bufferevent over another one (`below`) with a filter that comes with the library: `gzip`,
/// `zlib`, `deflate`, `brotli` or `zstd` of a level, which may hold back what is written; `lines` of so
/// many bytes at most; messages of so many bytes at most after lengths of 1, 2 or 4 bytes, `frames1`,
/// `frames2` or `frames4`.
#[napi(catch_unwind)]
pub fn bev_named_filter(
    env: napi::Env,
    below: Handle,
    name: String,
    number: f64,
    held_back: bool,
    options: i32,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let (below, options) = (env.bev(below)?, bev_options(options)?);
        let base = below.base().clone();
        let handle = JsBev::insert(base.clone(), Some(below.clone()), |_| {
            let frames = |width| Frames::new(width, number as usize);
            let (below, level) = (&below.bev, number as i32);
            Ok(match &*name {
                "lines" => BufferEvent::filter(below, Lines::new(number as usize), options),
                "frames1" => BufferEvent::filter(below, frames(FrameWidth::One), options),
                "frames2" => BufferEvent::filter(below, frames(FrameWidth::Two), options),
                "frames4" => BufferEvent::filter(below, frames(FrameWidth::Four), options),
                format => {
                    let filter = compressed(format, level)?.held_back(held_back);
                    BufferEvent::filter(below, filter, options)
                }
            }?)
        })?;
        base.touch();
        Ok(handle)
    })
}

fn compressed(format: &str, level: i32) -> Result<Compressed> {
    let unsigned = level.unsigned_abs();
    Ok(match format {
        "gzip" => Compressed::gzip(unsigned),
        "zlib" => Compressed::zlib(unsigned),
        "deflate" => Compressed::deflate(unsigned),
        "brotli" => Compressed::brotli(unsigned),
        "zstd" => {
            let no_memory = |error| Failure::Os { call: "zstd", error, address: None };
            Compressed::zstd(level).map_err(no_memory)?
        }
        _ => return Err(Failure::Range("there is no such filter")),
    })
}
