//! Filters that come with the library, for [`BufferEvent::filter`](crate::BufferEvent::filter).
//!
//! | filter | does |
//! |---|---|
//! | [`Frames`] | passes on whole messages, each with its length before it |
//! | [`Lines`] | passes on whole lines |
//! | [`Tee`] | shows all that passes to a function |
//! | [`Meter`] | counts what passes |
//! | `Compressed` | compresses what goes out and decompresses what comes: gzip, zlib and deflate with the feature `filter-gzip`, Brotli with `filter-brotli`, Zstandard with `filter-zstd` |

#[cfg(feature = "filter-brotli")]
mod brotli;
#[cfg(any(feature = "filter-gzip", feature = "filter-brotli", feature = "filter-zstd"))]
mod compressed;
#[cfg(feature = "filter-gzip")]
mod flate;
mod frames;
mod lines;
mod tee;
#[cfg(feature = "filter-zstd")]
mod zstd;

#[cfg(any(feature = "filter-gzip", feature = "filter-brotli", feature = "filter-zstd"))]
pub use compressed::Compressed;
pub use frames::{FrameWidth, Frames};
pub use lines::Lines;
pub use tee::{Counts, Meter, Tee, Way};

use crate::buffer::EvBuffer;
use crate::bufferevent::FilterResult;

/// Passes everything on.
fn pass(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    match destination.add_buffer(source) {
        Ok(()) => FilterResult::Ok,
        Err(error) => FilterResult::Error(error.into()),
    }
}
