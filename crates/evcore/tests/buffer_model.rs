//! Buffers against vectors of bytes: random sequences of all operations must leave both the same.
#![cfg(all(unix, feature = "buffer"))]

mod buffer_driver;

use buffer_driver::{run, OP};
use proptest::prelude::*;

/// How many sequences, and how many operations each: a million together, but under Miri.
const CASES: u32 = if cfg!(miri) { 4 } else { 2500 };
const OPS: usize = if cfg!(miri) { 50 } else { 400 };

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_sequence_of_operations_leaves_what_it_leaves_of_vectors(
        ops in prop::collection::vec(any::<[u8; OP]>(), OPS)
    ) {
        run(&ops.concat());
    }
}

/// What the fuzzer has kept: a short way through much of the code.
#[cfg(not(miri))]
#[test]
fn the_sequences_that_were_kept_go_well() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/evbuffer");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).expect("the corpus is in the repository") {
        run(&std::fs::read(entry.expect("it can be listed").path()).expect("it can be read"));
        count += 1;
    }
    assert_ne!(count, 0);
}
