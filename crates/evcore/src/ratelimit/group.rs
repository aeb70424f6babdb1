//! Limits that many share.
//!
//! Who wants to pass bytes and has no grant waits in a queue. The queue is served as soon as all have
//! asked that will in this step of the loop, and then at each tick: those that wait get equal grants
//! of what there is, from the front, each at least the minimal share, and go on. A grant ends with
//! its tick. So nobody who wants nothing is given anything, the queue is the order of turns, and
//! only those that can go on are woken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::base::{Event, EventBase, EventFlags, WeakEventBase};
use crate::error::{Error, Result};

use super::{Bucket, Direction, TokenBucketConfig};

/// libevent's default of the least that a member is given at once, in bytes.
const MIN_SHARE: u64 = 64;

/// A rate limit that many bufferevents share (`struct bufferevent_rate_limit_group`). A clone is
/// another handle on the same group, which lives as long as it has handles or members.
///
/// ```
/// use evcore::bufferevent::{BufferEvent, BufferEventOptions};
/// use evcore::ratelimit::{RateLimitGroup, TokenBucketConfig};
/// use evcore::EventBase;
///
/// let base = EventBase::new()?;
/// let all = RateLimitGroup::new(&base, TokenBucketConfig::per_second(Some(1 << 20), None)?)?;
/// let (one, two) = BufferEvent::pair(&base, BufferEventOptions::empty())?;
/// one.add_to_rate_limit_group(&all)?;
/// two.add_to_rate_limit_group(&all)?;
/// assert_eq!(all.members(), 2);
/// # Ok::<(), evcore::Error>(())
/// ```
#[doc(alias = "bufferevent_rate_limit_group")]
#[derive(Clone)]
pub struct RateLimitGroup {
    group: Rc<Group>,
}

struct Group {
    base: WeakEventBase,
    config: Cell<TokenBucketConfig>,
    lanes: [Lane; 2],
    min_share: Cell<u64>,
    members: Cell<usize>,
    /// Pending while somebody waits.
    timer: RefCell<Option<Event>>,
}

/// One direction.
struct Lane {
    bucket: Cell<Bucket>,
    waiting: RefCell<VecDeque<Rc<Seat>>>,
    /// How many tokens are granted in this tick and not used yet.
    granted: Cell<i64>,
    /// Counts the ticks, and the changes of configuration: with each, grants end.
    round: Cell<u64>,
    /// The last round in which the queue was served.
    served: Cell<u64>,
    total: Cell<u64>,
}

/// Somebody who waits for tokens.
pub(crate) trait Member {
    /// There are tokens.
    fn go_on(self: Rc<Self>, direction: Direction);
}

/// A membership.
pub(crate) struct Seat {
    group: Rc<Group>,
    member: Weak<dyn Member>,
    left: Cell<bool>,
    turns: [Turn; 2],
}

/// Where a member stands in a direction.
#[derive(Default)]
struct Turn {
    waits: Cell<bool>,
    grant: Cell<i64>,
    /// The round that the grant is good for.
    round: Cell<u64>,
}

impl std::fmt::Debug for RateLimitGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimitGroup")
            .field("config", &self.config())
            .field("members", &self.members())
            .finish_non_exhaustive()
    }
}

impl PartialEq for RateLimitGroup {
    /// Whether both are handles on the same group.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.group, &other.group)
    }
}

impl RateLimitGroup {
    /// Makes a group without members (`bufferevent_rate_limit_group_new`).
    ///
    /// # Errors
    /// [`Error::Freed`] when the base was freed.
    #[doc(alias = "bufferevent_rate_limit_group_new")]
    #[doc(alias = "bufferevent_rate_limit_group_free")]
    pub fn new(base: &EventBase, config: TokenBucketConfig) -> Result<Self> {
        if base.is_freed() {
            return Err(Error::Freed { call: "RateLimitGroup::new" });
        }
        let base = base.downgrade();
        let lanes = Direction::BOTH.map(|direction| Lane {
            bucket: Cell::new(Bucket::new(&config, direction, base.now())),
            waiting: RefCell::default(),
            granted: Cell::new(0),
            round: Cell::new(1),
            served: Cell::new(0),
            total: Cell::new(0),
        });
        let group = Group {
            base,
            config: Cell::new(config),
            lanes,
            min_share: Cell::new(MIN_SHARE),
            members: Cell::new(0),
            timer: RefCell::default(),
        };
        Ok(Self { group: Rc::new(group) })
    }

    /// Changes the limit, for those too that wait (`bufferevent_rate_limit_group_set_cfg`).
    #[doc(alias = "bufferevent_rate_limit_group_set_cfg")]
    pub fn set_config(&self, config: TokenBucketConfig) {
        let now = self.group.base.now();
        self.group.config.set(config);
        for direction in Direction::BOTH {
            let lane = self.group.lane(direction);
            lane.change(|bucket| bucket.adopt(&config, direction, now));
            lane.begin_round();
        }
        self.group.look_again();
    }

    /// The limit.
    pub fn config(&self) -> TokenBucketConfig {
        self.group.config.get()
    }

    /// Sets the least that a member is given at once, in bytes
    /// (`bufferevent_rate_limit_group_set_min_share`); 64 unless set. When there is less for each,
    /// fewer have their turn in a tick.
    #[doc(alias = "bufferevent_rate_limit_group_set_min_share")]
    pub fn set_min_share(&self, bytes: u64) {
        self.group.min_share.set(bytes);
    }

    /// The least that a member is given at once, in bytes.
    pub fn min_share(&self) -> u64 {
        self.group.min_share.get()
    }

    /// How many bufferevents are in the group.
    pub fn members(&self) -> usize {
        self.group.members.get()
    }

    /// How many bytes may be read now; negative after too many were
    /// (`bufferevent_rate_limit_group_get_read_limit`).
    #[doc(alias = "bufferevent_rate_limit_group_get_read_limit")]
    pub fn read_limit(&self) -> i64 {
        self.group.level(Direction::Read)
    }

    /// How many bytes may be written now (`bufferevent_rate_limit_group_get_write_limit`).
    #[doc(alias = "bufferevent_rate_limit_group_get_write_limit")]
    pub fn write_limit(&self) -> i64 {
        self.group.level(Direction::Write)
    }

    /// Takes bytes from what may be read, that passed some other way; a negative number gives some
    /// (`bufferevent_rate_limit_group_decrement_read`). They do not count in the totals.
    #[doc(alias = "bufferevent_rate_limit_group_decrement_read")]
    pub fn decrement_read(&self, bytes: i64) {
        self.group.decrement(Direction::Read, bytes);
    }

    /// Takes bytes from what may be written (`bufferevent_rate_limit_group_decrement_write`).
    #[doc(alias = "bufferevent_rate_limit_group_decrement_write")]
    pub fn decrement_write(&self, bytes: i64) {
        self.group.decrement(Direction::Write, bytes);
    }

    /// How many bytes the members have read and written
    /// (`bufferevent_rate_limit_group_get_totals`).
    #[doc(alias = "bufferevent_rate_limit_group_get_totals")]
    pub fn totals(&self) -> (u64, u64) {
        let [read, write] = &self.group.lanes;
        (read.total.get(), write.total.get())
    }

    /// Counts from zero again (`bufferevent_rate_limit_group_reset_totals`).
    #[doc(alias = "bufferevent_rate_limit_group_reset_totals")]
    pub fn reset_totals(&self) {
        self.group.lanes.iter().for_each(|lane| lane.total.set(0));
    }

    /// Whether the group is on this base.
    pub(crate) fn is_on(&self, base: &WeakEventBase) -> bool {
        self.group.base.is_same(base)
    }

    /// Takes a member in.
    pub(crate) fn join(&self, member: Weak<dyn Member>) -> Rc<Seat> {
        self.group.members.set(self.group.members.get() + 1);
        let group = self.group.clone();
        Rc::new(Seat { group, member, left: Cell::new(false), turns: Default::default() })
    }
}

impl Lane {
    fn begin_round(&self) {
        self.round.set(self.round.get() + 1);
        self.granted.set(0);
    }

    fn change<R>(&self, change: impl FnOnce(&mut Bucket) -> R) -> R {
        let mut bucket = self.bucket.get();
        let result = change(&mut bucket);
        self.bucket.set(bucket);
        result
    }
}

impl Group {
    fn lane(&self, direction: Direction) -> &Lane {
        &self.lanes[direction as usize]
    }

    /// Adds what the time has brought; returns the round.
    fn fill(&self, direction: Direction) -> u64 {
        let (config, now) = (self.config.get(), self.base.now());
        let lane = self.lane(direction);
        let before = lane.bucket.get().tick();
        lane.change(|bucket| bucket.fill(&config, direction, now));
        if lane.bucket.get().tick() != before {
            lane.begin_round();
        }
        lane.round.get()
    }

    fn level(&self, direction: Direction) -> i64 {
        self.fill(direction);
        self.lane(direction).bucket.get().level()
    }

    /// What nobody has been granted.
    fn free(&self, direction: Direction) -> i64 {
        let lane = self.lane(direction);
        lane.bucket.get().level().saturating_sub(lane.granted.get())
    }

    fn decrement(self: &Rc<Self>, direction: Direction, bytes: i64) {
        self.fill(direction);
        let config = self.config.get();
        self.lane(direction).change(|bucket| bucket.take(&config, direction, bytes));
        if bytes < 0 {
            self.look_again();
        }
    }

    /// What each of `count` members would be given now.
    fn share(&self, direction: Direction, count: usize) -> i64 {
        let least = i64::try_from(self.min_share.get()).unwrap_or(i64::MAX).max(1);
        (self.free(direction) / count.max(1) as i64).max(least)
    }

    /// Serves the queues in the loop's next step, if anybody waits.
    fn look_again(self: &Rc<Self>) {
        if self.lanes.iter().all(|lane| lane.waiting.borrow().is_empty()) {
            return;
        }
        if self.timer.borrow().is_none() {
            let Some(base) = self.base.upgrade() else { return };
            let group = Rc::downgrade(self);
            let timer = Event::timer(&base, move |_, _| {
                if let Some(group) = group.upgrade() {
                    group.serve();
                }
            });
            // Only a freed base refuses, and nobody waits there.
            *self.timer.borrow_mut() = timer.ok();
        }
        if let Some(timer) = &*self.timer.borrow() {
            let _ = timer.active(EventFlags::TIMEOUT);
        }
    }

    /// Gives those that wait what there is, and sets the timer for the others.
    fn serve(self: &Rc<Self>) {
        let mut next = u64::MAX;
        for direction in Direction::BOTH {
            self.serve_lane(direction);
            let lane = self.lane(direction);
            if !lane.waiting.borrow().is_empty() {
                let bucket = lane.bucket.get();
                let ready = bucket.ready_at(&self.config.get(), direction);
                next = next.min(ready.max(bucket.tick() + 1));
            }
        }
        let Some(timer) = &*self.timer.borrow() else { return };
        if next < u64::MAX {
            let wait = self.config.get().tick_begins(next).saturating_sub(self.base.now());
            // A timer without a descriptor can always be added on a live base.
            let _ = timer.add(Some(Duration::from_nanos(wait)));
        }
    }

    fn serve_lane(&self, direction: Direction) {
        let lane = self.lane(direction);
        let round = self.fill(direction);
        lane.waiting.borrow_mut().retain(|seat| seat.is_waiting(direction));
        let count = lane.waiting.borrow().len();
        if count == 0 || self.free(direction) <= 0 {
            return;
        }
        let share = self.share(direction, count);
        // A second round in one tick only if it is worth one: crumbs would go to the same ones.
        if lane.served.replace(round) == round && self.free(direction) / (count as i64) < share {
            return;
        }
        for _ in 0..count {
            let grant = share.min(self.free(direction));
            if grant <= 0 {
                break;
            }
            let Some(seat) = lane.waiting.borrow_mut().pop_front() else { break };
            let turn = seat.turn(direction);
            turn.waits.set(false);
            turn.grant.set(grant);
            turn.round.set(round);
            lane.granted.set(lane.granted.get().saturating_add(grant));
            if let Some(member) = seat.member.upgrade() {
                member.go_on(direction);
            }
        }
    }
}

impl Seat {
    fn turn(&self, direction: Direction) -> &Turn {
        &self.turns[direction as usize]
    }

    fn is_waiting(&self, direction: Direction) -> bool {
        self.turn(direction).waits.get() && !self.left.get() && self.member.strong_count() > 0
    }

    /// How many bytes the member may pass now. With none it waits, and is told to go on.
    pub(crate) fn allow(self: &Rc<Self>, direction: Direction) -> u64 {
        let granted = self.granted(direction);
        if granted == 0 && !self.turn(direction).waits.replace(true) {
            self.group.lane(direction).waiting.borrow_mut().push_back(self.clone());
            self.group.look_again();
        }
        granted
    }

    fn granted(&self, direction: Direction) -> u64 {
        let round = self.group.fill(direction);
        let turn = self.turn(direction);
        if turn.waits.get() || turn.round.get() != round {
            return 0;
        }
        u64::try_from(turn.grant.get()).unwrap_or(0)
    }

    /// How many bytes the member might pass if it asked now.
    pub(crate) fn estimate(&self, direction: Direction) -> u64 {
        match self.granted(direction) {
            0 => {
                let share = self.group.share(direction, self.group.members.get());
                u64::try_from(share.min(self.group.free(direction))).unwrap_or(0)
            }
            granted => granted,
        }
    }

    /// Bytes have passed, of more that were allowed if `drained`: then others have the rest.
    pub(crate) fn charge(&self, direction: Direction, bytes: usize, drained: bool) {
        let (group, turn) = (&self.group, self.turn(direction));
        let (config, lane) = (group.config.get(), group.lane(direction));
        let taken = i64::try_from(bytes).unwrap_or(i64::MAX);
        lane.total.set(lane.total.get().saturating_add(bytes as u64));
        lane.change(|bucket| bucket.take(&config, direction, taken));
        let grant = turn.grant.get();
        let left = if drained { 0 } else { grant.saturating_sub(taken).max(0) };
        if turn.round.get() == lane.round.get() {
            lane.granted.set((lane.granted.get() - (grant - left)).max(0));
        }
        turn.grant.set(left);
        if drained && !lane.waiting.borrow().is_empty() {
            group.look_again();
        }
    }

    /// Leaves the group; whoever waits waits no more.
    pub(crate) fn leave(&self) {
        if self.left.replace(true) {
            return;
        }
        self.group.members.set(self.group.members.get() - 1);
        for direction in Direction::BOTH {
            let lane = self.group.lane(direction);
            let turn = self.turn(direction);
            if turn.round.get() == lane.round.get() {
                lane.granted.set((lane.granted.get() - turn.grant.get()).max(0));
            }
        }
        self.group.look_again();
    }

    pub(crate) fn group(&self) -> RateLimitGroup {
        RateLimitGroup { group: self.group.clone() }
    }
}
