//! What buffers cost, in CPU nanoseconds an operation: `buffer CASE,...`. Prints a JSON object.

use std::error::Error;
use std::hint::black_box;
use std::sync::OnceLock;

use bytes::Bytes;
use evcore::buffer::EolStyle;
use evcore::EvBuffer;
use rustix::time::{clock_gettime, ClockId};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const SMALL: usize = 64;
const CHUNK: usize = 64 * KIB;
const FULL: usize = MIB;
const SEARCHED: usize = 64 * MIB;
const LINES: usize = 100 * MIB;
const NEEDLE: &[u8] = b"X-Request-Id 421";

/// Adds up CPU time over the rounds of one case.
#[derive(Default)]
struct Stopwatch {
    nanoseconds: i64,
    operations: usize,
}

impl Stopwatch {
    fn time<T>(&mut self, operations: usize, run: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let start = cpu();
        let result = run()?;
        self.nanoseconds += cpu() - start - overhead();
        self.operations += operations;
        Ok(result)
    }

    fn each(&self) -> f64 {
        self.nanoseconds as f64 / self.operations as f64
    }
}

fn cpu() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// What two readings of the clock add to what is between them.
fn overhead() -> i64 {
    static LEAST: OnceLock<i64> = OnceLock::new();
    let reading = |_| {
        let start = cpu();
        cpu() - start
    };
    *LEAST.get_or_init(|| (0..1000).map(reading).min().unwrap_or(0))
}

/// Lines of 80 bytes with their CRLF, the same as the C twin has.
fn lines(length: usize) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789- ";
    let mut seed = 88_172_645_463_325_252_u64;
    let letter = |index: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        match index % 80 {
            78 => b'\r',
            79 => b'\n',
            _ => LETTERS[(seed % 64) as usize],
        }
    };
    (0..length).map(letter).collect()
}

fn filled(total: usize, piece: &[u8]) -> Outcome<EvBuffer> {
    let mut buffer = EvBuffer::new();
    while buffer.len() < total {
        buffer.add(piece)?;
    }
    Ok(buffer)
}

fn append(piece: &[u8], rounds: usize) -> Outcome<f64> {
    let mut watch = Stopwatch::default();
    for _ in 0..rounds {
        let mut buffer = EvBuffer::new();
        let count = FULL / piece.len();
        watch.time(count, || {
            for _ in 0..count {
                buffer.add(black_box(piece))?;
            }
            Ok(())
        })?;
        assert_eq!(buffer.len(), FULL);
    }
    Ok(watch.each())
}

fn append_drain() -> Outcome<f64> {
    let mut buffer = EvBuffer::new();
    let mut watch = Stopwatch::default();
    let operations = 4_000_000;
    watch.time(operations, || {
        for _ in 0..operations {
            buffer.add(black_box(&[b'x'; SMALL]))?;
            black_box(&mut buffer).drain(SMALL)?;
        }
        Ok(())
    })?;
    assert!(buffer.is_empty());
    Ok(watch.each())
}

fn drain(chunk: &[u8], length: usize, rounds: usize) -> Outcome<f64> {
    let mut watch = Stopwatch::default();
    for _ in 0..rounds {
        let mut buffer = filled(FULL, chunk)?;
        watch.time(FULL / length, || {
            for _ in 0..FULL / length {
                black_box(&mut buffer).drain(length)?;
            }
            Ok(())
        })?;
        assert!(buffer.is_empty());
    }
    Ok(watch.each())
}

/// To an empty buffer and back.
fn move_all(chunk: &[u8]) -> Outcome<f64> {
    let (mut one, mut other) = (filled(CHUNK, &chunk[..16 * KIB])?, EvBuffer::new());
    let mut watch = Stopwatch::default();
    let operations = 4_000_000;
    watch.time(operations, || {
        for _ in 0..operations / 2 {
            black_box(&mut other).add_buffer(black_box(&mut one))?;
            black_box(&mut one).add_buffer(black_box(&mut other))?;
        }
        Ok(())
    })?;
    assert_eq!(one.len(), CHUNK);
    Ok(watch.each())
}

/// Behind what the other buffer holds, and from its front back again.
fn move_segment(chunk: &[u8]) -> Outcome<f64> {
    const ROUNDS: usize = 16_384;
    let piece = &chunk[..16 * KIB];
    let mut queue = filled(piece.len(), piece)?;
    let mut sources = (0..64).map(|_| filled(piece.len(), piece)).collect::<Outcome<Vec<_>>>()?;
    let mut watch = Stopwatch::default();
    watch.time(2 * sources.len() * ROUNDS, || {
        for _ in 0..ROUNDS {
            for source in &mut sources {
                queue.add_buffer(source)?;
            }
            for source in &mut sources {
                queue.remove_buffer(source, piece.len())?;
            }
        }
        Ok(())
    })?;
    assert_eq!(queue.len(), piece.len());
    Ok(watch.each())
}

fn move_part(chunk: &[u8]) -> Outcome<f64> {
    const PART: usize = 1000;
    let mut watch = Stopwatch::default();
    for _ in 0..1024 {
        let (mut source, mut target) = (filled(CHUNK, chunk)?, EvBuffer::new());
        watch.time(64, || {
            for _ in 0..64 {
                source.remove_buffer(&mut target, PART)?;
            }
            Ok(())
        })?;
        assert_eq!(target.len(), 64 * PART);
    }
    Ok(watch.each())
}

fn search(chunk: &[u8]) -> Outcome<f64> {
    let mut buffer = filled(SEARCHED, chunk)?;
    buffer.add(NEEDLE)?;
    let mut watch = Stopwatch::default();
    for _ in 0..5 {
        let found = watch.time(1, || Ok(buffer.search(black_box(NEEDLE), None)))?;
        assert_eq!(found.map(|found| found.offset()), Some(SEARCHED));
    }
    Ok(watch.each())
}

fn readln() -> Outcome<f64> {
    let text = lines(LINES);
    let (mut count, mut total) = (0, 0);
    let mut buffer = EvBuffer::new();
    let mut watch = Stopwatch::default();
    for chunk in text.chunks(CHUNK) {
        buffer.add(chunk)?;
        watch.time(0, || {
            while let Some(line) = buffer.readln(EolStyle::Crlf) {
                count += 1;
                total += black_box(line.as_slice()).len();
            }
            Ok(())
        })?;
    }
    assert_eq!((count, total), (LINES / 80, LINES / 80 * 78));
    watch.operations = count;
    Ok(watch.each())
}

fn prepend() -> Outcome<f64> {
    let mut watch = Stopwatch::default();
    for _ in 0..128 {
        let mut buffer = EvBuffer::new();
        watch.time(FULL / SMALL, || {
            for _ in 0..FULL / SMALL {
                buffer.prepend(black_box(&[b'x'; SMALL]))?;
            }
            Ok(())
        })?;
        assert_eq!(buffer.len(), FULL);
    }
    Ok(watch.each())
}

fn pullup(chunk: &[u8]) -> Outcome<f64> {
    const COUNT: usize = 16;
    let chunk = Bytes::copy_from_slice(chunk);
    let mut watch = Stopwatch::default();
    for _ in 0..256 {
        let mut buffers: Vec<EvBuffer> = (0..COUNT).map(|_| EvBuffer::new()).collect();
        for buffer in &mut buffers {
            for start in (0..CHUNK).step_by(4 * KIB) {
                buffer.add_bytes(chunk.slice(start..start + 4 * KIB))?;
            }
        }
        watch.time(COUNT, || {
            for buffer in &mut buffers {
                black_box(buffer.pullup(None)?);
            }
            Ok(())
        })?;
        assert!(buffers.iter().all(|buffer| buffer.contiguous_space() == CHUNK));
    }
    Ok(watch.each())
}

/// A header of which one half is in one segment and one in the next.
fn pullup_border(chunk: &[u8]) -> Outcome<f64> {
    const COUNT: usize = 24;
    let piece = &chunk[..4000];
    let mut watch = Stopwatch::default();
    for _ in 0..4096 {
        let mut buffers = Vec::new();
        for _ in 0..COUNT {
            let mut buffer = filled(piece.len(), piece)?;
            buffer.add_buffer(&mut filled(piece.len(), piece)?)?;
            buffer.drain(piece.len() - 16)?;
            buffers.push(buffer);
        }
        watch.time(COUNT, || {
            for buffer in &mut buffers {
                black_box(buffer.pullup(Some(32))?);
            }
            Ok(())
        })?;
    }
    Ok(watch.each())
}

fn main() -> Outcome {
    overhead();
    let chunk = lines(CHUNK);
    let mut report = Vec::new();
    for name in std::env::args().nth(1).unwrap_or_default().split(',') {
        let each = match name {
            "append-64B" => append(&[b'x'; SMALL], 128)?,
            "append-64KiB" => append(&chunk, 1024)?,
            "append-drain" => append_drain()?,
            "drain-64B" => drain(&chunk, SMALL, 128)?,
            "drain-64KiB" => drain(&chunk, CHUNK, 1024)?,
            "move" => move_all(&chunk)?,
            "move-segment" => move_segment(&chunk)?,
            "move-part" => move_part(&chunk)?,
            "search" => search(&chunk)?,
            "readln" => readln()?,
            "prepend" => prepend()?,
            "pullup" => pullup(&chunk)?,
            "pullup-border" => pullup_border(&chunk)?,
            _ => continue,
        };
        report.push(format!("\"{name}\":{each:.2}"));
    }
    println!("{{{}}}", report.join(","));
    Ok(())
}
