//! The loop under one conformance suite on every method of this platform: what `tests/backend.rs`
//! shows of the backends, here through events and their callbacks.
#![cfg(unix)]

#[path = "conformance/base/mod.rs"]
#[macro_use]
mod base;

use std::process::Command;

use evcore::EventBase;

#[cfg(target_os = "linux")]
mod epoll {
    conformance!("epoll");
}

#[cfg(target_os = "linux")]
mod epoll_changelist {
    conformance!("epoll+changelist");
}

mod poll {
    conformance!("poll");
}

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
mod select {
    conformance!("select");
}

#[cfg(feature = "backend-mio")]
mod mio {
    conformance!("mio");
}

#[cfg(feature = "backend-polling")]
mod polling {
    conformance!("polling");
}

/// What the next test runs in a process of its own, since the environment belongs to the process.
#[test]
fn a_base_has_one_of_the_supported_methods() {
    let base = EventBase::new().unwrap();
    assert!(EventBase::supported_methods().contains(&base.method()));
    println!("method {}, nested {}", base.method(), base.poll_fd().is_some());
}

#[test]
fn environment_variables_choose_the_method() {
    let with = |variables: &[(&str, &str)]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_base_has_one_of_the_supported_methods", "--nocapture"])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    let methods = EventBase::supported_methods();
    let (first, second) = (methods[0], methods[1]);
    assert!(with(&[]).contains(&format!("method {first}, ")));
    let without_first = format!("EVENT_NO{}", first.to_uppercase());
    let text = with(&[(&without_first, "1")]);
    assert!(text.contains(&format!("method {second}, ")), "{text}");
    assert!(!text.contains("uses the method"), "{text}");
    let text = with(&[("EVENT_SHOW_METHOD", "1")]);
    assert!(text.contains(&format!("uses the method {first}")), "{text}");
    if first == "epoll" {
        assert!(with(&[]).contains("nested true"));
        // The list of changes is told in waits, so that such a base cannot be nested.
        let text = with(&[("EVENT_EPOLL_USE_CHANGELIST", "1")]);
        assert!(text.contains("method epoll, nested false"), "{text}");
    }
}
