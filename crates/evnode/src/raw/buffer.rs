//! The functions of buffers.

use std::io;
use std::rc::Rc;

use evcore::backend::RawFd;
use evcore::buffer::EvBuffer;
use evcore::buffer::{BufferEnd, EolStyle, MAX_READ};

use super::functions;
use super::memory::{fd_from, Bytes, Decoded, Encoding, Text};
use super::value::{FromJs, Held};
use crate::buffer::{eol_style, AnyBuffer, JsBuffer};
use crate::env::EnvState;
use crate::error::{Failure, Result};
use crate::handle::Object;

/// An end-of-line style argument.
struct Eol(EolStyle);

impl FromJs for Eol {
    fn from_js(env: &EnvState, value: napi::sys::napi_value) -> Result<Self> {
        eol_style(i32::from_js(env, value)?).map(Self)
    }
}

/// Takes up to `length` bytes from the front as a string.
pub(super) fn remove_string(
    env: &EnvState,
    buffer: &mut EvBuffer,
    length: usize,
    encoding: Encoding,
) -> Result<Decoded> {
    let length = length.min(buffer.len());
    let text = Decoded::new(env, &buffer.pullup(Some(length))?[..length], encoding)?;
    buffer.drain(length)?;
    Ok(text)
}

fn read_line(
    env: &EnvState,
    buffer: &mut EvBuffer,
    eol: EolStyle,
    encoding: Encoding,
) -> Result<Option<Decoded>> {
    let Some((end, eol_length)) = buffer.search_eol(None, eol) else { return Ok(None) };
    let line = remove_string(env, buffer, end.offset(), encoding)?;
    buffer.drain(eol_length)?;
    Ok(Some(line))
}

/// Reads from a descriptor that JavaScript vouches for.
#[cfg(unix)]
fn read_fd(buffer: &mut EvBuffer, fd: RawFd, max: usize) -> io::Result<usize> {
    buffer.read_from(borrow(fd)?, max)
}

/// Writes to a descriptor that JavaScript vouches for.
#[cfg(unix)]
fn write_fd(buffer: &mut EvBuffer, fd: RawFd, max: usize) -> io::Result<usize> {
    buffer.write_to(borrow(fd)?, max)
}

#[cfg(unix)]
fn borrow<'fd>(fd: RawFd) -> io::Result<std::os::fd::BorrowedFd<'fd>> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the borrow ends with the call; a descriptor that is not open makes it fail.
    Ok(unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) })
}

/// Reads from a socket that JavaScript vouches for.
#[cfg(windows)]
fn read_fd(buffer: &mut EvBuffer, fd: RawFd, max: usize) -> io::Result<usize> {
    buffer.recv_from(borrow(fd)?, max)
}

/// Writes to a socket that JavaScript vouches for.
#[cfg(windows)]
fn write_fd(buffer: &mut EvBuffer, fd: RawFd, max: usize) -> io::Result<usize> {
    buffer.send_to(borrow(fd)?, max)
}

#[cfg(windows)]
fn borrow<'fd>(fd: RawFd) -> io::Result<std::os::windows::io::BorrowedSocket<'fd>> {
    if fd == RawFd::MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the borrow ends with the call; a socket that is not open makes it fail.
    Ok(unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(fd) })
}

fn system(call: &'static str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Os { call, error, address: None }
}

functions! {
    c"bufferNew" buffer_new(env) -> i32 {
        env.table.insert(|_| Ok(Object::Buffer(Rc::new(JsBuffer::new(env)))))
    }

    c"bufferFree" buffer_free(env, buffer: Held<AnyBuffer>) -> () {
        let AnyBuffer::Owned(_) = buffer.object else { return Err(Failure::Handle) };
        env.watches.borrow_mut().remove(&buffer.handle);
        drop(env.table.remove(buffer.handle));
        drop(buffer);
        env.emit_changes_inside()
    }

    c"bufferLength" buffer_length(_env, buffer: AnyBuffer) -> usize {
        Ok(buffer.with(|buffer| buffer.len()))
    }

    c"bufferAdd" buffer_add(env, buffer: AnyBuffer, bytes: Bytes) -> () {
        buffer.with(|buffer| buffer.add(bytes.read()))?;
        env.emit_changes_inside()
    }

    c"bufferAddString" buffer_add_string(
        env,
        buffer: AnyBuffer,
        text: Text,
        encoding: Encoding
    ) -> usize {
        let length = buffer.with(|buffer| text.add_to(env, encoding, buffer))?;
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bufferPrepend" buffer_prepend(env, buffer: AnyBuffer, bytes: Bytes) -> () {
        buffer.with(|buffer| buffer.prepend(bytes.read()))?;
        env.emit_changes_inside()
    }

    c"bufferPrependBuffer" buffer_prepend_buffer(env, dst: AnyBuffer, src: AnyBuffer) -> () {
        dst.with_both(&src, |dst, src| dst.prepend_buffer(src)).transpose()?;
        env.emit_changes_inside()
    }

    c"bufferRemove" buffer_remove(
        env,
        buffer: AnyBuffer,
        view: Bytes,
        offset: usize,
        length: usize
    ) -> usize {
        let mut view = view;
        let window = view.window(offset, length)?;
        let length = buffer.with(|buffer| buffer.remove(window))?;
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bufferCopyout" buffer_copyout(
        _env,
        buffer: AnyBuffer,
        view: Bytes,
        offset: usize,
        length: usize,
        from: usize
    ) -> usize {
        let mut view = view;
        let window = view.window(offset, length)?;
        buffer.with(|buffer| {
            let start = buffer.ptr_set(from)?;
            Ok(buffer.copyout_from(start, window))
        })
    }

    c"bufferRemoveString" buffer_remove_string(
        env,
        buffer: AnyBuffer,
        length: usize,
        encoding: Encoding
    ) -> Decoded {
        let text = buffer.with(|buffer| remove_string(env, buffer, length, encoding))?;
        env.emit_changes_inside()?;
        Ok(text)
    }

    c"bufferDrain" buffer_drain(env, buffer: AnyBuffer, length: usize) -> () {
        buffer.with(|buffer| buffer.drain(length))?;
        env.emit_changes_inside()
    }

    c"bufferAddBuffer" buffer_add_buffer(env, dst: AnyBuffer, src: AnyBuffer) -> () {
        dst.with_both(&src, |dst, src| dst.add_buffer(src)).transpose()?;
        env.emit_changes_inside()
    }

    c"bufferRemoveBuffer" buffer_remove_buffer(
        env,
        dst: AnyBuffer,
        src: AnyBuffer,
        length: usize
    ) -> usize {
        let moved = dst.with_both(&src, |dst, src| src.remove_buffer(dst, length)).transpose()?;
        env.emit_changes_inside()?;
        Ok(moved.unwrap_or(0))
    }

    c"bufferSearch" buffer_search(
        _env,
        buffer: AnyBuffer,
        what: Bytes,
        from: usize,
        to: f64
    ) -> i32 {
        // A copy: the search reads it more than once, and other threads may share the memory.
        let what = what.read().to_vec();
        let found = buffer.with(|buffer| -> Result<_> {
            let start = Some(buffer.ptr_set(from)?);
            // A negative end is the buffer's.
            let end = (to >= 0.0).then(|| buffer.ptr_set(to as usize)).transpose()?;
            Ok(buffer.search_range(&what, start, end))
        })?;
        match found {
            None => Ok(-1),
            Some(position) => i32::try_from(position.offset())
                .map_err(|_| Failure::Range("the position is past 2 GiB")),
        }
    }

    c"bufferReadLine" buffer_read_line(
        env,
        buffer: AnyBuffer,
        eol: Eol,
        encoding: Encoding
    ) -> Option<Decoded> {
        let line = buffer.with(|buffer| read_line(env, buffer, eol.0, encoding))?;
        env.emit_changes_inside()?;
        Ok(line)
    }

    c"bufferReadLines" buffer_read_lines(
        env,
        buffer: AnyBuffer,
        eol: Eol,
        encoding: Encoding,
        max: usize
    ) -> Vec<Decoded> {
        let lines = buffer.with(|buffer| -> Result<_> {
            let mut lines = Vec::new();
            while lines.len() < max {
                let Some(line) = read_line(env, buffer, eol.0, encoding)? else { break };
                lines.push(line);
            }
            Ok(lines)
        })?;
        env.emit_changes_inside()?;
        Ok(lines)
    }

    c"bufferLineLength" buffer_line_length(_env, buffer: AnyBuffer, eol: Eol) -> i32 {
        let found = buffer.with(|buffer| buffer.search_eol(None, eol.0));
        found.map_or(Ok(-1), |(end, _)| {
            i32::try_from(end.offset()).map_err(|_| Failure::Range("the line is past 2 GiB"))
        })
    }

    c"bufferReadLineInto" buffer_read_line_into(
        env,
        buffer: AnyBuffer,
        eol: Eol,
        view: Bytes,
        offset: usize
    ) -> i32 {
        let mut view = view;
        let length = buffer.with(|buffer| -> Result<_> {
            let Some((end, eol_length)) = buffer.search_eol(None, eol.0) else { return Ok(-1) };
            let length = end.offset();
            let told = i32::try_from(length);
            let told = told.map_err(|_| Failure::Range("the line is past 2 GiB"))?;
            buffer.remove(view.window(offset, length)?)?;
            buffer.drain(eol_length)?;
            Ok(told)
        })?;
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bufferPullup" buffer_pullup(_env, buffer: AnyBuffer, length: f64) -> () {
        // A negative length is the buffer's.
        let length = (length >= 0.0).then_some(length as usize);
        buffer.with(|buffer| buffer.pullup(length).map(drop))?;
        Ok(())
    }

    c"bufferExpand" buffer_expand(_env, buffer: AnyBuffer, length: usize) -> () {
        Ok(buffer.with(|buffer| buffer.expand(length))?)
    }

    c"bufferFreeze" buffer_freeze(_env, buffer: AnyBuffer, at_front: bool, on: bool) -> () {
        let end = if at_front { BufferEnd::Front } else { BufferEnd::Back };
        buffer.with(|buffer| if on { buffer.freeze(end) } else { buffer.unfreeze(end) });
        Ok(())
    }

    c"bufferReadFd" buffer_read_fd(env, buffer: AnyBuffer, fd: f64, max: f64) -> usize {
        let fd = fd_from(fd)?;
        let max = if max < 0.0 { MAX_READ } else { max as usize };
        let length = buffer.with(|buffer| read_fd(buffer, fd, max));
        let length = length.map_err(system("read"))?;
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bufferWriteFd" buffer_write_fd(env, buffer: AnyBuffer, fd: f64, max: f64) -> usize {
        let fd = fd_from(fd)?;
        let max = if max < 0.0 { usize::MAX } else { max as usize };
        let length = buffer.with(|buffer| write_fd(buffer, fd, max));
        let length = length.map_err(system("write"))?;
        env.emit_changes_inside()?;
        Ok(length)
    }

    c"bufferWatch" buffer_watch(env, buffer: Held<AnyBuffer>, on: bool) -> () {
        buffer.object.set_watched(buffer.handle, on, env);
        Ok(())
    }
}
