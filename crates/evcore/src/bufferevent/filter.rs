//! Filters: a bufferevent over another one, whose bytes it converts.

use std::io;

use crate::buffer::EvBuffer;
use crate::error::Result;

use super::core::Core;
use super::filter_link::FilterLink;
use super::{BufferEvent, BufferEventOptions, FlushMode};

/// Converts the bytes that pass between a bufferevent and the one below it
/// (`bufferevent_filter_cb`, twice, with their context).
///
/// A call takes bytes from the front of `source`, as many as it likes, and adds what they become to
/// the back of `destination`. Both calls may free the bufferevent or any other. Moving segments with
/// [`EvBuffer::add_buffer`] costs no copy.
///
/// `limit` is how many bytes the destination has room for, `usize::MAX` if it is unlimited. What is
/// added beyond it waits in between, and more than 1 MiB beyond it is an error. A filter that keeps to
/// it says [`FilterResult::Ok`] and is called again when there is room.
///
/// Freeing the bufferevent drops the filter, in place of libevent's `free_context`.
#[doc(alias = "bufferevent_filter_cb")]
pub trait Filter {
    /// Converts what came from below.
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult;

    /// Converts what is to go down. [`FlushMode::Finished`] says that `source` holds the last bytes
    /// of the stream or none, and comes once.
    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult;

    /// Whether [`input`](Filter::input) can give bytes though its source is empty.
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether [`output`](Filter::output) can give bytes though its source is empty: an answer to
    /// what came in, for one. Asked after every call of either.
    fn holds_output(&self) -> bool {
        false
    }

    /// Whether bytes can pass. A filter that has to agree on something with the other side first
    /// says no until it has; till then it is called with no bytes to send, and
    /// [`CONNECTED`](super::BufferEventFlags::CONNECTED) is told when it first says yes.
    fn is_open(&self) -> bool {
        true
    }
}

/// What a filter says of a call (`enum bufferevent_filter_result`).
#[derive(Debug)]
#[doc(alias = "bufferevent_filter_result")]
pub enum FilterResult {
    /// It did what it could (`BEV_OK`). To do nothing with bytes that are there is an error, since
    /// it would be asked for ever.
    Ok,
    /// It can't go on before there are more bytes in its source (`BEV_NEED_MORE`).
    NeedMore,
    /// The stream ends here, whatever may follow in the source.
    End,
    /// It can't go on at all (`BEV_ERROR`).
    /// [`BufferEvent::take_error`](super::BufferEvent::take_error) will have the reason.
    Error(io::Error),
}

struct FilterFn<I, O> {
    input: I,
    output: O,
}

/// Two functions as a filter.
///
/// ```
/// use evcore::bufferevent::{filter_fn, FilterResult};
///
/// // Passes everything on as it is, and counts what comes.
/// let mut came = 0;
/// let filter = filter_fn(
///     move |source, destination, _, _| {
///         came += source.len();
///         match destination.add_buffer(source) {
///             Ok(()) => FilterResult::Ok,
///             Err(error) => FilterResult::Error(error.into()),
///         }
///     },
///     |source, destination, _, _| match destination.add_buffer(source) {
///         Ok(()) => FilterResult::Ok,
///         Err(error) => FilterResult::Error(error.into()),
///     },
/// );
/// # drop(filter);
/// ```
pub fn filter_fn<I, O>(input: I, output: O) -> impl Filter
where
    I: FnMut(&mut EvBuffer, &mut EvBuffer, usize, FlushMode) -> FilterResult,
    O: FnMut(&mut EvBuffer, &mut EvBuffer, usize, FlushMode) -> FilterResult,
{
    FilterFn { input, output }
}

impl<I, O> Filter for FilterFn<I, O>
where
    I: FnMut(&mut EvBuffer, &mut EvBuffer, usize, FlushMode) -> FilterResult,
    O: FnMut(&mut EvBuffer, &mut EvBuffer, usize, FlushMode) -> FilterResult,
{
    fn input(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        (self.input)(source, destination, limit, mode)
    }

    fn output(
        &mut self,
        source: &mut EvBuffer,
        destination: &mut EvBuffer,
        limit: usize,
        mode: FlushMode,
    ) -> FilterResult {
        (self.output)(source, destination, limit, mode)
    }
}

impl BufferEvent {
    /// Makes a bufferevent over `underlying`, which may be one over a filter itself
    /// (`bufferevent_filter_new`). From then on the underlying one belongs to it: its handler is
    /// replaced, and it reads while the new one wants bytes and holds few.
    ///
    /// What is underneath it reports comes to its own callbacks, after the bytes that were read
    /// before. It is given back when the new one is freed, with reading disabled and without a
    /// handler; with [`CLOSE_ON_FREE`](BufferEventOptions::CLOSE_ON_FREE) it is freed too, or closed
    /// by [`close`](BufferEvent::close).
    ///
    /// The filter's input has an error when it takes nothing of 16 MiB or of all that the read
    /// high-water mark of the underlying bufferevent allows. While 256 KiB, or the write high-water
    /// mark, wait to be written underneath, its output is not called.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed) when `underlying` or its base was freed,
    /// [`Error::Os`](crate::Error::Os) when it cannot be watched.
    #[doc(alias = "bufferevent_filter_new")]
    pub fn filter(
        underlying: &BufferEvent,
        filter: impl Filter + 'static,
        options: BufferEventOptions,
    ) -> Result<Self> {
        const CALL: &str = "BufferEvent::filter";
        underlying.core.check_open(CALL)?;
        let core = Core::new(underlying.core.base().clone(), options);
        FilterLink::put(CALL, &core, underlying, Box::new(filter))?;
        Ok(Self { core })
    }

    /// The bufferevent below this one, if it is one over a filter (`bufferevent_get_underlying`).
    #[doc(alias = "bufferevent_get_underlying")]
    pub fn underlying(&self) -> Option<BufferEvent> {
        self.core.link()?.underlying().cloned()
    }
}
