//! Groups of bufferevents under one rate limit.
#![cfg(all(unix, feature = "bufferevent"))]

use std::cell::{Cell, RefCell};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use evcore::bufferevent::{BufferEvent, BufferEventOptions};
use evcore::ratelimit::{RateLimitGroup, TokenBucketConfig};
use evcore::{Error, EventBase, EventFlags, LoopExit, LoopFlags};

const CLOSE: BufferEventOptions = BufferEventOptions::CLOSE_ON_FREE;
const READ: EventFlags = EventFlags::READ;
const TICK: Duration = Duration::from_millis(20);
const HOUR: Option<Duration> = Some(Duration::from_secs(3600));

fn sockets(base: &EventBase) -> (BufferEvent, BufferEvent) {
    let (one, two) = UnixStream::pair().unwrap();
    let over = |fd: UnixStream| BufferEvent::socket(base, Some(fd.into()), CLOSE).unwrap();
    (over(one), over(two))
}

fn each(rate: u64, burst: u64, tick: Option<Duration>) -> TokenBucketConfig {
    TokenBucketConfig::new(rate, burst, rate, burst, tick).unwrap()
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

fn pour(from: &BufferEvent) {
    from.set_callbacks(None, Some(Box::new(|bev| bev.write(&[7; 65536]).unwrap())), None);
    from.write(&[7; 65536]).unwrap();
}

/// Drains the input of `to` and counts what came.
fn count(to: &BufferEvent) -> Rc<Cell<usize>> {
    let total = Rc::new(Cell::new(0));
    let sum = total.clone();
    to.set_callbacks(
        Some(Box::new(move |bev| {
            let mut input = bev.input();
            let length = input.len();
            sum.set(sum.get() + length);
            input.drain(length).unwrap();
        })),
        None,
        None,
    );
    to.enable(READ).unwrap();
    total
}

/// Has `members` send, or receive, for `ticks`; says how many bytes each has.
fn share(members: usize, config: TokenBucketConfig, readers: bool, ticks: u32) -> Vec<usize> {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, config).unwrap();
    let mut totals = Vec::new();
    let mut ends = Vec::new();
    for index in 0..members {
        // Some over sockets, which the loop calls in an order of its own.
        let (from, to) = match index % 4 {
            0 if members < 100 => sockets(&base),
            _ => BufferEvent::pair(&base, CLOSE).unwrap(),
        };
        let member = if readers { &to } else { &from };
        member.add_to_rate_limit_group(&group).unwrap();
        totals.push(count(&to));
        pour(&from);
        ends.push((from, to));
    }
    assert_eq!(group.members(), members);
    run_for(&base, ticks * TICK);
    let (read, written) = group.totals();
    let sum: usize = totals.iter().map(|total| total.get()).sum();
    let counted = if readers { read } else { written };
    assert!(counted as usize >= sum && counted as usize <= sum + (1 << 20));
    assert_eq!(if readers { written } else { read }, 0);
    totals.iter().map(|total| total.get()).collect()
}

fn spread(shares: &[usize]) -> f64 {
    let (least, most) = (*shares.iter().min().unwrap(), *shares.iter().max().unwrap());
    let mean = shares.iter().sum::<usize>() as f64 / shares.len() as f64;
    (most as f64 - mean).max(mean - least as f64) / mean
}

#[test]
fn members_share_equally_however_many_they_are() {
    for (members, rate, ticks) in [(1, 20_000, 20), (10, 20_000, 20), (1000, 200_000, 25)] {
        for readers in [false, true] {
            let shares = share(members, each(rate, 2 * rate, Some(TICK)), readers, ticks);
            let sum: usize = shares.iter().sum();
            let asked = rate as usize * ticks as usize;
            assert!(sum > asked * 8 / 10 && sum < asked * 12 / 10, "{sum} of {asked}, {members}");
            assert!(spread(&shares) < 0.05, "{} of {members}, {readers}", spread(&shares));
        }
    }
}

#[test]
fn when_there_is_too_little_for_all_they_take_turns_and_none_starves() {
    // A tick has enough for 10 of 100.
    let shares = share(100, each(640, 640, Some(Duration::from_millis(1))), false, 10);
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    assert!(spread(&shares) < 0.35, "{shares:?}");
}

#[test]
fn members_that_want_nothing_leave_theirs_to_the_others() {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, each(1000, 1000, Some(TICK))).unwrap();
    let idle: Vec<_> = (0..50).map(|_| sockets(&base)).collect();
    for (one, _) in &idle {
        one.add_to_rate_limit_group(&group).unwrap();
        one.enable(READ).unwrap();
    }
    let (from, to) = sockets(&base);
    from.add_to_rate_limit_group(&group).unwrap();
    let total = count(&to);
    pour(&from);
    run_for(&base, 10 * TICK);
    assert!((8000..=12_000).contains(&total.get()), "{}", total.get());
}

#[test]
fn tokens_that_one_does_not_use_are_given_to_others_in_the_same_tick() {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, each(1000, 1000, HOUR)).unwrap();
    let (little, reader) = sockets(&base);
    let (much, other) = sockets(&base);
    little.add_to_rate_limit_group(&group).unwrap();
    much.add_to_rate_limit_group(&group).unwrap();
    let (few, many) = (count(&reader), count(&other));
    little.write(&[1; 100]).unwrap();
    much.write(&[1; 5000]).unwrap();
    turn(&base);
    assert_eq!(few.get(), 100);
    // No more than a share that would not be worth a turn is left over.
    assert!(many.get() > 900 - 64 && many.get() <= 900, "{}", many.get());
}

#[test]
fn a_minimal_share_above_what_there_is_lets_one_at_a_time_go_on() {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, each(100, 100, HOUR)).unwrap();
    assert_eq!(group.min_share(), 64);
    group.set_min_share(1 << 40);
    assert_eq!(group.min_share(), 1 << 40);
    let ends: Vec<_> = (0..3).map(|_| BufferEvent::pair(&base, CLOSE).unwrap()).collect();
    for (from, to) in &ends {
        from.add_to_rate_limit_group(&group).unwrap();
        to.enable(READ).unwrap();
        from.write(&[1; 1000]).unwrap();
    }
    turn(&base);
    let mut came: Vec<_> = ends.iter().map(|(_, to)| to.input().len()).collect();
    came.sort_unstable();
    assert_eq!(came, [0, 0, 100]);
}

#[test]
fn limits_can_be_asked_and_changed_by_hand() {
    let base = EventBase::new().unwrap();
    let config = TokenBucketConfig::new(100, 200, 300, 400, HOUR).unwrap();
    let group = RateLimitGroup::new(&base, config).unwrap();
    assert_eq!((group.read_limit(), group.write_limit()), (100, 300));
    let (one, two) = BufferEvent::pair(&base, CLOSE).unwrap();
    assert_eq!(one.rate_limit_group(), None);
    one.add_to_rate_limit_group(&group).unwrap();
    assert_eq!(one.rate_limit_group(), Some(group.clone()));
    assert_eq!((one.max_to_read(), one.max_to_write()), (100, 300));
    group.decrement_read(150);
    group.decrement_write(-1000);
    assert_eq!((group.read_limit(), group.write_limit()), (-50, 400));
    assert_eq!((one.max_to_read(), one.max_to_write()), (0, 400));
    two.enable(READ).unwrap();
    one.write(&[1; 1000]).unwrap();
    turn(&base);
    assert_eq!((two.input().len(), group.totals()), (400, (0, 400)));
    group.reset_totals();
    assert_eq!(group.totals(), (0, 0));
    // Those that wait go on at once with what they are given.
    group.decrement_write(-100);
    turn(&base);
    assert_eq!((two.input().len(), group.totals()), (500, (0, 100)));
    let more = TokenBucketConfig::new(100, 200, 300, 400, Some(TICK)).unwrap();
    group.set_config(more);
    assert_eq!(group.config(), more);
    run_for(&base, 5 * TICK);
    assert_eq!(two.input().len(), 1000);
}

#[test]
fn leaving_a_group_lets_a_member_go_on_and_gives_its_tokens_back() {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, each(100, 100, HOUR)).unwrap();
    let (one, two) = BufferEvent::pair(&base, CLOSE).unwrap();
    one.add_to_rate_limit_group(&group).unwrap();
    two.enable(READ).unwrap();
    one.write(&[1; 1000]).unwrap();
    turn(&base);
    assert_eq!(two.input().len(), 100);
    one.remove_from_rate_limit_group();
    assert_eq!((group.members(), one.rate_limit_group()), (0, None));
    turn(&base);
    assert_eq!(two.input().len(), 1000);
    one.remove_from_rate_limit_group();
    assert_eq!(group.members(), 0);
    // From one group to another, which has tokens.
    let other = RateLimitGroup::new(&base, each(500, 500, HOUR)).unwrap();
    one.add_to_rate_limit_group(&group).unwrap();
    one.write(&[1; 1000]).unwrap();
    turn(&base);
    one.add_to_rate_limit_group(&other).unwrap();
    assert_eq!((group.members(), other.members()), (0, 1));
    turn(&base);
    assert_eq!(two.input().len(), 1500);
}

#[test]
fn a_group_of_another_base_is_refused() {
    let (base, elsewhere) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let group = RateLimitGroup::new(&elsewhere, each(1, 1, None)).unwrap();
    let (one, _two) = BufferEvent::pair(&base, CLOSE).unwrap();
    let refused = one.add_to_rate_limit_group(&group);
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    elsewhere.free();
    assert!(matches!(RateLimitGroup::new(&elsewhere, group.config()), Err(Error::Freed { .. })));
    group.decrement_write(-5);
    group.set_config(each(1, 1, HOUR));
}

#[test]
fn members_may_leave_and_be_freed_in_every_callback_and_their_group_may_go_first() {
    for way in 0..4 {
        let base = EventBase::new().unwrap();
        let group = RateLimitGroup::new(&base, each(1000, 1000, Some(TICK))).unwrap();
        let members: Rc<RefCell<Vec<BufferEvent>>> = Rc::default();
        for _ in 0..20 {
            let (from, to) = sockets(&base);
            for bev in [&from, &to] {
                bev.add_to_rate_limit_group(&group).unwrap();
            }
            let all = members.clone();
            to.set_callbacks(
                Some(Box::new(move |bev| {
                    let length = bev.input().len();
                    bev.input().drain(length).unwrap();
                    let next = all.borrow_mut().pop();
                    let Some(next) = next else { return bev.base().unwrap().loop_break() };
                    match way {
                        0 => next.free(),
                        1 => next.remove_from_rate_limit_group(),
                        2 => next.close(),
                        _ => {
                            next.remove_from_rate_limit_group();
                            next.free();
                        }
                    }
                })),
                None,
                None,
            );
            to.enable(READ).unwrap();
            pour(&from);
            members.borrow_mut().extend([from, to]);
        }
        let weak = group.clone();
        drop(group);
        run_for(&base, 10 * TICK);
        assert!(weak.members() < 40);
        base.free();
        assert_eq!(weak.members(), 0, "way {way}");
        assert_eq!(weak.totals().0.min(1), 1);
    }
}

#[test]
fn a_group_whose_members_have_gone_leaves_the_loop_alone() {
    let base = EventBase::new().unwrap();
    let group = RateLimitGroup::new(&base, each(10, 10, Some(TICK))).unwrap();
    let (from, to) = sockets(&base);
    from.add_to_rate_limit_group(&group).unwrap();
    to.enable(READ).unwrap();
    from.write(&[1; 1000]).unwrap();
    turn(&base);
    from.free();
    to.free();
    assert_eq!(base.dispatch().unwrap(), LoopExit::NoEvents);
    assert_eq!(group.members(), 0);
}
