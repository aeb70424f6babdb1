//! What other threads leave for a loop: one queue, and one wake-up however much is put into it.

use std::sync::Arc;

#[cfg(all(test, loom))]
use loom::sync::{
    atomic::{AtomicUsize, Ordering},
    Mutex, MutexGuard,
};
use std::sync::PoisonError;
#[cfg(not(all(test, loom)))]
use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Mutex, MutexGuard,
};

use crate::backend::Wake;

/// Nothing has come, and what comes next has to wake the loop.
const EMPTY: usize = 0;
/// Nothing has come, and the loop is awake and will look again before it waits.
const WATCHED: usize = 1;
/// There are letters, and the loop is awake or woken.
const FULL: usize = 2;

pub(super) struct Mailbox<T> {
    inside: Mutex<Inside<T>>,
    /// One of the above, so that the loop need not lock to know. Changes under the lock, but from
    /// `WATCHED` to `EMPTY`.
    state: AtomicUsize,
}

struct Inside<T> {
    letters: Vec<T>,
    /// `None` once the loop is gone.
    waker: Option<Arc<dyn Wake>>,
}

impl<T> Mailbox<T> {
    pub(super) fn new(waker: Arc<dyn Wake>) -> Self {
        let inside = Inside { letters: Vec::new(), waker: Some(waker) };
        Self { inside: Mutex::new(inside), state: AtomicUsize::new(EMPTY) }
    }

    /// Puts a letter in and wakes the loop, unless a letter before it has done so and lies there
    /// still. `None` when the loop is gone.
    pub(super) fn put(&self, letter: T) -> Option<std::io::Result<()>> {
        let mut inside = self.lock();
        let waker = inside.waker.clone()?;
        inside.letters.push(letter);
        let asleep = self.state.swap(FULL, Ordering::AcqRel) == EMPTY;
        drop(inside);
        Some(if asleep { waker.wake() } else { Ok(()) })
    }

    /// Takes all letters out, for a loop that does not [wait](Mailbox::settle) yet.
    pub(super) fn take(&self) -> Vec<T> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut inside = self.lock();
        self.state.store(WATCHED, Ordering::Release);
        std::mem::take(&mut inside.letters)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.state.load(Ordering::Acquire) != FULL
    }

    /// To be called before the loop looks whether there is a letter and, if not, waits.
    pub(super) fn settle(&self) {
        if self.state.load(Ordering::Relaxed) == WATCHED {
            // A letter that comes just now is seen by the look that follows.
            let _ =
                self.state.compare_exchange(WATCHED, EMPTY, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Wakes another waker from now on, or, with `None`, takes no more letters and drops those that
    /// are there.
    pub(super) fn set_waker(&self, waker: Option<Arc<dyn Wake>>) {
        let letters = {
            let mut inside = self.lock();
            inside.waker = waker;
            if inside.waker.is_some() {
                return;
            }
            std::mem::take(&mut inside.letters)
        };
        // A letter may run code of its own when dropped: not under the lock.
        drop(letters);
    }

    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        // Nothing that runs under the lock can leave the mailbox half changed.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every order in which threads can run, tried by `loom`:
/// `RUSTFLAGS="--cfg loom" cargo test -p evcore --lib --release mailbox`.
#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use loom::sync::Condvar;
    use std::io;

    /// Stands for the descriptor that a loop waits on: a wake ends one wait, the next if none is
    /// under way. A wait that nobody ends is a deadlock, which loom reports.
    #[derive(Default)]
    struct Bell {
        rung: Mutex<usize>,
        ringing: Condvar,
    }

    impl Bell {
        fn wait(&self) {
            let mut rung = self.rung.lock().unwrap();
            while *rung == 0 {
                rung = self.ringing.wait(rung).unwrap();
            }
            *rung = 0;
        }
    }

    impl Wake for Bell {
        fn wake(&self) -> io::Result<()> {
            *self.rung.lock().unwrap() += 1;
            self.ringing.notify_one();
            Ok(())
        }
    }

    fn mailbox() -> (Arc<Bell>, Arc<Mailbox<u32>>) {
        let bell = Arc::new(Bell::default());
        (bell.clone(), Arc::new(Mailbox::new(bell)))
    }

    #[test]
    fn a_loop_that_waits_gets_every_letter_each_thread_s_in_order() {
        // More switches than three at a bad moment find nothing new and take hours.
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let (bell, mailbox) = mailbox();
            let threads = [&[10, 11][..], &[20]].map(|letters| {
                let mailbox = mailbox.clone();
                loom::thread::spawn(move || {
                    for &letter in letters {
                        mailbox.put(letter).unwrap().unwrap();
                    }
                })
            });
            let mut got = Vec::new();
            while got.len() < 3 {
                // As the loop does: it waits only when it has seen no letters.
                mailbox.settle();
                if mailbox.is_empty() {
                    bell.wait();
                }
                got.extend(mailbox.take());
                got.extend(mailbox.take());
            }
            for thread in threads {
                thread.join().unwrap();
            }
            let of = |tens: u32| got.iter().copied().filter(move |letter| letter / 10 == tens);
            assert!(of(1).eq([10, 11]) && of(2).eq([20]), "{got:?}");
            assert!(mailbox.is_empty());
        });
    }

    #[test]
    fn letters_between_two_turns_ring_once() {
        loom::model(|| {
            let (bell, mailbox) = mailbox();
            let threads = [1, 2].map(|letter| {
                let mailbox = mailbox.clone();
                loom::thread::spawn(move || mailbox.put(letter).unwrap().unwrap())
            });
            for thread in threads {
                thread.join().unwrap();
            }
            assert_eq!(*bell.rung.lock().unwrap(), 1);
            assert_eq!(mailbox.take().len(), 2);
        });
    }

    #[test]
    fn a_letter_to_a_loop_that_goes_away_is_dropped_or_refused() {
        loom::model(|| {
            let bell = Arc::new(Bell::default());
            let mailbox = Arc::new(Mailbox::new(bell));
            let letter = Arc::new(());
            let thread = {
                let (mailbox, letter) = (mailbox.clone(), letter.clone());
                loom::thread::spawn(move || mailbox.put(letter).is_some())
            };
            mailbox.set_waker(None);
            thread.join().unwrap();
            assert_eq!(Arc::strong_count(&letter), 1, "the letter lies there for ever");
        });
    }
}
