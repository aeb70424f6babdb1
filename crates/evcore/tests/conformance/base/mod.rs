//! What a base has to do on every method, test by test.

pub mod dispatch;
pub mod events;
#[path = "../open.rs"]
mod open;
pub mod peers;
pub mod signals;
pub mod threads;

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use evcore::{Event, EventBase, EventFlags, LoopFlags};

pub use open::open;

/// Makes all tests for the method of that name.
macro_rules! conformance {
    ($method:literal) => {
        conformance!($method in events:
            each_of_many_events_on_one_descriptor_runs
            events_on_one_descriptor_get_only_what_they_asked_for
            deleting_one_event_leaves_the_others_on_its_descriptor
            a_one_shot_event_added_again_in_its_callback_runs_again
            an_event_that_times_out_is_told_so
            edge_triggered_events_run_once_a_change
            edge_and_level_do_not_mix_on_one_descriptor
            a_closed_descriptor_is_refused
            events_move_to_another_backend_and_back
        );
        conformance!($method in dispatch:
            a_deleted_event_does_not_run_though_it_was_ready
            a_freed_event_does_not_run_though_it_was_ready
            an_event_frees_itself_in_its_callback
            an_event_added_in_a_callback_runs_in_another_turn
            a_number_reused_within_a_turn_is_not_told_of_the_old_file
            a_number_reused_under_a_registered_event_can_be_taken_over
            interests_that_go_to_and_fro_end_up_as_they_were_left
            a_base_freed_in_a_callback_ends_the_loop
        );
        conformance!($method in peers:
            a_half_close_is_an_end_of_file
            a_half_close_is_seen_without_reading_where_the_method_can
            a_hang_up_is_told_as_long_as_it_lasts
            a_refused_connect_is_told_to_its_writer
        );
        conformance!($method in signals:
            a_signal_runs_its_events
            a_signal_from_another_thread_ends_a_wait
            a_signal_reaches_every_base
        );
        conformance!($method in threads:
            a_post_before_the_loop_is_run_by_it
            every_post_of_a_storm_runs_once
            an_event_is_activated_from_another_thread
            a_loop_break_from_another_thread_ends_a_wait
            wakes_do_not_keep_descriptors_waiting
        );
    };
    ($method:literal in $group:ident: $($test:ident)*) => { $(
        #[test]
        fn $test() {
            crate::base::$group::$test(crate::base::open($method));
        }
    )* };
}

/// Counts the runs of events.
#[derive(Clone, Default)]
pub struct Count(Rc<Cell<usize>>);

impl Count {
    pub fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    /// What was counted since the last call.
    pub fn take(&self) -> usize {
        self.0.take()
    }

    /// A pending event that counts its runs.
    pub fn event(&self, base: &EventBase, source: &impl AsRawFd, flags: EventFlags) -> Event {
        let count = self.clone();
        let event = Event::new(base, source.as_raw_fd(), flags, move |_, fired| {
            assert!(flags.contains(fired), "{fired:?} told to an event for {flags:?}");
            count.add();
        });
        let event = event.unwrap();
        event.add(None).unwrap();
        event
    }
}

/// One turn that waits for nothing.
pub fn turn(base: &EventBase) {
    base.run_loop(LoopFlags::ONCE | LoopFlags::NONBLOCK).unwrap();
}

/// Turns until it is so: a test that waits in vain fails after ten seconds.
pub fn until(base: &EventBase, what: impl Fn() -> bool) {
    let late = Event::timer(base, |_, _| panic!("it never came to be so")).unwrap();
    late.add(Some(Duration::from_secs(10))).unwrap();
    while !what() {
        base.run_loop(LoopFlags::ONCE).unwrap();
    }
}
