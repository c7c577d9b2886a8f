//! One captured stream: read by a task, redacted on a [thread of its own](super::background).
//!
//! Whatever a program writes, redacting it takes nothing from the tasks that serve: the thread has a lower
//! priority, what waits for it is bounded, and a program that writes faster waits at its pipe. There are two a run,
//! and so as many as the limits let runs go on. A run ends by its own clock, not by its streams': what the thread
//! has not come to by then is left out, and said to be.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Duration, Instant, timeout_at},
};

use super::{Piece, background::in_the_background};
use crate::redact::{Capture, Captured};

const CHUNK: usize = 64 * 1024;
/// Chunks that wait for the thread.
const WAITING: usize = 4;
/// The thread looks so often whether it is to stop.
const STRIDE: usize = 16 * 1024;
/// How long a stream is read and redacted after the whole tree has ended: what is in the pipe is there already,
/// and whoever holds its other end then is none of ours.
const DRAIN: Duration = Duration::from_secs(2);

/// Redaction of one stream, ready before the run starts: a run whose streams can't be redacted never does.
pub(super) struct Redaction {
    chunks: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<Captured>,
    stop: Arc<AtomicBool>,
}

impl Redaction {
    /// # Errors
    /// There can be no more threads.
    pub(super) fn start(fd: u8, capture: Capture, progress: Option<mpsc::Sender<Piece>>) -> io::Result<Self> {
        let (chunks, waiting) = mpsc::channel(WAITING);
        let (end, done) = oneshot::channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        in_the_background(move || {
            // Nobody waits for it where the run could not be started.
            let _ = end.send(redact(capture, waiting, &stopped, |text| {
                if let Some(progress) = &progress {
                    // A client that is too slow for its progress misses some; the result has it all.
                    let _ = progress.try_send(Piece { fd, text });
                }
            }));
        })?;
        Ok(Self { chunks, done, stop })
    }

    /// Reads the stream from here on, whatever happens to whoever waits for it.
    pub(super) fn read(self, mut pipe: pipe::Receiver) -> Reader {
        let Self { chunks, done, stop } = self;
        let task = tokio::spawn(async move {
            loop {
                let mut chunk = vec![0; CHUNK];
                let length = pipe.read(&mut chunk).await.unwrap_or(0);
                chunk.truncate(length);
                if length == 0 || chunks.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        Reader { task, done, stop }
    }
}

fn redact(
    mut capture: Capture,
    mut waiting: mpsc::Receiver<Vec<u8>>,
    stop: &AtomicBool,
    show: impl Fn(crate::redact::Redacted<String>),
) -> Captured {
    while let Some(chunk) = waiting.blocking_recv() {
        for part in chunk.chunks(STRIDE) {
            if stop.load(Ordering::Relaxed) {
                return capture.cut_short();
            }
            capture.push(part).into_iter().for_each(&show);
        }
    }
    capture.end().into_iter().for_each(&show);
    capture.finish()
}

/// A stream that is read.
pub(super) struct Reader {
    task: JoinHandle<()>,
    done: oneshot::Receiver<Captured>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    /// What came, once the tree has ended.
    pub(super) async fn finish(mut self) -> Option<Captured> {
        let until = Instant::now() + DRAIN;
        if timeout_at(until, &mut self.task).await.is_err() {
            self.task.abort();
        }
        match timeout_at(until, &mut self.done).await {
            Ok(captured) => captured.ok(),
            Err(_) => {
                self.stop.store(true, Ordering::Relaxed);
                self.done.await.ok()
            }
        }
    }
}
