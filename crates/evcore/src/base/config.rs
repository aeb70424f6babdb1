//! How a base is made.

use std::time::Duration;

use crate::backend::{self, Backend, Features};
use crate::error::{Error, Result};
use crate::log::{self, Severity};

/// The most priorities that a base can have (`EVENT_MAX_PRIORITIES`).
pub const MAX_PRIORITIES: usize = 256;

/// What a new base must or must not be (`struct event_config`).
///
/// ```
/// use evcore::{EventBase, EventConfig};
///
/// let base = EventBase::with_config(EventConfig::new().avoid_method("mio").priorities(3))?;
/// assert_ne!(base.method(), "mio");
/// assert_eq!(base.priorities(), 3);
/// # Ok::<(), evcore::Error>(())
/// ```
#[doc(alias = "event_config")]
#[derive(Clone, Debug)]
pub struct EventConfig {
    pub(super) avoid: Vec<String>,
    pub(super) method: Option<String>,
    pub(super) require: Features,
    pub(super) ignore_env: bool,
    pub(super) epoll_changelist: bool,
    pub(super) no_cache_time: bool,
    pub(super) precise_timer: bool,
    pub(super) debug_mode: bool,
    pub(super) metrics: bool,
    pub(super) max_dispatch_interval: Option<Duration>,
    pub(super) max_dispatch_callbacks: usize,
    pub(super) limit_from_priority: usize,
    pub(super) priorities: usize,
}

impl Default for EventConfig {
    fn default() -> Self {
        Self {
            avoid: Vec::new(),
            method: None,
            require: Features::empty(),
            ignore_env: false,
            epoll_changelist: false,
            no_cache_time: false,
            precise_timer: false,
            debug_mode: false,
            metrics: false,
            max_dispatch_interval: None,
            max_dispatch_callbacks: usize::MAX,
            limit_from_priority: 0,
            priorities: 1,
        }
    }
}

impl EventConfig {
    /// A configuration that takes the best method there is (`event_config_new`).
    #[doc(alias = "event_config_new")]
    pub fn new() -> Self {
        Self::default()
    }

    /// Never uses this method (`event_config_avoid_method`).
    #[doc(alias = "event_config_avoid_method")]
    pub fn avoid_method(&mut self, method: &str) -> &mut Self {
        self.avoid.push(method.to_owned());
        self
    }

    /// Uses exactly this method, or none.
    pub fn method(&mut self, method: &str) -> &mut Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Takes only a method that can do all of this (`event_config_require_features`).
    #[doc(alias = "event_config_require_features")]
    pub fn require_features(&mut self, features: Features) -> &mut Self {
        self.require |= features;
        self
    }

    /// Does not look at environment variables: `EVENT_NO…`, `EVENT_SHOW_METHOD` and
    /// `EVENT_EPOLL_USE_CHANGELIST` (`EVENT_BASE_FLAG_IGNORE_ENV`).
    #[doc(alias = "EVENT_BASE_FLAG_IGNORE_ENV")]
    pub fn ignore_env(&mut self, ignore: bool) -> &mut Self {
        self.ignore_env = ignore;
        self
    }

    /// Has `epoll` keep a list of changes and tell the kernel in the next wait, in at most one system
    /// call a descriptor however often it was changed (`EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST`; the
    /// environment variable `EVENT_EPOLL_USE_CHANGELIST` asks for the same). Nothing to other
    /// methods. A base with such a list has no [`poll_fd`](crate::EventBase::poll_fd).
    #[doc(alias = "EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST")]
    pub fn epoll_changelist(&mut self, changelist: bool) -> &mut Self {
        self.epoll_changelist = changelist;
        self
    }

    /// Reads the clock whenever the time is asked for, not once a turn
    /// (`EVENT_BASE_FLAG_NO_CACHE_TIME`).
    #[doc(alias = "EVENT_BASE_FLAG_NO_CACHE_TIME")]
    pub fn no_cache_time(&mut self, no_cache: bool) -> &mut Self {
        self.no_cache_time = no_cache;
        self
    }

    /// Reads the clock for each timer that is set (`EVENT_BASE_FLAG_PRECISE_TIMER`). Without this,
    /// a reading serves for a microsecond or two, and timers may be that much late. They are never
    /// early.
    #[doc(alias = "EVENT_BASE_FLAG_PRECISE_TIMER")]
    pub fn precise_timer(&mut self, precise: bool) -> &mut Self {
        self.precise_timer = precise;
        self
    }

    /// Looks for misuse that is not found otherwise (`event_enable_debug_mode`): a descriptor that
    /// is closed while an event waits for it, found when the event is next added or deleted. This
    /// and calls on freed events, which err in any case, are then [logged](crate::log) and reported
    /// to the [fatal callback](crate::log::set_fatal_callback). Costs a system call for each `add`
    /// and `del`.
    #[doc(alias = "event_enable_debug_mode")]
    #[doc(alias = "event_debug_unassign")]
    pub fn debug_mode(&mut self, debug: bool) -> &mut Self {
        self.debug_mode = debug;
        self
    }

    /// Measures how long callbacks and waits take and how late timers are, for
    /// [`EventBase::metrics`](super::EventBase::metrics), at the price of reading the clock once a
    /// callback. All else is counted in any case.
    pub fn metrics(&mut self, metrics: bool) -> &mut Self {
        self.metrics = metrics;
        self
    }

    /// Looks for more urgent events after this time or this many callbacks, once events of
    /// `min_priority` or less urgent ones run (`event_config_set_max_dispatch_interval`).
    #[doc(alias = "event_config_set_max_dispatch_interval")]
    pub fn max_dispatch(
        &mut self,
        interval: Option<Duration>,
        callbacks: Option<usize>,
        min_priority: usize,
    ) -> &mut Self {
        self.max_dispatch_interval = interval;
        self.max_dispatch_callbacks = callbacks.unwrap_or(usize::MAX).max(1);
        self.limit_from_priority = min_priority;
        self
    }

    /// How many priorities there are, 1 to [`MAX_PRIORITIES`] (`event_base_priority_init`).
    #[doc(alias = "event_base_priority_init")]
    pub fn priorities(&mut self, priorities: usize) -> &mut Self {
        self.priorities = priorities;
        self
    }
}

pub(super) fn check_priorities(call: &'static str, priorities: usize) -> Result<()> {
    if (1..=MAX_PRIORITIES).contains(&priorities) {
        return Ok(());
    }
    Err(Error::invalid(
        call,
        format!("{priorities} priorities asked for; 1 to {MAX_PRIORITIES} go"),
    ))
}

/// Opens the most preferred method that meets `config` and works here.
pub(super) fn open_backend(call: &'static str, config: &EventConfig) -> Result<Box<dyn Backend>> {
    let is_set = |variable: &str| !config.ignore_env && std::env::var_os(variable).is_some();
    let forbidden = |name: &str| {
        config.avoid.iter().any(|avoided| avoided == name)
            || config.method.as_deref().is_some_and(|wanted| wanted != name)
            || is_set(&format!("EVENT_NO{}", name.to_uppercase()))
    };
    let changelist = config.epoll_changelist || is_set("EVENT_EPOLL_USE_CHANGELIST");
    let options = backend::Options { changelist };
    let mut failure = None;
    for &name in backend::supported_methods() {
        let able = backend::features_of(name).is_some_and(|able| able.contains(config.require));
        if forbidden(name) || !able {
            continue;
        }
        match backend::open_with(name, options) {
            Some(Ok(backend)) => {
                if is_set("EVENT_SHOW_METHOD") {
                    log::log(Severity::Message, &format!("evcore uses the method {name}"));
                }
                return Ok(backend);
            }
            Some(Err(source)) => failure = failure.or(Some(Error::os(call, source))),
            None => {}
        }
    }
    Err(failure.unwrap_or_else(|| {
        let known = backend::supported_methods().join(", ");
        let what = format!("no method meets the configuration; this build has {known}");
        Error::Unsupported { call, what }
    }))
}
