//! Running a callback outside of its cell.

use std::cell::RefCell;

/// Takes a callback out of its cell, calls it, and puts it back when it has returned or panicked, so
/// that it may do anything: replace itself, and with `keep` saying no, be gone after the call.
pub(crate) fn lend<F: ?Sized>(
    cell: &RefCell<Option<Box<F>>>,
    keep: impl Fn() -> bool,
    call: impl FnOnce(&mut F),
) {
    let callback = cell.borrow_mut().take();
    let mut lent = Lent { cell, keep, callback };
    if let Some(callback) = &mut lent.callback {
        call(callback);
    }
}

struct Lent<'a, F: ?Sized, K: Fn() -> bool> {
    cell: &'a RefCell<Option<Box<F>>>,
    keep: K,
    callback: Option<Box<F>>,
}

impl<F: ?Sized, K: Fn() -> bool> Drop for Lent<'_, F, K> {
    fn drop(&mut self) {
        if (self.keep)() && self.cell.borrow().is_none() {
            *self.cell.borrow_mut() = self.callback.take();
        }
        // Otherwise it is dropped after this, with nothing borrowed.
    }
}
