//! Running the loop and ending it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::log;
use crate::util::time::now_ns;

use super::event::{Event, EventCallback, EventFlags, EventId};
use super::handle::Post;
use super::slot::NONE;
use super::state::State;
use super::timeout::nanoseconds;
use super::{EventBase, Inner};

bitflags::bitflags! {
    /// How to run the loop (`EVLOOP_…`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LoopFlags: u32 {
        /// Wait until events become active, run them, and return (`EVLOOP_ONCE`).
        const ONCE = 1;
        /// Run what is active or ready and return, without waiting (`EVLOOP_NONBLOCK`). Together
        /// with [`ONCE`](LoopFlags::ONCE): exactly one turn, what a host loop wants.
        const NONBLOCK = 2;
        /// Wait on with no events pending, for those that another thread may bring
        /// (`EVLOOP_NO_EXIT_ON_EMPTY`).
        const NO_EXIT_ON_EMPTY = 4;
    }
}

/// Why the loop returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoopExit {
    /// No event is pending or active, or the base was freed (1 of `event_base_loop`).
    NoEvents,
    /// [`EventBase::loop_exit`] was called.
    Exit,
    /// [`EventBase::loop_break`] was called.
    Break,
    /// The flags asked for no more.
    Done,
}

/// What was asked of the loop while it runs.
pub(super) struct Control {
    pub(super) running: Cell<bool>,
    break_asked: Cell<bool>,
    continue_asked: Cell<bool>,
    /// When to exit, in nanoseconds of the monotonic clock; `u64::MAX` for never.
    exit_at: Cell<u64>,
    got_exit: Cell<bool>,
    got_break: Cell<bool>,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            running: Cell::new(false),
            break_asked: Cell::new(false),
            continue_asked: Cell::new(false),
            exit_at: Cell::new(u64::MAX),
            got_exit: Cell::new(false),
            got_break: Cell::new(false),
        }
    }
}

impl EventBase {
    /// Runs the loop until no event is pending, or it is told to end (`event_base_dispatch`).
    ///
    /// # Errors
    /// As [`run_loop`](EventBase::run_loop).
    #[doc(alias = "event_base_dispatch")]
    pub fn dispatch(&self) -> Result<LoopExit> {
        self.run_loop(LoopFlags::empty())
    }

    /// Runs the loop as `flags` say (`event_base_loop`).
    ///
    /// # Errors
    /// [`Error::LoopRunning`] in a callback of this base, [`Error::Freed`], [`Error::Os`] when the
    /// kernel refuses to wait.
    #[doc(alias = "event_base_loop")]
    pub fn run_loop(&self, flags: LoopFlags) -> Result<LoopExit> {
        // The loop's own handle: callbacks may drop all the others.
        let inner = self.inner.clone();
        inner.run(flags)
    }

    /// Ends the loop when the events that are active have run, or those that are when `after` has
    /// passed (`event_base_loopexit`). A loop that does not run ends after its next turn.
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "event_base_loopexit")]
    pub fn loop_exit(&self, after: Option<Duration>) -> Result<()> {
        self.check_alive("EventBase::loop_exit")?;
        let at = after.map_or(0, |after| {
            let after = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
            now_ns().saturating_add(after).min(u64::MAX - 1)
        });
        self.inner.control.exit_at.set(at.min(self.inner.control.exit_at.get()));
        Ok(())
    }

    /// Ends the loop after the callback that is running (`event_base_loopbreak`). Does nothing when
    /// the loop does not run.
    #[doc(alias = "event_base_loopbreak")]
    pub fn loop_break(&self) {
        if self.is_running() {
            self.inner.control.break_asked.set(true);
        }
    }

    /// Looks for ready events anew after the callback that is running, before others that are
    /// active (`event_base_loopcontinue`).
    #[doc(alias = "event_base_loopcontinue")]
    pub fn loop_continue(&self) {
        if self.is_running() {
            self.inner.control.continue_asked.set(true);
        }
    }

    /// Whether the loop ended last because of [`loop_exit`](EventBase::loop_exit)
    /// (`event_base_got_exit`).
    #[doc(alias = "event_base_got_exit")]
    pub fn got_exit(&self) -> bool {
        self.inner.control.got_exit.get()
    }

    /// Whether the loop ended last because of [`loop_break`](EventBase::loop_break)
    /// (`event_base_got_break`).
    #[doc(alias = "event_base_got_break")]
    pub fn got_break(&self) -> bool {
        self.inner.control.got_break.get()
    }

    /// Whether the loop is running: whether this is called in a callback.
    pub fn is_running(&self) -> bool {
        self.inner.control.running.get()
    }

    /// How long a wait may last before the loop has something to do: nothing while events are
    /// active, `None` for ever. For hosts that wait in a loop of their own and then take a turn with
    /// [`LoopFlags::NONBLOCK`] and [`LoopFlags::ONCE`].
    pub fn next_timeout(&self) -> Option<Duration> {
        self.inner.timeout()
    }
}

impl Inner {
    fn run(self: &Rc<Self>, flags: LoopFlags) -> Result<LoopExit> {
        const CALL: &str = "EventBase::run_loop";
        if self.freed.get() {
            return Err(Error::Freed { call: CALL });
        }
        if self.control.running.replace(true) {
            return Err(Error::LoopRunning { call: CALL });
        }
        let _running = RunningLoop(self);
        self.control.break_asked.set(false);
        self.control.got_exit.set(false);
        self.control.got_break.set(false);
        loop {
            self.mailbox.settle();
            let was_active = self.is_active();
            if !was_active && !flags.contains(LoopFlags::NO_EXIT_ON_EMPTY) && self.is_empty() {
                return Ok(LoopExit::NoEvents);
            }
            self.control.continue_asked.set(false);
            let nonblocking = flags.contains(LoopFlags::NONBLOCK);
            let timeout = || if nonblocking { Some(Duration::ZERO) } else { self.timeout() };
            let mut wait = timeout();
            if self.watchers.has_prepare() {
                self.watchers.run_prepare(wait);
                // A watcher may have ended the loop or given it something to do.
                if let Some(exit) = self.interrupted() {
                    return Ok(exit);
                }
                wait = timeout();
            }
            self.wait(wait).map_err(|source| Error::os(CALL, source))?;
            let woken = self.note_woken();
            self.watchers.run_check();
            self.run_posts();
            let ran = if self.control.break_asked.get() { 0 } else { self.run_active() };
            if let Some(woken) = woken {
                self.tell_turn(woken, ran);
            }
            if let Some(exit) = self.ended() {
                return Ok(exit);
            }
            let idle = !self.is_active();
            if flags.contains(LoopFlags::NONBLOCK)
                && (flags.contains(LoopFlags::ONCE) || (idle && ran == 0))
                || flags.contains(LoopFlags::ONCE) && idle && ran > 0
            {
                return Ok(LoopExit::Done);
            }
        }
    }

    fn is_active(&self) -> bool {
        self.state.borrow().is_active() || !self.mailbox.is_empty()
    }

    fn is_empty(&self) -> bool {
        self.state.borrow().slots.busy == 0
            && self.virtuals.get().now == 0
            && self.control.exit_at.get() == u64::MAX
    }

    fn timeout(&self) -> Option<Duration> {
        if self.is_active() {
            return Some(Duration::ZERO);
        }
        let next = self.state.borrow().timers.next_deadline().unwrap_or(u64::MAX);
        let next = next.min(self.control.exit_at.get());
        (next != u64::MAX).then(|| Duration::from_nanos(next.saturating_sub(now_ns())))
    }

    /// Waits and makes active what the wait found.
    fn wait(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        let mut ready = self.ready.borrow_mut();
        let mut state = self.state.borrow_mut();
        state.begin_turn();
        let start = if self.config.metrics { now_ns() } else { 0 };
        state.backend.wait(timeout, &mut ready)?;
        self.forget_time();
        state.metrics.turns += 1;
        if timeout != Some(Duration::ZERO) {
            state.metrics.waits += 1;
            if self.config.metrics {
                let took = self.now() - start;
                state.metrics.wait_time.note(took);
            }
        }
        state.activate_ready(&ready);
        state.activate_signals();
        if state.timers.next_deadline().is_some() {
            state.activate_due(self.now());
        }
        Ok(())
    }

    fn run_posts(self: &Rc<Self>) {
        for post in self.mailbox.take() {
            if self.freed.get() {
                return;
            }
            match post {
                Post::Run(call) => call(&EventBase::from_inner(self.clone())),
                Post::Activate(id, fired) => {
                    let mut state = self.state.borrow_mut();
                    if let Some(index) = state.slots.find(id) {
                        state.activate(index, fired, 1);
                    }
                }
                Post::Break => self.control.break_asked.set(true),
                Post::Exit => self.control.exit_at.set(0),
            }
        }
    }

    fn begin_batch(&self) -> Option<usize> {
        let mut state = self.state.borrow_mut();
        let priority = state.begin_batch();
        if priority.is_none() {
            state.metrics.events_per_turn.note(0);
        }
        priority
    }

    /// Runs the callbacks of the most urgent priority that has active events; returns how many ran.
    fn run_active(self: &Rc<Self>) -> usize {
        let Some(priority) = self.begin_batch() else { return 0 };
        let limited = priority >= self.config.limit_from_priority;
        let most = if limited { self.config.max_dispatch_callbacks } else { usize::MAX };
        let interval = self.config.max_dispatch_interval.filter(|_| limited);
        let end = interval.map(|interval| now_ns().saturating_add(nanoseconds(interval)));
        let mut batch = Batch {
            inner: self,
            event: Event::handle(self.weak(), EventId::NONE, false),
            callback: None,
            timed: self.timing(),
            last: if self.timing() { now_ns() } else { 0 },
            took: None,
            ran: 0,
        };
        while let Some((fired, calls)) = batch.next(priority) {
            batch.call(fired, calls);
            // What other threads ask for does not wait for the whole batch: an event more urgent
            // than these must cut in, wherever it was made active.
            if !self.mailbox.is_empty() {
                self.run_posts();
            }
            if self.control.break_asked.get()
                || self.control.continue_asked.get()
                || self.freed.get()
                || batch.ran >= most
                || end.is_some_and(|end| now_ns() >= end)
            {
                break;
            }
        }
        batch.ran
    }

    /// Whether the loop has to end at once.
    fn interrupted(&self) -> Option<LoopExit> {
        if self.freed.get() {
            return Some(LoopExit::NoEvents);
        }
        if self.control.break_asked.replace(false) {
            self.control.got_break.set(true);
            return Some(LoopExit::Break);
        }
        None
    }

    /// Whether the loop has to end now that the active events have run.
    fn ended(&self) -> Option<LoopExit> {
        if let Some(exit) = self.interrupted() {
            return Some(exit);
        }
        let exit_at = self.control.exit_at.get();
        if exit_at != u64::MAX && (exit_at == 0 || exit_at <= now_ns()) {
            self.control.exit_at.set(u64::MAX);
            self.control.got_exit.set(true);
            return Some(LoopExit::Exit);
        }
        None
    }
}

/// Ends the running state however the loop is left, by a callback's panic too.
struct RunningLoop<'a>(&'a Inner);

impl Drop for RunningLoop<'_> {
    fn drop(&mut self) {
        self.0.control.running.set(false);
        // From here on a letter has to wake whoever waits in the loop's place.
        self.0.mailbox.settle();
        self.0.forget_time();
    }
}

/// The callbacks that run one after another. Each is taken out of its slot while it runs, so that
/// nothing of the base is borrowed meanwhile, and put back in the same go as the next is taken: when
/// it has returned, or when the batch ends, by its panic too.
struct Batch<'a> {
    inner: &'a Rc<Inner>,
    /// The event whose callback runs or ran last; one handle serves them all.
    event: Event,
    callback: Option<EventCallback>,
    /// Whether callbacks are timed.
    timed: bool,
    /// When the last callback returned, and how long it took, if so.
    last: u64,
    took: Option<u64>,
    /// How many callbacks ran.
    ran: usize,
}

impl Batch<'_> {
    /// Takes the next callback to run: what its event is active for, and how often to call it.
    #[inline]
    fn next(&mut self, priority: usize) -> Option<(EventFlags, u16)> {
        let mut state = self.inner.state.borrow_mut();
        if let Some(orphan) = self.put_back(&mut state) {
            // What it holds may run code of its own when dropped, on an unborrowed base.
            drop(state);
            drop(orphan);
            state = self.inner.state.borrow_mut();
        }
        if state.cut_in {
            return None;
        }
        let running = state.take_active(priority, || self.inner.now())?;
        self.event.point_at(running.id);
        self.callback = running.callback;
        self.inner.running.set(running.id);
        Some((running.fired, running.calls))
    }

    #[inline]
    fn call(&mut self, fired: EventFlags, calls: u16) {
        log::debug(|| format!("event {} runs for {fired:?}", self.event.id().index()));
        self.ran += 1;
        let Some(callback) = &mut self.callback else { return };
        callback(&self.event, fired);
        for _ in 1..calls {
            // A signal's callback runs as often as the signal came, unless it deletes its event.
            let deleted = self.inner.state.borrow().calling == NONE;
            if deleted || self.inner.control.break_asked.get() {
                break;
            }
            callback(&self.event, fired);
        }
        if self.timed {
            self.time(fired);
        }
    }

    /// Notes how long the callback took that has just returned.
    #[cold]
    fn time(&mut self, fired: EventFlags) {
        let now = now_ns();
        let took = now - self.last;
        self.took = Some(took);
        if took >= self.inner.slow_limit.get() {
            self.inner.tell_slow(&self.event, fired, took);
            self.last = now_ns();
        } else {
            self.last = now;
        }
    }

    /// Gives the callback that ran back to its event. Returns it if the event is gone or has another.
    #[inline]
    fn put_back(&mut self, state: &mut State) -> Option<EventCallback> {
        if let Some(took) = self.took.filter(|_| self.timed) {
            self.took = None;
            state.metrics.callback_time.note(took);
        }
        let callback = self.callback.take()?;
        if let Some(index) = state.slots.find(self.event.id()) {
            let slot = &mut state.slots[index];
            if slot.callback.is_none() {
                slot.callback = Some(callback);
                return None;
            }
        }
        Some(callback)
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.inner.running.set(EventId::NONE);
        let orphan = {
            let mut state = self.inner.state.borrow_mut();
            state.running_priority = usize::MAX;
            state.calling = NONE;
            state.metrics.events += self.ran as u64;
            state.metrics.events_per_turn.note(self.ran as u64);
            self.put_back(&mut state)
        };
        drop(orphan);
    }
}
