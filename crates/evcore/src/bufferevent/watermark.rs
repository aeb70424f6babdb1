//! Watermarks: from how many bytes on callbacks run, and when to stop taking more.

/// The marks of one direction, in bytes (`bufferevent_setwatermark`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watermark {
    pub(super) low: usize,
    /// 0 for none.
    pub(super) high: usize,
}

impl Watermark {
    /// Whether a buffer of this length has reached the high mark.
    pub(super) fn is_full(&self, length: usize) -> bool {
        self.high != 0 && length >= self.high
    }

    /// How many more bytes fit below the high mark.
    pub(super) fn room(&self, length: usize) -> usize {
        if self.high == 0 {
            usize::MAX
        } else {
            self.high.saturating_sub(length)
        }
    }
}
