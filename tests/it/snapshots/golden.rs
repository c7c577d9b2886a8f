//! Texts that are kept in `tests/snapshots`, and what is different from them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// Lines that are shown before and after a difference.
const CONTEXT: usize = 2;

pub(super) fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Holds texts, each against the file of its name.
#[track_caller]
pub(super) fn hold<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) {
    let mut wrong = String::new();
    for (name, text) in texts {
        let path = dir().join(name);
        if std::env::var_os("AUTHY_MCP_UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        if kept != text {
            let _ = write!(wrong, "\ntests/snapshots/{name}\n{}", difference(&kept, text));
        }
    }
    assert!(wrong.is_empty(), "{wrong}\nif that is meant: AUTHY_MCP_UPDATE=1 cargo test --test it snapshots");
}

/// No file of a directory is left that no test makes.
#[track_caller]
pub(super) fn only(below: &str, names: &[String]) {
    for entry in fs::read_dir(dir().join(below)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&format!("{below}/{name}")), "{below}/{name} is made by nothing");
    }
}

/// The lines that differ, `-` as kept and `+` as they are now, with a little around them.
fn difference(kept: &str, now: &str) -> String {
    let (kept, now): (Vec<&str>, Vec<&str>) = (kept.lines().collect(), now.lines().collect());
    let marked = marked(&kept, &now);
    let near = |at: usize| {
        let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(marked.len());
        marked[around].iter().any(|(mark, _)| *mark != ' ')
    };
    let shown = (0..marked.len()).filter(|at| near(*at)).map(|at| {
        let (mark, line) = marked[at];
        let gap = if at > 0 && !near(at - 1) { "  …\n" } else { "" };
        format!("{gap}{mark} {line}\n")
    });
    shown.collect()
}

/// Every line once, by the longest common subsequence.
fn marked<'a>(kept: &[&'a str], now: &[&'a str]) -> Vec<(char, &'a str)> {
    let mut common = vec![vec![0_usize; now.len() + 1]; kept.len() + 1];
    for (a, old) in kept.iter().enumerate().rev() {
        for (b, new) in now.iter().enumerate().rev() {
            common[a][b] =
                if old == new { common[a + 1][b + 1] + 1 } else { common[a + 1][b].max(common[a][b + 1]) };
        }
    }
    let (mut a, mut b, mut lines) = (0, 0, Vec::new());
    while a < kept.len() || b < now.len() {
        if a < kept.len() && b < now.len() && kept[a] == now[b] {
            lines.push((' ', kept[a]));
            (a, b) = (a + 1, b + 1);
        } else if b == now.len() || (a < kept.len() && common[a + 1][b] >= common[a][b + 1]) {
            lines.push(('-', kept[a]));
            a += 1;
        } else {
            lines.push(('+', now[b]));
            b += 1;
        }
    }
    lines
}

#[test]
fn a_difference_shows_what_was_and_what_is() {
    let kept = "a\nb\nc\nd\ne\nf\ng\n";
    assert_eq!(difference(kept, kept), "");
    assert_eq!(difference(kept, "a\nb\nc\nX\ne\nf\ng\n"), "  …\n  b\n  c\n- d\n+ X\n  e\n  f\n");
    assert_eq!(difference("", "new\n"), "+ new\n");
}
