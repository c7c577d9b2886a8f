//! What a run left behind, in words: for its result, for the audit, for a person.

use std::collections::BTreeMap;

use super::api::{FileHitEntry, WrittenEntry};
use crate::{
    redact::{LedgerPage, MaskLedger, NeedleSet},
    run::{Fate, FileHit, LeftBehind, WrittenFate, WrittenFile, WrittenKind},
};

/// So many written files are named, and so many bytes of their paths: a result stays readable, and under what clients take.
pub(super) const MOST_NAMED: usize = 50;
const MOST_BYTES: usize = 8 * 1024;

/// Why a control file is one.
const TRUSTED: &str = "is run or trusted by other programs";

/// What is said of those that are not named.
const MORE_CONTROL: &str = "more control files were written";

/// Files that hold a secret, for the result.
pub(super) fn file_hits(hits: &[FileHit]) -> Vec<FileHitEntry> {
    hits.iter()
        .map(|hit| FileHitEntry {
            path: hit.path.display().to_string(),
            removed: match hit.fate {
                Fate::Removed => true,
                Fate::Left => false,
            },
        })
        .collect()
}

/// The same for the audit, which keeps no value either.
pub(super) fn file_hit_lines(hits: &[FileHit], needles: &NeedleSet) -> Vec<String> {
    hits.iter()
        .map(|hit| {
            let fate = match hit.fate {
                Fate::Removed => "removed",
                Fate::Left => "left",
            };
            let path = hit.path.display().to_string();
            // What of it the run's result masks is in the run's ledger; nobody is told what else is masked here.
            let path = needles.mask(&path, LedgerPage::Rest, &mut MaskLedger::of_no_run());
            format!("{fate} {}", path.into_inner())
        })
        .collect()
}

/// Written files that others will run or run from, for the result: control files first.
pub(super) fn written(left: &LeftBehind) -> Vec<WrittenEntry> {
    named(left).map(|file| WrittenEntry { path: shown(file), kind: file.kind }).collect()
}

/// What became of control files, and how many are not named.
pub(super) fn notes(left: &LeftBehind) -> Vec<String> {
    let mut notes: Vec<String> = named(left).filter_map(note).collect();
    let unnamed = &left.written[named(left).count()..];
    let control = unnamed.iter().filter(|file| file.kind == WrittenKind::Control).count();
    if control > 0 {
        notes.push(format!("{control} {MORE_CONTROL}"));
    }
    let more = unnamed.len() - control + left.more;
    if more > 0 {
        notes.push(format!("{more} more written files are programs or configuration"));
    }
    notes
}

/// What is said of control files where no name may be told. It is one sentence whatever became of them: a program chooses
/// that, too.
pub(super) fn note_without_names(left: &LeftBehind) -> Option<String> {
    control(left).next().map(|_| {
        "it wrote control files, which other programs run or trust: they were moved away or put back, or are still there"
            .to_owned()
    })
}

/// How many of each kind, for the audit, and how many of them are where they were written no more.
pub(super) fn counts(left: &LeftBehind) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for file in &left.written {
        *counts.entry(file.kind.as_str().to_owned()).or_default() += 1;
        let fate = match file.fate {
            WrittenFate::Left => continue,
            WrittenFate::Stuck => "stuck",
            WrittenFate::Moved(_) => "moved",
            WrittenFate::Undone(..) => "undone",
        };
        *counts.entry(fate.to_owned()).or_default() += 1;
    }
    if left.more > 0 {
        counts.insert("more".to_owned(), left.more as u64);
    }
    counts
}

/// Control files that a run made or changed, in lines for who started it. What is as it was left comes last: there may be
/// much of it in what a run fetched.
pub(super) fn lines(left: &LeftBehind) -> Vec<String> {
    let there = control(left).filter(|file| file.fate == WrittenFate::Left);
    let there = there.map(|file| format!("{} {TRUSTED}; it is still there: look at it", shown(file)));
    let mut lines: Vec<String> = control(left).filter_map(note).chain(there).collect();
    let more = lines.len().saturating_sub(MOST_NAMED);
    lines.truncate(MOST_NAMED);
    if more > 0 {
        lines.push(format!("{more} {MORE_CONTROL}"));
    }
    lines
}

fn control(left: &LeftBehind) -> impl Iterator<Item = &WrittenFile> {
    left.written.iter().filter(|file| file.kind == WrittenKind::Control)
}

fn named(left: &LeftBehind) -> impl Iterator<Item = &WrittenFile> {
    let mut bytes = 0;
    left.written.iter().take(MOST_NAMED).take_while(move |file| {
        bytes += file.path.as_os_str().len();
        bytes <= MOST_BYTES
    })
}

fn note(file: &WrittenFile) -> Option<String> {
    let path = shown(file);
    Some(match &file.fate {
        WrittenFate::Left => return None,
        WrittenFate::Stuck => format!("{path} {TRUSTED}; it could not be moved away or put back: look at it"),
        WrittenFate::Moved(to) => {
            format!("{path} {TRUSTED}; it was moved to {}", to.display())
        }
        WrittenFate::Undone(aside, keys) => {
            let keys = if keys.is_empty() { String::new() } else { format!(" ({})", keys.join(", ")) };
            let aside = match aside.as_os_str().is_empty() {
                true => String::new(),
                false => format!("; what the run made of it is in {}", aside.display()),
            };
            format!("{path} {TRUSTED}; it was put back as it was{keys}{aside}")
        }
    })
}

fn shown(file: &WrittenFile) -> String {
    file.path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, kind: WrittenKind, fate: WrittenFate) -> WrittenFile {
        WrittenFile { path: path.into(), kind, fate }
    }

    #[test]
    fn what_became_of_control_files_is_said() {
        let keys = vec!["core.fsmonitor".to_owned()];
        let left = LeftBehind {
            written: vec![
                file("/w/.mcp.json", WrittenKind::Control, WrittenFate::Moved("/w/.mcp.json.moved".into())),
                file("/w/.git/config", WrittenKind::Control, WrittenFate::Undone("/w/aside".into(), keys)),
                file("/w/tool", WrittenKind::Program, WrittenFate::Left),
            ],
            more: 2,
            ..LeftBehind::default()
        };
        let words = notes(&left);
        assert!(
            words[0].contains("moved to /w/.mcp.json.moved") && words[1].contains("(core.fsmonitor)"),
            "{words:?}"
        );
        assert_eq!(words[2], "2 more written files are programs or configuration");
        assert_eq!(lines(&left), words[..2]);
        let counted: Vec<(String, u64)> = counts(&left).into_iter().collect();
        let expected = [("control", 2), ("more", 2), ("moved", 1), ("program", 1), ("undone", 1)];
        assert_eq!(counted, expected.map(|(kind, count)| (kind.to_owned(), count)));
        assert_eq!(written(&left)[0].kind, WrittenKind::Control);
    }

    #[test]
    fn a_result_names_so_many_and_no_more() {
        let many = |path: &str, count: usize| LeftBehind {
            written: (0..count).map(|_| file(path, WrittenKind::Program, WrittenFate::Left)).collect(),
            ..LeftBehind::default()
        };
        assert_eq!(written(&many("/w/x", 60)).len(), MOST_NAMED);
        assert_eq!(notes(&many("/w/x", 60)), ["10 more written files are programs or configuration"]);
        assert_eq!(notes(&many("/w/x", 50)), [""; 0]);
        assert_eq!(written(&many(&"x".repeat(4000), 60)).len(), 2);
        let mut left = many("/w/x", 10);
        let moved = |_| file("/w/.envrc", WrittenKind::Control, WrittenFate::Moved("/w/x".into()));
        left.written.splice(0..0, (0..60).map(moved));
        let said =
            ["10 more control files were written", "10 more written files are programs or configuration"];
        assert_eq!(notes(&left)[MOST_NAMED..], said);
        assert_eq!(lines(&left)[MOST_NAMED..], said[..1]);
        assert!(note_without_names(&left).is_some());
    }

    #[test]
    fn a_control_file_that_is_still_there_is_told_of_everywhere() {
        let left = |kind| LeftBehind {
            written: vec![
                file("/w/x/.vscode", kind, WrittenFate::Left),
                file("/w/.envrc", kind, WrittenFate::Stuck),
            ],
            ..LeftBehind::default()
        };
        let words = lines(&left(WrittenKind::Control));
        assert!(words[0].starts_with("/w/.envrc ") && words[1].starts_with("/w/x/.vscode "), "{words:?}");
        assert!(words[1].contains("still there"), "{words:?}");
        let without_names = note_without_names(&left(WrittenKind::Control)).unwrap();
        assert!(
            !without_names.contains(".vscode") && without_names.contains("still there"),
            "{without_names}"
        );
        assert_eq!(note_without_names(&left(WrittenKind::Config)), None);
    }
}
