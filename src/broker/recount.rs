//! What a run's result says of secrets, counted over everything that is done before it is returned.
//!
//! The streams are redacted as they come; then they are cut and made valid UTF-8, and meanwhile a secret may have
//! been rotated. So they are looked through once more as they will be returned, and what that masks counts like
//! the rest: a result never says that nothing was masked where something is, and `withhold` withholds.

use std::path::Path;

use super::left;
use crate::{
    redact::{Counts, NeedleSet},
    run::{Ended, RunOutput, Stream},
};

/// What came of a run, wherever its streams went.
pub(crate) trait Done: Send + 'static {
    /// What every run comes to.
    fn ended(&self) -> &Ended;

    /// The same, to be corrected.
    fn ended_mut(&mut self) -> &mut Ended;

    /// How many bytes [`Done::masked_again`] looks through.
    fn length(&self) -> usize;

    /// Masked as it is returned.
    fn masked_again(self, needles: &NeedleSet) -> Self;
}

impl Done for RunOutput {
    fn ended(&self) -> &Ended {
        &self.ended
    }

    fn ended_mut(&mut self) -> &mut Ended {
        &mut self.ended
    }

    fn length(&self) -> usize {
        let paths = paths_of(&self.ended).map(|path| path.as_os_str().len());
        self.stdout.text.get().len() + self.stderr.text.get().len() + paths.sum::<usize>()
    }

    fn masked_again(self, needles: &NeedleSet) -> Self {
        let mut ended = self.ended;
        let mut again = |stream: Stream| {
            let (text, more) = needles.counted(stream.text.get());
            ended.counts.add(&more);
            Stream { text, ..stream }
        };
        let (stdout, stderr) = (again(self.stdout), again(self.stderr));
        let in_paths: Vec<Counts> = paths_of(&ended).map(|path| in_path(path, needles)).collect();
        in_paths.iter().for_each(|counts| ended.counts.add(counts));
        Self { ended, stdout, stderr, ..self }
    }
}

/// On the caller's own streams it was masked as it was written, and nothing is returned.
impl Done for Ended {
    fn ended(&self) -> &Ended {
        self
    }

    fn ended_mut(&mut self) -> &mut Ended {
        self
    }

    fn length(&self) -> usize {
        0
    }

    fn masked_again(self, _: &NeedleSet) -> Self {
        self
    }
}

/// Paths that the result names, as far as it does.
fn paths_of(ended: &Ended) -> impl Iterator<Item = &Path> {
    let written = ended.left.written.iter().take(left::MOST_NAMED).map(|file| file.path.as_path());
    ended.left.hits.iter().map(|hit| hit.path.as_path()).chain(written)
}

fn in_path(path: &Path, needles: &NeedleSet) -> Counts {
    needles.counted(&path.display().to_string()).1
}
