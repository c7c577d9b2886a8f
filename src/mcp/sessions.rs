//! Whose each protocol session is, and how many there may be. A session (of the eras before 2026-07-28) holds memory
//! and a task for as long as its client likes, so a token has a bounded number of them, and so has the server.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use rmcp::transport::streamable_http_server::session::{SessionManager, local::LocalSessionManager};

/// Sessions of one token. Past it the one that was used longest ago ends.
const EACH: usize = 64;
/// Sessions of all tokens. Past it one of whoever has most ends.
const ALL: usize = 1024;

/// A token, by its digest.
pub(super) type Owner = [u8; 32];

/// The sessions of a server.
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    uses: u64,
    by_id: HashMap<String, Session>,
}

struct Session {
    owner: Owner,
    used: u64,
}

impl Sessions {
    pub(super) fn of(manager: Arc<LocalSessionManager>) -> Self {
        Self { manager, table: Mutex::default() }
    }

    /// Whether a session is this token's; one of whom nobody knows is nobody's.
    pub(super) fn owns(&self, id: &str, owner: &Owner) -> bool {
        let mut table = self.table.lock();
        table.uses += 1;
        let uses = table.uses;
        match table.by_id.get_mut(id).filter(|session| session.owner == *owner) {
            Some(session) => {
                session.used = uses;
                true
            }
            None => false,
        }
    }

    /// A session has begun; those that are too many end.
    pub(super) async fn begun(&self, id: String, owner: Owner) {
        let ended = self.table.lock().add(id, owner);
        for id in ended {
            // It may have ended by itself.
            let _ = self.manager.close_session(&id.into()).await;
        }
    }

    /// A session was ended by its client.
    pub(super) fn ended(&self, id: &str) {
        self.table.lock().by_id.remove(id);
    }
}

impl Table {
    /// Adds a session, and returns those that must go for it.
    fn add(&mut self, id: String, owner: Owner) -> Vec<String> {
        self.uses += 1;
        self.by_id.insert(id, Session { owner, used: self.uses });
        let mut gone = Vec::new();
        if self.count(&owner) > EACH {
            gone.extend(self.drop_oldest_of(owner));
        }
        if self.by_id.len() > ALL
            && let Some(owner) = self.owner_of_most()
        {
            gone.extend(self.drop_oldest_of(owner));
        }
        gone
    }

    fn count(&self, owner: &Owner) -> usize {
        self.by_id.values().filter(|session| session.owner == *owner).count()
    }

    fn owner_of_most(&self) -> Option<Owner> {
        let mut counts: HashMap<Owner, usize> = HashMap::new();
        for session in self.by_id.values() {
            *counts.entry(session.owner).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(owner, _)| owner)
    }

    fn drop_oldest_of(&mut self, owner: Owner) -> Option<String> {
        let own = self.by_id.iter().filter(|(_, session)| session.owner == owner);
        let oldest = own.min_by_key(|(_, session)| session.used).map(|(id, _)| id.clone())?;
        self.by_id.remove(&oldest);
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_so_many_and_the_one_not_used_ends() {
        let mut table = Table::default();
        let ended: Vec<String> =
            (0..2000).flat_map(|number| table.add(format!("a{number}"), [1; 32])).collect();
        assert_eq!((table.by_id.len(), ended.len(), &*ended[0]), (EACH, 2000 - EACH, "a0"));
    }

    #[test]
    fn whoever_has_most_makes_room_for_others() {
        let mut table = Table::default();
        let owner = |number: usize| [u8::try_from(number / EACH).unwrap(); 32];
        let one = [255; 32];
        assert!(table.add("one".to_owned(), one).is_empty());
        let ended: Vec<String> =
            (0..ALL * 2).flat_map(|number| table.add(number.to_string(), owner(number))).collect();
        assert_eq!((table.by_id.len(), ended.len()), (ALL, ALL + 1));
        assert_eq!(table.count(&one), 1, "who has one keeps it");
    }

    #[tokio::test]
    async fn a_session_is_its_tokens_and_nobody_elses() {
        let sessions = Sessions::of(Arc::default());
        sessions.begun("s".to_owned(), [1; 32]).await;
        assert!(sessions.owns("s", &[1; 32]));
        assert!(!sessions.owns("s", &[2; 32]) && !sessions.owns("t", &[1; 32]));
        sessions.ended("s");
        assert!(!sessions.owns("s", &[1; 32]));
    }
}
