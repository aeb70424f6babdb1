//! File segments, and what else of buffers is not hot: sharing, limits, figures.

use std::fs::File;
use std::io;

use evcore::buffer::{self, FileSegment, FileSegmentFlags};
use napi_derive::napi;

use crate::env::Change;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::cold;
#[cfg(unix)]
use crate::raw::with_fd;

/// A length of JavaScript's, of which a negative one means all.
fn length(number: f64) -> Option<u64> {
    (number >= 0.0).then_some(number as u64)
}

fn offset(number: f64) -> Result<u64> {
    match number {
        number if number >= 0.0 => Ok(number as u64),
        _ => Err(Failure::Range("an offset is not negative")),
    }
}

fn flags(bits: u32) -> Result<FileSegmentFlags> {
    let flags = FileSegmentFlags::from_bits(bits);
    flags.ok_or(Failure::Range("these are no flags of a file segment"))
}

/// The open file behind a descriptor that stays JavaScript's, by a descriptor of our own.
#[cfg(unix)]
fn file_of(fd: f64) -> Result<File> {
    let doubled = with_fd(fd, |fd| fd.try_clone_to_owned())?;
    doubled.map(File::from).map_err(failed)
}

/// Node's descriptors are numbers of its C library there, which is not ours.
#[cfg(windows)]
fn file_of(_fd: f64) -> Result<File> {
    Err(failed(io::ErrorKind::Unsupported.into()))
}

fn failed(error: io::Error) -> Failure {
    Failure::Os { call: "open", error, address: None }
}

/// Opens a file as a segment; a negative length is all that follows the offset.
#[napi(catch_unwind)]
pub fn file_segment_open(
    env: napi::Env,
    path: String,
    from: f64,
    len: f64,
    bits: u32,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let segment = FileSegment::open(path, offset(from)?, length(len), flags(bits)?);
        let segment = segment.map_err(failed)?;
        env.table.insert(|_| Ok(Object::File(segment)))
    })
}

/// Makes a segment of an open file, with a descriptor of its own for it.
#[napi(catch_unwind)]
pub fn file_segment_from_fd(
    env: napi::Env,
    fd: f64,
    from: f64,
    len: f64,
    bits: u32,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let segment = FileSegment::new(file_of(fd)?, offset(from)?, length(len), flags(bits)?);
        let segment = segment.map_err(failed)?;
        env.table.insert(|_| Ok(Object::File(segment)))
    })
}

/// How many bytes a segment has.
#[napi(catch_unwind)]
pub fn file_segment_length(env: napi::Env, segment: Handle) -> napi::Result<f64> {
    cold(&env, |env| Ok(env.file(segment)?.len() as f64))
}

/// Lets a segment go; buffers may still hold it.
#[napi(catch_unwind)]
pub fn file_segment_free(env: napi::Env, segment: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.file(segment)?;
        drop(env.table.remove(segment));
        env.emit_changes_inside()
    })
}

/// Has `FILE_CLOSED` told, with the token, when nobody holds the segment any more.
#[napi(catch_unwind)]
pub fn file_segment_on_cleanup(env: napi::Env, segment: Handle, token: f64) -> napi::Result<()> {
    cold(&env, |env| {
        let changes = env.changes();
        env.file(segment)?.add_cleanup(move || changes.note(Change::FileClosed { token }));
        Ok(())
    })
}

/// Adds a part of a segment to a buffer; a negative length is all that follows the offset.
#[napi(catch_unwind)]
pub fn buffer_add_file_segment(
    env: napi::Env,
    buffer: Handle,
    segment: Handle,
    from: f64,
    len: f64,
) -> napi::Result<()> {
    cold(&env, |env| {
        let segment = env.file(segment)?;
        let from = offset(from)?;
        env.buffer(buffer)?.with(|buffer| buffer.add_file_segment(&segment, from, length(len)))?;
        env.emit_changes_inside()
    })
}

/// Reads what the first bytes of a buffer, all of them with a negative length, have of files.
#[napi(catch_unwind)]
pub fn buffer_read_files(env: napi::Env, buffer: Handle, len: f64) -> napi::Result<()> {
    cold(&env, |env| {
        let len = (len >= 0.0).then_some(len as usize);
        Ok(env.buffer(buffer)?.with(|buffer| buffer.read_files(len))?)
    })
}

/// Adds all of one buffer to another and leaves it there.
#[napi(catch_unwind)]
pub fn buffer_add_reference(env: napi::Env, dst: Handle, src: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let (dst, src) = (env.buffer(dst)?, env.buffer(src)?);
        match dst.with_both(&src, |dst, src| dst.add_buffer_reference(src)) {
            Some(result) => result?,
            None => return Err(Failure::Value("a buffer cannot refer to itself".to_owned())),
        }
        env.emit_changes_inside()
    })
}

/// Lets the watched buffer's changes be told or passes them over.
#[napi(catch_unwind)]
pub fn buffer_enable_callback(env: napi::Env, buffer: Handle, on: bool) -> napi::Result<()> {
    cold(&env, |env| {
        let any = env.buffer(buffer)?;
        if let Some(id) = env.watches.borrow().get(&buffer) {
            any.with(|buffer| buffer.set_callback_enabled(*id, on));
        }
        Ok(())
    })
}

/// Limits what a buffer may come to hold; a negative number lifts the limit.
#[napi(catch_unwind)]
pub fn buffer_set_max_length(env: napi::Env, buffer: Handle, max: f64) -> napi::Result<()> {
    cold(&env, |env| {
        let max = (max >= 0.0).then_some(max as usize);
        env.buffer(buffer)?.with(|buffer| buffer.set_max_len(max));
        Ok(())
    })
}

/// The most bytes that a buffer may hold; -1 without a limit of its own.
#[napi(catch_unwind)]
pub fn buffer_max_length(env: napi::Env, buffer: Handle) -> napi::Result<f64> {
    cold(&env, |env| {
        let max = env.buffer(buffer)?.with(|buffer| buffer.max_len());
        Ok(if max == evcore::EvBuffer::MAX_LEN { -1.0 } else { max as f64 })
    })
}

/// The blocks of one size that a thread keeps for its buffers.
#[napi(object, object_from_js = false)]
pub struct PoolClass {
    /// Bytes that such a block holds.
    pub block_size: u32,
    /// Blocks that are kept now.
    pub idle: u32,
    /// Blocks that are kept at most.
    pub limit: u32,
}

/// What this thread keeps of blocks for its buffers, the smallest size first.
#[napi(catch_unwind)]
pub fn pool_statistics() -> Vec<PoolClass> {
    let classes = buffer::pool_statistics().into_iter();
    classes
        .map(|class| PoolClass {
            block_size: class.block_size as u32,
            idle: class.idle as u32,
            limit: class.limit as u32,
        })
        .collect()
}
