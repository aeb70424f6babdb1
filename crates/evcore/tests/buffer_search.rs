//! Finding strings and lines in segmented buffers.
#![cfg(feature = "buffer")]

use evcore::buffer::{EolStyle, EvBuffer, Position};

const STYLES: [EolStyle; 5] =
    [EolStyle::Any, EolStyle::Crlf, EolStyle::CrlfStrict, EolStyle::Lf, EolStyle::Nul];

/// A buffer with one segment for each piece.
fn segmented(pieces: &[&[u8]]) -> EvBuffer {
    let mut buffer = EvBuffer::new();
    for piece in pieces {
        buffer.add_bytes(piece.to_vec()).unwrap();
    }
    buffer
}

/// All ways to have `text` in up to three segments.
fn splits(text: &[u8]) -> impl Iterator<Item = EvBuffer> + '_ {
    (0..=text.len()).flat_map(move |second| {
        (0..=second)
            .map(move |first| segmented(&[&text[..first], &text[first..second], &text[second..]]))
    })
}

/// What `search_eol` must find: the first end at or behind `start`, by the plainest of means.
fn plain_eol(text: &[u8], start: usize, style: EolStyle) -> Option<(usize, usize)> {
    (start..text.len()).find_map(|offset| {
        let rest = &text[offset..];
        let len = match style {
            EolStyle::Any => rest.iter().take_while(|byte| b"\r\n".contains(byte)).count(),
            EolStyle::Crlf if rest.starts_with(b"\n") => 1,
            EolStyle::Crlf | EolStyle::CrlfStrict => 2 * usize::from(rest.starts_with(b"\r\n")),
            EolStyle::Lf => usize::from(rest[0] == b'\n'),
            EolStyle::Nul => usize::from(rest[0] == 0),
        };
        (len > 0).then_some((offset, len))
    })
}

#[test]
fn every_style_of_line_end_is_found_across_every_border() {
    let texts: [&[u8]; 9] = [
        b"",
        b"\n",
        b"\r\n",
        b"ab\r\ncd",
        b"ab\r\r\ncd\n",
        b"a\n\r\nb\r",
        b"\r\r\n\n\0\r\n",
        b"ab\0c\rd\n",
        b"no end at all",
    ];
    for text in texts {
        for buffer in splits(text) {
            for style in STYLES {
                for start in 0..=text.len() {
                    let found = buffer.search_eol(Some(buffer.ptr_set(start).unwrap()), style);
                    let found = found.map(|(position, len)| (position.offset(), len));
                    assert_eq!(found, plain_eol(text, start, style), "{start} {style:?}");
                }
            }
        }
    }
}

#[test]
fn lines_are_taken_out_whole_and_the_rest_stays() {
    let text = b"GET / HTTP/1.1\r\nHost: x\n\r\nbody\0more\r";
    type Case = (EolStyle, &'static [&'static [u8]], &'static [u8]);
    let expected: [Case; 5] = [
        (EolStyle::Any, &[b"GET / HTTP/1.1", b"Host: x", b"body\0more"], b""),
        (EolStyle::Crlf, &[b"GET / HTTP/1.1", b"Host: x", b""], b"body\0more\r"),
        (EolStyle::CrlfStrict, &[b"GET / HTTP/1.1", b"Host: x\n"], b"body\0more\r"),
        (EolStyle::Lf, &[b"GET / HTTP/1.1\r", b"Host: x", b"\r"], b"body\0more\r"),
        (EolStyle::Nul, &[b"GET / HTTP/1.1\r\nHost: x\n\r\nbody"], b"more\r"),
    ];
    for (style, lines, rest) in expected {
        for mut buffer in splits(text) {
            let mut found = Vec::new();
            while let Some(line) = buffer.readln(style) {
                found.push(line);
            }
            assert_eq!(found, lines, "{style:?}");
            assert_eq!(buffer.to_vec(), rest, "{style:?}");
        }
    }
}

/// The lines that a buffer lends, a few at a time, and what it keeps.
fn lent(mut buffer: EvBuffer, style: EolStyle, most: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut lines = Vec::new();
    loop {
        let mut spans = Vec::new();
        let text = buffer.pullup_lines(style, most, &mut spans).unwrap();
        lines.extend(spans.iter().map(|span| text[span.clone()].to_vec()));
        let used = text.len();
        assert_eq!(used == 0, spans.is_empty());
        assert!(spans.len() <= most);
        if used == 0 {
            return (lines, buffer.to_vec());
        }
        assert_eq!(buffer.drain(used), Ok(used));
    }
}

#[test]
fn lines_that_are_lent_are_those_that_are_taken_across_every_border() {
    let texts: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: x\n\r\nbody\0more\r",
        b"\n\n\r\n\r\n",
        b"\r\r\n\n\0\r\n",
        b"a\r\nb\r\r\nc\n\rd\0",
        b"\r\n",
        b"no end at all",
        b"",
    ];
    for text in texts {
        for style in STYLES {
            for most in [1, 2, usize::MAX] {
                for buffer in splits(text) {
                    let mut whole = EvBuffer::from(text.to_vec());
                    let lines: Vec<_> = std::iter::from_fn(|| whole.readln(style)).collect();
                    assert_eq!(lent(buffer, style, most), (lines, whole.to_vec()), "{style:?}");
                }
            }
        }
    }
}

#[test]
fn long_and_short_lines_are_lent_across_long_segments() {
    for len in [10, 4094, 4095, 4096, 70_000, 200_000] {
        let mut text = vec![b'x'; len];
        text.extend(b"\r\nshort\r\n\r\n");
        let text = text.repeat(3);
        for piece in [1000, 4097, 65_536] {
            for style in [EolStyle::Any, EolStyle::Crlf, EolStyle::CrlfStrict] {
                let segments: Vec<&[u8]> = text.chunks(piece).collect();
                let mut taken = segmented(&segments);
                let lines: Vec<_> = std::iter::from_fn(|| taken.readln(style)).collect();
                assert_eq!(lines.len(), if style == EolStyle::Any { 6 } else { 9 });
                assert!(lent(segmented(&segments), style, usize::MAX) == (lines, vec![]));
            }
        }
    }
}

#[test]
fn what_is_lent_is_bounded_and_a_frozen_front_lends_too() {
    let mut buffer = EvBuffer::from(b"x\n".repeat(100_000));
    buffer.freeze(evcore::buffer::BufferEnd::Front);
    let mut spans = Vec::new();
    let text = buffer.pullup_lines(EolStyle::Lf, usize::MAX, &mut spans).unwrap();
    assert_eq!((text.len(), spans.len()), (65_536, 32_768));
    assert_eq!(buffer.pullup_lines(EolStyle::Lf, 0, &mut spans), Ok(&[][..]));
    assert_eq!(spans.len(), 32_768);
}

#[test]
fn one_vector_can_serve_for_many_lines() {
    let mut buffer = segmented(&[b"one\ntw", b"o\nthree"]);
    let mut line = Vec::new();
    assert_eq!(buffer.readln_into(EolStyle::Lf, &mut line), Some(3));
    assert_eq!(buffer.readln_into(EolStyle::Lf, &mut line), Some(3));
    assert_eq!(buffer.readln_into(EolStyle::Lf, &mut line), None);
    assert_eq!(line, b"onetwo");
}

#[test]
fn a_string_is_found_across_every_border() {
    let text = b"aabaabaaabab";
    let needles: [&[u8]; 8] =
        [b"", b"a", b"b", b"ab", b"aab", b"aaab", b"aabaabaaabab", b"aabaabaaababx"];
    for buffer in splits(text) {
        for needle in needles {
            for start in 0..=text.len() {
                for end in start..=text.len() {
                    let expected = (start..=end)
                        .find(|&at| text[at..end].starts_with(needle))
                        .filter(|&at| at + needle.len() <= end);
                    let found = buffer.search_range(
                        needle,
                        Some(buffer.ptr_set(start).unwrap()),
                        Some(buffer.ptr_set(end).unwrap()),
                    );
                    assert_eq!(found.map(Position::offset), expected, "{needle:?} {start} {end}");
                }
            }
        }
    }
}

#[test]
fn a_position_that_the_buffer_has_shrunk_away_from_finds_nothing() {
    let mut buffer = segmented(&[b"abc", b"def\n"]);
    let position = buffer.ptr_set(7).unwrap();
    buffer.drain(4).unwrap();
    assert_eq!(buffer.search(b"f", Some(position)), None);
    assert_eq!(buffer.search(b"", Some(position)), None);
    assert_eq!(buffer.search_eol(Some(position), EolStyle::Any), None);
    assert_eq!(buffer.copyout_from(position, &mut [0; 4]), 0);
    assert_eq!(buffer.segments_from(position).count(), 0);
    assert_eq!(buffer.peek(None, Some(position), &mut Vec::new()), 0);
    assert!(buffer.ptr_add(position, 0).is_err());
}
