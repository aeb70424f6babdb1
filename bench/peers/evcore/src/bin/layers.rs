//! What pairs and filters cost, in CPU nanoseconds a message of 64 bytes: `layers`. Prints a JSON
//! object. Over a pair and over a Unix socket, with 0, 1 and 4 filters that pass on everything.

use std::cell::Cell;
use std::error::Error;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use evcore::bufferevent::{filter_fn, BufferEvent, BufferEventOptions, FilterResult};
use evcore::{EvBuffer, EventBase, EventFlags};
use rustix::time::{clock_gettime, ClockId};

type Outcome<T> = Result<T, Box<dyn Error>>;

const MESSAGES: usize = 200_000;

fn cpu() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn pass(source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
    match destination.add_buffer(source) {
        Ok(()) => FilterResult::Ok,
        Err(error) => FilterResult::Error(error.into()),
    }
}

fn ends(base: &EventBase, sockets: bool) -> Outcome<(BufferEvent, BufferEvent)> {
    let options = BufferEventOptions::CLOSE_ON_FREE;
    if !sockets {
        return Ok(BufferEvent::pair(base, options)?);
    }
    let (one, two) = UnixStream::pair()?;
    let over = |socket: UnixStream| BufferEvent::socket(base, Some(socket.into()), options);
    Ok((over(one)?, over(two)?))
}

/// Sends one message back and forth between two ends, the second of which has `layers` filters.
fn ping_pong(sockets: bool, layers: usize) -> Outcome<f64> {
    let base = EventBase::new()?;
    let (client, mut server) = ends(&base, sockets)?;
    for _ in 0..layers {
        let filter = filter_fn(|s, d, _, _| pass(s, d), |s, d, _, _| pass(s, d));
        server = BufferEvent::filter(&server, filter, BufferEventOptions::CLOSE_ON_FREE)?;
    }
    let left = Rc::new(Cell::new(MESSAGES));
    let echo = |bev: &BufferEvent| {
        if bev.forward(bev).is_err() {
            bev.free();
        }
    };
    server.set_callbacks(Some(Box::new(echo)), None, None);
    client.set_callbacks(
        Some(Box::new(move |bev| {
            left.set(left.get() - 1);
            if left.get() > 0 {
                return echo(bev);
            }
            if let Some(base) = bev.base() {
                base.loop_break();
            }
        })),
        None,
        None,
    );
    client.enable(EventFlags::READ)?;
    server.enable(EventFlags::READ)?;
    client.write(&[7; 64])?;
    let start = cpu();
    base.dispatch()?;
    Ok((cpu() - start) as f64 / (2 * MESSAGES) as f64)
}

fn main() -> Outcome<()> {
    let mut figures = Vec::new();
    for (name, sockets) in [("pair", false), ("socket", true)] {
        for layers in [0, 1, 4] {
            let mut best = f64::INFINITY;
            for _ in 0..5 {
                best = best.min(ping_pong(sockets, layers)?);
            }
            figures.push(format!("\"{name} {layers}\":{best:.1}"));
        }
    }
    println!("{{{}}}", figures.join(","));
    Ok(())
}
