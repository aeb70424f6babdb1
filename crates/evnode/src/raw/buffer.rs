//! The functions of buffers.

use std::io::{self, IoSlice, Write};
use std::mem::size_of;
use std::ops::Range;
use std::rc::Rc;

use evcore::backend::RawFd;
use evcore::buffer::EvBuffer;
use evcore::buffer::{BufferEnd, EolStyle, Lent, MAX_READ};
use napi::sys;

use super::functions;
use super::lent::{bounded, LEAST};
use super::memory::{fd_from, Bytes, Decoded, Encoding, Text};
use super::number::{Layout, Number, LONGEST};
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

/// Takes the next line, if it has up to `most` bytes.
fn read_line(
    env: &EnvState,
    buffer: &mut EvBuffer,
    eol: EolStyle,
    encoding: Encoding,
    most: usize,
) -> Result<Option<Decoded>> {
    let found = buffer.search_eol(None, eol).filter(|(end, _)| end.offset() <= most);
    let Some((end, eol_length)) = found else { return Ok(None) };
    let length = end.offset();
    let line = Decoded::new(env, &buffer.pullup(Some(length))?[..length], encoding)?;
    buffer.drain(length + eol_length)?;
    Ok(Some(line))
}

/// Takes up to `most` lines as one string, from which JavaScript cuts them: that costs it a fraction
/// of what it costs to make a string for each here.
fn read_lines(
    env: &EnvState,
    buffer: &mut EvBuffer,
    eol: EolStyle,
    encoding: Encoding,
    most: usize,
    spans: Spans<'_>,
) -> Result<Decoded> {
    // The ends between lines are bytes, which do not pair up with units of UTF-16.
    let room = if encoding == Encoding::Utf16 { 1 } else { spans.room() };
    let mut lines = Vec::new();
    let bytes = buffer.pullup_lines(eol, most.min(room), &mut lines)?;
    let text = &bytes[..lines.last().map_or(0, |line| line.end)];
    let plain = encoding == Encoding::Utf8 && text.is_ascii();
    let encoding = if plain { Encoding::Latin1 } else { encoding };
    let decoded = Decoded::new(env, text, encoding)?;
    spans.write(text, &lines, encoding);
    let used = bytes.len();
    if used > 0 {
        buffer.drain(used)?;
    }
    Ok(decoded)
}

/// Where the lines of a batch lie in its string: an `Int32Array` of their number, then the start and
/// the end of each, in units of UTF-16.
struct Spans<'a>(&'a mut [u8]);

impl<'a> Spans<'a> {
    const NUMBER: usize = size_of::<i32>();

    fn of(view: &'a mut Bytes) -> Result<Self> {
        let length = view.length();
        if length < 3 * Self::NUMBER {
            return Err(Failure::Range("there is no room for the span of a line"));
        }
        Ok(Self(view.window(0, length)?))
    }

    /// How many lines there is room for.
    fn room(&self) -> usize {
        (self.0.len() / Self::NUMBER - 1) / 2
    }

    fn write(self, text: &[u8], lines: &[Range<usize>], encoding: Encoding) {
        let mut places = self.0.chunks_exact_mut(Self::NUMBER);
        // Every number is at most the length of a string, which is less than 2^31.
        let mut put = |number: usize| {
            if let Some(place) = places.next() {
                place.copy_from_slice(&(number as i32).to_ne_bytes());
            }
        };
        put(lines.len());
        let (mut read, mut units) = (0, 0);
        for line in lines {
            // The ends between lines are units of a byte.
            units += line.start - read;
            put(units);
            units += encoding.units(&text[line.clone()]);
            put(units);
            read = line.end;
        }
    }
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

    c"bufferNumber" buffer_number(
        env,
        buffer: AnyBuffer,
        layout: Layout,
        offset: f64
    ) -> Option<Number> {
        let number = buffer.with(|buffer| -> Result<_> {
            let taken = offset < 0.0;
            let offset = if taken { 0 } else { offset as usize };
            let Ok(start) = buffer.ptr_set(offset) else { return Ok(None) };
            let mut bytes = [0; LONGEST];
            let length = layout.len();
            if buffer.copyout_from(start, &mut bytes[..length]) < length {
                return Ok(None);
            }
            if taken {
                buffer.drain(length)?;
            }
            Ok(Some(layout.decode(bytes)))
        })?;
        env.emit_changes_inside()?;
        Ok(number)
    }

    c"bufferAddNumber" buffer_add_number(
        env,
        buffer: AnyBuffer,
        layout: Layout,
        value: sys::napi_value
    ) -> () {
        let bytes = layout.encode(env, value)?;
        buffer.with(|buffer| buffer.add(&bytes[..layout.len()]))?;
        env.emit_changes_inside()
    }

    c"bufferAddFrame" buffer_add_frame(
        env,
        buffer: AnyBuffer,
        layout: Layout,
        bytes: Bytes
    ) -> () {
        let bytes = bytes.read();
        let prefix = layout.encode_length(bytes.len())?;
        let parts = [IoSlice::new(&prefix[..layout.len()]), IoSlice::new(bytes)];
        buffer.with(|buffer| buffer.write_vectored(&parts)).map_err(|error| {
            error.downcast().map_or_else(system("EvBuffer.addFrame"), Failure::Buffer)
        })?;
        env.emit_changes_inside()
    }

    c"bufferEquals" buffer_equals(_env, buffer: AnyBuffer, bytes: Bytes) -> bool {
        Ok(buffer.with(|buffer| *buffer == *bytes.read()))
    }

    c"bufferEqualsBuffer" buffer_equals_buffer(_env, one: AnyBuffer, other: AnyBuffer) -> bool {
        Ok(one.with_both(&other, |one, other| one == other).unwrap_or(true))
    }

    c"bufferPeek" buffer_peek(
        _env,
        buffer: AnyBuffer,
        length: f64,
        from: usize
    ) -> Vec<Lent> {
        // A negative length is the buffer's.
        let length = (length >= 0.0).then_some(length as usize);
        buffer.with(|buffer| {
            let start = buffer.ptr_set(from)?;
            let mut pieces = Vec::new();
            buffer.lend(length, Some(start), LEAST, &mut pieces)?;
            Ok(bounded(pieces))
        })
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
        encoding: Encoding,
        most: usize
    ) -> Option<Decoded> {
        let line = buffer.with(|buffer| read_line(env, buffer, eol.0, encoding, most))?;
        env.emit_changes_inside()?;
        Ok(line)
    }

    c"bufferReadLines" buffer_read_lines(
        env,
        buffer: AnyBuffer,
        eol: Eol,
        encoding: Encoding,
        most: usize,
        spans: Bytes
    ) -> Decoded {
        let mut spans = spans;
        let spans = Spans::of(&mut spans)?;
        let text = buffer.with(|buffer| read_lines(env, buffer, eol.0, encoding, most, spans))?;
        env.emit_changes_inside()?;
        Ok(text)
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
