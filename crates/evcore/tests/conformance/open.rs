//! Bases by the names of methods.

use evcore::{EventBase, EventConfig};

/// A base on a method, with a list of changes if its name says so: `epoll+changelist`.
pub fn open(method: &str) -> EventBase {
    let mut config = EventConfig::new();
    let name = method.strip_suffix("+changelist");
    config.ignore_env(true).method(name.unwrap_or(method)).epoll_changelist(name.is_some());
    EventBase::with_config(&config).unwrap()
}
