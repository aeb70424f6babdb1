//! Rate limits: `TokenBucketConfig`, `RateLimitGroup`, and the limits of a bufferevent.

use evcore::bufferevent::BufferEvent;
use evcore::ratelimit::{RateLimitGroup, TokenBucketConfig, RATE_LIMIT_MAX};
use napi_derive::napi;

use crate::base::duration;
use crate::error::{Failure, Result};
use crate::handle::{Handle, Object};
use crate::raw::cold;

/// How many bytes may pass in each direction in a tick on average, and at most at once; `Infinity` is
/// no limit.
#[napi(object)]
pub struct RateLimit {
    pub read_rate: f64,
    pub read_burst: f64,
    pub write_rate: f64,
    pub write_burst: f64,
    /// How long a tick is, in milliseconds.
    pub tick: f64,
}

impl From<TokenBucketConfig> for RateLimit {
    fn from(config: TokenBucketConfig) -> Self {
        Self {
            read_rate: number(config.read_rate()),
            read_burst: number(config.read_burst()),
            write_rate: number(config.write_rate()),
            write_burst: number(config.write_burst()),
            tick: config.tick().as_secs_f64() * 1000.0,
        }
    }
}

impl RateLimit {
    fn config(self) -> Result<TokenBucketConfig> {
        Ok(TokenBucketConfig::new(
            bytes(self.read_rate),
            bytes(self.read_burst),
            bytes(self.write_rate),
            bytes(self.write_burst),
            duration(self.tick)?,
        )?)
    }
}

/// Bytes as JavaScript gives them, `Infinity` being the most there can be.
fn bytes(number: f64) -> u64 {
    (number as u64).min(RATE_LIMIT_MAX)
}

/// Bytes for JavaScript, the most there can be being `Infinity`.
fn number(bytes: u64) -> f64 {
    if bytes >= RATE_LIMIT_MAX {
        f64::INFINITY
    } else {
        bytes as f64
    }
}

/// A level for JavaScript, which may be negative.
fn level(bytes: i64) -> f64 {
    if bytes < 0 {
        bytes as f64
    } else {
        number(bytes.unsigned_abs())
    }
}

/// A most number of bytes for JavaScript.
fn most(bytes: usize) -> f64 {
    if bytes == usize::MAX {
        f64::INFINITY
    } else {
        number(bytes as u64)
    }
}

/// Checks a limit.
#[napi(catch_unwind)]
pub fn rate_limit_new(env: napi::Env, limit: RateLimit) -> napi::Result<RateLimit> {
    cold(&env, |_| Ok(limit.config()?.into()))
}

/// A limit of so many bytes a second, `Infinity` for none, with a tick and bursts that fit.
#[napi(catch_unwind)]
pub fn rate_limit_per_second(env: napi::Env, read: f64, write: f64) -> napi::Result<RateLimit> {
    let limited = |rate: f64| (rate < f64::INFINITY).then(|| bytes(rate));
    cold(&env, |_| Ok(TokenBucketConfig::per_second(limited(read), limited(write))?.into()))
}

/// Limits a bufferevent, or no longer.
#[napi(catch_unwind)]
pub fn bev_set_rate_limit(
    env: napi::Env,
    bev: Handle,
    limit: Option<RateLimit>,
) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        bev.bev.set_rate_limit(limit.map(RateLimit::config).transpose()?)?;
        bev.touch();
        Ok(())
    })
}

/// A bufferevent's own limit.
#[napi(catch_unwind)]
pub fn bev_rate_limit(env: napi::Env, bev: Handle) -> napi::Result<Option<RateLimit>> {
    cold(&env, |env| Ok(env.bev(bev)?.bev.rate_limit().map(RateLimit::from)))
}

/// Puts a bufferevent into a group, or with 0 takes it out of the one that it is in.
#[napi(catch_unwind)]
pub fn bev_set_rate_limit_group(env: napi::Env, bev: Handle, group: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        match group {
            0 => bev.bev.remove_from_rate_limit_group(),
            group => bev.bev.add_to_rate_limit_group(&env.group(group)?)?,
        }
        bev.touch();
        Ok(())
    })
}

/// One of a bufferevent's numbers: 0 and 1 what may be read and written now, 2 and 3 the most that
/// one read and one write would move now, 4 and 5 the most that they ever move.
#[napi(catch_unwind)]
pub fn bev_limit(env: napi::Env, bev: Handle, which: u32) -> napi::Result<f64> {
    cold(&env, |env| {
        let bev: &BufferEvent = &env.bev(bev)?.bev;
        Ok(match which {
            0 => level(bev.read_limit()),
            1 => level(bev.write_limit()),
            2 => most(bev.max_to_read()),
            3 => most(bev.max_to_write()),
            4 => most(bev.max_single_read()),
            5 => most(bev.max_single_write()),
            _ => return Err(Failure::Range("the number of a limit is 0 to 5")),
        })
    })
}

/// Takes bytes from what may be read and written, or gives some.
#[napi(catch_unwind)]
pub fn bev_decrement_limit(env: napi::Env, bev: Handle, read: f64, write: f64) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        bev.bev.decrement_read_limit(read as i64);
        bev.bev.decrement_write_limit(write as i64);
        bev.touch();
        Ok(())
    })
}

/// Sets the most bytes that one read (2) or one write (4) moves; 0 for what is usual.
#[napi(catch_unwind)]
pub fn bev_set_max_single(env: napi::Env, bev: Handle, what: i32, most: f64) -> napi::Result<()> {
    cold(&env, |env| {
        let bev = env.bev(bev)?;
        // A number too large for this machine is no limit either.
        let most = most as usize;
        match what {
            2 => bev.bev.set_max_single_read(most)?,
            4 => bev.bev.set_max_single_write(most)?,
            _ => return Err(Failure::Range("a direction is 2 or 4")),
        }
        Ok(())
    })
}

/// Makes a group.
#[napi(catch_unwind)]
pub fn rate_limit_group_new(
    env: napi::Env,
    base: Handle,
    limit: RateLimit,
) -> napi::Result<Handle> {
    cold(&env, |env| {
        let group = RateLimitGroup::new(&env.base(base)?.base, limit.config()?)?;
        env.table.insert(|_| Ok(Object::Group(group)))
    })
}

/// Ends a group's handle; its members stay in it.
#[napi(catch_unwind)]
pub fn rate_limit_group_free(env: napi::Env, group: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.group(group)?;
        drop(env.table.remove(group));
        Ok(())
    })
}

/// Changes a group's limit.
#[napi(catch_unwind)]
pub fn rate_limit_group_set_limit(
    env: napi::Env,
    group: Handle,
    limit: RateLimit,
) -> napi::Result<()> {
    cold(&env, |env| {
        env.group(group)?.set_config(limit.config()?);
        Ok(())
    })
}

/// A group's limit.
#[napi(catch_unwind)]
pub fn rate_limit_group_limit(env: napi::Env, group: Handle) -> napi::Result<RateLimit> {
    cold(&env, |env| Ok(env.group(group)?.config().into()))
}

/// Sets the least that a member is given at once, in bytes.
#[napi(catch_unwind)]
pub fn rate_limit_group_set_min_share(
    env: napi::Env,
    group: Handle,
    share: f64,
) -> napi::Result<()> {
    cold(&env, |env| {
        env.group(group)?.set_min_share(bytes(share));
        Ok(())
    })
}

/// Takes bytes from what may be read and written, or gives some.
#[napi(catch_unwind)]
pub fn rate_limit_group_decrement(
    env: napi::Env,
    group: Handle,
    read: f64,
    write: f64,
) -> napi::Result<()> {
    cold(&env, |env| {
        let group = env.group(group)?;
        group.decrement_read(read as i64);
        group.decrement_write(write as i64);
        Ok(())
    })
}

/// What is to be known of a group.
#[napi(object, object_from_js = false)]
pub struct GroupState {
    /// How many bufferevents are in it.
    pub members: f64,
    /// The least that one is given at once, in bytes.
    pub min_share: f64,
    /// What may be read now.
    pub read_limit: f64,
    /// What may be written now.
    pub write_limit: f64,
    /// What was read.
    pub total_read: f64,
    /// What was written.
    pub total_written: f64,
}

/// What is to be known of a group now.
#[napi(catch_unwind)]
pub fn rate_limit_group_state(env: napi::Env, group: Handle) -> napi::Result<GroupState> {
    cold(&env, |env| {
        let group = env.group(group)?;
        let (read, written) = group.totals();
        Ok(GroupState {
            members: group.members() as f64,
            min_share: number(group.min_share()),
            read_limit: level(group.read_limit()),
            write_limit: level(group.write_limit()),
            total_read: read as f64,
            total_written: written as f64,
        })
    })
}

/// Counts a group's totals from zero again.
#[napi(catch_unwind)]
pub fn rate_limit_group_reset_totals(env: napi::Env, group: Handle) -> napi::Result<()> {
    cold(&env, |env| {
        env.group(group)?.reset_totals();
        Ok(())
    })
}
