//! Clocks. Code that decides by time is given one, so that a test can set it.
//!
//! Waiting (timeouts, locks, sleeps) goes by the machine's own clock: it decides nothing.

use std::time::Instant;

use jiff::Timestamp;

/// What says how late it is.
pub(crate) trait Clock: Send + Sync {
    /// The time of day. It may be set back.
    fn now(&self) -> Timestamp;

    /// A moment on a clock that only goes forward, for how long something took.
    fn instant(&self) -> Instant;
}

/// The clock of this machine.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::time::{Duration, Instant};

    use jiff::Timestamp;

    use parking_lot::Mutex;

    use super::Clock;

    /// A clock that stands still until it is set.
    pub(crate) struct SetClock(Mutex<(Timestamp, Instant)>);

    impl SetClock {
        /// A clock that stands at a time of day.
        pub(crate) fn at(now: Timestamp) -> Self {
            Self(Mutex::new((now, Instant::now())))
        }

        /// Lets time go by.
        pub(crate) fn advance(&self, by: Duration) {
            let mut at = self.0.lock();
            *at = (at.0 + by, at.1 + by);
        }

        /// Sets the time of day, as a person does: nothing has gone by.
        pub(crate) fn set(&self, now: Timestamp) {
            self.0.lock().0 = now;
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            self.0.lock().0
        }

        fn instant(&self) -> Instant {
            self.0.lock().1
        }
    }
}
