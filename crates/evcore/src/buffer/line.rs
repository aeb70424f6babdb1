//! Finding and taking lines.

use std::ops::Range;

use memchr::{memchr, memchr2, memchr_iter};

use super::{BufferEnd, BufferError, EvBuffer, Position};

/// How many bytes [`EvBuffer::pullup_lines`] lends before it leaves the other lines for the next
/// call: what fits into the processor's nearer caches.
const AT_ONCE: usize = 64 * 1024;

/// When the first segment has fewer bytes than this, bytes of the next ones are put to it, so that
/// short segments do not make short batches.
const TOGETHER: usize = 4 * 1024;

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

impl EolStyle {
    /// Where the first line of `text` ends, and the length of its end. `None` without one, or if
    /// more of it may follow.
    #[inline]
    fn find_in(self, text: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Crlf => {
                let end = memchr(b'\n', text)?;
                let cr = end > 0 && text[end - 1] == b'\r';
                Some((end - usize::from(cr), 1 + usize::from(cr)))
            }
            Self::CrlfStrict => {
                let mut ends = memchr_iter(b'\n', text);
                let end = ends.find(|&end| end > 0 && text[end - 1] == b'\r')?;
                Some((end - 1, 2))
            }
            Self::Lf => memchr(b'\n', text).map(|end| (end, 1)),
            Self::Nul => memchr(0, text).map(|end| (end, 1)),
            Self::Any => {
                let end = memchr2(b'\r', b'\n', text)?;
                let rest = text[end..].iter();
                let len = rest.take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                (end + len < text.len()).then_some((end, len))
            }
        }
    }
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
    pub fn readln(&mut self, style: EolStyle) -> Option<Vec<u8>> {
        let (len, eol_len) = self.next_line(style)?;
        let line = match self.first_chunk().get(..len) {
            Some(line) => line.to_vec(),
            None => self.gather(len),
        };
        self.drop_line(len + eol_len);
        Some(line)
    }

    /// As [`readln`](Self::readln), but appends the line to `line` and returns its length, so that
    /// a vector can serve for many lines.
    pub fn readln_into(&mut self, style: EolStyle, line: &mut Vec<u8>) -> Option<usize> {
        let (len, eol_len) = self.next_line(style)?;
        match self.first_chunk().get(..len) {
            Some(whole) => line.extend_from_slice(whole),
            None => line.extend_from_slice(&self.gather(len)),
        }
        self.drop_line(len + eol_len);
        Some(len)
    }

    /// Lays whole lines at the front out in one piece and lends them, ends included, for many at
    /// once: up to `most`, and about 64 KiB unless the first is longer. Appends to `lines` where
    /// each lies in what is lent, without its end. Takes nothing out: [`drain`](Self::drain) as
    /// much as you have used. Nothing is lent when no whole line is there.
    ///
    /// ```
    /// use evcore::buffer::{EolStyle, EvBuffer};
    ///
    /// let mut buffer = EvBuffer::new();
    /// buffer.add(b"one\r\ntwo\nthr")?;
    /// let mut lines = Vec::new();
    /// let text = buffer.pullup_lines(EolStyle::Crlf, usize::MAX, &mut lines)?;
    /// assert_eq!((text, &lines[..]), (&b"one\r\ntwo\n"[..], &[0..3, 5..8][..]));
    /// let used = text.len();
    /// buffer.drain(used)?;
    /// assert_eq!(buffer.to_vec(), b"thr");
    /// # Ok::<(), evcore::buffer::BufferError>(())
    /// ```
    pub fn pullup_lines(
        &mut self,
        style: EolStyle,
        most: usize,
        lines: &mut Vec<Range<usize>>,
    ) -> Result<&[u8], BufferError> {
        if self.first_chunk().len() < TOGETHER {
            // When that fails, the batch is what there is.
            let _ = self.pullup(Some(self.len.min(TOGETHER)));
        }
        let first = self.first_chunk();
        let (mut used, mut left) = (0, most);
        while left > 0 && used < AT_ONCE {
            let Some((len, eol_len)) = style.find_in(&first[used..]) else { break };
            lines.push(used..used + len);
            used += len + eol_len;
            left -= 1;
        }
        if used > 0 || most == 0 {
            return Ok(&self.first_chunk()[..used]);
        }
        // The line, or its end, may go on in the next segments.
        let Some((end, eol_len)) = self.search_eol(None, style) else { return Ok(&[]) };
        let text = self.pullup(Some(end.offset() + eol_len))?;
        lines.push(0..end.offset());
        Ok(text)
    }

    /// The lengths of the next line and of its end, if it can be taken.
    #[inline]
    fn next_line(&self, style: EolStyle) -> Option<(usize, usize)> {
        if self.is_frozen(BufferEnd::Front) {
            return None;
        }
        let (end, eol_len) = self.search_eol(None, style)?;
        Some((end.offset(), eol_len))
    }

    /// Copies the first `len` bytes, which are in several segments.
    #[cold]
    fn gather(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.copyout(&mut bytes);
        bytes
    }

    #[inline]
    fn drop_line(&mut self, len: usize) {
        let taken = self.discard(len);
        self.changed(0, taken);
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
    #[inline]
    fn find_crlf(&self, start: Position, strict: bool) -> Option<(usize, usize)> {
        let mut base = start.0;
        let mut before = 0;
        for chunk in self.segments_from(start) {
            let mut from = 0;
            while let Some(index) = memchr(b'\n', &chunk[from..]).map(|index| from + index) {
                let previous = if index == 0 { before } else { chunk[index - 1] };
                if previous == b'\r' {
                    return Some((base + index - 1, 2));
                }
                if !strict {
                    return Some((base + index, 1));
                }
                from = index + 1;
            }
            base += chunk.len();
            before = *chunk.last()?;
        }
        None
    }
}
