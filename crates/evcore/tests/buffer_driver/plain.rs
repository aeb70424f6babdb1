//! What searching finds, without any art.

use evcore::buffer::EolStyle;

pub(super) fn style(number: u16) -> EolStyle {
    [EolStyle::Any, EolStyle::Crlf, EolStyle::CrlfStrict, EolStyle::Lf, EolStyle::Nul]
        [usize::from(number) % 5]
}

/// Where the first end of a line is in `text` from `start` on, and its length.
pub(super) fn eol(text: &[u8], start: usize, style: EolStyle) -> Option<(usize, usize)> {
    let rest = text.get(start..)?;
    let find = |wanted: &[u8]| rest.windows(wanted.len()).position(|window| window == wanted);
    let (offset, len) = match style {
        EolStyle::Any => {
            let is_end = |byte: &u8| *byte == b'\r' || *byte == b'\n';
            let offset = rest.iter().position(is_end)?;
            (offset, rest[offset..].iter().take_while(|byte| is_end(byte)).count())
        }
        EolStyle::Crlf => {
            let offset = find(b"\n")?;
            match offset.checked_sub(1).filter(|&before| rest[before] == b'\r') {
                Some(before) => (before, 2),
                None => (offset, 1),
            }
        }
        EolStyle::CrlfStrict => (find(b"\r\n")?, 2),
        EolStyle::Lf => (find(b"\n")?, 1),
        EolStyle::Nul => (find(b"\0")?, 1),
    };
    Some((start + offset, len))
}

/// Where `needle` is first.
pub(super) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    match needle.len() {
        0 => Some(0),
        len => text.windows(len).position(|window| window == needle),
    }
}
