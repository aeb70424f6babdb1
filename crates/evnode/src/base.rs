//! Bases: `EventBase`, its loop and its host.

use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use evcore::backend::Features;
use evcore::base::{CommonTimeout, LoopHold, SlowCallback};
use evcore::{EventBase, EventConfig, EventFlags, LoopExit, LoopFlags};
use napi_derive::napi;

use crate::attach::{self, Attach, Host};
use crate::batch::Batch;
use crate::dispatch::{Kind, Missed, Mode};
use crate::env::EnvRef;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::cold;
use crate::remote::Remote;

/// A base and the host that runs it.
pub(crate) struct Base {
    pub(crate) env: EnvRef,
    pub(crate) handle: Handle,
    pub(crate) base: EventBase,
    config: EventConfig,
    in_worker: bool,
    host: RefCell<Option<Rc<dyn Host>>>,
    /// It may keep the process alive.
    referenced: Cell<bool>,
    /// It does keep the process alive.
    kept: Cell<bool>,
    /// Somebody waits for the end of the loop.
    watches_end: Cell<bool>,
    /// The loop is to end at the next turn, having been told to between turns.
    pending_end: Cell<Option<LoopExit>>,
    /// What a blocking call could not tell after a callback threw.
    missed: RefCell<Vec<Missed>>,
    /// Callbacks to be called together.
    pub(crate) batch: Batch,
    /// Nothing in the configuration is against that.
    may_collect: bool,
    /// JavaScript is told of slow callbacks, and of turns, which are timed where they run.
    pub(crate) tells_slow: Cell<bool>,
    pub(crate) tells_turns: Cell<bool>,
    /// What keeps the loop from ending though there are no events.
    pub(crate) holds: RefCell<Vec<LoopHold>>,
    /// Timeouts that events share, by the numbers that JavaScript knows them by.
    pub(crate) common_timeouts: RefCell<Vec<CommonTimeout>>,
    /// The callback that JavaScript is told of as slow.
    pub(crate) slow: RefCell<Option<SlowCallback>>,
    /// How other threads find it, and what they have sent.
    pub(crate) remote: Remote,
}

impl Base {
    /// Runs a turn of an attached base, from its host.
    pub(crate) fn turn(self: &Rc<Self>) {
        if self.base.is_running() || self.base.is_freed() || self.env.is_closing() {
            return;
        }
        let env = self.env.clone();
        {
            let _turn = env.dispatch.enter(Mode::Attached, self);
            env.emit_missed(self.missed.take());
            let flags = LoopFlags::NONBLOCK | LoopFlags::ONCE;
            match catch_unwind(AssertUnwindSafe(|| self.base.run_loop(flags))) {
                Ok(Ok(exit)) => self.ended(exit),
                Ok(Err(error)) => env.dispatch.report(error.into()),
                Err(panic) => env.dispatch.report(Failure::panic(&*panic)),
            }
            env.end_collecting(self);
            env.emit_changes();
        }
        if env.is_closing() || env.dispatch.is_dead() {
            return;
        }
        if let Some(host) = self.host() {
            host.turn_ended();
        }
    }

    /// Tells who waits for it that the loop has ended, if it has.
    fn ended(&self, exit: LoopExit) {
        let exit = match self.pending_end.take() {
            Some(exit) => exit,
            None if exit == LoopExit::Done && self.is_empty() => LoopExit::NoEvents,
            None => exit,
        };
        if exit != LoopExit::Done && self.watches_end.replace(false) {
            self.env.emit(Kind::LoopEnded, self.handle, f64::from(exit_number(exit)), 0.0);
        }
    }

    /// Whether callbacks may be called together.
    pub(crate) fn collects(&self) -> bool {
        self.may_collect
            && !self.tells_slow.get()
            && !self.tells_turns.get()
            && self.base.priorities() == 1
    }

    fn is_empty(&self) -> bool {
        self.base.event_count() == 0 && self.base.next_timeout().is_none()
    }

    /// Whether a turn is needed for the loop to end.
    pub(crate) fn end_is_due(&self) -> bool {
        self.watches_end.get() && (self.pending_end.get().is_some() || self.is_empty())
    }

    /// Runs the loop on this thread. The caller throws what a callback threw, which is pending then.
    pub(crate) fn run_blocking(self: &Rc<Self>, flags: LoopFlags) -> Result<LoopExit> {
        let replaced = match self.host() {
            Some(host) if host.is_backend() && !self.base.is_running() => {
                let backend = attach::open_own(&self.env, &self.config, self.in_worker)?;
                Some(self.base.replace_backend(backend)?)
            }
            _ => None,
        };
        let env = self.env.clone();
        let exit = {
            let _turn = env.dispatch.enter(Mode::Blocking, self);
            env.emit_missed(self.missed.take());
            let exit = if env.dispatch.has_thrown() {
                Ok(Ok(LoopExit::Break))
            } else {
                catch_unwind(AssertUnwindSafe(|| self.base.run_loop(flags)))
            };
            env.emit_changes();
            exit
        };
        let threw = env.dispatch.threw();
        let missed = env.dispatch.take_missed();
        if !missed.is_empty() {
            self.missed.borrow_mut().extend(missed);
            self.kick();
        }
        if let Some(backend) = replaced {
            if !self.base.is_freed() {
                self.base.replace_backend(backend)?;
            }
        }
        self.touch();
        match exit {
            _ if threw => Err(Failure::Pending),
            Ok(exit) => Ok(exit?),
            Err(panic) => Err(Failure::panic(&*panic)),
        }
    }

    /// Tells the host of what a call from JavaScript may have changed.
    #[inline]
    pub(crate) fn touch(&self) {
        if self.base.is_running() {
            return;
        }
        if !self.kept.get() {
            self.update_keep_alive();
        }
        if let Some(host) = &*self.host.borrow() {
            host.changed();
        }
    }

    /// Keeps the process alive while there is something to wait for.
    pub(crate) fn update_keep_alive(&self) {
        let keep = self.referenced.get() && (self.watches_end.get() || !self.is_empty());
        if self.kept.get() == keep {
            return;
        }
        if let Some(host) = &*self.host.borrow() {
            self.kept.set(keep);
            host.keep_alive(keep);
        }
    }

    fn host(&self) -> Option<Rc<dyn Host>> {
        self.host.borrow().clone()
    }

    /// Frees the base and lets go of its host.
    pub(crate) fn shut_down(&self) {
        let host = self.host.take();
        if let Some(host) = &host {
            host.close();
        }
        self.remote.end();
        self.env.stop_telling(self.handle);
        self.base.free();
    }
}

/// The loop's result as `raw.d.ts` numbers it.
pub(crate) fn exit_number(exit: LoopExit) -> i32 {
    match exit {
        LoopExit::NoEvents => 0,
        LoopExit::Exit => 1,
        LoopExit::Break => 2,
        LoopExit::Done => 3,
    }
}

/// A time in milliseconds as JavaScript gives it; negative for none.
pub(crate) fn duration(millis: f64) -> Result<Option<Duration>> {
    if millis < 0.0 {
        return Ok(None);
    }
    if millis.is_nan() {
        return Err(Failure::Range("a time is a number of milliseconds"));
    }
    Ok(Some(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX)))
}

/// What `baseNew` takes; all fields may be left out.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct BaseOptions {
    /// How it runs: `uv`, `nested`, `waiter` (a thread waits), `none` (blocking calls only) or `auto`
    /// (default): `uv`; `nested` where the rest asks for what libuv lacks; `waiter` in a runtime
    /// without libuv; `none` where the method asked for has no descriptor to wait for, as `poll`.
    pub attach: Option<String>,
    /// Whether this is a worker: blocking calls then look ten times a second whether it was
    /// terminated.
    pub in_worker: Option<bool>,
    /// Exactly this method (`epoll`, `poll`, `mio`, ...).
    pub method: Option<String>,
    /// Methods not to be used.
    pub avoid: Option<Vec<String>>,
    /// Features it must have: ET 1, O1 2, FDS 4, EARLY_CLOSE 8, NS_TIMEOUT 16.
    pub features: Option<u32>,
    /// Number of priorities, 1 by default.
    pub priorities: Option<u32>,
    /// Ignore the EVENT_NO* environment variables.
    pub ignore_env: Option<bool>,
    /// Do not cache the time within a turn.
    pub no_cache_time: Option<bool>,
    /// Read the clock for every timer that is set.
    pub precise_timer: Option<bool>,
    /// Have epoll collect changes until the next wait.
    pub epoll_changelist: Option<bool>,
    /// Look for misuse that is not found otherwise.
    pub debug_mode: Option<bool>,
    /// Measure the times that `baseMetrics` tells.
    pub metrics: Option<bool>,
    /// Look for more urgent events after so many milliseconds of callbacks.
    pub max_dispatch_ms: Option<f64>,
    /// Look for more urgent events after so many callbacks.
    pub max_dispatch_callbacks: Option<u32>,
    /// The two limits hold for priorities from this one on.
    pub min_priority: Option<u32>,
}

impl BaseOptions {
    fn config(&self) -> Result<EventConfig> {
        let mut config = EventConfig::new();
        for method in self.avoid.iter().flatten() {
            config.avoid_method(method);
        }
        if let Some(method) = &self.method {
            config.method(method);
        }
        if let Some(features) = self.features {
            let features = u8::try_from(features).ok().and_then(Features::from_bits);
            let unknown =
                Failure::Range("features are ET 1, O1 2, FDS 4, EARLY_CLOSE 8, NS_TIMEOUT 16");
            config.require_features(features.ok_or(unknown)?);
        }
        config.priorities(self.priorities.map_or(1, |priorities| priorities as usize));
        config.ignore_env(self.ignore_env.unwrap_or(false));
        config.no_cache_time(self.no_cache_time.unwrap_or(false));
        config.precise_timer(self.precise_timer.unwrap_or(false));
        config.epoll_changelist(self.epoll_changelist.unwrap_or(false));
        config.debug_mode(self.debug_mode.unwrap_or(false));
        config.metrics(self.metrics.unwrap_or(false));
        config.max_dispatch(
            self.max_dispatch_ms.map_or(Ok(None), duration)?,
            self.max_dispatch_callbacks.map(|callbacks| callbacks as usize),
            self.min_priority.unwrap_or(0) as usize,
        );
        Ok(config)
    }

    /// Whether callbacks may be called together: nothing is to happen between two of them.
    fn may_collect(&self) -> bool {
        self.metrics != Some(true)
            && self.max_dispatch_ms.is_none()
            && self.max_dispatch_callbacks.is_none()
    }

    fn is_auto(&self) -> bool {
        self.attach.as_deref().is_none_or(|attach| attach == "auto")
    }

    /// How to attach: as asked, or by what the other options need.
    fn attach(&self, has_libuv: bool) -> Result<Attach> {
        if let Some(attach) = self.attach.as_deref().map_or(Ok(None), Attach::parse)? {
            if matches!(attach, Attach::Uv | Attach::Nested) && !has_libuv {
                return Err(Failure::Core(evcore::Error::Unsupported {
                    call: "EventBase::new",
                    what: "this runtime has no libuv; use attach: 'waiter' or 'none'".to_owned(),
                }));
            }
            return Ok(attach);
        }
        if !has_libuv {
            return Ok(Attach::Waiter);
        }
        // libuv has neither edge triggering nor waits below a millisecond.
        let needs_own = Features::ET.bits() | Features::NS_TIMEOUT.bits();
        let features = self.features.unwrap_or(0) & u32::from(needs_own) != 0;
        Ok(if self.method.is_some() || features { Attach::Nested } else { Attach::Uv })
    }
}

/// Creates a base and attaches it as `attach` says.
#[napi(catch_unwind)]
pub fn base_new(env: napi::Env, options: Option<BaseOptions>) -> napi::Result<Handle> {
    let has_libuv = attach::has_libuv(&env);
    cold(&env, |env| {
        let options = options.unwrap_or_default();
        let may_collect = options.may_collect();
        let (config, mut attach) = (options.config()?, options.attach(has_libuv)?);
        let in_worker = options.in_worker.unwrap_or(false);
        let opened = attach::open_backend(env, attach, &config, in_worker)?;
        let base = EventBase::with_backend(&config, opened.backend)?;
        let needs_fd = matches!(attach, Attach::Nested | Attach::Waiter);
        if needs_fd && options.is_auto() && base.poll_fd().is_none() {
            attach = Attach::None;
        }
        let handle = env.table.reserve()?;
        let base = Rc::new(Base {
            env: env.clone(),
            handle,
            base,
            config,
            in_worker,
            host: RefCell::default(),
            referenced: Cell::new(true),
            kept: Cell::new(false),
            watches_end: Cell::new(false),
            pending_end: Cell::new(None),
            missed: RefCell::default(),
            batch: Batch::default(),
            may_collect,
            tells_slow: Cell::default(),
            tells_turns: Cell::default(),
            holds: RefCell::default(),
            common_timeouts: RefCell::default(),
            slow: RefCell::default(),
            remote: Remote::default(),
        });
        match attach::attach(&base, attach, opened.watchers, has_libuv) {
            Ok(host) => drop(base.host.replace(host)),
            Err(failure) => {
                env.table.remove(handle);
                return Err(failure);
            }
        }
        env.table.fill(handle, Object::Base(base));
        Ok(handle)
    })
}

/// Frees the base: every event on it is dead, its host's handles are closed. Allowed inside
/// callbacks. Does not call LOOP_ENDED.
#[napi(catch_unwind)]
pub fn base_free(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.base(base)?.shut_down();
        drop(env.table.remove(base));
        Ok(())
    })
}

/// How it runs: `uv`, `nested`, `waiter` or `none`.
#[napi(catch_unwind)]
pub fn base_attachment(env: napi::Env, base: Handle) -> napi::Result<&'static str> {
    cold(&env, |env| Ok(env.base(base)?.host().map_or("none", |host| host.name())))
}

/// The method's name: `uv` in uv mode, else `epoll`, ...
#[napi(catch_unwind)]
pub fn base_method(env: napi::Env, base: Handle) -> napi::Result<&'static str> {
    cold(&env, |env| Ok(env.base(base)?.base.method()))
}

/// The method's features.
#[napi(catch_unwind)]
pub fn base_features(env: napi::Env, base: Handle) -> napi::Result<u32> {
    cold(&env, |env| Ok(env.base(base)?.base.features().bits().into()))
}

/// Sets the number of priorities; only while no event is active.
#[napi(catch_unwind)]
pub fn base_priority_init(env: napi::Env, base: Handle, priorities: u32) -> napi::Result<()> {
    cold(&env, |env| Ok(env.base(base)?.base.priority_init(priorities as usize)?))
}

/// The number of priorities.
#[napi(catch_unwind)]
pub fn base_priorities(env: napi::Env, base: Handle) -> napi::Result<u32> {
    cold(&env, |env| Ok(env.base(base)?.base.priorities() as u32))
}

/// Ends the loop after `ms` milliseconds (none: after the active events have run).
#[napi(catch_unwind)]
pub fn base_loop_exit(env: napi::Env, base: Handle, ms: Option<f64>) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        base.base.loop_exit(ms.map_or(Ok(None), duration)?)?;
        base.touch();
        Ok(())
    })
}

/// Ends the loop after the callback that runs; between the turns of an attached base, at once.
#[napi(catch_unwind)]
pub fn base_loop_break(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        if base.watches_end.get() && !base.base.is_running() {
            base.pending_end.set(Some(LoopExit::Break));
            base.kick();
        }
        base.base.loop_break();
        env.stop_telling(base.handle);
        Ok(())
    })
}

/// Looks for ready events anew after the callback that runs.
#[napi(catch_unwind)]
pub fn base_loop_continue(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        base.base.loop_continue();
        env.stop_telling(base.handle);
        Ok(())
    })
}

/// Whether the loop ended by `baseLoopExit`.
#[napi(catch_unwind)]
pub fn base_got_exit(env: napi::Env, base: Handle) -> napi::Result<bool> {
    cold(&env, |env| Ok(env.base(base)?.base.got_exit()))
}

/// Whether the loop ended by `baseLoopBreak`.
#[napi(catch_unwind)]
pub fn base_got_break(env: napi::Env, base: Handle) -> napi::Result<bool> {
    cold(&env, |env| Ok(env.base(base)?.base.got_break()))
}

/// Whether a turn is running, that is, whether we are inside one of its callbacks.
#[napi(catch_unwind)]
pub fn base_is_running(env: napi::Env, base: Handle) -> napi::Result<bool> {
    cold(&env, |env| Ok(env.base(base)?.base.is_running()))
}

/// The turn's time in milliseconds since the epoch, with fractions.
#[napi(catch_unwind)]
pub fn base_cached_time(env: napi::Env, base: Handle) -> napi::Result<f64> {
    cold(&env, |env| {
        let time = env.base(base)?.base.cached_time();
        Ok(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1000.0)
    })
}

/// Reads the clock anew.
#[napi(catch_unwind)]
pub fn base_update_cache_time(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.base(base)?.base.update_cache_time();
        Ok(())
    })
}

/// Events pending or active, internal ones not counted.
#[napi(catch_unwind)]
pub fn base_event_count(env: napi::Env, base: Handle) -> napi::Result<u32> {
    cold(&env, |env| {
        let collected = env.collected_events(base).filter_map(|event| env.event(event).ok());
        let collected = collected.filter(|event| event.event.pending(EventFlags::all()).is_empty());
        let collected = collected.count();
        let base = env.base(base)?;
        Ok((base.base.event_count() + collected - base.batch.own_events()) as u32)
    })
}

/// Lets the base keep the process alive while it has events (the default).
#[napi(catch_unwind)]
pub fn base_ref(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.base(base)?.set_referenced(true);
        Ok(())
    })
}

/// Lets the process end although the base has events.
#[napi(catch_unwind)]
pub fn base_unref(env: napi::Env, base: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.base(base)?.set_referenced(false);
        Ok(())
    })
}

/// Whether `baseRef` holds.
#[napi(catch_unwind)]
pub fn base_has_ref(env: napi::Env, base: Handle) -> napi::Result<bool> {
    cold(&env, |env| Ok(env.base(base)?.referenced.get()))
}

/// Asks (`on`) for one LOOP_ENDED call when the loop of an attached base ends; keeps the process
/// alive till then.
#[napi(catch_unwind)]
pub fn base_watch_end(env: napi::Env, base: Handle, on: bool) -> napi::Result<()> {
    cold(&env, |env| {
        let base = env.base(base)?;
        if base.host.borrow().is_none() {
            return Err(Failure::Core(evcore::Error::Unsupported {
                call: "EventBase::dispatch",
                what: "the base is not attached; run its loop with dispatchSync()".to_owned(),
            }));
        }
        base.watches_end.set(on);
        base.pending_end.set(None);
        base.update_keep_alive();
        if on && base.is_empty() {
            base.kick();
        }
        Ok(())
    })
}

impl Base {
    fn kick(&self) {
        if let Some(host) = self.host() {
            host.kick();
        }
    }

    fn set_referenced(&self, on: bool) {
        self.referenced.set(on);
        self.update_keep_alive();
    }
}

/// The methods of this build, best first.
#[napi(catch_unwind)]
pub fn supported_methods() -> Vec<&'static str> {
    EventBase::supported_methods().to_vec()
}

/// The features of a method, or null when this build has none of that name.
#[napi(catch_unwind)]
pub fn method_features(name: String) -> Option<u32> {
    evcore::backend::features_of(&name).map(|features| features.bits().into())
}
