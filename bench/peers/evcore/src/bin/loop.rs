//! What the loop itself costs, in CPU nanoseconds an operation: `loop TIMERS,... PAIRS,...`. Prints
//! a JSON object.

use std::cell::Cell;
use std::error::Error;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::{Event, EventBase, EventConfig, EventFlags, LoopFlags};
use rustix::net::{socketpair, AddressFamily, SocketFlags, SocketType};
use rustix::time::{clock_gettime, ClockId};

type Outcome = Result<(), Box<dyn Error>>;

const LEAST_OPERATIONS: usize = 1_000_000;
const ONE_TURN: LoopFlags = LoopFlags::ONCE.union(LoopFlags::NONBLOCK);

/// The same numbers as the C twin has.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for index in (1..list.len()).rev() {
            list.swap(index, self.below(index as u64 + 1) as usize);
        }
    }
}

/// Adds up CPU time over the rounds of one case.
#[derive(Default)]
struct Stopwatch {
    nanoseconds: i64,
    operations: usize,
}

impl Stopwatch {
    fn time(&mut self, operations: usize, run: impl FnOnce() -> Outcome) -> Outcome {
        let start = cpu();
        run()?;
        self.nanoseconds += cpu() - start;
        self.operations += operations;
        Ok(())
    }
}

fn cpu() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn note(&mut self, name: String, watches: &[&Stopwatch]) {
        let each = |watch: &&Stopwatch| watch.nanoseconds as f64 / watch.operations as f64;
        let sum: f64 = watches.iter().map(each).sum();
        self.0.push(format!("\"{name}\":{sum:.1}"));
    }
}

/// Timers of random times, or all of one time and in a common queue.
fn timers(report: &mut Report, count: usize, common: bool) -> Outcome {
    let base = EventBase::new()?;
    let fired = Rc::new(Cell::new(0));
    let mut timers = Vec::new();
    for _ in 0..count {
        let fired = fired.clone();
        timers.push(Event::timer(&base, move |_, _| fired.set(fired.get() + 1))?);
    }
    let mut random = Random(88_172_645_463_325_252);
    let far = base.init_common_timeout(Duration::from_secs(3600))?;
    let near = base.init_common_timeout(Duration::from_micros(500))?;
    let mut order: Vec<usize> = (0..count).collect();
    let mut due: Vec<Duration> = Vec::with_capacity(count);
    let (mut add, mut del, mut add_due, mut fire) = Default::default();
    let all = |add: &mut Stopwatch, due: &[Duration], common_timeout| {
        add.time(count, || {
            for (timer, &due) in timers.iter().zip(due) {
                if common {
                    timer.add_common(&common_timeout)?;
                } else {
                    timer.add(Some(due))?;
                }
            }
            Ok(())
        })
    };
    for _ in 0..LEAST_OPERATIONS.div_ceil(count) {
        due.clear();
        due.extend((0..count).map(|_| Duration::from_micros(1_000_000 + random.below(1 << 31))));
        all(&mut add, &due, far)?;
        random.shuffle(&mut order);
        Stopwatch::time(&mut del, count, || {
            for &index in &order {
                timers[index].del()?;
            }
            Ok(())
        })?;
    }
    // A round waits for its timers, so there are fewer of them.
    for _ in 0..(LEAST_OPERATIONS / 5).div_ceil(count) {
        due.clear();
        due.extend((0..count).map(|_| Duration::from_micros(random.below(1000))));
        all(&mut add_due, &due, near)?;
        let added = Instant::now();
        while added.elapsed() < Duration::from_millis(8) {
            std::hint::spin_loop();
        }
        fired.set(0);
        Stopwatch::time(&mut fire, count, || {
            while fired.get() < count {
                base.run_loop(ONE_TURN)?;
            }
            Ok(())
        })?;
    }
    let kind = if common { "common timeout" } else { "timer" };
    report.note(format!("{kind} add {count}"), &[&add]);
    report.note(format!("{kind} add+del {count}"), &[&add, &del]);
    report.note(format!("{kind} fire {count}"), &[&fire]);
    report.note(format!("{kind} add+fire {count}"), &[&add_due, &fire]);
    Ok(())
}

fn activation(report: &mut Report, priorities: usize) -> Outcome {
    const BATCH: usize = 1000;
    let base = EventBase::with_config(EventConfig::new().priorities(priorities))?;
    let ran = Rc::new(Cell::new(0));
    let mut events = Vec::new();
    for index in 0..BATCH {
        let ran = ran.clone();
        let event = Event::user(&base, move |_, _| ran.set(ran.get() + 1))?;
        event.set_priority(index % priorities)?;
        events.push(event);
    }
    let (mut activate, mut dispatch) = Default::default();
    for _ in 0..2 * LEAST_OPERATIONS / BATCH {
        Stopwatch::time(&mut activate, BATCH, || {
            for event in &events {
                event.active(EventFlags::TIMEOUT)?;
            }
            Ok(())
        })?;
        ran.set(0);
        Stopwatch::time(&mut dispatch, BATCH, || {
            while ran.get() < BATCH {
                base.run_loop(ONE_TURN)?;
            }
            Ok(())
        })?;
    }
    report.note(format!("activate+dispatch {priorities} priorities"), &[&activate, &dispatch]);
    report.note(format!("dispatch {priorities} priorities"), &[&dispatch]);
    Ok(())
}

fn turn(report: &mut Report) -> Outcome {
    let base = EventBase::new()?;
    let mut watch = Stopwatch::default();
    watch.time(LEAST_OPERATIONS, || {
        for _ in 0..LEAST_OPERATIONS {
            base.run_loop(ONE_TURN | LoopFlags::NO_EXIT_ON_EMPTY)?;
        }
        Ok(())
    })?;
    report.note("empty turn".into(), &[&watch]);
    Ok(())
}

/// Each of the pairs passes a byte on to the next; `active` bytes are under way.
fn chain(report: &mut Report, pairs: usize, active: usize) -> Outcome {
    let base = EventBase::new()?;
    let mut ends: Vec<(Rc<OwnedFd>, Rc<OwnedFd>)> = Vec::new();
    for _ in 0..pairs {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None)?;
        ends.push((Rc::new(a), Rc::new(b)));
    }
    let total = (50_000 + 10 * pairs).max(active);
    let (left, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let mut events = Vec::new();
    for index in 0..pairs {
        let (ours, next) = (ends[index].0.clone(), ends[(index + 1) % pairs].1.clone());
        let (left, seen) = (left.clone(), seen.clone());
        let fd = ours.as_raw_fd();
        let flags = EventFlags::READ | EventFlags::PERSIST;
        let event = Event::new(&base, fd, flags, move |event, _| {
            let mut byte = [0];
            if rustix::io::read(&*ours, &mut byte).is_ok_and(|length| length == 1) {
                seen.set(seen.get() + 1);
                if left.get() > 0 {
                    left.set(left.get() - 1);
                    // A full socket would show as a chain that ends early.
                    let _ = rustix::io::write(&*next, &byte);
                } else if seen.get() == total {
                    if let Some(base) = event.base() {
                        base.loop_break();
                    }
                }
            }
        })?;
        event.add(None)?;
        events.push(event);
    }
    let mut watch = Stopwatch::default();
    for round in 0..3 {
        left.set(total - active);
        seen.set(0);
        if round == 1 {
            watch = Stopwatch::default();
        }
        watch.time(total, || {
            for (_, end) in ends.iter().step_by(pairs / active) {
                rustix::io::write(&**end, b"e")?;
            }
            base.dispatch()?;
            Ok(())
        })?;
    }
    report.note(format!("chain {pairs} pairs {active} active"), &[&watch]);
    Ok(())
}

fn numbers(argument: Option<String>) -> Result<Vec<usize>, Box<dyn Error>> {
    let argument = argument.unwrap_or_default();
    argument.split(',').filter(|text| !text.is_empty()).map(|text| Ok(text.parse()?)).collect()
}

fn main() -> Outcome {
    let mut report = Report::default();
    let mut arguments = std::env::args().skip(1);
    for count in numbers(arguments.next())? {
        timers(&mut report, count, false)?;
        timers(&mut report, count, true)?;
    }
    for priorities in [1, 8] {
        activation(&mut report, priorities)?;
    }
    turn(&mut report)?;
    for pairs in numbers(arguments.next())? {
        chain(&mut report, pairs, 1)?;
        chain(&mut report, pairs, 100)?;
    }
    println!("{{{}}}", report.0.join(","));
    Ok(())
}
