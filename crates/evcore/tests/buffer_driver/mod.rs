//! Drives buffers with operations that bytes stand for, and checks them against vectors of bytes:
//! the same code for the property test and for the fuzzer.
//!
//! Three buffers share segments, files, a connection and positions; each has callbacks, and may be
//! frozen or limited. After each operation all must hold what their models hold.

mod ops;
mod plain;

use std::io::Write;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use evcore::buffer::{BufferError, CallbackId, EvBuffer, FileSegment, FileSegmentFlags, Position};

/// How many bytes make an operation.
pub const OP: usize = 6;

const BUFFERS: usize = 3;

/// What a buffer holds at most, so that sequences that only add do not take all memory.
const ENOUGH: usize = 1 << 20;

/// Runs the operations that the bytes stand for; what is left over at the end stands for none.
///
/// # Panics
/// When a buffer is not what its model is.
pub fn run(bytes: &[u8]) {
    let held = Arc::new(());
    let mut world = World::new(&held);
    for op in bytes.chunks_exact(OP) {
        world.apply(op);
        world.models.iter().for_each(Model::check_len);
        // Not always: looking at the bytes of a file leaves them in memory.
        if op[1] >= 128 {
            world.models.iter().for_each(Model::check);
        }
    }
    world.models.iter().for_each(Model::check);
    drop(world);
    assert_eq!(Arc::strong_count(&held), 1, "everything was let go");
}

/// Everything that operations work on.
struct World {
    models: [Model; BUFFERS],
    /// Not under Miri, which has no sockets.
    wire: Option<Wire>,
    /// A segment that may be sent by the system, and one that may not.
    files: Vec<FileSegment>,
    /// Held by everything that buffers have to let go.
    held: Arc<()>,
}

/// A connection and the bytes under way on it.
struct Wire {
    near: UnixStream,
    far: UnixStream,
    bytes: Vec<u8>,
}

/// A buffer and what it should hold.
struct Model {
    buffer: EvBuffer,
    bytes: Vec<u8>,
    front_frozen: bool,
    back_frozen: bool,
    max_len: usize,
    /// The length as the callbacks tell it.
    told: Arc<AtomicUsize>,
    /// A callback that is called while it is enabled only: how many bytes it was told of, and how
    /// many it should have been.
    other: CallbackId,
    other_enabled: bool,
    other_told: Arc<AtomicUsize>,
    other_expected: usize,
    /// A position of earlier, which may be beyond the end by now.
    position: Position,
}

impl World {
    fn new(held: &Arc<()>) -> Self {
        let models = [Model::new(), Model::new(), Model::new()];
        if cfg!(miri) {
            return Self { models, wire: None, files: Vec::new(), held: held.clone() };
        }
        let (near, far) = UnixStream::pair().expect("a pair of sockets");
        near.set_nonblocking(true).expect("sockets can be non-blocking");
        far.set_nonblocking(true).expect("sockets can be non-blocking");
        let wire = Some(Wire { near, far, bytes: Vec::new() });
        let files = [FileSegmentFlags::empty(), FileSegmentFlags::DISABLE_SENDFILE]
            .into_iter()
            .map(|flags| {
                let file = file().try_clone().expect("a descriptor can be doubled");
                let segment = FileSegment::new(file, 0, None, flags).expect("the file is readable");
                let held = held.clone();
                segment.add_cleanup(move || drop(held));
                segment
            })
            .collect();
        Self { models, wire, files, held: held.clone() }
    }
}

impl Model {
    fn new() -> Self {
        let (mut buffer, told) = (EvBuffer::new(), Arc::new(AtomicUsize::new(0)));
        let length = told.clone();
        buffer.add_callback(move |buffer, change| {
            assert_eq!(length.load(Ordering::Relaxed), change.original_length);
            let now = change.original_length + change.added - change.deleted;
            assert_eq!(now, buffer.len());
            length.store(now, Ordering::Relaxed);
        });
        let other_told = Arc::new(AtomicUsize::new(0));
        let sum = other_told.clone();
        let other = buffer.add_callback(move |_, change| {
            sum.fetch_add(change.added + change.deleted, Ordering::Relaxed);
        });
        Self {
            buffer,
            bytes: Vec::new(),
            front_frozen: false,
            back_frozen: false,
            max_len: EvBuffer::MAX_LEN,
            told,
            other,
            other_enabled: true,
            other_told,
            other_expected: 0,
            position: Position::default(),
        }
    }

    fn check_len(&self) {
        assert_eq!(self.buffer.len(), self.bytes.len());
        assert_eq!(self.told.load(Ordering::Relaxed), self.bytes.len());
        assert_eq!(self.other_told.load(Ordering::Relaxed), self.other_expected);
    }

    fn check(&self) {
        let mut rest = &self.bytes[..];
        for segment in &self.buffer {
            assert!(!segment.is_empty());
            rest = rest.strip_prefix(segment).expect("the bytes are the model's");
        }
        assert!(rest.is_empty());
    }

    /// Whether `more` bytes are more than the buffer may hold.
    fn is_too_much(&self, more: usize) -> bool {
        more > self.max_len.saturating_sub(self.bytes.len())
    }

    /// Takes account of bytes that were added or taken out.
    fn moved(&mut self, len: usize) {
        if self.other_enabled {
            self.other_expected += len;
        }
    }

    fn append(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
        self.moved(data.len());
    }

    fn put_before(&mut self, data: &[u8]) {
        self.bytes.splice(..0, data.iter().copied());
        self.moved(data.len());
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.moved(len);
        if len == self.bytes.len() {
            return std::mem::take(&mut self.bytes);
        }
        self.bytes.drain(..len).collect()
    }
}

/// Whether a method succeeded, which it must unless an end is frozen or it was asked for too much.
fn succeeded<T>(frozen: bool, too_much: bool, result: &Result<T, BufferError>) -> bool {
    match result {
        Ok(_) => assert!(!frozen && !too_much, "it had to fail"),
        Err(BufferError::Frozen { .. }) => assert!(frozen, "no end is frozen"),
        Err(BufferError::TooLarge { .. }) => assert!(too_much, "there is room"),
        Err(error) => panic!("{error}"),
    }
    result.is_ok()
}

/// Bytes of a small alphabet, so that lines and needles are found; those of the file as well.
fn text() -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    TEXT.get_or_init(|| {
        let mut state = 0x2545_f491_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            b"abcdef\r\n\0"[(state >> 8) as usize % 9]
        };
        (0..if cfg!(miri) { 1 << 13 } else { 1 << 18 }).map(|_| next()).collect()
    })
}

/// `len` of them, from a place that depends on `seed`.
fn data(len: usize, seed: u16) -> &'static [u8] {
    let range = range(len, usize::from(seed) * 3);
    &text()[range]
}

/// A range of up to `len` bytes of the text.
fn range(len: usize, from: usize) -> Range<usize> {
    let len = len.min(text().len() / 2);
    let from = from % (text().len() - len);
    from..from + len
}

/// The text in memory that has to be let go.
fn owned(data: &[u8], held: &Arc<()>) -> Bytes {
    struct Owner(Vec<u8>, #[allow(dead_code)] Arc<()>);
    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Owner(data.to_vec(), held.clone()))
}

/// A file that holds the text; its name is gone already.
fn file() -> &'static std::fs::File {
    static FILE: OnceLock<std::fs::File> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("evcore-driver-{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(&path);
        let mut file = file.expect("a temporary file can be made");
        std::fs::remove_file(&path).expect("it can be removed");
        file.write_all(text()).expect("it can be written");
        file
    })
}

/// Lengths near those that the code treats differently, most of them short.
fn length(number: u16) -> usize {
    let small = usize::from(number >> 6);
    match number % 64 {
        0..=31 => small % 40,
        32..=51 => small % 700,
        52..=60 => 900 + small * 4,
        61..=62 => 16_000 + small * 20,
        _ => 60_000 + small * 60,
    }
}
