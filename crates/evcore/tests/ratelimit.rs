//! Rate limits of one bufferevent.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::bufferevent::{
    filter_fn, BufferEvent, BufferEventFlags, BufferEventOptions, FilterResult,
};
use evcore::ratelimit::{RateLimitGroup, TokenBucketConfig, RATE_LIMIT_MAX};
use evcore::{EventBase, EventFlags, LoopExit, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const WRITE: EventFlags = EventFlags::WRITE;
const TICK: Duration = Duration::from_millis(20);

fn sockets(base: &EventBase) -> (BufferEvent, BufferEvent) {
    let (one, two) = UnixStream::pair().unwrap();
    let over = |fd: UnixStream| BufferEvent::socket(base, Some(fd.into()), CLOSE).unwrap();
    (over(one), over(two))
}

fn pair(base: &EventBase) -> (BufferEvent, BufferEvent) {
    BufferEvent::pair(base, CLOSE).unwrap()
}

/// The same limit both ways, in bytes a tick.
fn each(rate: u64, burst: u64) -> TokenBucketConfig {
    TokenBucketConfig::new(rate, burst, rate, burst, Some(TICK)).unwrap()
}

fn turn(base: &EventBase) {
    for _ in 0..20 {
        base.run_loop(LoopFlags::NONBLOCK).unwrap();
    }
}

fn run_for(base: &EventBase, time: Duration) {
    base.loop_exit(Some(time)).unwrap();
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY).unwrap();
}

/// Keeps the output of `from` filled.
fn pour(from: &BufferEvent) {
    from.set_callbacks(None, Some(Box::new(|bev| bev.write(&[7; 1 << 20]).unwrap())), None);
    from.write(&[7; 1 << 20]).unwrap();
}

/// Drains the input of `to` and notes when how much came.
fn drain(to: &BufferEvent) -> Rc<RefCell<Vec<(Instant, usize)>>> {
    let came = Rc::new(RefCell::new(Vec::new()));
    let noted = came.clone();
    to.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            let length = input.len();
            noted.borrow_mut().push((Instant::now(), length));
            input.drain(length).unwrap();
        })),
        None,
        None,
    );
    to.enable(READ).unwrap();
    came
}

/// Which part of the rate, in bytes a second, comes through in a while.
fn mean(rate: u64, over_socket: bool, limit_reader: bool) -> f64 {
    let base = EventBase::new().unwrap();
    let (from, to) = if over_socket { sockets(&base) } else { pair(&base) };
    // A burst of ten ticks: a machine that is busy elsewhere makes us late.
    let (tick, a_tick) = (Duration::from_millis(10), rate / 100);
    let config = TokenBucketConfig::new(a_tick, 10 * a_tick, a_tick, 10 * a_tick, Some(tick));
    let limited = if limit_reader { &to } else { &from };
    limited.set_rate_limit(Some(config.unwrap())).unwrap();
    let came = drain(&to);
    pour(&from);
    let start = Instant::now();
    run_for(&base, Duration::from_millis(300));
    let seconds = start.elapsed().as_secs_f64();
    let total: usize = came.borrow().iter().map(|(_, count)| count).sum();
    total as f64 / (rate as f64 * seconds)
}

#[test]
fn the_mean_is_the_rate_whichever_end_is_limited_and_over_whatever() {
    for over_socket in [true, false] {
        for limit_reader in [true, false] {
            for rate in [64 << 10, 1 << 20, 20 << 20] {
                // Too much is never right; too little may be the machine's.
                let exact = (0..5).any(|_| {
                    let part = mean(rate, over_socket, limit_reader);
                    assert!(part < 1.1, "{part} of {rate}");
                    part > 0.9
                });
                assert!(exact, "{rate}; over a socket {over_socket}, reader {limit_reader}");
            }
        }
    }
}

#[test]
fn no_more_than_the_burst_passes_at_once() {
    let base = EventBase::new().unwrap();
    let (from, to) = sockets(&base);
    from.set_rate_limit(Some(each(1000, 1500))).unwrap();
    let came = drain(&to);
    // Tokens pile up to the burst while nobody wants them.
    run_for(&base, 5 * TICK);
    assert_eq!(from.write_limit(), 1500);
    pour(&from);
    turn(&base);
    let at_once: usize = came.borrow().iter().map(|(_, count)| count).sum();
    assert!((1500..=2500).contains(&at_once), "{at_once}");
    run_for(&base, 10 * TICK);
    for window in came.borrow().windows(2) {
        let (before, after) = (window[0], window[1]);
        if after.0 - before.0 < TICK / 2 {
            assert!(before.1 + after.1 <= 2500);
        }
        assert!(after.1 <= 1500);
    }
}

#[test]
fn an_idle_limit_sets_no_timer() {
    let base = EventBase::new().unwrap();
    let (one, two) = pair(&base);
    let group = RateLimitGroup::new(&base, each(10, 10)).unwrap();
    one.set_rate_limit(Some(each(10, 10))).unwrap();
    one.add_to_rate_limit_group(&group).unwrap();
    one.enable(READ).unwrap();
    two.enable(READ).unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    one.write(b"ten bytes.").unwrap();
    let start = Instant::now();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(two.input().len(), 10);
    one.write(b"ten more..").unwrap();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(two.input().len(), 20);
    assert!(start.elapsed() < 50 * TICK);
}

#[test]
fn a_limit_of_its_own_and_one_of_the_group_hold_both() {
    for group_is_slower in [true, false] {
        let base = EventBase::new().unwrap();
        let (from, to) = sockets(&base);
        let (slow, fast) = (each(500, 1000), each(50_000, 100_000));
        let (own, shared) = if group_is_slower { (fast, slow) } else { (slow, fast) };
        let group = RateLimitGroup::new(&base, shared).unwrap();
        from.set_rate_limit(Some(own)).unwrap();
        from.add_to_rate_limit_group(&group).unwrap();
        let came = drain(&to);
        pour(&from);
        run_for(&base, 10 * TICK);
        let total: usize = came.borrow().iter().map(|(_, count)| count).sum();
        assert!((4000..=7000).contains(&total), "{total}, group slower: {group_is_slower}");
    }
}

#[test]
fn the_largest_limits_let_everything_pass() {
    let base = EventBase::new().unwrap();
    let most = RATE_LIMIT_MAX;
    let tick = Some(Duration::from_millis(1));
    let config = TokenBucketConfig::new(most, most, most, most, tick).unwrap();
    let (from, to) = sockets(&base);
    let group = RateLimitGroup::new(&base, config).unwrap();
    for bev in [&from, &to] {
        bev.set_rate_limit(Some(config)).unwrap();
        bev.add_to_rate_limit_group(&group).unwrap();
        bev.decrement_read_limit(i64::MIN);
        bev.decrement_write_limit(i64::MIN);
    }
    let came = drain(&to);
    from.write(&vec![1; 4 << 20]).unwrap();
    from.close();
    base.dispatch().unwrap();
    assert_eq!(came.borrow().iter().map(|(_, count)| count).sum::<usize>(), 4 << 20);
    // And the greatest debt stops all of it.
    to.decrement_read_limit(i64::MAX);
    to.decrement_read_limit(i64::MAX);
    assert!(to.read_limit() < 0);
    assert_eq!(to.max_to_read(), 0);
}

#[test]
fn a_limit_can_be_changed_and_taken_away_while_somebody_waits() {
    let base = EventBase::new().unwrap();
    let (from, to) = sockets(&base);
    let hour = Some(Duration::from_secs(3600));
    let slow = TokenBucketConfig::new(10, 10, 10, 10, hour).unwrap();
    from.set_rate_limit(Some(slow)).unwrap();
    assert_eq!(from.rate_limit(), Some(slow));
    let came = drain(&to);
    from.write(&[1; 1000]).unwrap();
    turn(&base);
    let total = || came.borrow().iter().map(|(_, count)| count).sum::<usize>();
    assert_eq!(total(), 10);
    from.set_rate_limit(Some(each(100, 100))).unwrap();
    run_for(&base, 3 * TICK);
    assert!((110..=410).contains(&total()), "{}", total());
    from.set_rate_limit(None).unwrap();
    turn(&base);
    assert_eq!((total(), from.rate_limit()), (1000, None));
    assert_eq!(from.write_limit(), RATE_LIMIT_MAX as i64);
}

#[test]
fn tokens_can_be_taken_and_given_by_hand() {
    let base = EventBase::new().unwrap();
    let (from, to) = pair(&base);
    let hour = Some(Duration::from_secs(3600));
    let config = TokenBucketConfig::new(100, 300, 200, 400, hour).unwrap();
    from.set_rate_limit(Some(config)).unwrap();
    assert_eq!((from.read_limit(), from.write_limit()), (100, 200));
    from.decrement_write_limit(150);
    assert_eq!((from.write_limit(), from.max_to_write()), (50, 50));
    from.decrement_read_limit(101);
    assert_eq!((from.read_limit(), from.max_to_read()), (-1, 0));
    to.enable(READ).unwrap();
    from.write(&[1; 80]).unwrap();
    turn(&base);
    assert_eq!((to.input().len(), from.write_limit()), (50, 0));
    // What is given lets those go on that wait.
    from.decrement_write_limit(-20);
    turn(&base);
    assert_eq!((to.input().len(), from.output().len()), (70, 10));
    from.decrement_write_limit(-10_000);
    assert_eq!(from.write_limit(), 400);
    // Without a limit there is nothing to take from.
    to.decrement_read_limit(5);
    assert_eq!(to.read_limit(), RATE_LIMIT_MAX as i64);
}

#[test]
fn single_reads_and_writes_can_be_made_small() {
    let base = EventBase::new().unwrap();
    let (from, to) = sockets(&base);
    assert_eq!((to.max_single_read(), from.max_single_write()), (64 << 10, usize::MAX));
    to.set_max_single_read(100).unwrap();
    from.set_max_single_write(30).unwrap();
    assert_eq!((to.max_to_read(), from.max_to_write()), (100, 30));
    let came = drain(&to);
    from.write(&[1; 1000]).unwrap();
    for _ in 0..100 {
        turn(&base);
    }
    let sizes: Vec<_> = came.borrow().iter().map(|(_, count)| *count).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 1000);
    assert!(sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    to.set_max_single_read(0).unwrap();
    assert_eq!(to.max_single_read(), 64 << 10);
}

#[test]
fn a_suspended_direction_goes_on_only_when_no_reason_is_left() {
    let base = EventBase::new().unwrap();
    let (mut peer, ours) = UnixStream::pair().unwrap();
    let bev = BufferEvent::socket(&base, Some(ours.into()), CLOSE).unwrap();
    bev.set_rate_limit(Some(each(100, 100))).unwrap();
    bev.set_watermark(READ, 0, 150).unwrap();
    bev.enable(READ).unwrap();
    peer.write_all(&[1; 10_000]).unwrap();
    run_for(&base, 5 * TICK);
    // The limit allowed more; the mark does not.
    assert_eq!(bev.input().len(), 150);
    bev.disable(READ).unwrap();
    bev.input().drain(150).unwrap();
    run_for(&base, 3 * TICK);
    assert_eq!(bev.input().len(), 0);
    bev.enable(READ).unwrap();
    run_for(&base, 2 * TICK);
    assert!(!bev.input().is_empty());
}

#[test]
fn waiting_for_tokens_is_no_timeout() {
    let base = EventBase::new().unwrap();
    let (from, to) = sockets(&base);
    let timed_out = Rc::new(Cell::new(false));
    let noted = timed_out.clone();
    from.set_callbacks(None, None, Some(Box::new(move |_, _| noted.set(true))));
    from.set_timeouts(None, Some(TICK)).unwrap();
    let second = Some(Duration::from_secs(1));
    from.set_rate_limit(Some(TokenBucketConfig::new(10, 10, 10, 10, second).unwrap())).unwrap();
    to.enable(READ).unwrap();
    from.write(&[1; 15]).unwrap();
    run_for(&base, 5 * TICK);
    assert!(!timed_out.get());
}

#[test]
fn a_close_sends_all_at_the_allowed_rate() {
    for over_socket in [true, false] {
        let base = EventBase::new().unwrap();
        let (from, to) = if over_socket { sockets(&base) } else { pair(&base) };
        from.set_rate_limit(Some(each(1000, 1000))).unwrap();
        let came = drain(&to);
        let start = Instant::now();
        from.write(&[1; 5000]).unwrap();
        from.close();
        base.dispatch().unwrap();
        assert_eq!(came.borrow().iter().map(|(_, count)| count).sum::<usize>(), 5000);
        assert!(start.elapsed() >= 3 * TICK && from.is_freed());
    }
}

#[test]
fn a_limit_on_a_filter_counts_the_bytes_on_top() {
    let base = EventBase::new().unwrap();
    let (below, to) = sockets(&base);
    // Sends everything twice.
    let filter = filter_fn(
        |s, d, _, _| {
            d.add_buffer(s).unwrap();
            FilterResult::Ok
        },
        |s, d, _, _| {
            d.add(&s.to_vec().repeat(2)).unwrap();
            s.drain(s.len()).unwrap();
            FilterResult::Ok
        },
    );
    let from = BufferEvent::filter(&below, filter, CLOSE).unwrap();
    let hour = Some(Duration::from_secs(3600));
    from.set_rate_limit(Some(TokenBucketConfig::new(10, 10, 100, 100, hour).unwrap())).unwrap();
    from.enable(READ).unwrap();
    to.enable(READ).unwrap();
    from.write(&[1; 1000]).unwrap();
    to.write(&[1; 1000]).unwrap();
    turn(&base);
    assert_eq!((to.input().len(), from.output().len()), (200, 900));
    assert_eq!(from.input().len(), 10);
    from.set_rate_limit(None).unwrap();
    turn(&base);
    assert_eq!((to.input().len(), from.input().len()), (2000, 1000));
}

#[test]
fn a_limited_bufferevent_can_be_freed_while_it_waits() {
    let base = EventBase::new().unwrap();
    let (from, to) = sockets(&base);
    from.set_rate_limit(Some(each(10, 10))).unwrap();
    to.set_rate_limit(Some(each(10, 10))).unwrap();
    let ended = Rc::new(Cell::new(false));
    let noted = ended.clone();
    to.set_callbacks(
        Some(Box::new({
            let from = from.clone();
            move |_| from.free()
        })),
        None,
        Some(Box::new(move |bev, what| {
            noted.set(what.contains(BufferEventFlags::EOF));
            bev.free();
        })),
    );
    to.enable(READ).unwrap();
    from.enable(WRITE).unwrap();
    from.write(&[1; 1000]).unwrap();
    base.dispatch().unwrap();
    assert!(ended.get() && from.is_freed());
    assert!(from.set_rate_limit(None).is_err());
    assert_eq!(from.rate_limit(), Some(each(10, 10)));
}
