//! A bufferevent's buffers, lent out.

use std::cell::RefMut;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use crate::base::EventFlags;
use crate::buffer::EvBuffer;

use super::core::{Core, Pending};

/// One of a bufferevent's buffers. When it is given back, what was added to the output is written
/// and what was taken from the input makes room for more.
pub struct BufferGuard<'a> {
    pub(super) buffer: RefMut<'a, EvBuffer>,
    pub(super) core: &'a Rc<Core>,
    pub(super) is_output: bool,
    pub(super) length: usize,
}

impl Deref for BufferGuard<'_> {
    type Target = EvBuffer;

    fn deref(&self) -> &EvBuffer {
        &self.buffer
    }
}

impl DerefMut for BufferGuard<'_> {
    fn deref_mut(&mut self) -> &mut EvBuffer {
        &mut self.buffer
    }
}

impl Drop for BufferGuard<'_> {
    fn drop(&mut self) {
        let length = self.buffer.len();
        let direction = if self.is_output { EventFlags::WRITE } else { EventFlags::READ };
        let missed = self.core.missed.get();
        self.core.missed.set(missed - direction);
        if length == self.length && !missed.contains(direction) {
            return;
        }
        if self.is_output {
            self.core.put_off(Pending::FLUSH);
        } else {
            self.core.input_changed(length);
        }
    }
}
