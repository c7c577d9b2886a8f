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

/// Those that wait for a stream, the last one first.
static IDLE: Mutex<Vec<mpsc::Sender<Work>>> = Mutex::new(Vec::new());

/// Runs something on a thread of this kind: one that waits, or else a new one.
///
/// # Errors
/// There can be no more threads.
pub(super) fn in_the_background(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let waiting = IDLE.lock().pop();
    let work: Work = Box::new(work);
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
        live(work);
    })?;
    Ok(())
}

fn live(mut work: Work) {
    loop {
        work();
        let (thread, waiting) = mpsc::channel();
        {
            let mut idle = IDLE.lock();
            if idle.len() >= MOST {
                return;
            }
            idle.push(thread);
        }
        let Ok(next) = waiting.recv() else { return };
        work = next;
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread::ThreadId};

    use super::*;

    fn where_it_runs() -> ThreadId {
        let (tell, told) = mpsc::channel();
        in_the_background(move || tell.send(thread::current().id()).unwrap()).unwrap();
        told.recv().unwrap()
    }

    /// Others of this process may use them meanwhile: so a few of many are enough to see.
    #[test]
    fn a_thread_is_kept_for_the_next_stream_and_one_that_broke_is_not() {
        let used: HashSet<ThreadId> = (0..200).map(|_| where_it_runs()).collect();
        assert!(used.len() < 100, "{} threads for 200 streams, one after another", used.len());
        in_the_background(|| panic!("a stream that breaks")).unwrap();
        where_it_runs();
    }

    #[test]
    fn streams_at_once_have_a_thread_each_and_few_are_kept() {
        let (tell, told) = mpsc::channel();
        let ends: Vec<mpsc::Sender<()>> = (0..3 * MOST)
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                let tell = tell.clone();
                in_the_background(move || {
                    tell.send(thread::current().id()).unwrap();
                    let _ = ended.recv();
                })
                .unwrap();
                end
            })
            .collect();
        let threads: HashSet<ThreadId> = told.iter().take(3 * MOST).collect();
        assert_eq!(threads.len(), 3 * MOST);
        drop(ends);
        assert!(IDLE.lock().len() <= MOST);
    }
}
