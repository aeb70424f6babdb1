//! Any sequence of operations on buffers leaves what it leaves of vectors of bytes.
#![no_main]

#[path = "../../crates/evcore/tests/buffer_driver/mod.rs"]
mod buffer_driver;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| buffer_driver::run(bytes));
