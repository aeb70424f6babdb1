//! How exact rate limits are: `rates SECONDS`. Prints a JSON object: for each case what was asked and
//! what came, in bytes a second, the most that came within a tick beside the burst that allows it,
//! and for groups by how much the members' shares differ from their mean.

use std::cell::RefCell;
use std::error::Error;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evcore::bufferevent::{BufferEvent, BufferEventOptions};
use evcore::ratelimit::{RateLimitGroup, TokenBucketConfig};
use evcore::{EventBase, EventFlags, LoopFlags};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What one receiver has got.
#[derive(Default)]
struct Got {
    total: usize,
    ticks: Vec<usize>,
}

fn sockets(base: &EventBase) -> Outcome<(BufferEvent, BufferEvent)> {
    let (one, two) = UnixStream::pair()?;
    let options = BufferEventOptions::CLOSE_ON_FREE;
    let over = |socket: UnixStream| BufferEvent::socket(base, Some(socket.into()), options);
    Ok((over(one)?, over(two)?))
}

fn pour(from: &BufferEvent, chunk: usize) -> Outcome<()> {
    let refill = move |bev: &BufferEvent| {
        if bev.write(&vec![7; chunk]).is_err() {
            bev.free();
        }
    };
    refill(from);
    from.set_callbacks(None, Some(Box::new(refill)), None);
    Ok(())
}

fn drain(to: &BufferEvent, start: Instant, tick: Duration) -> Outcome<Rc<RefCell<Got>>> {
    let got = Rc::new(RefCell::new(Got::default()));
    let noted = got.clone();
    let take = move |bev: &BufferEvent| {
        let mut input = bev.input();
        let length = input.len();
        let at = (start.elapsed().as_nanos() / tick.as_nanos()) as usize;
        let mut noted = noted.borrow_mut();
        noted.total += length;
        if noted.ticks.len() <= at {
            noted.ticks.resize(at + 1, 0);
        }
        noted.ticks[at] += length;
        // Refused by a frozen buffer only.
        let _ = input.drain(length);
    };
    to.set_callbacks(Some(Box::new(take)), None, None);
    to.enable(EventFlags::READ)?;
    Ok(got)
}

fn run(rate: u64, members: usize, read: bool, seconds: f64) -> Outcome<String> {
    let base = EventBase::new()?;
    let config = TokenBucketConfig::per_second(Some(rate), Some(rate))?;
    let group = RateLimitGroup::new(&base, config)?;
    let start = Instant::now();
    let mut all = Vec::new();
    for _ in 0..members.max(1) {
        let (from, to) = sockets(&base)?;
        let limited = if read { &to } else { &from };
        if members == 0 {
            limited.set_rate_limit(Some(config))?;
        } else {
            limited.add_to_rate_limit_group(&group)?;
        }
        all.push(drain(&to, start, config.tick())?);
        pour(&from, if members > 100 { 16 << 10 } else { 1 << 20 })?;
    }
    base.loop_exit(Some(Duration::from_secs_f64(seconds)))?;
    let begun = Instant::now();
    base.run_loop(LoopFlags::NO_EXIT_ON_EMPTY)?;
    let elapsed = begun.elapsed().as_secs_f64();
    let totals: Vec<usize> = all.iter().map(|got| got.borrow().total).collect();
    let sum: usize = totals.iter().sum();
    let mean = sum as f64 / totals.len() as f64;
    let spread = totals.iter().map(|total| (*total as f64 / mean - 1.0).abs()).fold(0.0, f64::max);
    let ticks = all.iter().map(|got| got.borrow().ticks.len()).max().unwrap_or(0);
    let in_tick = |at: usize| {
        let of = |got: &Rc<RefCell<Got>>| got.borrow().ticks.get(at).copied().unwrap_or(0);
        all.iter().map(of).sum::<usize>()
    };
    let burst = (0..ticks).map(in_tick).max().unwrap_or(0);
    let got = sum as f64 / elapsed;
    Ok(format!(
        "{{\"asked\":{rate},\"members\":{members},\"read\":{read},\"got\":{got:.0},\"error_percent\":{:.2},\
         \"most_in_a_tick\":{burst},\"burst\":{},\"spread_percent\":{:.2}}}",
        (got / rate as f64 - 1.0) * 100.0,
        config.read_burst(),
        spread * 100.0
    ))
}

fn main() -> Outcome<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(5.0), |seconds| seconds.parse())?;
    for members in [0, 1, 10, 1000] {
        for rate in [64 << 10, 1 << 20, 100 << 20] {
            // Tiny shares of many take whole seconds to come round.
            if members == 1000 && rate == 64 << 10 {
                continue;
            }
            for read in [false, true] {
                println!("{}", run(rate, members, read, seconds)?);
            }
        }
    }
    Ok(())
}
