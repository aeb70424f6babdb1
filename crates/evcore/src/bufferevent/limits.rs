//! Rate limits of a bufferevent: what it may read and write now.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::base::Event;
use crate::error::{Error, Result};
use crate::ratelimit::{
    Bucket, Direction, Member, RateLimitGroup, Seat, TokenBucketConfig, RATE_LIMIT_MAX,
};

use super::core::{Core, Pending, Suspended};
use super::read::MOST_READ;
use super::BufferEvent;

/// Only those that are limited have this.
#[derive(Default)]
pub(super) struct Limits {
    own: Cell<Option<Own>>,
    seat: RefCell<Option<Rc<Seat>>>,
    /// The most bytes of one read and one write; 0 for what is usual.
    single: [Cell<usize>; 2],
    /// What the last question was answered: a smaller amount that passed was all there was.
    allowed: [Cell<usize>; 2],
    /// Pending while the limit of its own suspends a direction.
    pub(super) timer: RefCell<Option<Event>>,
}

#[derive(Clone, Copy)]
struct Own {
    config: TokenBucketConfig,
    buckets: [Bucket; 2],
}

impl Limits {
    /// The bufferevent is freed.
    pub(super) fn end(&self) {
        let timer = self.timer.take();
        let seat = self.seat.take();
        drop(timer);
        if let Some(seat) = seat {
            seat.leave();
        }
    }

    fn own_change<R>(
        &self,
        change: impl FnOnce(&TokenBucketConfig, &mut [Bucket; 2]) -> R,
    ) -> Option<R> {
        let mut own = self.own.get()?;
        let result = change(&own.config, &mut own.buckets);
        self.own.set(Some(own));
        Some(result)
    }

    /// The tokens of its own.
    fn level(&self, direction: Direction, now: u64) -> i64 {
        let level = self.own_change(|config, buckets| {
            let bucket = &mut buckets[direction as usize];
            bucket.fill(config, direction, now);
            bucket.level()
        });
        level.unwrap_or(RATE_LIMIT_MAX as i64)
    }

    fn single(&self, direction: Direction) -> usize {
        match (self.single[direction as usize].get(), direction) {
            (0, Direction::Read) => MOST_READ,
            (0, Direction::Write) => usize::MAX,
            (most, _) => most,
        }
    }
}

/// Tokens as a number of bytes.
fn bytes(level: i64) -> usize {
    usize::try_from(level.max(0)).unwrap_or(usize::MAX)
}

impl Core {
    /// How many bytes may pass now. With 0 the direction is suspended until some may.
    #[cold]
    pub(super) fn limited(self: &Rc<Self>, direction: Direction) -> usize {
        let Some(limits) = self.limits.get() else { return usize::MAX };
        let own = bytes(limits.level(direction, self.base.now()));
        let mut most = own.min(limits.single(direction));
        if own == 0 {
            self.hold(direction, Suspended::BANDWIDTH);
            self.set_limit_timer(limits);
        } else if let Some(seat) = &*limits.seat.borrow() {
            most = most.min(usize::try_from(seat.allow(direction)).unwrap_or(usize::MAX));
            if most == 0 {
                self.hold(direction, Suspended::GROUP);
            }
        }
        limits.allowed[direction as usize].set(most);
        most
    }

    /// How many bytes more may be put into the input if `arrived` are there that were not told yet.
    pub(super) fn allowed_besides(self: &Rc<Self>, arrived: usize) -> usize {
        match self.limits.get() {
            None => usize::MAX,
            Some(_) => self.limited(Direction::Read).saturating_sub(arrived),
        }
    }

    /// So many bytes have passed.
    #[cold]
    pub(super) fn charge(&self, direction: Direction, count: usize) {
        let Some(limits) = self.limits.get() else { return };
        let taken = i64::try_from(count).unwrap_or(i64::MAX);
        limits.own_change(|config, buckets| {
            buckets[direction as usize].take(config, direction, taken);
        });
        if let Some(seat) = &*limits.seat.borrow() {
            seat.charge(direction, count, count < limits.allowed[direction as usize].get());
        }
    }

    /// Writing holds itself up, by not being watched.
    fn hold(&self, direction: Direction, why: Suspended) {
        if direction == Direction::Read {
            self.suspend(why);
        }
    }

    fn release(self: &Rc<Self>, direction: Direction, why: Suspended) {
        match direction {
            Direction::Read => self.resume(why),
            Direction::Write => self.put_off(Pending::FLUSH),
        }
    }

    /// Sets the timer for the tick at which there are tokens again.
    fn set_limit_timer(self: &Rc<Self>, limits: &Limits) {
        let Some(own) = limits.own.get() else { return };
        let ready = Direction::BOTH.map(|direction| {
            let bucket = own.buckets[direction as usize];
            (bucket.level() <= 0).then(|| bucket.ready_at(&own.config, direction))
        });
        let Some(ready) = ready.into_iter().flatten().min() else { return };
        if limits.timer.borrow().is_none() {
            let Some(base) = self.base.upgrade() else { return };
            // Only a freed base refuses, and there nothing is limited any more.
            let Ok(event) = Event::timer(&base, self.on_event(Core::limit_is_over)) else { return };
            self.prioritize(&event);
            *limits.timer.borrow_mut() = Some(event);
        }
        if let Some(timer) = &*limits.timer.borrow() {
            let wait = own.config.tick_begins(ready).saturating_sub(self.base.now());
            let _ = timer.add(Some(Duration::from_nanos(wait)));
        }
    }

    fn limit_is_over(self: &Rc<Self>) {
        let Some(limits) = self.limits.get() else { return };
        let now = self.base.now();
        for direction in Direction::BOTH {
            if limits.level(direction, now) > 0 {
                self.release(direction, Suspended::BANDWIDTH);
            }
        }
        // The other direction may have to wait longer.
        self.set_limit_timer(limits);
    }

    /// The limit has changed: both directions find out anew what they may.
    fn limits_changed(self: &Rc<Self>) {
        for direction in Direction::BOTH {
            self.release(direction, Suspended::BANDWIDTH | Suspended::GROUP);
        }
    }

    fn limits(&self) -> &Limits {
        self.limits.get_or_init(Box::default)
    }
}

impl Member for Core {
    fn go_on(self: Rc<Self>, direction: Direction) {
        self.release(direction, Suspended::GROUP);
    }
}

impl BufferEvent {
    /// Limits how fast it reads and writes, or with `None` does not any more
    /// (`bufferevent_set_rate_limit`). May be changed at any time; tokens that are there stay, as far
    /// as the new limit allows.
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_set_rate_limit")]
    pub fn set_rate_limit(&self, config: Option<TokenBucketConfig>) -> Result<()> {
        self.core.check_alive("BufferEvent::set_rate_limit")?;
        let (limits, now) = (self.core.limits(), self.core.base().now());
        let old = limits.own.get();
        limits.own.set(config.map(|config| {
            let buckets = Direction::BOTH.map(|direction| match old {
                None => Bucket::new(&config, direction, now),
                Some(old) => {
                    let mut bucket = old.buckets[direction as usize];
                    bucket.fill(&old.config, direction, now);
                    bucket.adopt(&config, direction, now);
                    bucket
                }
            });
            Own { config, buckets }
        }));
        self.core.limits_changed();
        Ok(())
    }

    /// The limit of its own.
    pub fn rate_limit(&self) -> Option<TokenBucketConfig> {
        self.core.limits.get()?.own.get().map(|own| own.config)
    }

    /// Puts it into a group, out of the one that it may be in
    /// (`bufferevent_add_to_rate_limit_group`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a group of another base, [`Error::Freed`].
    #[doc(alias = "bufferevent_add_to_rate_limit_group")]
    pub fn add_to_rate_limit_group(&self, group: &RateLimitGroup) -> Result<()> {
        const CALL: &str = "BufferEvent::add_to_rate_limit_group";
        self.core.check_alive(CALL)?;
        if !group.is_on(self.core.base()) {
            return Err(Error::invalid(CALL, "the group is of another base"));
        }
        let member: Rc<dyn Member> = self.core.clone();
        let seat = group.join(Rc::downgrade(&member));
        self.change_seat(Some(seat));
        Ok(())
    }

    /// Takes it out of its group, if it is in one (`bufferevent_remove_from_rate_limit_group`).
    #[doc(alias = "bufferevent_remove_from_rate_limit_group")]
    pub fn remove_from_rate_limit_group(&self) {
        if self.core.limits.get().is_some() && !self.is_freed() {
            self.change_seat(None);
        }
    }

    fn change_seat(&self, seat: Option<Rc<Seat>>) {
        let old = self.core.limits().seat.replace(seat);
        if let Some(old) = old {
            old.leave();
        }
        self.core.limits_changed();
    }

    /// The group that it is in.
    pub fn rate_limit_group(&self) -> Option<RateLimitGroup> {
        self.core.limits.get()?.seat.borrow().as_ref().map(|seat| seat.group())
    }

    /// How many bytes its own limit allows to be read now, negative after too many were;
    /// [`RATE_LIMIT_MAX`] without one (`bufferevent_get_read_limit`).
    #[doc(alias = "bufferevent_get_read_limit")]
    pub fn read_limit(&self) -> i64 {
        self.level(Direction::Read)
    }

    /// How many bytes its own limit allows to be written now (`bufferevent_get_write_limit`).
    #[doc(alias = "bufferevent_get_write_limit")]
    pub fn write_limit(&self) -> i64 {
        self.level(Direction::Write)
    }

    /// Takes bytes from what may be read, that passed some other way; a negative number gives some,
    /// up to the burst. Without a limit of its own nothing happens
    /// (`bufferevent_decrement_read_limit`).
    #[doc(alias = "bufferevent_decrement_read_limit")]
    pub fn decrement_read_limit(&self, bytes: i64) {
        self.decrement(Direction::Read, bytes);
    }

    /// Takes bytes from what may be written (`bufferevent_decrement_write_limit`).
    #[doc(alias = "bufferevent_decrement_write_limit")]
    pub fn decrement_write_limit(&self, bytes: i64) {
        self.decrement(Direction::Write, bytes);
    }

    /// Limits how many bytes one read brings; 0 for what is usual, 64 KiB
    /// (`bufferevent_set_max_single_read`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_set_max_single_read")]
    pub fn set_max_single_read(&self, bytes: usize) -> Result<()> {
        self.set_single("BufferEvent::set_max_single_read", Direction::Read, bytes)
    }

    /// Limits how many bytes one write takes; 0 for no limit (`bufferevent_set_max_single_write`).
    ///
    /// # Errors
    /// [`Error::Freed`].
    #[doc(alias = "bufferevent_set_max_single_write")]
    pub fn set_max_single_write(&self, bytes: usize) -> Result<()> {
        self.set_single("BufferEvent::set_max_single_write", Direction::Write, bytes)
    }

    /// The most bytes that one read brings (`bufferevent_get_max_single_read`).
    #[doc(alias = "bufferevent_get_max_single_read")]
    pub fn max_single_read(&self) -> usize {
        self.core.limits.get().map_or(MOST_READ, |limits| limits.single(Direction::Read))
    }

    /// The most bytes that one write takes (`bufferevent_get_max_single_write`).
    #[doc(alias = "bufferevent_get_max_single_write")]
    pub fn max_single_write(&self) -> usize {
        self.core.limits.get().map_or(usize::MAX, |limits| limits.single(Direction::Write))
    }

    /// How many bytes one read might bring now, all limits considered
    /// (`bufferevent_get_max_to_read`).
    #[doc(alias = "bufferevent_get_max_to_read")]
    pub fn max_to_read(&self) -> usize {
        self.max_now(Direction::Read).unwrap_or(MOST_READ)
    }

    /// How many bytes one write might take now, all limits considered
    /// (`bufferevent_get_max_to_write`).
    #[doc(alias = "bufferevent_get_max_to_write")]
    pub fn max_to_write(&self) -> usize {
        self.max_now(Direction::Write).unwrap_or(usize::MAX)
    }

    fn max_now(&self, direction: Direction) -> Option<usize> {
        let limits = self.core.limits.get()?;
        let most = bytes(limits.level(direction, self.core.base().now()));
        let seat = limits.seat.borrow();
        let share = seat.as_ref().map_or(u64::MAX, |seat| seat.estimate(direction));
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        Some(most.min(share).min(limits.single(direction)))
    }

    fn level(&self, direction: Direction) -> i64 {
        let now = self.core.base().now();
        self.core.limits.get().map_or(RATE_LIMIT_MAX as i64, |limits| limits.level(direction, now))
    }

    fn decrement(&self, direction: Direction, bytes: i64) {
        let Some(limits) = self.core.limits.get().filter(|_| !self.is_freed()) else { return };
        limits.level(direction, self.core.base().now());
        limits.own_change(|config, buckets| {
            buckets[direction as usize].take(config, direction, bytes);
        });
        if bytes < 0 {
            self.core.release(direction, Suspended::BANDWIDTH);
        }
    }

    fn set_single(&self, call: &'static str, direction: Direction, bytes: usize) -> Result<()> {
        self.core.check_alive(call)?;
        self.core.limits().single[direction as usize].set(bytes);
        Ok(())
    }
}
