//! What is told of a run, masked as a whole before its outcome is on record.
//!
//! The streams are redacted as they come; then they are cut and made valid UTF-8, and meanwhile a secret may have
//! been rotated. So they are looked through once more as they will be returned, and so is everything else that a
//! program, a caller or a policy has a say in. What that masks is in the run's ledger like the rest: a result never says
//! that nothing was masked where something is, `withhold` withholds, and the audit says the same.

use super::{
    api::RunResult,
    left,
    outcome::{About, gone_without, result},
};
use crate::{
    redact::{LedgerPage, NeedleSet, Redacted},
    run::{Ended, RunOutput},
};

/// What came of a run, wherever its streams went.
pub(crate) trait Done: Send + 'static {
    /// What is told of it to whoever asked for it.
    type Told: Send + 'static;

    /// What every run comes to.
    fn ended(&self) -> &Ended;

    /// The same, to be corrected.
    fn ended_mut(&mut self) -> &mut Ended;

    /// How many bytes [`Done::told`] looks through.
    fn length(&self) -> usize;

    /// What is told, masked, and the run with a ledger that has all of it.
    fn told(self, about: &About, needles: &NeedleSet) -> (Self::Told, Ended);
}

impl Done for RunOutput {
    type Told = RunResult;

    fn ended(&self) -> &Ended {
        &self.ended
    }

    fn ended_mut(&mut self) -> &mut Ended {
        &mut self.ended
    }

    fn length(&self) -> usize {
        self.stdout.text.get().len() + self.stderr.text.get().len() + length_of_paths(&self.ended)
    }

    fn told(self, about: &About, needles: &NeedleSet) -> (RunResult, Ended) {
        result(self, about, needles)
    }
}

/// On the caller's own streams it was masked as it was written.
impl Done for Ended {
    /// What became of control files that it wrote, a line each.
    type Told = Vec<Redacted<String>>;

    fn ended(&self) -> &Ended {
        self
    }

    fn ended_mut(&mut self) -> &mut Ended {
        self
    }

    fn length(&self) -> usize {
        length_of_paths(self)
    }

    fn told(mut self, _: &About, needles: &NeedleSet) -> (Self::Told, Ended) {
        let notes: Vec<String> = left::lines(&self.left).into_iter().chain(gone_without(&self)).collect();
        let mask = |note: &String| needles.mask(note, LedgerPage::Rest, &mut self.ledger);
        (notes.iter().map(mask).collect(), self)
    }
}

fn length_of_paths(ended: &Ended) -> usize {
    let written = ended.left.written.iter().take(left::MOST_NAMED).map(|file| &file.path);
    ended.left.hits.iter().map(|hit| &hit.path).chain(written).map(|path| path.as_os_str().len()).sum()
}
