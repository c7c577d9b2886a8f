//! What a run's result says of secrets, counted over everything that is done before it is returned.
//!
//! The streams are redacted as they come; then they are cut and made valid UTF-8, and meanwhile a secret may have
//! been rotated. So they are looked through once more as they will be returned, and what that masks counts like
//! the rest: a result never says that nothing was masked where something is, and `withhold` withholds.

use crate::{
    redact::{Counts, NeedleSet},
    run::{RunOutput, Stream},
};

/// A run's output, masked as it is returned.
pub(crate) fn masked_again(output: RunOutput, needles: &NeedleSet) -> RunOutput {
    let mut counts = output.counts;
    let mut again = |stream: Stream| {
        let (text, more) = needles.counted(stream.text.get());
        counts.add(&more);
        Stream { text, ..stream }
    };
    let (stdout, stderr) = (again(output.stdout), again(output.stderr));
    for hit in &output.file_hits {
        counts.add(&in_path(&hit.path, needles));
    }
    RunOutput { stdout, stderr, counts, ..output }
}

fn in_path(path: &std::path::Path, needles: &NeedleSet) -> Counts {
    needles.counted(&path.display().to_string()).1
}
