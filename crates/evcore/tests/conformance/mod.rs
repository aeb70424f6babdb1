//! What every backend has to do, test by test; `tests/backend.rs` says which backend can do what.

pub mod changelist;
pub mod closed;
pub mod early_close;
pub mod edge;
pub mod files;
pub mod level;
pub mod model;
pub mod poll_fd;
pub mod stale;
pub mod wait;

use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use evcore::backend::{self, Backend, Interest, Options, Ready};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};

/// Makes the tests of the named groups for the method of that name.
macro_rules! conformance {
    ($method:literal: $($group:ident)*) => { $(conformance!(@ $method $group);)* };
    (@ $method:literal level) => {
        conformance!(@ $method in level:
            reports_a_readable_pipe_until_it_is_drained
            reports_a_writable_socket_until_it_is_full
            reports_only_what_was_asked_for
            reports_both_kinds_of_readiness_at_once
            reports_a_connection_on_a_listener
            reports_a_finished_connect_as_writable
            reports_a_refused_connect_to_whoever_waits_for_it
            modify_changes_what_is_reported
            a_removed_descriptor_is_not_reported
            reports_each_of_a_thousand_descriptors
        );
        conformance!(@ $method in model: any_sequence_of_changes_is_reported_as_it_stands);
    };
    (@ $method:literal stale) => {
        conformance!(@ $method in stale:
            adding_twice_is_modifying
            modifying_what_was_never_added_adds_it
            removing_what_was_never_added_is_no_error
            removing_a_closed_descriptor_is_no_error
            a_reused_number_can_be_added_anew
            a_reused_number_can_be_modified
            a_reused_number_can_be_removed
            a_closed_descriptor_cannot_be_added
            a_negative_number_is_an_error
        );
    };
    (@ $method:literal stale_modify) => {
        conformance!(@ $method in stale: a_closed_descriptor_cannot_be_modified);
    };
    (@ $method:literal closed) => {
        conformance!(@ $method in closed:
            a_hang_up_is_reported_as_long_as_it_lasts
            a_broken_pipe_is_reported_to_its_writer
            a_half_close_is_an_end_of_file_and_no_hang_up
        );
    };
    (@ $method:literal hang_up) => {
        conformance!(@ $method in closed:
            a_hang_up_is_reported_as_everything_whatever_was_asked_for
            an_error_is_reported_as_everything_whatever_was_asked_for
        );
    };
    (@ $method:literal early_close) => {
        conformance!(@ $method in early_close:
            a_half_close_is_reported_as_long_as_it_lasts
            a_close_is_seen_before_the_bytes_are_read
            bytes_alone_are_no_close
        );
    };
    (@ $method:literal edge) => {
        conformance!(@ $method in edge:
            a_change_is_reported_once
            more_bytes_are_another_change
            writable_is_reported_once
            modify_reports_what_is_still_ready
            edge_and_level_live_side_by_side
            a_hang_up_is_a_change
        );
    };
    (@ $method:literal wait) => {
        conformance!(@ $method in wait:
            a_timeout_is_never_early
            waits_are_as_precise_as_the_features_say
            a_wait_of_zero_finds_nothing_and_returns
            the_longest_timeout_is_no_error
            clears_what_the_last_wait_found
            a_wake_before_a_wait_ends_it
            a_wake_from_another_thread_ends_a_wait
            many_wakes_end_one_wait
            every_round_of_wakes_ends_a_wait
            a_wake_does_not_hide_what_is_ready
            a_waker_outlives_its_backend
            a_signal_is_no_error
        );
    };
    (@ $method:literal signal) => {
        conformance!(@ $method in wait: a_signal_ends_a_wait_with_nothing_ready);
    };
    (@ $method:literal refused_files) => {
        conformance!(@ $method in files: a_regular_file_is_refused_with_its_error_number);
    };
    (@ $method:literal ready_files) => {
        conformance!(@ $method in files: a_regular_file_is_always_ready);
        conformance!(@ $method in stale: a_descriptor_closed_behind_the_back_is_reported);
    };
    (@ $method:literal poll_fd) => {
        conformance!(@ $method in poll_fd:
            is_readable_exactly_when_a_wait_would_not_block
            is_readable_while_readiness_lasts
            is_closed_in_executed_programs
        );
    };
    (@ $method:literal no_poll_fd) => {
        conformance!(@ $method in poll_fd: there_is_none);
    };
    (@ $method:literal changelist) => {
        conformance!(@ $method in changelist:
            only_the_last_of_many_changes_counts
            what_is_added_and_removed_between_two_waits_is_never_reported
            a_number_reused_between_two_waits_is_watched_anew
            a_number_reused_for_the_same_interest_is_watched_anew
            a_duplicate_of_a_removed_descriptor_does_not_keep_it_alive
            a_duplicate_of_a_reused_number_does_not_keep_the_old_one_alive
            what_the_kernel_refuses_late_is_reported_as_hung_up
            a_closed_descriptor_that_is_modified_is_reported
            a_wake_survives_a_rebuild
        );
    };
    (@ $method:literal in $group:ident: $($test:ident)*) => { $(
        #[test]
        fn $test() {
            crate::conformance::$group::$test(crate::conformance::Watch::new($method));
        }
    )* };
}

/// A backend under test, with the calls that every test makes.
pub struct Watch {
    pub method: &'static str,
    pub backend: Box<dyn Backend>,
    ready: Vec<Ready>,
}

impl Watch {
    /// Opens a method, with a list of changes if its name says so: `epoll+changelist`.
    pub fn new(method: &'static str) -> Self {
        let (name, changelist) = match method.strip_suffix("+changelist") {
            Some(name) => (name, true),
            None => (method, false),
        };
        raise_limit();
        let options = Options { changelist };
        let backend =
            backend::open_with(name, options).expect("a method of this platform").unwrap();
        Self { method, backend, ready: Vec::new() }
    }

    pub fn add(&mut self, source: &impl AsRawFd, interest: Interest) {
        self.backend.add(source.as_raw_fd(), interest).unwrap();
    }

    pub fn modify(&mut self, source: &impl AsRawFd, old: Interest, interest: Interest) {
        self.backend.modify(source.as_raw_fd(), old, interest).unwrap();
    }

    pub fn remove(&mut self, source: &impl AsRawFd, old: Interest) {
        self.backend.remove(source.as_raw_fd(), old).unwrap();
    }

    /// Waits; what was found, one entry a descriptor (kqueue reports reading and writing apart).
    pub fn wait(&mut self, timeout: Option<Duration>) -> Vec<(RawFd, Interest)> {
        self.backend.wait(timeout, &mut self.ready).unwrap();
        let mut found: Vec<(RawFd, Interest)> = Vec::new();
        for &Ready { fd, what } in &self.ready {
            match found.iter_mut().find(|(known, _)| *known == fd) {
                Some((_, known)) => *known |= what,
                None => found.push((fd, what)),
            }
        }
        found
    }

    /// What is ready now.
    pub fn now(&mut self) -> Vec<(RawFd, Interest)> {
        self.wait(Some(Duration::ZERO))
    }

    /// What one descriptor is ready for, once it is: a test that waits in vain fails by hanging no
    /// longer than ten seconds.
    pub fn until_ready(&mut self, source: &impl AsRawFd) -> Interest {
        let found = self.wait(Some(Duration::from_secs(10)));
        let fd = source.as_raw_fd();
        found.iter().find(|(known, _)| *known == fd).map_or(Interest::empty(), |(_, what)| *what)
    }
}

/// Allows as many descriptors as the system lets us: the tests run side by side, in one process.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}
