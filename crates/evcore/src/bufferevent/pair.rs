//! Pairs: two bufferevents of which each reads what the other writes, without a socket.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};

use crate::base::{EventBase, EventFlags};
use crate::error::{Error, Result};

use super::core::{Core, Pending};
use super::transport::{Link, Moved};
use super::{BufferEvent, BufferEventOptions, FlushMode};

impl BufferEvent {
    /// Makes two bufferevents of which each reads what the other writes (`bufferevent_pair_new`).
    /// Segments move from one to the other, so that no byte is copied. What one end may not read,
    /// because it is not enabled or at its high-water mark, waits in the output of the other.
    ///
    /// When one is freed the other comes to the end of the stream and can't write any more. There is
    /// nothing that [`CLOSE_ON_FREE`](BufferEventOptions::CLOSE_ON_FREE) would close.
    ///
    /// ```
    /// use evcore::bufferevent::{BufferEvent, BufferEventOptions};
    /// use evcore::{EventBase, EventFlags};
    ///
    /// let base = EventBase::new()?;
    /// let (client, server) = BufferEvent::pair(&base, BufferEventOptions::empty())?;
    /// server.set_callbacks(
    ///     Some(Box::new(|bev| {
    ///         assert_eq!(bev.input().to_vec(), b"ping");
    ///         bev.base().unwrap().loop_break();
    ///     })),
    ///     None,
    ///     None,
    /// );
    /// server.enable(EventFlags::READ)?;
    /// client.write(b"ping")?;
    /// base.dispatch()?;
    /// # Ok::<(), evcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "bufferevent_pair_new")]
    pub fn pair(base: &EventBase, options: BufferEventOptions) -> Result<(Self, Self)> {
        const CALL: &str = "BufferEvent::pair";
        if base.is_freed() {
            return Err(Error::Freed { call: CALL });
        }
        let [one, two] = [(); 2].map(|()| Core::new(base.downgrade(), options));
        let ends = Rc::new([End::new(&one), End::new(&two)]);
        one.set_link(CALL, Rc::new(PairLink { ends: ends.clone(), mine: 0 }))?;
        two.set_link(CALL, Rc::new(PairLink { ends, mine: 1 }))?;
        Ok((Self { core: one }, Self { core: two }))
    }

    /// The other end of a pair, unless it is gone (`bufferevent_pair_get_partner`).
    #[doc(alias = "bufferevent_pair_get_partner")]
    pub fn partner(&self) -> Option<BufferEvent> {
        self.core.link()?.partner()
    }
}

/// What is known of one end.
struct End {
    core: RefCell<Weak<Core>>,
    /// How many bytes were put into its input of which it has not heard yet.
    arrived: Cell<usize>,
    /// No more will come.
    ended: Cell<bool>,
}

impl End {
    fn new(core: &Rc<Core>) -> Self {
        Self {
            core: RefCell::new(Rc::downgrade(core)),
            arrived: Cell::new(0),
            ended: Cell::new(false),
        }
    }

    fn core(&self) -> Option<Rc<Core>> {
        self.core.borrow().upgrade().filter(|core| !core.is_freed())
    }

    fn end(&self) {
        self.ended.set(true);
        if let Some(core) = self.core() {
            core.put_off(Pending::READ);
        }
    }
}

struct PairLink {
    ends: Rc<[End; 2]>,
    mine: usize,
}

impl PairLink {
    fn mine(&self) -> &End {
        &self.ends[self.mine]
    }

    fn other(&self) -> &End {
        &self.ends[1 - self.mine]
    }

    /// Lets the other end go on to write, if it waits for that.
    fn let_other_write(&self) {
        if let Some(other) = self.other().core().filter(|other| other.writing.get()) {
            other.put_off(Pending::FLUSH);
        }
    }
}

impl Link for PairLink {
    /// The bytes are there already: the other end has put them there.
    fn read(&self, _: &Rc<Core>, _: usize) -> io::Result<usize> {
        self.let_other_write();
        match self.mine().arrived.take() {
            0 if self.mine().ended.get() => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn has_more(&self) -> bool {
        self.mine().ended.get()
    }

    fn write(&self, core: &Rc<Core>, most: usize) -> io::Result<Moved> {
        let Some(other) = self.other().core().filter(|_| !self.other().ended.get()) else {
            let Ok(true) = core.output.try_borrow().map(|output| output.is_empty()) else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            return Ok(Moved { count: 0, blocked: false });
        };
        let Ok(mut output) = core.output.try_borrow_mut() else {
            return Ok(Moved { count: 0, blocked: true });
        };
        let wanted = output.len().min(most);
        if wanted == 0 {
            return Ok(Moved { count: 0, blocked: !output.is_empty() });
        }
        let Ok(mut input) = other.input.try_borrow_mut() else {
            other.input_is_lent_out();
            return Ok(Moved { count: 0, blocked: true });
        };
        let arrived = self.other().arrived.get();
        let room = match other.reading.get() {
            true => other.read_mark.get().room(input.len()).min(other.allowed_besides(arrived)),
            false => 0,
        };
        let moved = output.remove_buffer(&mut input, wanted.min(room));
        let blocked = !output.is_empty();
        drop((input, output));
        let count = moved.map_err(io::Error::from)?;
        if count > 0 {
            self.other().arrived.set(arrived + count);
            other.put_off(Pending::READ);
        }
        Ok(Moved { count, blocked })
    }

    fn set_reading(&self, wanted: bool) {
        if wanted {
            self.let_other_write();
        }
    }

    fn finish(&self, _: &Rc<Core>, _: bool) -> io::Result<bool> {
        self.other().end();
        Ok(true)
    }

    /// Nothing is held back.
    fn flush(&self, _: EventFlags, _: FlushMode) {}

    fn release(&self, _: bool) {
        self.other().end();
        self.let_other_write();
    }

    fn has_arrived(&self) -> bool {
        self.mine().arrived.get() > 0
    }

    fn partner(&self) -> Option<BufferEvent> {
        self.other().core().map(|core| BufferEvent { core })
    }
}
