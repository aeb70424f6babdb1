//! Signals: from wherever they come to the events that wait for them.
//!
//! A [`SignalSource`] catches signals and reports them to the base's [`SignalSink`]; the loop then
//! makes the events active. The usual source keeps a handler of its own in the process and lets
//! other handlers run too; a host that has its own idea of signals (as libuv has) brings a source of
//! its own.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::Arc;

use crate::backend::Wake;

use super::slot::{Slots, NONE};

/// Signal numbers are below this.
pub(super) const SIGNALS: usize = 128;

/// Where signals are caught.
pub trait SignalSource {
    /// Starts to catch `signum` and to report it to `sink`, in place of an earlier sink.
    fn watch(&mut self, signum: i32, sink: &Arc<SignalSink>) -> io::Result<()>;
    /// Stops to catch `signum`.
    fn unwatch(&mut self, signum: i32);
}

/// What a source reports signals to.
pub struct SignalSink {
    counts: [AtomicU16; SIGNALS],
    any: AtomicBool,
    waker: Arc<dyn Wake>,
}

impl SignalSink {
    pub(super) fn new(waker: Arc<dyn Wake>) -> Arc<Self> {
        Arc::new(Self {
            counts: [const { AtomicU16::new(0) }; SIGNALS],
            any: AtomicBool::new(false),
            waker,
        })
    }

    /// Tells the loop that a signal came. Safe in a signal handler: it takes no lock, allocates
    /// nothing and makes at most one system call.
    pub fn raise(&self, signum: i32) {
        let Some(count) = usize::try_from(signum).ok().and_then(|index| self.counts.get(index))
        else {
            return;
        };
        let _ =
            count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
        if !self.any.swap(true, Ordering::AcqRel) {
            // Nobody could be told of a failure here; the signal is seen at the next wake-up.
            let _ = self.waker.wake();
        }
    }

    fn take(&self, mut each: impl FnMut(i32, u16)) {
        if !self.any.load(Ordering::Relaxed) || !self.any.swap(false, Ordering::AcqRel) {
            return;
        }
        for (signum, count) in self.counts.iter().enumerate() {
            let count = count.swap(0, Ordering::Relaxed);
            if count > 0 {
                each(signum as i32, count);
            }
        }
    }
}

/// The signal events of a base.
pub(super) struct SignalMap {
    /// The first event of each watched signal; the others follow through `next_watched`.
    watched: Vec<(i32, u32)>,
    sink: Option<Arc<SignalSink>>,
    source: Box<dyn SignalSource>,
}

impl SignalMap {
    pub(super) fn new() -> Self {
        Self { watched: Vec::new(), sink: None, source: default_source() }
    }

    pub(super) fn add(
        &mut self,
        waker: impl FnOnce() -> Arc<dyn Wake>,
        slots: &mut Slots,
        index: u32,
        signum: i32,
    ) -> io::Result<()> {
        if let Some((_, head)) = self.watched.iter_mut().find(|(watched, _)| *watched == signum) {
            slots[index].next_watched = *head;
            *head = index;
            return Ok(());
        }
        let sink = self.sink.get_or_insert_with(|| SignalSink::new(waker()));
        self.source.watch(signum, sink)?;
        slots[index].next_watched = NONE;
        self.watched.push((signum, index));
        Ok(())
    }

    pub(super) fn remove(&mut self, slots: &mut Slots, index: u32, signum: i32) {
        let Some(position) = self.watched.iter().position(|&(watched, _)| watched == signum) else {
            return;
        };
        let next = std::mem::replace(&mut slots[index].next_watched, NONE);
        let head = &mut self.watched[position].1;
        if *head == index {
            *head = next;
        } else {
            let mut cursor = *head;
            while slots[cursor].next_watched != index {
                cursor = slots[cursor].next_watched;
            }
            slots[cursor].next_watched = next;
        }
        if self.watched[position].1 == NONE {
            self.watched.swap_remove(position);
            self.source.unwatch(signum);
        }
    }

    /// The first event of a signal.
    pub(super) fn first(&self, signum: i32) -> u32 {
        let found = self.watched.iter().find(|(watched, _)| *watched == signum);
        found.map_or(NONE, |&(_, head)| head)
    }

    /// Calls `each` with every signal that came and how often it came.
    pub(super) fn take(&self, each: impl FnMut(i32, u16)) {
        if let Some(sink) = &self.sink {
            sink.take(each);
        }
    }

    /// Watches through another source, or for another waker.
    pub(super) fn rewatch(
        &mut self,
        source: Option<Box<dyn SignalSource>>,
        waker: Arc<dyn Wake>,
    ) -> io::Result<()> {
        for &(signum, _) in &self.watched {
            self.source.unwatch(signum);
        }
        if let Some(source) = source {
            self.source = source;
        }
        if self.sink.is_none() {
            return Ok(());
        }
        let sink = self.sink.insert(SignalSink::new(waker));
        for &(signum, _) in &self.watched {
            self.source.watch(signum, sink)?;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        for (signum, _) in self.watched.drain(..) {
            self.source.unwatch(signum);
        }
    }
}

#[cfg(unix)]
fn default_source() -> Box<dyn SignalSource> {
    Box::new(crate::sys::signal::HandlerSource::default())
}

#[cfg(not(unix))]
fn default_source() -> Box<dyn SignalSource> {
    struct NoSource;
    impl SignalSource for NoSource {
        fn watch(&mut self, _signum: i32, _sink: &Arc<SignalSink>) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
        fn unwatch(&mut self, _signum: i32) {}
    }
    Box::new(NoSource)
}
