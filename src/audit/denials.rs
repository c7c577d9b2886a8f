//! Refusals, summed up: who asks for what is refused, over and over, must neither fill the disk nor hide
//! the one refusal that matters among thousands.
//!
//! Of each principal, within a minute, the first refusal of each kind (code, scope, command and secrets)
//! goes on record at once, and the last one when the minute is over, with the number of those between.
//! Kept in memory, bounded; what is kept is written late, and at the end.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{bounds, event::Note};

/// How long refusals of a principal are summed up.
const WINDOW: Duration = Duration::from_secs(60);
/// How many different refusals of a principal have a record of their own within it.
const KINDS: usize = 16;
/// How many principals are told apart; those beyond are one. Callers without a good credential are one
/// from the beginning.
const PRINCIPALS: usize = 64;
/// What those beyond are called.
const OTHERS: &str = "others";

/// The refusals of this process that are not on record one by one.
#[derive(Default)]
pub(crate) struct Denials {
    windows: Mutex<HashMap<String, Window>>,
}

struct Window {
    since: Timestamp,
    began: Instant,
    kinds: Vec<Kind>,
    /// Those of no kind that is kept.
    beyond: Repeats,
    codes: BTreeMap<String, u64>,
}

struct Kind {
    digest: [u8; 32],
    repeats: Repeats,
}

/// Refusals behind the first.
#[derive(Default)]
struct Repeats {
    number: u64,
    last: Option<Note>,
}

impl Denials {
    /// Takes a refusal; returns what goes on record now: the refusal, if it is the first of its kind, and
    /// the sums that are due.
    pub(crate) fn take(&self, mut note: Note, now: Instant) -> Vec<Note> {
        bounds::bound_note(&mut note);
        let Note::Denied { principal, .. } = &note else { return vec![note] };
        let mut windows = self.windows.lock();
        let mut notes = due(&mut windows, |window| window.is_over(now));
        let known = windows.contains_key(principal) || windows.len() < PRINCIPALS;
        let key = if known { principal.clone() } else { OTHERS.to_owned() };
        let window = windows.entry(key).or_insert_with(|| Window::new(now));
        let digest = digest(&note);
        let repeats = match window.kinds.iter().position(|kind| kind.digest == digest) {
            None if window.kinds.len() < KINDS => {
                window.kinds.push(Kind { digest, repeats: Repeats::default() });
                notes.push(note);
                return notes;
            }
            None => &mut window.beyond,
            Some(seen) => &mut window.kinds[seen].repeats,
        };
        repeats.number += 1;
        if let Some(Note::Denied { code, .. }) = repeats.last.replace(note) {
            *window.codes.entry(code).or_default() += 1;
        }
        notes
    }

    /// The sums of the windows that are over.
    pub(crate) fn due(&self, now: Instant) -> Vec<Note> {
        let mut windows = self.windows.lock();
        due(&mut windows, |window| window.is_over(now))
    }

    /// All sums, at the end.
    pub(crate) fn all(&self) -> Vec<Note> {
        due(&mut self.windows.lock(), |_| true)
    }

    /// When the next sum is due, where there is one.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let windows = self.windows.lock();
        windows.values().filter(|window| window.has_repeats()).map(|window| window.began + WINDOW).min()
    }
}

fn due(windows: &mut HashMap<String, Window>, is: impl Fn(&Window) -> bool) -> Vec<Note> {
    let over: Vec<String> =
        windows.iter().filter(|(_, window)| is(window)).map(|(key, _)| key.clone()).collect();
    over.into_iter().flat_map(|key| windows.remove(&key).map_or_else(Vec::new, |w| w.sum(key))).collect()
}

impl Window {
    fn new(now: Instant) -> Self {
        Self {
            since: Timestamp::now(),
            began: now,
            kinds: Vec::new(),
            beyond: Repeats::default(),
            codes: BTreeMap::new(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= WINDOW
    }

    fn has_repeats(&self) -> bool {
        self.beyond.number > 0 || self.kinds.iter().any(|kind| kind.repeats.number > 0)
    }

    /// The last refusal of each kind, and how many there were that have no record.
    fn sum(self, principal: String) -> Vec<Note> {
        let repeats = self.kinds.into_iter().map(|kind| kind.repeats).chain([self.beyond]);
        let mut notes: Vec<Note> = repeats.filter_map(|repeats| repeats.last).collect();
        let number = self.codes.values().sum();
        if number > 0 {
            let (since, until) = (self.since, Timestamp::now());
            notes.push(Note::DenialsSummed { principal, number, since, until, codes: self.codes });
        }
        notes
    }
}

/// What makes two refusals the same.
fn digest(note: &Note) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(note).expect("notes have string keys only"));
    // What was cut is another command than what is left of it.
    hash.update([u8::from(matches!(note, Note::Denied { cut: true, .. }))]);
    hash.finalize().into()
}
