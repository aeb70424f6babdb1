//! Any sequence of changes, against what it ought to come to.

use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use evcore::backend::Interest;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::Watch;

const SLOTS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Watches for this, whatever was watched for before.
    Watch(usize, Interest),
    Remove(usize),
    /// Sends a byte to the descriptor.
    Send(usize),
    /// Takes what was sent.
    Take(usize),
    /// Removes the descriptor and gives its number to another socket.
    Replace(usize),
    /// The same, while a duplicate keeps the old socket open.
    ReplaceDuplicated(usize),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let interest = prop_oneof![
        Just(Interest::READ),
        Just(Interest::WRITE),
        Just(Interest::READ | Interest::WRITE),
    ];
    prop_oneof![
        4 => (0..SLOTS, interest).prop_map(|(slot, interest)| Step::Watch(slot, interest)),
        2 => (0..SLOTS).prop_map(Step::Remove),
        2 => (0..SLOTS).prop_map(Step::Send),
        1 => (0..SLOTS).prop_map(Step::Take),
        1 => (0..SLOTS).prop_map(Step::Replace),
        1 => (0..SLOTS).prop_map(Step::ReplaceDuplicated),
        3 => Just(Step::Wait),
    ]
}

struct Slot {
    ours: OwnedFd,
    peer: UnixStream,
    sent: usize,
    watched: Option<Interest>,
}

impl Slot {
    fn new() -> Self {
        let (ours, peer) = UnixStream::pair().unwrap();
        Self { ours: ours.into(), peer, sent: 0, watched: None }
    }

    /// What a wait has to report.
    fn ready(&self) -> Interest {
        let mut ready = Interest::WRITE;
        ready.set(Interest::READ, self.sent > 0);
        ready & self.watched.unwrap_or_default()
    }
}

pub fn any_sequence_of_changes_is_reported_as_it_stands(watch: Watch) {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 0..60);
    runner.run(&steps, |steps| play(Watch::new(watch.method), steps)).unwrap();
}

fn play(mut watch: Watch, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut slots: Vec<Slot> = (0..SLOTS).map(|_| Slot::new()).collect();
    let mut duplicates = Vec::new();
    for step in steps.into_iter().chain([Step::Wait]) {
        match step {
            Step::Watch(slot, interest) => {
                let slot = &mut slots[slot];
                match slot.watched.replace(interest) {
                    Some(old) => watch.modify(&slot.ours, old, interest),
                    None => watch.add(&slot.ours, interest),
                }
            }
            Step::Remove(slot) => remove(&mut watch, &mut slots[slot]),
            Step::Send(slot) => {
                slots[slot].peer.write_all(b"x").unwrap();
                slots[slot].sent += 1;
            }
            Step::Take(slot) => {
                let slot = &mut slots[slot];
                let mut bytes = [0; 64];
                if slot.sent > 0 {
                    assert_eq!(rustix::io::read(&slot.ours, &mut bytes).unwrap(), slot.sent);
                }
                slot.sent = 0;
            }
            Step::Replace(slot) => replace(&mut watch, &mut slots[slot]),
            Step::ReplaceDuplicated(slot) => {
                duplicates
                    .push((slots[slot].ours.try_clone().unwrap(), slots[slot].peer.try_clone()));
                replace(&mut watch, &mut slots[slot]);
            }
            Step::Wait => {
                let mut found = watch.now();
                found.sort_unstable_by_key(|(fd, _)| *fd);
                let ready = slots.iter().map(|slot| (slot.ours.as_raw_fd(), slot.ready()));
                let mut ready: Vec<_> = ready.filter(|(_, ready)| !ready.is_empty()).collect();
                ready.sort_unstable_by_key(|(fd, _)| *fd);
                prop_assert_eq!(found, ready);
            }
        }
    }
    Ok(())
}

fn remove(watch: &mut Watch, slot: &mut Slot) {
    if let Some(old) = slot.watched.take() {
        watch.remove(&slot.ours, old);
    }
}

fn replace(watch: &mut Watch, slot: &mut Slot) {
    remove(watch, slot);
    let Slot { ours, peer, .. } = Slot::new();
    rustix::io::dup2(&ours, &mut slot.ours).unwrap();
    *slot = Slot { peer, sent: 0, watched: None, ours: std::mem::replace(&mut slot.ours, ours) };
}
