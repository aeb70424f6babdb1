//! Blocking waits that end with their worker.
//!
//! `worker.terminate()` stops JavaScript, which a loop that blocks in the kernel does not notice. In
//! a worker each wait is therefore cut short after a while, to see whether JavaScript still can run.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use evcore::backend::{Backend, Features, Interest, RawFd, Ready, Wake};

use crate::env::EnvRef;

/// How long a terminated worker may go on waiting.
const SLICE: Duration = Duration::from_millis(100);

/// Another backend, for a base in a worker.
pub(super) struct WorkerBackend {
    inner: Box<dyn Backend>,
    env: EnvRef,
}

impl WorkerBackend {
    pub(super) fn new(inner: Box<dyn Backend>, env: &EnvRef) -> Self {
        Self { inner, env: env.clone() }
    }
}

impl Backend for WorkerBackend {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn features(&self) -> Features {
        self.inner.features()
    }

    fn add(&mut self, fd: RawFd, interest: Interest) -> io::Result<()> {
        self.inner.add(fd, interest)
    }

    fn modify(&mut self, fd: RawFd, old: Interest, interest: Interest) -> io::Result<()> {
        self.inner.modify(fd, old, interest)
    }

    fn remove(&mut self, fd: RawFd, old: Interest) -> io::Result<()> {
        self.inner.remove(fd, old)
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return self.inner.wait(timeout, ready);
        }
        let slice = timeout.map_or(SLICE, |timeout| timeout.min(SLICE));
        // The loop does not mind to be woken for nothing: it computes the timeout anew.
        self.inner.wait(Some(slice), ready)?;
        if ready.is_empty() {
            self.env.dispatch.look_alive();
        }
        Ok(())
    }

    fn waker(&self) -> Arc<dyn Wake> {
        self.inner.waker()
    }

    fn poll_fd(&self) -> Option<RawFd> {
        self.inner.poll_fd()
    }
}
