//! The backend of a base that was freed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Backend, Features, Interest, RawFd, Ready, Wake};

/// What a freed base has for a backend.
pub(super) struct NoBackend;

impl Backend for NoBackend {
    fn name(&self) -> &'static str {
        "none"
    }

    fn features(&self) -> Features {
        Features::empty()
    }

    fn add(&mut self, _fd: RawFd, _interest: Interest) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn modify(&mut self, _fd: RawFd, _old: Interest, _interest: Interest) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn remove(&mut self, _fd: RawFd, _old: Interest) -> io::Result<()> {
        Ok(())
    }

    fn wait(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        struct NoWake;
        impl Wake for NoWake {
            fn wake(&self) -> io::Result<()> {
                Ok(())
            }
        }
        Arc::new(NoWake)
    }
}
