//! Control files: what other programs run or trust unasked, where a run may write.
//!
//! A hook, a client's list of servers, an editor's task that a run leaves behind is run later, by somebody else, outside
//! of any sandbox. So what is there before a run is closed to it (`before`), and what it made is found when everything
//! that it wrote is searched (`trace`), and moved out of the way, taken back or told of (`settle`, `repositories`).
//! What a caller chooses is no way around that: it starts no run in one (`start`).
//!
//! Nothing of this stands on the host while a run lasts: an empty file that stood for each one that is missing would be
//! seen, and taken for their own, by the very programs that read it; and would go with anyone who cleans up.

mod aside;
mod before;
mod git_config;
mod keep;
mod names;
mod overlap;
mod repositories;
mod settle;
mod start;
mod trace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use names::ControlNames;
pub(crate) use names::WrittenKind;
pub(crate) use settle::{WrittenFate, WrittenFile};

pub(super) use before::{Means, name_of_a_repository};
pub(super) use start::Start;
pub(super) use trace::Trace;

use super::place::{Moment, Written};
use before::PlaceBefore;
use keep::Budget;
use names::Opened;
use settle::Settling;

/// What is known of the control files in a run's places.
pub(super) struct Control {
    names: Arc<ControlNames>,
    opened: Opened,
    run: String,
    before: Arc<[PlaceBefore]>,
}

impl Control {
    /// Looks at a run's places, before it starts.
    pub(super) fn look(
        places: &[Written],
        cwd: Option<&Path>,
        names: &Arc<ControlNames>,
        opened: &[PathBuf],
        run: &str,
        means: Means,
    ) -> Self {
        let opened = Opened(opened.to_vec());
        let mut budget = Budget::default();
        let look = |place| PlaceBefore::look(place, cwd, names, &opened, means, &mut budget);
        let before = match places {
            [] => Arc::default(),
            places => overlap::look(|| places.iter().map(look).collect()),
        };
        Self { names: Arc::clone(names), opened, run: run.to_owned(), before }
    }

    /// What is to be mounted on itself: (path, whether it may be written).
    pub(super) fn mounts<'a>(&'a self, places: &'a [Written]) -> impl Iterator<Item = (PathBuf, bool)> + 'a {
        places.iter().zip(&*self.before).flat_map(|(place, before)| {
            before.mounts().map(|(path, writable)| (place.path.join(path), writable))
        })
    }

    /// What notes what is met in a place, by its number.
    pub(super) fn trace(&self, place: usize, since: Moment) -> Option<Trace<'_>> {
        Some(Trace::new(self.before.get(place)?, &self.names, since))
    }

    /// Settles what was met there; with how many more there were.
    pub(super) fn settle(&self, place: &Written, trace: Trace<'_>) -> (Vec<WrittenFile>, usize) {
        let more = trace.more;
        let mut settling = Settling { place, trace, opened: &self.opened, run: &self.run, files: Vec::new() };
        settling.control_files();
        settling.repositories();
        settling.others();
        (settling.files, more)
    }
}
