//! Files in buffers: sent from the system's cache without passing through memory of ours, read where
//! somebody looks at them.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::file_part::FilePart;
use super::segment::Segment;
use super::{BufferEnd, BufferError, EvBuffer};

bitflags::bitflags! {
    /// What must not be done with a file (`EVBUF_FS_*`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FileSegmentFlags: u32 {
        /// The file is not to be mapped. It never is: a mapped file that somebody truncates ends the
        /// process (`SIGBUS`) when it is read, where a plain read returns an error, and a
        /// page fault per 4 KiB costs as much as the copy it saves. So this changes nothing.
        #[doc(alias = "EVBUF_FS_DISABLE_MMAP")]
        const DISABLE_MMAP = 2;
        /// The file is not to be sent by `sendfile(2)`, but read and sent.
        #[doc(alias = "EVBUF_FS_DISABLE_SENDFILE")]
        const DISABLE_SENDFILE = 4;
        /// Changes nothing: a segment has no lock to do without, but a count of its owners.
        #[doc(alias = "EVBUF_FS_DISABLE_LOCKING")]
        const DISABLE_LOCKING = 8;
    }
}

/// A range of a file that buffers can hold (`struct evbuffer_file_segment`), in any number of them
/// and on any thread. Clones are the same segment; the file is closed when the last clone and the
/// last buffer that holds a part of it has gone.
///
/// The bytes are the file's: nothing is read before it is sent or looked at, and a file that
/// changes meanwhile gives what it then holds. If it has become shorter, what asks for the missing
/// bytes fails with [`BufferError::Unreadable`], of the kind `UnexpectedEof`.
///
/// Reading blocks the thread while the disk is slow.
///
/// ```
/// use evcore::buffer::{EvBuffer, FileSegment, FileSegmentFlags};
///
/// let path = std::env::temp_dir().join(format!("evcore-doc-{}", std::process::id()));
/// std::fs::write(&path, "0123456789")?;
/// let digits = FileSegment::open(&path, 0, None, FileSegmentFlags::empty())?;
/// let (mut one, mut two) = (EvBuffer::new(), EvBuffer::new());
/// one.add_file_segment(&digits, 0, Some(5))?;
/// two.add_file_segment(&digits, 7, None)?;
/// std::fs::remove_file(&path)?;
/// assert_eq!((one.to_vec(), two.to_vec()), (b"01234".to_vec(), b"789".to_vec()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("evbuffer_file_segment", "evbuffer_file_segment_free"))]
#[derive(Clone)]
pub struct FileSegment(Arc<Shared>);

struct Shared {
    file: File,
    /// The range that buffers may hold, in bytes of the file.
    offset: u64,
    len: u64,
    may_sendfile: AtomicBool,
    // Behind the file: what cleans up finds it closed.
    cleanup: Cleanup,
}

impl FileSegment {
    /// The `len` bytes of a file from `offset` on; all that follow with `None`. The file, an
    /// [`File`] or on Unix an `OwnedFd`, is closed with the segment, and its own position is neither
    /// used nor moved (except on Windows, where reading moves it).
    ///
    /// # Errors
    /// `InvalidInput` if it is no regular file or the range reaches past its end; else what the
    /// system says.
    #[doc(alias("evbuffer_file_segment_new", "EVBUF_FS_CLOSE_ON_FREE"))]
    pub fn new(
        file: impl Into<File>,
        offset: u64,
        len: Option<u64>,
        flags: FileSegmentFlags,
    ) -> io::Result<Self> {
        let file = file.into();
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            let message = "FileSegment::new: only a regular file has segments";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let Some(rest) = metadata.len().checked_sub(offset) else {
            let message =
                format!("FileSegment::new: offset {offset} of a file of {} bytes", metadata.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        let len = len.unwrap_or(rest);
        if len > rest {
            let message = format!("FileSegment::new: {len} bytes asked for where there are {rest}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let may_sendfile = AtomicBool::new(!flags.contains(FileSegmentFlags::DISABLE_SENDFILE));
        let cleanup = Cleanup(Mutex::new(Vec::new()));
        Ok(Self(Arc::new(Shared { file, offset, len, may_sendfile, cleanup })))
    }

    /// As [`new`](Self::new), of the file at `path`.
    pub fn open(
        path: impl AsRef<Path>,
        offset: u64,
        len: Option<u64>,
        flags: FileSegmentFlags,
    ) -> io::Result<Self> {
        Self::new(File::open(path)?, offset, len, flags)
    }

    /// How many bytes of the file the segment has.
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// Where in the file it begins, in bytes.
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Has `cleanup` called when nobody holds the segment any more and its file is closed, after
    /// those that were added before.
    ///
    /// It is called by whoever lets the last part go, which may be a buffer in the middle of a
    /// write: it must not ask for that buffer, and leaves longer work to somebody else, by
    /// [`BaseHandle::post`](crate::BaseHandle::post) for one.
    #[doc(alias("evbuffer_file_segment_add_cleanup_cb", "evbuffer_file_segment_cleanup_cb"))]
    pub fn add_cleanup(&self, cleanup: impl FnOnce() + Send + 'static) {
        let mut list = self.0.cleanup.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(Box::new(cleanup));
    }

    /// Fills `space` with the bytes at an offset of the file.
    pub(super) fn read_exact_at(&self, mut space: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !space.is_empty() {
            match read_at(&self.0.file, space, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    let len = len.min(space.len());
                    offset += len as u64;
                    space = &mut space[len..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// For `sendfile(2)`.
#[cfg(any(target_os = "linux", target_os = "android"))]
impl FileSegment {
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    pub(super) fn may_sendfile(&self) -> bool {
        self.0.may_sendfile.load(Ordering::Relaxed)
    }

    /// The file, or what it was sent to, turned out not to be able to.
    pub(super) fn cannot_sendfile(&self) {
        self.0.may_sendfile.store(false, Ordering::Relaxed);
    }
}

impl EvBuffer {
    /// Adds `len` bytes of a segment from its `offset`th on to the back; all that follow with
    /// `None`. Nothing is read or copied.
    ///
    /// To a socket they are sent by `sendfile(2)` on Linux. Whatever looks at them reads them into
    /// memory, in pieces of up to 64 KiB: those that take bytes from the front let each piece go as
    /// it is passed; those that look at a borrowed buffer ([`search`](Self::search),
    /// [`copyout`](Self::copyout), [`segments`](Self::segments) and their like) leave what they have
    /// seen in memory, and where the file cannot be read they see no further.
    /// [`read_files`](Self::read_files) tells why.
    #[doc(alias = "evbuffer_add_file_segment")]
    pub fn add_file_segment(
        &mut self,
        segment: &FileSegment,
        offset: u64,
        len: Option<u64>,
    ) -> Result<(), BufferError> {
        const CALL: &str = "EvBuffer::add_file_segment";
        self.check_end(BufferEnd::Back, CALL)?;
        let rest = segment.len().checked_sub(offset);
        let requested = len.or(rest).unwrap_or(offset);
        if rest.is_none_or(|rest| requested > rest) {
            return Err(BufferError::OutOfRange {
                call: CALL,
                requested: usize::try_from(requested).unwrap_or(usize::MAX),
                available: usize::try_from(rest.unwrap_or(0)).unwrap_or(usize::MAX),
            });
        }
        let len = usize::try_from(requested).unwrap_or(usize::MAX);
        self.check_len(len, CALL)?;
        if len == 0 {
            return Ok(());
        }
        self.drop_empty_tail();
        if !self.chain.try_reserve(1) {
            return Err(BufferError::OutOfMemory { call: CALL, requested: len });
        }
        let part = FilePart::new(segment.clone(), segment.offset() + offset, len);
        self.chain.push_back(Segment::File(Box::new(part)));
        self.may_hold_files = true;
        self.len += len;
        self.changed(len, 0);
        Ok(())
    }

    /// Adds `len` bytes of a file from `offset` on to the back; all that follow with `None`. The
    /// file is closed when they have been taken out.
    ///
    /// # Errors
    /// Those of [`FileSegment::new`] and [`add_file_segment`](Self::add_file_segment).
    #[doc(alias = "evbuffer_add_file")]
    pub fn add_file(
        &mut self,
        file: impl Into<File>,
        offset: u64,
        len: Option<u64>,
    ) -> io::Result<()> {
        let segment = FileSegment::new(file, offset, len, FileSegmentFlags::default())?;
        Ok(self.add_file_segment(&segment, 0, None)?)
    }

    /// Reads what the first `len` bytes, all with `None`, have of files into memory, so that whoever
    /// looks at them sees them. Does nothing in a buffer without files.
    ///
    /// # Errors
    /// [`BufferError::Unreadable`], or [`BufferError::OutOfMemory`]. The buffer's bytes are the same.
    ///
    /// ```
    /// use evcore::EvBuffer;
    ///
    /// let path = std::env::temp_dir().join(format!("evcore-doc-short-{}", std::process::id()));
    /// std::fs::write(&path, "once so long")?;
    /// let mut buffer = EvBuffer::new();
    /// buffer.add_file(std::fs::File::open(&path)?, 0, None)?;
    /// std::fs::write(&path, "now short")?;
    /// let error = std::io::Error::from(buffer.read_files(None).unwrap_err());
    /// assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn read_files(&mut self, len: Option<usize>) -> Result<(), BufferError> {
        self.load_files(len.unwrap_or(self.len).min(self.len), "EvBuffer::read_files")
    }

    /// How many of the bytes are in memory: all but those of files that nobody has looked at.
    pub fn in_memory(&self) -> usize {
        if !self.may_hold_files {
            return self.len;
        }
        self.chain.iter_from(0).map(Segment::in_memory).sum()
    }

    /// Puts blocks in the place of what the first `len` bytes have of files. When that fails, the
    /// bytes are the same, and in the same order.
    pub(super) fn load_files(&mut self, len: usize, call: &'static str) -> Result<(), BufferError> {
        if !self.may_hold_files {
            return Ok(());
        }
        let mut index = 0;
        let mut base = 0;
        while base < len {
            let Some(segment) = self.chain.at_mut(index) else { break };
            if segment.is_file() {
                if !self.chain.try_reserve(1) {
                    return Err(BufferError::OutOfMemory { call, requested: len });
                }
                let Some(Segment::File(part)) = self.chain.at_mut(index) else { break };
                let block =
                    part.take_block().map_err(|error| BufferError::unreadable(call, &error))?;
                base += block.len();
                let is_done = part.len() == 0;
                if is_done {
                    self.chain.replace(index, block.into());
                } else {
                    self.chain.insert(index, block.into());
                }
            } else {
                base += segment.len();
            }
            index += 1;
        }
        Ok(())
    }

    /// How many of the first `max` bytes, which are not 0, can be lent at once without reading more
    /// than a piece of a file.
    #[cold]
    pub(super) fn load_some(
        &mut self,
        max: usize,
        call: &'static str,
    ) -> Result<usize, BufferError> {
        self.load_files(1, call)?;
        let in_memory = self.chain.iter_from(0).take_while(|segment| !segment.is_file());
        Ok(in_memory.map(Segment::len).sum::<usize>().min(max))
    }

    /// What keeps the first `len` bytes from being read.
    #[cold]
    pub(super) fn unreadable(&mut self, len: usize, call: &'static str) -> BufferError {
        // It may have become readable meanwhile, but not for this call.
        let error = io::Error::from(io::ErrorKind::UnexpectedEof);
        self.load_files(len, call).err().unwrap_or(BufferError::unreadable(call, &error))
    }
}

impl fmt::Debug for FileSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSegment")
            .field("file", &self.0.file)
            .field("offset", &self.0.offset)
            .field("len", &self.0.len)
            .finish_non_exhaustive()
    }
}

/// What is to be called when a segment is no more.
struct Cleanup(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

impl Drop for Cleanup {
    fn drop(&mut self) {
        let list = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(list).into_iter().for_each(|cleanup| cleanup());
    }
}

#[cfg(unix)]
fn read_at(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, space, offset)
}

#[cfg(windows)]
fn read_at(file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, space, offset)
}

#[cfg(not(any(unix, windows)))]
fn read_at(mut file: &File, space: &mut [u8], offset: u64) -> io::Result<usize> {
    use std::io::{Read, Seek};
    file.seek(io::SeekFrom::Start(offset))?;
    file.read(space)
}
