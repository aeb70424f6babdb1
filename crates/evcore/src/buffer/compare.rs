//! Whether buffers hold the same bytes, however these are laid out.

use super::{EvBuffer, Segments};

/// Whether both hold the same bytes.
///
/// ```
/// use evcore::EvBuffer;
///
/// let mut buffer = EvBuffer::new();
/// buffer.add_bytes("hel")?;
/// buffer.add_bytes("lo")?;
/// assert!(buffer == *b"hello" && buffer == EvBuffer::from(b"hello".to_vec()));
/// # Ok::<(), evcore::buffer::BufferError>(())
/// ```
impl PartialEq for EvBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && same(self.segments(), other.segments())
    }
}

impl Eq for EvBuffer {}

impl PartialEq<[u8]> for EvBuffer {
    fn eq(&self, other: &[u8]) -> bool {
        self.len == other.len() && same(self.segments(), [other].into_iter())
    }
}

impl<const N: usize> PartialEq<[u8; N]> for EvBuffer {
    fn eq(&self, other: &[u8; N]) -> bool {
        *self == other[..]
    }
}

/// Compares pieces that are of the same length together.
fn same<'a>(mut ours: Segments<'a>, theirs: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut our: &[u8] = &[];
    for mut their in theirs {
        while !their.is_empty() {
            if our.is_empty() {
                let Some(next) = ours.next() else { return false };
                our = next;
            }
            let len = our.len().min(their.len());
            if our[..len] != their[..len] {
                return false;
            }
            (our, their) = (&our[len..], &their[len..]);
        }
    }
    our.is_empty() && ours.next().is_none()
}
