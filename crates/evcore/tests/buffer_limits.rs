//! Sizes and pairs of buffers chosen to do harm: each call answers with an error or does what its
//! documentation says, and the buffer is usable afterwards.
#![cfg(feature = "buffer")]

use std::io::{self, BufRead, Read, Write};

use evcore::buffer::{pool_statistics, BufferEnd, BufferError, EolStyle, EvBuffer, Position};

/// Lengths at which careless arithmetic breaks, in any integer that a length may be kept in.
const HOSTILE: [usize; 14] = [
    0,
    1,
    i32::MAX as usize,
    1 << 31,
    u32::MAX as usize,
    1 << 32,
    (1 << 53) - 1,
    EvBuffer::MAX_LEN - 4,
    EvBuffer::MAX_LEN,
    EvBuffer::MAX_LEN + 1,
    isize::MAX as usize,
    isize::MAX as usize + 1,
    usize::MAX - 1,
    usize::MAX,
];

/// Lengths that no machine has the memory for, but which are not beyond what may be asked for.
const UNAFFORDABLE: usize = 1 << 46;

fn five() -> EvBuffer {
    let mut buffer = EvBuffer::new();
    buffer.add(b"he").unwrap();
    buffer.add_bytes("llo").unwrap();
    buffer
}

/// Checks that the buffer is as it was, and works.
fn check_usable(buffer: &mut EvBuffer) {
    assert_eq!(buffer.to_vec(), b"hello");
    buffer.add(b"!").unwrap();
    buffer.prepend(b"<").unwrap();
    assert_eq!(buffer.pullup(None).unwrap(), b"<hello!");
}

/// Claims a length that it does not have the memory for.
fn pretend(len: usize) -> EvBuffer {
    // Two buffers that refer to the same bytes, over and over.
    let mut buffer = EvBuffer::from(vec![0; 1 << 20]);
    while buffer.len() < len {
        let mut copy = EvBuffer::new();
        copy.add_buffer_reference(&mut buffer).unwrap();
        buffer.add_buffer(&mut copy).unwrap();
    }
    buffer
}

#[test]
fn cve_2014_6272_adding_and_expanding_check_the_sum_of_lengths() {
    for len in HOSTILE.into_iter().filter(|&len| !(2..UNAFFORDABLE).contains(&len)) {
        let mut buffer = five();
        let result = buffer.expand(len);
        assert_eq!(result.is_ok(), len < 2, "{len}");
        match result {
            Ok(()) | Err(BufferError::OutOfMemory { .. }) => {}
            Err(BufferError::TooLarge { requested, .. }) => {
                assert_eq!(requested, len);
                assert!(len > EvBuffer::MAX_LEN - 5);
            }
            Err(error) => panic!("{error}"),
        }
        check_usable(&mut buffer);
    }
}

#[test]
fn cve_2014_6272_a_full_buffer_takes_no_byte_more() {
    let mut buffer = EvBuffer::new();
    for full in [0, 5, 1000] {
        buffer.set_max_len(Some(full));
        buffer.add(&vec![b'x'; full - buffer.len()]).unwrap();
        let too_large = |error: BufferError| matches!(error, BufferError::TooLarge { .. });
        assert!(too_large(buffer.add(b"y").unwrap_err()));
        assert!(too_large(buffer.add_bytes("y").unwrap_err()));
        assert!(too_large(buffer.prepend(b"y").unwrap_err()));
        assert!(too_large(buffer.expand(1).unwrap_err()));
        assert!(too_large(buffer.reserve(1).unwrap_err()));
        assert!(too_large(buffer.add_fmt(format_args!("{}", "y")).unwrap_err()));
        assert!(too_large(buffer.add_buffer(&mut five()).unwrap_err()));
        assert!(too_large(buffer.prepend_buffer(&mut five()).unwrap_err()));
        assert!(too_large(buffer.add_buffer_reference(&mut five()).unwrap_err()));
        assert!(too_large(five().remove_buffer(&mut buffer, 1).unwrap_err()));
        assert!(too_large(five().remove_buffer(&mut buffer, usize::MAX).unwrap_err()));
        assert_eq!(buffer.write(b"y").unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(write!(buffer, "y").is_err());
        buffer.add(b"").unwrap();
        buffer.prepend(b"").unwrap();
        buffer.add_buffer(&mut EvBuffer::new()).unwrap();
        assert_eq!((buffer.len(), buffer.max_len()), (full, full));
    }
    buffer.set_max_len(None);
    assert_eq!(buffer.max_len(), EvBuffer::MAX_LEN);
    buffer.add(b"y").unwrap();
}

#[test]
fn a_limit_below_what_is_there_forbids_more_and_takes_nothing() {
    let mut buffer = five();
    buffer.set_max_len(Some(3));
    assert!(buffer.add(b"!").is_err());
    buffer.drain(2).unwrap();
    assert!(buffer.add(b"!").is_err());
    buffer.drain(1).unwrap();
    buffer.add(b"!").unwrap();
    assert_eq!(buffer.to_vec(), b"lo!");
    buffer.set_max_len(Some(usize::MAX));
    assert_eq!(buffer.max_len(), EvBuffer::MAX_LEN);
}

#[cfg(unix)]
#[test]
fn a_read_fills_a_limited_buffer_and_fails_when_it_is_full() {
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.write_all(b"0123456789").unwrap();
    let mut buffer = EvBuffer::new();
    buffer.set_max_len(Some(7));
    for (max, len) in [(0, 0), (3, 3), (usize::MAX, 7)] {
        buffer.recv_from(&far, max).unwrap();
        assert_eq!(buffer.len(), len);
    }
    let error = buffer.recv_from(&far, usize::MAX).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(buffer.recv_from(&far, 0).unwrap(), 0);
    buffer.drain(5).unwrap();
    assert_eq!(buffer.read_from(&far, usize::MAX).unwrap(), 3);
    assert_eq!(buffer.to_vec(), b"56789");
}

#[test]
fn cve_2015_6525_reserving_checks_the_sum_of_lengths() {
    for len in HOSTILE.into_iter().filter(|&len| !(2..UNAFFORDABLE).contains(&len)) {
        for contiguous in [false, true] {
            let mut buffer = five();
            let room =
                if contiguous { buffer.reserve_contiguous(len) } else { buffer.reserve(len) };
            match room {
                Ok(mut room) => {
                    assert_eq!((room.len(), room.slices().concat().len()), (len, len));
                    for too_much in HOSTILE.into_iter().filter(|&much| much > len) {
                        let mut other = five();
                        let room = other.reserve(len).unwrap();
                        let error = room.commit(too_much).unwrap_err();
                        assert!(matches!(error, BufferError::OutOfRange { .. }));
                        check_usable(&mut other);
                    }
                }
                Err(BufferError::TooLarge { .. } | BufferError::OutOfMemory { .. }) => {
                    assert!(len > 1);
                }
                Err(error) => panic!("{error}"),
            }
            check_usable(&mut buffer);
        }
    }
}

#[test]
fn cve_2015_6525_a_sum_of_lengths_that_no_buffer_may_have_is_refused() {
    // 2^30 segments would be needed to reach the greatest length for real.
    let mut big = pretend(1 << 30);
    let len = big.len();
    big.set_max_len(Some(len + 4));
    for result in [
        big.add_buffer(&mut five()),
        big.prepend_buffer(&mut five()),
        big.add_buffer_reference(&mut five()),
        big.prepend(b"12345"),
        big.add(b"12345"),
    ] {
        assert!(matches!(result, Err(BufferError::TooLarge { requested: 5, .. })));
    }
    assert_eq!(big.len(), len);
    big.add(b"1234").unwrap();
}

#[test]
fn taking_out_stops_at_what_is_there() {
    for len in HOSTILE {
        let there = len.min(5);
        assert_eq!(five().drain(len), Ok(there));
        let mut dst = EvBuffer::new();
        let mut src = five();
        assert_eq!(src.remove_buffer(&mut dst, len), Ok(there));
        assert_eq!((src.len(), dst.to_vec()), (5 - there, b"hello"[..there].to_vec()));
        let mut src = five();
        src.consume(len);
        assert_eq!(src.len(), 5 - there);
        let mut slices = Vec::new();
        let buffer = five();
        buffer.peek(Some(len), None, &mut slices);
        assert_eq!(slices.iter().map(|slice| slice.len()).sum::<usize>(), there);
        if len > 5 {
            let mut buffer = five();
            let error = buffer.pullup(Some(len)).unwrap_err();
            assert_eq!(error.call(), "EvBuffer::pullup");
            assert!(matches!(error, BufferError::OutOfRange { available: 5, .. }));
            check_usable(&mut buffer);
        }
    }
}

#[test]
fn positions_outside_the_buffer_find_nothing() {
    let long = pretend(1 << 33);
    for offset in HOSTILE {
        let buffer = five();
        assert_eq!(buffer.ptr_set(offset).is_ok(), offset <= 5);
        let inside = buffer.ptr_set(5).unwrap();
        assert_eq!(buffer.ptr_add(inside, offset).is_ok(), offset == 0);
        // A position of a longer buffer is beyond the end of this one.
        let Ok(position) = long.ptr_set(offset) else { continue };
        let beyond = offset > 5;
        assert_eq!(buffer.copyout_from(position, &mut [0; 9]), 5 - offset.min(5));
        assert_eq!(buffer.segments_from(position).count() == 0, beyond);
        assert_eq!(buffer.search(b"", Some(position)).is_none(), beyond);
        assert_eq!(buffer.search(b"o", Some(position)).is_none(), beyond);
        assert_eq!(buffer.search_range(b"o", None, Some(position)).is_none(), !beyond);
        assert_eq!(buffer.search_range(b"o", Some(position), Some(Position::default())), None);
        assert_eq!(buffer.search_eol(Some(position), EolStyle::Any), None);
        assert_eq!(buffer.ptr_add(position, 0).is_err(), beyond);
        assert!(buffer.ptr_add(position, usize::MAX).is_err());
        assert_eq!(buffer.peek(None, Some(position), &mut Vec::new()) == 0, beyond);
    }
}

#[test]
fn needles_longer_than_the_buffer_are_not_found() {
    for needle in [&[0; 6][..], &[b'h'; 1 << 20]] {
        assert_eq!(five().search(needle, None), None);
        assert_eq!(EvBuffer::new().search(needle, None), None);
    }
}

#[cfg(unix)]
#[test]
fn descriptors_are_asked_for_no_more_than_there_is_or_may_be() {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    for max in HOSTILE {
        let mut output = five();
        let there = max.min(5);
        assert_eq!(output.send_to(&near, max).unwrap(), there);
        let mut input = EvBuffer::new();
        if there > 0 {
            assert_eq!(input.recv_from(&far, max).unwrap(), there);
        }
        assert_eq!(input.to_vec(), b"hello"[..there]);
    }
}

#[test]
fn cve_2026_63381_an_empty_source_or_destination_is_nothing_special() {
    let kinds: [fn() -> EvBuffer; 5] = [
        EvBuffer::new,
        // Empty with room, after use, and with an empty reference.
        || {
            let mut buffer = EvBuffer::new();
            buffer.expand(10).unwrap();
            buffer
        },
        || {
            let mut buffer = five();
            buffer.drain(5).unwrap();
            buffer
        },
        || EvBuffer::from(Vec::new()),
        five,
    ];
    type Both = fn(&mut EvBuffer, &mut EvBuffer) -> Vec<u8>;
    let moves: [Both; 6] = [
        |dst, src| {
            let expected = [dst.to_vec(), src.to_vec()].concat();
            dst.add_buffer(src).unwrap();
            assert!(src.is_empty());
            expected
        },
        |dst, src| {
            let expected = [src.to_vec(), dst.to_vec()].concat();
            dst.prepend_buffer(src).unwrap();
            assert!(src.is_empty());
            expected
        },
        |dst, src| {
            let expected = [dst.to_vec(), src.to_vec()].concat();
            let before = src.to_vec();
            dst.add_buffer_reference(src).unwrap();
            assert_eq!(src.to_vec(), before);
            expected
        },
        |dst, src| {
            let expected = [dst.to_vec(), src.to_vec()].concat();
            src.remove_buffer(dst, usize::MAX).unwrap();
            expected
        },
        |dst, src| {
            let expected = dst.to_vec();
            assert_eq!(src.remove_buffer(dst, 0), Ok(0));
            expected
        },
        |dst, src| {
            let len = src.len().min(1);
            let expected = [dst.to_vec(), src.to_vec()[..len].to_vec()].concat();
            src.remove_buffer(dst, 1).unwrap();
            expected
        },
    ];
    for (make_dst, make_src) in kinds.iter().flat_map(|dst| kinds.iter().map(move |src| (dst, src)))
    {
        for change in moves {
            let (mut dst, mut src) = (make_dst(), make_src());
            let expected = change(&mut dst, &mut src);
            assert_eq!(dst.to_vec(), expected);
            // Whatever dangled would be touched now.
            for buffer in [&mut dst, &mut src] {
                let before = buffer.to_vec();
                buffer.drain(0).unwrap();
                buffer.add(b">").unwrap();
                buffer.prepend(b"<").unwrap();
                assert_eq!(buffer.pullup(None).unwrap(), [b"<", &before[..], b">"].concat());
                assert_eq!(buffer.readln(EolStyle::Lf), None);
                buffer.drain(usize::MAX).unwrap();
                buffer.add(b"again").unwrap();
                assert_eq!(buffer.to_vec(), b"again");
            }
        }
    }
}

#[test]
fn cve_2026_63381_buffers_that_refer_to_each_other_let_go_in_any_order() {
    for order in 0..6 {
        let (mut one, mut two, mut three) = (five(), EvBuffer::new(), five());
        for _ in 0..3 {
            two.add_buffer_reference(&mut one).unwrap();
            one.add_buffer_reference(&mut two).unwrap();
            three.add_buffer_reference(&mut one).unwrap();
            one.add_buffer_reference(&mut three).unwrap();
        }
        let expected: Vec<u8> = b"hello".iter().copied().cycle().take(one.len()).collect();
        assert_eq!(one.to_vec(), expected);
        let mut all = [one, two, three];
        all.rotate_left(order % 3);
        if order > 2 {
            all.swap(0, 1);
        }
        let [mut first, mut second, mut last] = all;
        first.drain(3).unwrap();
        drop(first);
        assert_eq!(second.remove(&mut [0; 7]), Ok(7));
        drop(second);
        assert!(last.pullup(None).unwrap().chunks(5).all(|word| word == b"hello"));
    }
}

#[test]
fn cve_2026_63381_a_destination_that_fails_is_as_it_was() {
    let (mut dst, mut src) = (EvBuffer::new(), five());
    dst.freeze(BufferEnd::Back);
    assert!(dst.add_buffer_reference(&mut src).is_err());
    dst.unfreeze(BufferEnd::Back);
    dst.set_max_len(Some(4));
    assert!(dst.add_buffer_reference(&mut src).is_err());
    dst.set_max_len(None);
    dst.add_buffer_reference(&mut src).unwrap();
    check_usable(&mut dst);
    check_usable(&mut src);
}

#[test]
fn readers_and_writers_of_nothing_do_nothing() {
    let mut buffer = five();
    assert_eq!(buffer.read(&mut []).unwrap(), 0);
    assert_eq!(buffer.write(&[]).unwrap(), 0);
    assert_eq!(buffer.write_vectored(&[]).unwrap(), 0);
    assert_eq!(buffer.remove(&mut []), Ok(0));
    assert_eq!(buffer.copyout(&mut []), 0);
    assert_eq!(buffer.pullup(Some(0)), Ok(&[][..]));
    buffer.reserve(0).unwrap().commit(0).unwrap();
    check_usable(&mut buffer);
}

#[test]
fn the_pool_keeps_what_came_back_within_its_limits() {
    // On a thread of its own, whose pool is empty.
    std::thread::spawn(|| {
        assert!(pool_statistics().iter().all(|class| class.idle == 0));
        let buffers: Vec<EvBuffer> = (0..100)
            .map(|_| {
                let mut buffer = EvBuffer::new();
                buffer.add(&[0; 1000]).unwrap();
                buffer.expand(60_000).unwrap();
                buffer.expand(1 << 20).unwrap();
                buffer
            })
            .collect();
        assert!(pool_statistics().iter().all(|class| class.idle <= 1));
        drop(buffers);
        let pool = pool_statistics();
        assert!(pool.iter().all(|class| class.idle <= class.limit));
        assert_eq!(pool[0].block_size, 1024);
        assert_eq!((pool[0].idle, pool[0].limit), (64, 64));
        assert!(pool.iter().map(|class| class.idle * class.block_size).sum::<usize>() < 3 << 20);
        evcore::mem::trim();
        assert!(pool_statistics().iter().all(|class| class.idle == 0));
    })
    .join()
    .unwrap();
}
