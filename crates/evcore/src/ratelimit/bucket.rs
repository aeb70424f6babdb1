//! The arithmetic of token buckets: no time but what it is told, no side effects.

use std::time::Duration;

use crate::error::{Error, Result};

use super::Direction;

/// The greatest rate, burst or level, in bytes (`EV_RATE_LIMIT_MAX`). A rate of this is no limit.
#[doc(alias = "EV_RATE_LIMIT_MAX")]
pub const RATE_LIMIT_MAX: u64 = i64::MAX as u64;

/// The shortest tick.
const SHORTEST_TICK: Duration = Duration::from_millis(1);
/// The longest tick: a day.
const LONGEST_TICK: Duration = Duration::from_secs(24 * 60 * 60);

/// How many bytes may pass in each direction (`struct ev_token_bucket_cfg`). A plain value, to be
/// used for as many limits as you like.
#[doc(alias = "ev_token_bucket_cfg")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucketConfig {
    read: Flow,
    write: Flow,
    tick: u64,
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    rate: i64,
    burst: i64,
}

impl TokenBucketConfig {
    /// Allows `read_rate` and `write_rate` bytes a tick on average and at most `read_burst` and
    /// `write_burst` at once (`ev_token_bucket_cfg_new`). `None` is a tick of one second.
    ///
    /// Tokens beyond the burst are lost. With a burst of one tick's rate a loop that comes later than
    /// a tick loses some; one of two ticks' rate is better where the mean matters.
    ///
    /// ```
    /// use evcore::ratelimit::TokenBucketConfig;
    /// use std::time::Duration;
    ///
    /// // 1 MB/s both ways, in steps of a fiftieth of a second.
    /// let config = TokenBucketConfig::new(
    ///     20_000,
    ///     40_000,
    ///     20_000,
    ///     40_000,
    ///     Some(Duration::from_millis(20)),
    /// )?;
    /// assert_eq!(config.read_rate(), 20_000);
    /// assert!(TokenBucketConfig::new(0, 0, 1, 1, None).is_err());
    /// # Ok::<(), evcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a rate of 0, a burst below its rate, either above
    /// [`RATE_LIMIT_MAX`], and a tick below a millisecond or above a day.
    #[doc(alias = "ev_token_bucket_cfg_new")]
    #[doc(alias = "ev_token_bucket_cfg_free")]
    pub fn new(
        read_rate: u64,
        read_burst: u64,
        write_rate: u64,
        write_burst: u64,
        tick: Option<Duration>,
    ) -> Result<Self> {
        const CALL: &str = "TokenBucketConfig::new";
        let tick = tick.unwrap_or(Duration::from_secs(1));
        if !(SHORTEST_TICK..=LONGEST_TICK).contains(&tick) {
            let what = format!("a tick of {tick:?}; a millisecond to a day goes");
            return Err(Error::invalid(CALL, what));
        }
        Ok(Self {
            read: Flow::new(CALL, read_rate, read_burst)?,
            write: Flow::new(CALL, write_rate, write_burst)?,
            tick: tick.as_nanos() as u64,
        })
    }

    /// Allows so many bytes a second, `None` for no limit, in ticks that fit: of a hundredth of a
    /// second, and longer ones for rates below 100,000. The burst is two ticks' rate.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a rate of 0 or above [`RATE_LIMIT_MAX`].
    pub fn per_second(read: Option<u64>, write: Option<u64>) -> Result<Self> {
        const CALL: &str = "TokenBucketConfig::per_second";
        let (read, write) = (read.unwrap_or(RATE_LIMIT_MAX), write.unwrap_or(RATE_LIMIT_MAX));
        let least = read.min(write);
        // Whole bytes a tick: with a thousand of them rounding is a thousandth.
        let divisors = [100, 50, 20, 10, 5, 2];
        let divisor = divisors.into_iter().find(|divisor| least / divisor >= 1000).unwrap_or(1);
        let flow = |rate: u64| {
            if rate == RATE_LIMIT_MAX {
                return Flow::new(CALL, rate, rate);
            }
            let rate = rate.saturating_add(divisor / 2) / divisor;
            Flow::new(CALL, rate, rate.saturating_mul(2).min(RATE_LIMIT_MAX))
        };
        Ok(Self { read: flow(read)?, write: flow(write)?, tick: 1_000_000_000 / divisor })
    }

    /// Bytes a tick, reading.
    pub fn read_rate(&self) -> u64 {
        self.read.rate as u64
    }

    /// The most bytes at once, reading.
    pub fn read_burst(&self) -> u64 {
        self.read.burst as u64
    }

    /// Bytes a tick, writing.
    pub fn write_rate(&self) -> u64 {
        self.write.rate as u64
    }

    /// The most bytes at once, writing.
    pub fn write_burst(&self) -> u64 {
        self.write.burst as u64
    }

    /// How long a tick is.
    pub fn tick(&self) -> Duration {
        Duration::from_nanos(self.tick)
    }

    fn flow(&self, direction: Direction) -> Flow {
        match direction {
            Direction::Read => self.read,
            Direction::Write => self.write,
        }
    }

    /// The number of the tick at a time in nanoseconds.
    pub(crate) fn tick_at(&self, now: u64) -> u64 {
        now / self.tick
    }

    /// When a tick begins, in nanoseconds.
    pub(crate) fn tick_begins(&self, tick: u64) -> u64 {
        tick.saturating_mul(self.tick)
    }
}

impl Flow {
    fn new(call: &'static str, rate: u64, burst: u64) -> Result<Self> {
        if rate == 0 {
            let what = "a rate of 0 lets nothing pass; disable the direction for that";
            return Err(Error::invalid(call, what));
        }
        if burst < rate {
            let what = format!("a burst of {burst} is below the rate of {rate} bytes a tick");
            return Err(Error::invalid(call, what));
        }
        match (i64::try_from(rate), i64::try_from(burst)) {
            (Ok(rate), Ok(burst)) => Ok(Self { rate, burst }),
            _ => Err(Error::invalid(call, format!("{burst} bytes; {RATE_LIMIT_MAX} are the most"))),
        }
    }
}

/// The tokens of one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// How many there are; negative when more were taken than there were.
    level: i64,
    /// The tick up to which it was filled.
    tick: u64,
}

impl Bucket {
    /// A bucket with one tick's tokens.
    pub(crate) fn new(config: &TokenBucketConfig, direction: Direction, now: u64) -> Self {
        Self { level: config.flow(direction).rate, tick: config.tick_at(now) }
    }

    /// Adds the tokens of the ticks that have begun.
    pub(crate) fn fill(&mut self, config: &TokenBucketConfig, direction: Direction, now: u64) {
        let tick = config.tick_at(now);
        let passed = tick.saturating_sub(self.tick);
        if passed == 0 {
            return;
        }
        self.tick = tick;
        let Flow { rate, burst } = config.flow(direction);
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        // Above the burst it can be by a change of configuration only.
        self.level = self.level.saturating_add(rate.saturating_mul(passed)).min(burst);
    }

    /// Goes on with another configuration: what it has stays, as far as that allows.
    pub(crate) fn adopt(&mut self, config: &TokenBucketConfig, direction: Direction, now: u64) {
        self.level = self.level.min(config.flow(direction).burst);
        self.tick = config.tick_at(now);
    }

    /// Takes tokens out, or with a negative number puts some in, up to the burst.
    pub(crate) fn take(&mut self, config: &TokenBucketConfig, direction: Direction, tokens: i64) {
        self.level = self.level.saturating_sub(tokens).min(config.flow(direction).burst);
    }

    pub(crate) fn level(&self) -> i64 {
        self.level
    }

    /// The tick up to which it was filled.
    pub(crate) fn tick(&self) -> u64 {
        self.tick
    }

    /// At which tick there will be at least one token.
    pub(crate) fn ready_at(&self, config: &TokenBucketConfig, direction: Direction) -> u64 {
        if self.level > 0 {
            return self.tick;
        }
        let missing = self.level.unsigned_abs().saturating_add(1);
        self.tick.saturating_add(missing.div_ceil(config.flow(direction).rate as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn config(rate: u64, burst: u64, tick_ms: u64) -> TokenBucketConfig {
        let tick = Some(Duration::from_millis(tick_ms));
        TokenBucketConfig::new(rate, burst, rate, burst, tick).unwrap()
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_the_limits_of_it_are_not() {
        let second = Some(Duration::from_secs(1));
        let most = RATE_LIMIT_MAX;
        for (read_rate, read_burst, write_rate, write_burst) in
            [(0, 1, 1, 1), (1, 1, 0, 1), (2, 1, 1, 1), (1, 1, 2, 1), (0, 0, 0, 0)]
        {
            let config =
                TokenBucketConfig::new(read_rate, read_burst, write_rate, write_burst, second);
            assert!(matches!(config, Err(Error::InvalidArgument { .. })));
        }
        assert!(TokenBucketConfig::new(1, most + 1, 1, 1, second).is_err());
        assert!(TokenBucketConfig::new(u64::MAX, u64::MAX, 1, 1, second).is_err());
        assert!(TokenBucketConfig::new(most, most, most, most, second).is_ok());
        for tick in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
            assert!(TokenBucketConfig::new(1, 1, 1, 1, Some(tick)).is_err());
        }
        assert!(TokenBucketConfig::per_second(Some(0), None).is_err());
        assert!(TokenBucketConfig::per_second(None, None).is_ok());
    }

    #[test]
    fn rates_a_second_are_exact_to_a_thousandth() {
        for rate in [1, 10, 999, 1000, 65_536, 1 << 20, 100 << 20, 1 << 40] {
            let config = TokenBucketConfig::per_second(Some(rate), None).unwrap();
            let a_second = config.read_rate() as f64 / config.tick().as_secs_f64();
            assert!((a_second / rate as f64 - 1.0).abs() <= 0.001, "{rate}: {a_second}");
            assert_eq!(config.write_rate(), RATE_LIMIT_MAX);
        }
    }

    #[test]
    fn a_debt_is_paid_before_anything_passes() {
        let config = config(10, 20, 100);
        let mut bucket = Bucket::new(&config, Direction::Read, 0);
        bucket.take(&config, Direction::Read, 45);
        assert_eq!((bucket.level(), bucket.ready_at(&config, Direction::Read)), (-35, 4));
        bucket.fill(&config, Direction::Read, 350 * MS);
        assert_eq!(bucket.level(), -5);
        bucket.fill(&config, Direction::Read, 400 * MS);
        assert_eq!(bucket.level(), 5);
        bucket.take(&config, Direction::Read, -1000);
        assert_eq!(bucket.level(), 20);
    }

    proptest! {
        /// The level is what a sum in great numbers says, whatever the times and amounts.
        #[test]
        fn a_bucket_is_its_model(
            rate in 1..=RATE_LIMIT_MAX,
            more in 0..=RATE_LIMIT_MAX,
            tick_ms in 1..=86_400_000_u64,
            steps in prop::collection::vec((0..=u64::MAX / 64, any::<i64>()), 0..40),
        ) {
            let burst = rate.saturating_add(more).min(RATE_LIMIT_MAX);
            let config = config(rate, burst, tick_ms);
            let mut bucket = Bucket::new(&config, Direction::Write, 0);
            let (mut now, mut tick, mut level) = (0_u64, 0_u64, i128::from(rate));
            for (elapsed, taken) in steps {
                now = now.saturating_add(elapsed);
                bucket.fill(&config, Direction::Write, now);
                let passed = now / (tick_ms * MS) - tick;
                tick += passed;
                level += i128::from(rate) * i128::from(passed);
                level = level.min(i128::from(burst));
                prop_assert_eq!(i128::from(bucket.level()), level);
                bucket.take(&config, Direction::Write, taken);
                level = (level - i128::from(taken))
                    .clamp(i128::from(i64::MIN), i128::from(burst));
                prop_assert_eq!(i128::from(bucket.level()), level);
            }
        }

        /// At the tick that it names there is a token, and at none before.
        #[test]
        fn ready_at_is_the_first_tick_with_a_token(
            rate in 1..1_000_000_u64,
            debt in 0..1_000_000_000_i64,
        ) {
            let config = config(rate, rate, 10);
            let mut bucket = Bucket::new(&config, Direction::Read, 0);
            bucket.take(&config, Direction::Read, debt);
            let ready = bucket.ready_at(&config, Direction::Read);
            let mut at = bucket;
            at.fill(&config, Direction::Read, config.tick_begins(ready));
            prop_assert!(at.level() > 0);
            if ready > 0 {
                let mut before = bucket;
                before.fill(&config, Direction::Read, config.tick_begins(ready) - 1);
                prop_assert!(before.level() <= 0);
            }
        }

        /// In any stretch of time no more passes than the burst and the rate of its ticks.
        #[test]
        fn no_stretch_of_time_lets_more_pass_than_it_may(
            rate in 1..10_000_u64,
            more in 0..10_000_u64,
            steps in prop::collection::vec((0..50_u64, 0..20_000_i64), 1..100),
        ) {
            let config = config(rate, rate + more, 10);
            let mut bucket = Bucket::new(&config, Direction::Read, 0);
            let (mut now, mut passed) = (0, Vec::new());
            for (elapsed, wanted) in steps {
                now += elapsed * MS;
                bucket.fill(&config, Direction::Read, now);
                let count = wanted.min(bucket.level()).max(0);
                bucket.take(&config, Direction::Read, count);
                passed.push((now, count));
            }
            for from in 0..passed.len() {
                let mut sum = 0;
                for &(at, count) in &passed[from..] {
                    sum += count as u64;
                    let ticks = config.tick_at(at) - config.tick_at(passed[from].0);
                    prop_assert!(sum <= rate + more + ticks * rate);
                }
            }
        }
    }
}
