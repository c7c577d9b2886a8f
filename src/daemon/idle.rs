//! Connections to a daemon that nothing is asked over: the next call need not make one, nor ask who is there.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Socket, connection::Connection};

/// How many are kept.
const MOST: usize = 8;
/// For how long: a daemon closes one over which nothing comes for ten seconds.
const FOR: Duration = Duration::from_secs(5);

/// Connections that are kept.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<(Instant, Connection)>>);

impl Idle {
    /// The one that was used last, if it is open.
    pub(super) async fn take(&self, socket: &Socket) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.0.lock().pop()?;
            if since.elapsed() < FOR && connection.is_open(socket).await {
                return Some(connection);
            }
        }
    }

    /// Keeps one whose last answer was read to its end.
    pub(super) fn give(&self, connection: Connection) {
        let mut kept = self.0.lock();
        kept.retain(|(since, _)| since.elapsed() < FOR);
        if kept.len() < MOST {
            kept.push((Instant::now(), connection));
        }
    }
}
