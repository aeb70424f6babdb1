//! Looking at what passes.

use std::cell::Cell;
use std::rc::Rc;

use crate::buffer::EvBuffer;
use crate::bufferevent::{Filter, FilterResult, FlushMode};

use super::pass;

/// Which way bytes pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the other side.
    In,
    /// To the other side.
    Out,
}

/// Shows all that passes to a function, and passes it on without copying it.
///
/// ```
/// use evcore::filter::{Tee, Way};
///
/// let tee = Tee::new(|way, bytes| match way {
///     Way::In => println!("< {} bytes", bytes.len()),
///     Way::Out => println!("> {} bytes", bytes.len()),
/// });
/// # drop(tee);
/// ```
pub struct Tee<F> {
    look: F,
}

impl<F: FnMut(Way, &EvBuffer)> Tee<F> {
    /// Has `look` called with all bytes that pass, in order.
    pub fn new(look: F) -> Self {
        Self { look }
    }

    fn show(
        &mut self,
        way: Way,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
    ) -> FilterResult {
        if !source.is_empty() {
            (self.look)(way, source);
        }
        pass(source, destination)
    }
}

impl<F: FnMut(Way, &EvBuffer)> Filter for Tee<F> {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        self.show(Way::In, source, destination)
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        self.show(Way::Out, source, destination)
    }
}

/// What a [`Meter`] has counted. A clone reads the same counters.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    counted: Rc<[Counted; 2]>,
}

#[derive(Debug, Default)]
struct Counted {
    bytes: Cell<u64>,
    calls: Cell<u64>,
}

impl Counts {
    /// How many bytes have passed.
    pub fn bytes(&self, way: Way) -> u64 {
        self.counted[way as usize].bytes.get()
    }

    /// In how many portions they have passed.
    pub fn portions(&self, way: Way) -> u64 {
        self.counted[way as usize].calls.get()
    }
}

/// Counts what passes. Put one below a filter and one on top to learn what that one does.
#[derive(Debug, Default)]
pub struct Meter {
    counts: Counts,
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The counters, to be kept: the meter itself goes into the filter.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    fn count(&self, way: Way, source: &mut EvBuffer, destination: &mut EvBuffer) -> FilterResult {
        if !source.is_empty() {
            let counted = &self.counts.counted[way as usize];
            counted.bytes.set(counted.bytes.get() + source.len() as u64);
            counted.calls.set(counted.calls.get() + 1);
        }
        pass(source, destination)
    }
}

impl Filter for Meter {
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        self.count(Way::In, source, destination)
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        _: usize,
        _: FlushMode,
    ) -> FilterResult {
        self.count(Way::Out, source, destination)
    }
}
