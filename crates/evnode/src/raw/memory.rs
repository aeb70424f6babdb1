//! Memory that JavaScript and we share for the time of a call: views, strings; and descriptors.

use std::ptr;
use std::slice;

use evcore::backend::RawFd;
use evcore::base::NO_FD;
use evcore::buffer::EvBuffer;
use evcore::util::BorrowedFd;
use napi::sys;

use super::value::{FromJs, IntoJs};
use crate::env::EnvState;
use crate::error::{Failure, Result};

#[cfg(unix)]
pub(crate) use std::os::fd::OwnedFd;
#[cfg(windows)]
pub(crate) use std::os::windows::io::OwnedSocket as OwnedFd;

/// The bytes of a view or an ArrayBuffer, for the time of the call that they are an argument of.
pub(super) struct Bytes {
    start: *mut u8,
    length: usize,
}

impl Bytes {
    /// How many bytes there are.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The bytes, to be read.
    pub(super) fn read(&self) -> &[u8] {
        // SAFETY: the memory is the view's, which the running call keeps alive; JavaScript does not
        // run on this thread meanwhile. Bytes that other threads share may change while they are
        // copied, as they may under any of JavaScript's own copies.
        unsafe { slice::from_raw_parts(self.start, self.length) }
    }

    /// `length` bytes from `offset` on, to be written.
    pub(super) fn window(&mut self, offset: usize, length: usize) -> Result<&mut [u8]> {
        let end = offset.checked_add(length).filter(|end| *end <= self.length);
        if end.is_none() {
            return Err(Failure::Range("offset and length reach past the end of the view"));
        }
        // SAFETY: as in `read`, and the window lies within the view.
        Ok(unsafe { slice::from_raw_parts_mut(self.start.add(offset), length) })
    }
}

impl FromJs for Bytes {
    #[inline]
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        let (mut kind, mut count, mut start) = (0, 0, ptr::null_mut());
        let unused = ptr::null_mut();
        // SAFETY: the value belongs to the call that is running; outputs may be left out.
        let length = unsafe {
            if sys::napi_get_typedarray_info(
                env.raw,
                value,
                &mut kind,
                &mut count,
                &mut start,
                unused,
                ptr::null_mut(),
            ) == sys::Status::napi_ok
            {
                count * element_size(kind)?
            } else if sys::napi_get_dataview_info(
                env.raw,
                value,
                &mut count,
                &mut start,
                ptr::null_mut(),
                ptr::null_mut(),
            ) == sys::Status::napi_ok
                || sys::napi_get_arraybuffer_info(env.raw, value, &mut start, &mut count)
                    == sys::Status::napi_ok
            {
                count
            } else {
                return Err(Failure::Type("the argument is no ArrayBufferView or ArrayBuffer"));
            }
        };
        if start.is_null() || length == 0 {
            return Ok(Self { start: ptr::NonNull::dangling().as_ptr(), length: 0 });
        }
        Ok(Self { start: start.cast(), length })
    }
}

/// Bytes of an element of a typed array.
fn element_size(kind: sys::napi_typedarray_type) -> Result<usize> {
    use sys::TypedarrayType as Kind;
    match kind {
        Kind::int8_array | Kind::uint8_array | Kind::uint8_clamped_array => Ok(1),
        Kind::int16_array | Kind::uint16_array => Ok(2),
        Kind::int32_array | Kind::uint32_array | Kind::float32_array => Ok(4),
        Kind::float64_array | Kind::bigint64_array | Kind::biguint64_array => Ok(8),
        // Float16Array, which the bindings' constants do not have yet.
        11 => Ok(2),
        _ => Err(Failure::Type("this kind of typed array is not known")),
    }
}

/// How a string is laid out in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Latin1,
    Utf16,
}

impl Encoding {
    /// How many units of UTF-16 a string of these bytes has.
    #[inline]
    pub(super) fn units(self, bytes: &[u8]) -> usize {
        match self {
            Self::Latin1 => bytes.len(),
            Self::Utf16 => bytes.len() / 2,
            // What is not UTF-8 becomes replacement characters of one unit, chunk by chunk.
            Self::Utf8 => bytes
                .utf8_chunks()
                .map(|chunk| {
                    chunk.valid().encode_utf16().count() + usize::from(!chunk.invalid().is_empty())
                })
                .sum(),
        }
    }
}

impl FromJs for Encoding {
    fn from_js(env: &EnvState, value: sys::napi_value) -> Result<Self> {
        match i32::from_js(env, value)? {
            0 => Ok(Self::Utf8),
            1 => Ok(Self::Latin1),
            2 => Ok(Self::Utf16),
            _ => Err(Failure::Range("an encoding is 0 utf8, 1 latin1 or 2 utf16le")),
        }
    }
}

/// Strings up to this long are copied by way of the stack.
const SHORT: usize = 1024;

/// A string argument.
#[derive(Clone, Copy)]
pub(super) struct Text(sys::napi_value);

impl FromJs for Text {
    fn from_js(_env: &EnvState, value: sys::napi_value) -> Result<Self> {
        Ok(Self(value))
    }
}

impl Text {
    /// Appends the string to a buffer and returns how many bytes it became.
    pub(super) fn add_to(
        self,
        env: &EnvState,
        encoding: Encoding,
        buffer: &mut EvBuffer,
    ) -> Result<usize> {
        let mut short = [0_u8; SHORT];
        // A string that leaves room for one more character was copied whole.
        let length = self.copy(env, encoding, &mut short)?;
        if length + 8 < SHORT {
            buffer.add(&short[..length])?;
            return Ok(length);
        }
        let length = self.length(env, encoding)?;
        // Node ends what it writes with a NUL, which is not committed.
        let mut room = buffer.reserve_contiguous(length + 2)?;
        let [space, _] = room.slices();
        let length = self.copy(env, encoding, space)?;
        room.commit(length)?;
        Ok(length)
    }

    /// Copies as much of the string as there is room for, whole characters only.
    fn copy(self, env: &EnvState, encoding: Encoding, space: &mut [u8]) -> Result<usize> {
        let mut length = 0;
        // SAFETY: the value belongs to the call that is running, and the space is as large as told.
        let status = unsafe {
            let (start, size) = (space.as_mut_ptr(), space.len());
            match encoding {
                Encoding::Utf8 => {
                    let start = start.cast();
                    sys::napi_get_value_string_utf8(env.raw, self.0, start, size, &mut length)
                }
                Encoding::Latin1 => {
                    let start = start.cast();
                    sys::napi_get_value_string_latin1(env.raw, self.0, start, size, &mut length)
                }
                Encoding::Utf16 => return self.copy_utf16(env, space),
            }
        };
        Self::check(status)?;
        Ok(length)
    }

    fn copy_utf16(self, env: &EnvState, space: &mut [u8]) -> Result<usize> {
        let mut units = vec![0_u16; space.len() / 2];
        let (mut length, start) = (0, units.as_mut_ptr());
        // SAFETY: as in `copy`.
        let status = unsafe {
            sys::napi_get_value_string_utf16(env.raw, self.0, start, units.len(), &mut length)
        };
        Self::check(status)?;
        for (bytes, unit) in space.chunks_exact_mut(2).zip(&units[..length]) {
            bytes.copy_from_slice(&unit.to_le_bytes());
        }
        Ok(length * 2)
    }

    /// The length in bytes.
    fn length(self, env: &EnvState, encoding: Encoding) -> Result<usize> {
        let mut length = 0;
        // SAFETY: as in `copy`; without room the length is told.
        let status = unsafe {
            match encoding {
                Encoding::Utf8 => sys::napi_get_value_string_utf8(
                    env.raw,
                    self.0,
                    ptr::null_mut(),
                    0,
                    &mut length,
                ),
                Encoding::Latin1 => sys::napi_get_value_string_latin1(
                    env.raw,
                    self.0,
                    ptr::null_mut(),
                    0,
                    &mut length,
                ),
                Encoding::Utf16 => sys::napi_get_value_string_utf16(
                    env.raw,
                    self.0,
                    ptr::null_mut(),
                    0,
                    &mut length,
                ),
            }
        };
        Self::check(status)?;
        Ok(if encoding == Encoding::Utf16 { length * 2 } else { length })
    }

    fn check(status: sys::napi_status) -> Result<()> {
        if status == sys::Status::napi_ok {
            return Ok(());
        }
        Err(Failure::Type("the argument is not a string"))
    }
}

/// Bytes to become a string.
pub(super) struct Decoded {
    value: sys::napi_value,
}

impl Decoded {
    /// Makes a string of bytes.
    ///
    /// # Errors
    /// [`Failure::Range`] when it would be longer than strings can be.
    pub(super) fn new(env: &EnvState, bytes: &[u8], encoding: Encoding) -> Result<Self> {
        let mut value = ptr::null_mut();
        let (start, length) = (bytes.as_ptr(), bytes.len() as isize);
        // SAFETY: start and length are those of a slice; the value belongs to the running call.
        let status = unsafe {
            match encoding {
                Encoding::Utf8 => {
                    sys::napi_create_string_utf8(env.raw, start.cast(), length, &mut value)
                }
                Encoding::Latin1 => {
                    sys::napi_create_string_latin1(env.raw, start.cast(), length, &mut value)
                }
                Encoding::Utf16 => {
                    let units: Vec<u16> = bytes
                        .chunks_exact(2)
                        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                        .collect();
                    let length = units.len() as isize;
                    sys::napi_create_string_utf16(env.raw, units.as_ptr(), length, &mut value)
                }
            }
        };
        if status != sys::Status::napi_ok {
            return Err(Failure::Range("the string would be longer than strings can be"));
        }
        Ok(Self { value })
    }
}

impl IntoJs for Decoded {
    fn into_js(self, _env: &EnvState) -> sys::napi_value {
        self.value
    }
}

/// A descriptor as JavaScript gives it.
pub(crate) fn fd_from(number: f64) -> Result<RawFd> {
    let fd = number as RawFd;
    if fd as f64 != number {
        return Err(Failure::Range("the argument is not a descriptor"));
    }
    Ok(fd)
}

/// Lends a descriptor of JavaScript's to `call`.
pub(crate) fn with_fd<R>(number: f64, call: impl FnOnce(BorrowedFd<'_>) -> R) -> Result<R> {
    let fd = fd_from(number)?;
    if fd == NO_FD {
        return Err(Failure::Range("the argument is not a descriptor"));
    }
    // SAFETY: it is not the one that no descriptor is, and on loan for a call in which nothing of ours
    // closes it. Whether it is open is for the system to say.
    Ok(call(unsafe { BorrowedFd::borrow_raw(fd) }))
}

/// Takes over an open descriptor.
pub(crate) fn owned_fd(number: f64) -> Result<OwnedFd> {
    let fd = fd_from(number)?;
    #[cfg(unix)]
    {
        use std::os::fd::{BorrowedFd, FromRawFd};
        if fd < 0 {
            return Err(Failure::Range("the argument is not a descriptor"));
        }
        // SAFETY: the descriptor is borrowed for one call, which checks that it is open.
        let check = rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) });
        check.map_err(|error| Failure::Os { call: "fcntl", error: error.into(), address: None })?;
        // SAFETY: it is open, and whoever passes it gives it away, as the declaration says.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::FromRawSocket;
        // SAFETY: whoever passes a socket gives it away, as the declaration says.
        Ok(unsafe { OwnedFd::from_raw_socket(fd) })
    }
}

/// Gives a descriptor to JavaScript.
pub(crate) fn raw_fd(fd: OwnedFd) -> f64 {
    #[cfg(unix)]
    return f64::from(std::os::fd::IntoRawFd::into_raw_fd(fd));
    #[cfg(windows)]
    return std::os::windows::io::IntoRawSocket::into_raw_socket(fd) as f64;
}
