//! The threads that redact, behind everything that serves.
//!
//! Each has one stream at a time, and is kept when that has ended: making a thread, and lowering its priority, costs more
//! than redacting what most programs write. Priority can't be raised again, so that these are for nothing else.

use std::{io, sync::mpsc, thread};

use parking_lot::Mutex;

/// The most that are kept without a stream.
const MOST: usize = 8;
/// What redaction gives up of its share of a processor (nice(2)).
#[cfg(target_os = "linux")]
const NICE: i32 = 2;

type Work = Box<dyn FnOnce() + Send>;

static THREADS: Threads = Threads { idle: Mutex::new(Vec::new()) };

/// Runs something on a thread of this kind: one that waits, or else a new one.
///
/// # Errors
/// There can be no more threads.
pub(super) fn in_the_background(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    THREADS.run(Box::new(work))
}

struct Threads {
    /// Those that wait for a stream, the last one first.
    idle: Mutex<Vec<mpsc::Sender<Work>>>,
}

impl Threads {
    fn run(&'static self, work: Work) -> io::Result<()> {
        let waiting = self.idle.lock().pop();
        let work = match waiting {
            Some(thread) => match thread.send(work) {
                Ok(()) => return Ok(()),
                // It is gone, and has given back what it was sent.
                Err(mpsc::SendError(work)) => work,
            },
            None => work,
        };
        thread::Builder::new().name("redact".to_owned()).spawn(move || {
            // Where it can't give way, it works as everybody does.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::nice(NICE);
            self.live(work);
        })?;
        Ok(())
    }

    /// The life of a thread. One in which a stream breaks ends there, and is not among those that wait.
    fn live(&self, mut work: Work) {
        loop {
            work();
            let (thread, waiting) = mpsc::channel();
            {
                let mut idle = self.idle.lock();
                if idle.len() >= MOST {
                    return;
                }
                idle.push(thread);
            }
            let Ok(next) = waiting.recv() else { return };
            work = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread::ThreadId, time::Duration};

    use super::*;

    fn threads() -> &'static Threads {
        Box::leak(Box::new(Threads { idle: Mutex::default() }))
    }

    fn where_it_runs(threads: &'static Threads) -> ThreadId {
        let (tell, told) = mpsc::channel();
        threads.run(Box::new(move || tell.send(thread::current().id()).unwrap())).unwrap();
        told.recv().unwrap()
    }

    fn until_so_many_wait(threads: &'static Threads, number: usize) {
        for _ in 0..2000 {
            if threads.idle.lock().len() == number {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("{} wait, and not {number}", threads.idle.lock().len());
    }

    #[test]
    fn a_thread_is_kept_for_the_next_stream_and_one_that_broke_is_not() {
        let threads = threads();
        let first = where_it_runs(threads);
        for _ in 0..20 {
            until_so_many_wait(threads, 1);
            assert_eq!(where_it_runs(threads), first);
        }
        until_so_many_wait(threads, 1);
        threads.run(Box::new(|| panic!("a stream that breaks"))).unwrap();
        until_so_many_wait(threads, 0);
        assert_ne!(where_it_runs(threads), first);
        until_so_many_wait(threads, 1);
    }

    #[test]
    fn streams_at_once_have_a_thread_each_and_few_are_kept() {
        let threads = threads();
        let (tell, told) = mpsc::channel();
        let ends: Vec<mpsc::Sender<()>> = (0..3 * MOST)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                let tell = tell.clone();
                threads
                    .run(Box::new(move || {
                        tell.send(thread::current().id()).unwrap();
                        let _ = ended.recv();
                    }))
                    .unwrap();
                end
            })
            .collect();
        let used: HashSet<ThreadId> = told.iter().take(3 * MOST).collect();
        assert_eq!(used.len(), 3 * MOST);
        drop(ends);
        until_so_many_wait(threads, MOST);
        // Those behind them have come to their end as well.
        thread::sleep(Duration::from_millis(200));
        until_so_many_wait(threads, MOST);
    }
}
