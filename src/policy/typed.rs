//! Typed placeholders: what a call may choose of an argument, said by the policy.
//!
//! `{int:1..100}`, `{enum:debug|info}`, `{host:a.example.com|*.corp}`, `{path:reports/*.sql}`. None of them lets a
//! call write an option, leave a directory by `..`, or name a host of somebody else. Where a path really leads
//! is looked at when the run starts, by whoever may look at files.

use std::path::{Path, PathBuf};

use crate::names::glob_matches;

/// Characters that begin an argument which programs take for more than a text: an option, a meta-command, a file of
/// arguments, a command.
pub(super) const GUARDED: [char; 5] = ['-', '\\', '@', '+', '|'];

/// The longest path that a kernel takes (PATH_MAX).
const LONGEST_PATH: usize = 4096;

/// A part of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Text(String),
    /// A whole number in this range, in decimal, without a sign or leading zeros.
    Int(u64, u64),
    /// One of these.
    Enum(Vec<String>),
    /// One of these hosts.
    Host(Vec<Host>),
    /// A path; only at the end of an element.
    Path(PathGlob),
}

/// A host that a call may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// This one, lower-case.
    Exactly(String),
    /// Those below this one, lower-case.
    Below(String),
}

/// Paths: `*` within a segment, `**` for any number of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGlob {
    /// Whether it begins at the root.
    rooted: bool,
    segments: Vec<String>,
}

/// Reads what stands between the braces.
///
/// # Errors
/// What is wrong with it; completes "the command pattern has {…}: …".
pub(super) fn placeholder(inner: &str) -> Result<Piece, &'static str> {
    let (kind, rest) = inner.split_once(':').unwrap_or((inner, ""));
    match kind {
        "int" => int(rest),
        "enum" => choices(rest).map(Piece::Enum),
        "host" => choices(rest)?.iter().map(|text| host(text)).collect::<Result<_, _>>().map(Piece::Host),
        "path" => PathGlob::parse(rest).map(Piece::Path),
        _ => Err(
            "no such type: {int:1..100}, {enum:a|b}, {host:a|b} and {path:DIR/*.sql} are the types; write {{ and }} for braces",
        ),
    }
}

fn int(range: &str) -> Result<Piece, &'static str> {
    const WRONG: &str = "an int needs its range, two numbers from 0: {int:1..100}";
    let (low, high) = range.split_once("..").ok_or(WRONG)?;
    match (number(low), number(high)) {
        (Some(low), Some(high)) if low <= high => Ok(Piece::Int(low, high)),
        _ => Err(WRONG),
    }
}

/// A number as programs agree on it: a leading zero is octal to some, and a sign an option.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn choices(text: &str) -> Result<Vec<String>, &'static str> {
    let all: Vec<String> = text.split('|').map(str::to_owned).collect();
    if all.iter().any(|choice| choice.is_empty() || choice.contains('\0')) {
        return Err("each choice is a text, as in {enum:debug|info}");
    }
    Ok(all)
}

fn host(text: &str) -> Result<Host, &'static str> {
    let lower = text.to_ascii_lowercase();
    let (below, name) = match lower.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, lower.as_str()),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err("a host is a name like api.example.com, or *.example.com for those below it");
    }
    if !below {
        return Ok(Host::Exactly(name.to_owned()));
    }
    if others_register_below(name) {
        return Err("anybody can have a name below that wildcard, so name each host");
    }
    Ok(Host::Below(name.to_owned()))
}

/// Whether strangers can have a name directly below one: a public suffix, be it a registry's (`com`) or a service's
/// (`github.io`). A name below no known suffix (`corp`) is of a private network.
fn others_register_below(name: &str) -> bool {
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    numeric || psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix == name)
}

/// Whether a name is of a private network: below no suffix that anybody registers at.
fn is_private(name: &str) -> bool {
    psl::suffix(name.as_bytes()).is_none_or(|suffix| !suffix.is_known())
}

impl Host {
    /// Whether a text (lower-case) is a host that this stands for. Below a public name it is one label only: deeper,
    /// other suffixes may begin (`*.amazonaws.com` is not a bucket's host).
    fn covers(&self, text: &str) -> bool {
        match self {
            Self::Exactly(name) => text == name,
            Self::Below(name) => text
                .strip_suffix(name.as_str())
                .and_then(|front| front.strip_suffix('.'))
                .is_some_and(|front| labels(front) && (is_private(name) || !front.contains('.'))),
        }
    }

    fn example(&self) -> String {
        match self {
            Self::Exactly(name) => name.clone(),
            Self::Below(name) => format!("example.{name}"),
        }
    }
}

fn labels(text: &str) -> bool {
    text.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

impl PathGlob {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let rooted = text.starts_with('/');
        let segments: Vec<String> = text.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let odd = |segment: &String| matches!(segment.as_str(), "" | "." | "..");
        if text.starts_with("//") || segments.iter().any(odd) || text.contains(char::is_control) {
            return Err("a path has no empty, . or .. parts");
        }
        if text.starts_with('~') {
            return Err(
                "no shell replaces ~ in an argument: write the whole path, or one from where runs start",
            );
        }
        let deep = segments.iter().filter(|segment| segment.contains("**"));
        if deep.clone().count() > 1 || deep.into_iter().any(|segment| segment != "**") {
            return Err("** stands for whole parts of a path, once, as in {path:reports/**/*.sql}");
        }
        Ok(Self { rooted, segments })
    }

    /// Whether a path's text fits. Nothing here follows links.
    pub fn fits(&self, text: &str) -> bool {
        let rest = if self.rooted { text.strip_prefix('/') } else { Some(text) };
        let Some(rest) = rest else { return false };
        let segments: Vec<&str> = rest.split('/').collect();
        let odd = |segment: &&str| matches!(*segment, "" | "." | "..");
        let guarded = !self.rooted
            && rest.starts_with(|c| GUARDED.contains(&c) || c == '~')
            && !self.segments[0].starts_with(&rest[..1]);
        !guarded
            && text.len() <= LONGEST_PATH
            && !segments.iter().any(odd)
            && !text.contains(char::is_control)
            && segments_fit(&self.segments, &segments)
    }

    /// Whether what lies below its directory fits, once links are followed.
    pub fn fits_below(&self, below: &Path) -> bool {
        let segments: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        segments.is_some_and(|segments| segments_fit(&self.segments[self.fixed()..], &segments))
    }

    /// The directory that it names, without a glob; empty for the one where the run starts.
    pub fn directory(&self) -> PathBuf {
        let root = if self.rooted { "/" } else { "" };
        Path::new(root).join(self.segments[..self.fixed()].iter().collect::<PathBuf>())
    }

    /// How many segments before the file's own have no glob.
    fn fixed(&self) -> usize {
        let globbed = self.segments.iter().position(|segment| segment.contains('*'));
        globbed.unwrap_or(self.segments.len() - 1)
    }

    fn example(&self) -> String {
        let root = if self.rooted { "/" } else { "" };
        let segments = self.segments.iter().map(|segment| match segment.as_str() {
            "**" => "example".to_owned(),
            segment => segment.replace('*', "example"),
        });
        format!("{root}{}", segments.collect::<Vec<_>>().join("/"))
    }
}

fn segments_fit(pattern: &[String], segments: &[&str]) -> bool {
    match pattern.split_first() {
        None => segments.is_empty(),
        Some((first, later)) if first == "**" => {
            (0..=segments.len()).any(|skipped| segments_fit(later, &segments[skipped..]))
        }
        Some((first, later)) => match segments.split_first() {
            Some((segment, rest)) => glob_matches(first, segment) && segments_fit(later, rest),
            None => false,
        },
    }
}

/// Whether a text is what the pieces stand for. Every place where one piece may end is kept, so that no choice of
/// an earlier one hides a match.
pub(super) fn fits(pieces: &[Piece], text: &str) -> bool {
    reached(pieces, text).contains(&text.len())
}

/// The paths that a text may mean, with what each must fit.
pub(super) fn paths<'a>(pieces: &'a [Piece], text: &'a str) -> Vec<(&'a PathGlob, &'a str)> {
    let Some((Piece::Path(glob), before)) = pieces.split_last() else { return Vec::new() };
    let begins = reached(before, text).into_iter();
    begins.map(|at| (glob, &text[at..])).filter(|(glob, path)| glob.fits(path)).collect()
}

fn reached(pieces: &[Piece], text: &str) -> Vec<usize> {
    let mut places = vec![0];
    for piece in pieces {
        let mut next: Vec<usize> = places.iter().flat_map(|at| ends(piece, text, *at)).collect();
        next.sort_unstable();
        next.dedup();
        places = next;
    }
    places
}

/// Where a piece that begins at a place may end.
fn ends(piece: &Piece, text: &str, at: usize) -> Vec<usize> {
    let rest = &text[at..];
    let run = |fits: fn(u8) -> bool, most: usize| rest.bytes().take(most).take_while(|b| fits(*b)).count();
    let lengths: Vec<usize> = match piece {
        Piece::Text(own) => Some(own.len()).filter(|_| rest.starts_with(own.as_str())).into_iter().collect(),
        Piece::Enum(choices) => {
            choices.iter().filter(|choice| rest.starts_with(choice.as_str())).map(String::len).collect()
        }
        Piece::Int(low, high) => (1..=run(|b| b.is_ascii_digit(), 20))
            .filter(|length| number(&rest[..*length]).is_some_and(|n| (*low..=*high).contains(&n)))
            .collect(),
        Piece::Host(hosts) => (1..=run(|b| b.is_ascii_alphanumeric() || b".-".contains(&b), 253))
            .filter(|length| {
                let name = rest[..*length].to_ascii_lowercase();
                hosts.iter().any(|host| host.covers(&name))
            })
            .collect(),
        Piece::Path(glob) => Some(rest.len()).filter(|_| glob.fits(rest)).into_iter().collect(),
    };
    lengths.into_iter().map(|length| at + length).collect()
}

/// A text that the pieces stand for.
pub(super) fn example(pieces: &[Piece]) -> String {
    let example = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Int(low, _) => low.to_string(),
        Piece::Enum(choices) => choices[0].clone(),
        Piece::Host(hosts) => hosts[0].example(),
        Piece::Path(glob) => glob.example(),
    };
    pieces.iter().map(example).collect()
}
