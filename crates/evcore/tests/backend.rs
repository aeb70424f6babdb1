//! Every backend of this platform under one conformance suite, and the registry that names them.
#![cfg(unix)]
// Fewer groups of tests run outside Linux.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

#[macro_use]
mod conformance;

use evcore::backend::{features_of, open, supported_methods};

#[cfg(target_os = "linux")]
mod epoll {
    conformance!("epoll": level stale stale_modify closed hang_up wait edge early_close signal refused_files poll_fd);
}

#[cfg(target_os = "linux")]
mod epoll_changelist {
    conformance!("epoll+changelist": level stale closed hang_up wait edge early_close signal refused_files no_poll_fd changelist);
}

// No `hang_up`: the kernel tells reading and writing only, as they were asked for.
#[cfg(target_os = "linux")]
mod select {
    conformance!("select": level stale stale_modify closed wait signal ready_files no_poll_fd);
}

#[cfg(target_os = "linux")]
mod poll {
    conformance!("poll": level stale stale_modify closed hang_up wait early_close signal ready_files no_poll_fd);
}

#[cfg(all(target_os = "linux", feature = "backend-mio"))]
mod mio {
    conformance!("mio": level stale stale_modify closed hang_up wait edge early_close signal refused_files poll_fd);
}

// No `signal`: the crate waits on after a signal.
#[cfg(all(target_os = "linux", feature = "backend-polling"))]
mod polling {
    conformance!("polling": level stale stale_modify closed hang_up wait edge refused_files poll_fd);
}

// Outside Linux: what every facility has.
#[cfg(all(
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "dragonfly",
        target_os = "netbsd",
        target_os = "openbsd",
    ),
    any(feature = "backend-mio", feature = "backend-polling")
))]
mod kqueue {
    conformance!("kqueue": level closed wait edge);
}

#[cfg(any(target_os = "illumos", target_os = "solaris"))]
mod devpoll {
    conformance!("devpoll": level closed wait signal);
}

#[cfg(all(any(target_os = "illumos", target_os = "solaris"), feature = "backend-polling"))]
mod evport {
    conformance!("evport": level closed wait);
}

#[cfg(not(any(target_os = "linux", target_os = "illumos", target_os = "solaris")))]
mod select {
    conformance!("select": level closed wait signal);
}

#[cfg(not(target_os = "linux"))]
mod poll {
    conformance!("poll": level closed wait signal);
}

#[cfg(all(not(target_os = "linux"), feature = "backend-mio"))]
mod mio {
    conformance!("mio": level closed wait edge signal);
}

#[cfg(all(not(target_os = "linux"), feature = "backend-polling"))]
mod polling {
    conformance!("polling": level closed wait);
}

#[test]
fn every_supported_method_opens_under_its_name_with_the_features_it_promises() {
    assert!(!supported_methods().is_empty());
    for &name in supported_methods() {
        let backend = open(name).expect("a supported method").unwrap();
        assert_eq!(backend.name(), name);
        assert_eq!(Some(backend.features()), features_of(name));
    }
}

#[test]
fn a_method_that_this_platform_lacks_is_unknown() {
    for name in ["", "EPOLL", "no such method"] {
        assert!(open(name).is_none());
        assert_eq!(features_of(name), None);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn epoll_is_preferred_on_linux_and_can_do_everything() {
    use evcore::backend::Features;

    assert_eq!(supported_methods()[..3], ["epoll", "poll", "select"]);
    // Old kernels lack the precise wait.
    assert!(features_of("epoll").unwrap().contains(Features::all() - Features::NS_TIMEOUT));
    let poll = Features::FDS | Features::EARLY_CLOSE | Features::NS_TIMEOUT;
    assert_eq!(features_of("poll"), Some(poll));
}
