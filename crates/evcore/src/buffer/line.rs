//! Finding and taking lines.

use memchr::{memchr2, memchr_iter};

use super::{BufferEnd, EvBuffer, Position};

/// What ends a line (`enum evbuffer_eol_style`).
#[doc(alias = "evbuffer_eol_style")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EolStyle {
    /// Any number of CR and LF in any order, so that empty lines do not count. With more of them
    /// still to come, the next line seems to begin with them (`EVBUFFER_EOL_ANY`).
    #[doc(alias = "EVBUFFER_EOL_ANY")]
    Any,
    /// LF, with or without a CR before it: what internet programs accept (`EVBUFFER_EOL_CRLF`).
    #[doc(alias = "EVBUFFER_EOL_CRLF")]
    Crlf,
    /// CR and LF: what internet programs send (`EVBUFFER_EOL_CRLF_STRICT`).
    #[doc(alias = "EVBUFFER_EOL_CRLF_STRICT")]
    CrlfStrict,
    /// LF (`EVBUFFER_EOL_LF`).
    #[doc(alias = "EVBUFFER_EOL_LF")]
    Lf,
    /// A zero byte (`EVBUFFER_EOL_NUL`).
    #[doc(alias = "EVBUFFER_EOL_NUL")]
    Nul,
}

impl EvBuffer {
    /// Finds the next end of a line from `start` (`None`: the front) on, and its length in bytes.
    ///
    /// ```
    /// use evcore::buffer::{EolStyle, EvBuffer};
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add(b"one\r\ntwo")?;
    /// let (end, len) = buffer.search_eol(None, EolStyle::Crlf).unwrap();
    /// assert_eq!((end.offset(), len), (3, 2));
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    #[doc(alias = "evbuffer_search_eol")]
    pub fn search_eol(
        &self,
        start: Option<Position>,
        style: EolStyle,
    ) -> Option<(Position, usize)> {
        let start = start.unwrap_or_default();
        let (offset, len) = match style {
            EolStyle::Any => self.find_any(start)?,
            EolStyle::Crlf => self.find_crlf(start, false)?,
            EolStyle::CrlfStrict => self.find_crlf(start, true)?,
            EolStyle::Lf => (self.find_byte(b'\n', start, self.len)?, 1),
            EolStyle::Nul => (self.find_byte(0, start, self.len)?, 1),
        };
        Some((Position(offset), len))
    }

    /// Takes the next line and its end out and returns the line alone. `None` if no whole line is
    /// there, or if the front is frozen.
    #[doc(alias("evbuffer_readln", "evbuffer_readline"))]
    #[inline]
    pub fn readln(&mut self, style: EolStyle) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.readln_into(style, &mut line).map(|_| line)
    }

    /// As [`readln`](Self::readln), but appends the line to `line` and returns its length, so that
    /// a vector can serve for many lines.
    pub fn readln_into(&mut self, style: EolStyle, line: &mut Vec<u8>) -> Option<usize> {
        if self.is_frozen(BufferEnd::Front) {
            return None;
        }
        let (end, eol_len) = self.search_eol(None, style)?;
        let len = end.offset();
        let mut missing = len;
        for chunk in self.segments() {
            let part = &chunk[..chunk.len().min(missing)];
            line.extend_from_slice(part);
            missing -= part.len();
            if missing == 0 {
                break;
            }
        }
        let taken = self.discard(len + eol_len);
        self.changed(0, taken);
        Some(len)
    }

    /// Finds a run of CR and LF.
    fn find_any(&self, start: Position) -> Option<(usize, usize)> {
        let mut base = start.0;
        let mut chunks = self.segments_from(start);
        let (offset, mut chunk) = loop {
            let chunk = chunks.next()?;
            if let Some(index) = memchr2(b'\r', b'\n', chunk) {
                break (base + index, &chunk[index..]);
            }
            base += chunk.len();
        };
        let mut len = 0;
        loop {
            let run = chunk.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
            len += run;
            match chunks.next() {
                Some(next) if run == chunk.len() => chunk = next,
                _ => return Some((offset, len)),
            }
        }
    }

    /// Finds an LF and the CR before it, which must be there if `strict`.
    fn find_crlf(&self, start: Position, strict: bool) -> Option<(usize, usize)> {
        let mut base = start.0;
        let mut before = 0;
        for chunk in self.segments_from(start) {
            for index in memchr_iter(b'\n', chunk) {
                let previous = if index == 0 { before } else { chunk[index - 1] };
                if previous == b'\r' {
                    return Some((base + index - 1, 2));
                }
                if !strict {
                    return Some((base + index, 1));
                }
            }
            base += chunk.len();
            before = *chunk.last()?;
        }
        None
    }
}
