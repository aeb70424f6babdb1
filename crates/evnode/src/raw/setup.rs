//! Registration, and the functions of a base that run its loop.

use std::rc::Rc;

use evcore::LoopFlags;
use napi::sys::napi_value;

use super::functions;
use super::memory::fd_from;
use crate::base::{duration, exit_number, Base};
use crate::dispatch::Kind;
use crate::error::Failure;
use crate::event::event_flags;

functions! {
    c"register" register(
        env,
        dispatcher: napi_value,
        errors: napi_value,
        drain: napi_value,
        list: napi_value
    ) -> () {
        // SAFETY: the values are arguments of the running call.
        unsafe {
            env.list.register(env.raw, list)?;
            env.dispatch.register([dispatcher, errors, drain])
        }
    }

    c"baseLoop" base_loop(_env, base: Rc<Base>, flags: i32) -> i32 {
        let flags = u32::try_from(flags).ok().and_then(LoopFlags::from_bits);
        let flags = flags.ok_or(Failure::Range("these are no LoopFlags"))?;
        base.run_blocking(flags).map(exit_number)
    }

    c"baseOnce" base_once(_env, base: Rc<Base>, fd: f64, flags: i32, ms: f64, token: f64) -> () {
        let (env, handle) = (base.env.clone(), base.handle);
        let fired = move |what: evcore::EventFlags| {
            env.emit(Kind::Once, handle, what.bits().into(), token);
        };
        base.base.once(fd_from(fd)?, event_flags(flags)?, duration(ms)?, fired)?;
        base.touch();
        Ok(())
    }
}
