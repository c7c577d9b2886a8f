//! Argv patterns: one element an argument.
//!
//! `*` inside an element is a glob that stays where its element says ([`super::confine`]), a `{type:…}` is a choice
//! within bounds ([`super::typed`]), and all else stands for itself. An argument that begins with `-`, `\\`, `@`, `+` or
//! `|` is matched only by an element that begins with the same: `*` never lets an option, a psql meta-command or a file
//! of arguments through. `**`, last only, matches any rest, also none, whatever it begins with.

use std::path::Path;

use super::{
    confine,
    typed::{self, PathGlob, Piece},
};
use crate::names::SecretName;

/// One pattern over a whole command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgvPattern {
    /// The program: a bare name or an absolute path, no glob.
    pub program: String,
    /// The arguments' patterns.
    pub args: Vec<Element>,
    /// Whether `**` stands at the end.
    pub any_rest: bool,
}

/// What one argument may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    written: String,
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// Exactly this.
    Literal(String),
    /// With `*` in it.
    Glob(String),
    /// With typed placeholders in it.
    Typed(Vec<Piece>),
}

/// What braces in a pattern mean.
#[derive(Clone, Copy)]
pub(super) enum Braces<'a> {
    /// Themselves: what they were in policies that were applied before there were types.
    Themselves,
    /// Types; `{{NAME}}` is itself where this says that NAME is a sealed secret's, and doubled ones stand for one.
    Types(&'a dyn Fn(&SecretName) -> bool),
}

/// What is wrong with a pattern; completes "the command pattern …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// No program.
    #[error("names no program")]
    Empty,
    /// A glob where the program stands.
    #[error("has a glob for its program: name the program itself, or write commands = \"any\"")]
    GlobProgram,
    /// A path that depends on where one is.
    #[error("names its program by a relative path: write a bare name or an absolute path")]
    RelativeProgram,
    /// `**` in the middle.
    #[error("has ** before its end: it stands for any rest, so only last")]
    RestNotLast,
    /// A NUL byte.
    #[error("has a NUL byte")]
    Nul,
    /// A placeholder that is none.
    #[error("has {element:?}: {why}")]
    Placeholder {
        /// Where.
        element: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl ArgvPattern {
    /// Reads a pattern by itself, outside of any rule: no secret is sealed in it.
    ///
    /// # Errors
    /// [`ArgvError`].
    pub fn parse(elements: &[String]) -> Result<Self, ArgvError> {
        Self::parse_with(elements, Braces::Types(&|_| false))
    }

    pub(super) fn parse_with(elements: &[String], braces: Braces<'_>) -> Result<Self, ArgvError> {
        let (program, rest) = elements.split_first().ok_or(ArgvError::Empty)?;
        if elements.iter().any(|element| element.contains('\0')) {
            return Err(ArgvError::Nul);
        }
        check_program(program)?;
        let any_rest = rest.last().is_some_and(|last| last == "**");
        let args = if any_rest { &rest[..rest.len() - 1] } else { rest };
        if args.iter().any(|element| element == "**") {
            return Err(ArgvError::RestNotLast);
        }
        let args = args.iter().map(|text| Element::parse(text, braces)).collect::<Result<_, _>>()?;
        Ok(Self { program: program.clone(), args, any_rest })
    }

    /// The pattern as it was written.
    pub fn elements(&self) -> Vec<String> {
        let rest = self.any_rest.then(|| "**".to_owned());
        let args = self.args.iter().map(|element| element.written.clone());
        std::iter::once(self.program.clone()).chain(args).chain(rest).collect()
    }

    /// Whether a command is covered; its program may be written as here, or as the path that this
    /// program was resolved to.
    pub fn matches(&self, command: &[String], resolved: Option<&Path>) -> bool {
        let Some((program, args)) = command.split_first() else { return false };
        let same_program =
            *program == self.program || resolved.is_some_and(|path| path.as_os_str() == program.as_str());
        let fits = if self.any_rest { args.len() >= self.args.len() } else { args.len() == self.args.len() };
        same_program && fits && self.args.iter().zip(args).all(|(element, arg)| element.covers(arg))
    }

    /// The arguments that are written out.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.args.iter().filter_map(Element::literal)
    }

    /// The paths that a covered command names by a `{path:…}`, with what each must still fit once links are
    /// followed.
    pub(super) fn paths(&self, command: &[String]) -> Vec<(PathGlob, String)> {
        let args = self.args.iter().zip(command.iter().skip(1));
        args.flat_map(|(element, arg)| element.paths(arg)).collect()
    }

    /// A command that the pattern covers.
    pub fn example(&self) -> Vec<String> {
        std::iter::once(self.program.clone()).chain(self.args.iter().map(Element::example)).collect()
    }

    /// The first element by which a call chooses a text of its own.
    pub(super) fn free(&self) -> Option<&str> {
        let first = self.args.iter().find(|element| element.is_free()).map(Element::as_str);
        first.or_else(|| self.any_rest.then_some("**"))
    }
}

impl Element {
    pub(super) fn parse(text: &str, braces: Braces<'_>) -> Result<Self, ArgvError> {
        let wrong = |why| ArgvError::Placeholder { element: text.to_owned(), why };
        let mut pieces = pieces(text, braces).map_err(wrong)?;
        let shape = match pieces.as_mut_slice() {
            [] => Shape::Literal(String::new()),
            [Piece::Text(plain)] if plain.contains('*') => Shape::Glob(std::mem::take(plain)),
            [Piece::Text(plain)] => Shape::Literal(std::mem::take(plain)),
            several => {
                let (_, before) = several.split_last().ok_or_else(|| wrong("it is empty"))?;
                if before.iter().any(|piece| matches!(piece, Piece::Path(_))) {
                    return Err(wrong("nothing can follow a path"));
                }
                if pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('*'))) {
                    return Err(wrong("a * beside a type would take its bounds away"));
                }
                Shape::Typed(pieces)
            }
        };
        Ok(Self { written: text.to_owned(), shape })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether it stands for an argument.
    pub fn covers(&self, argument: &str) -> bool {
        match &self.shape {
            Shape::Literal(text) => text == argument,
            Shape::Glob(glob) => confine::covers(glob, argument),
            Shape::Typed(pieces) => typed::fits(pieces, argument),
        }
    }

    /// Whether a call chooses nothing of it.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.shape {
            Shape::Literal(text) => Some(text),
            Shape::Glob(_) | Shape::Typed(_) => None,
        }
    }

    /// Whether a call chooses a text of its own for it.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.shape, Shape::Glob(_))
    }

    /// Whether a call names a file by it.
    pub(super) fn has_path(&self) -> bool {
        self.typed().is_some_and(|pieces| pieces.iter().any(|piece| matches!(piece, Piece::Path(_))))
    }

    /// Its pieces, where it has types.
    pub(super) fn typed(&self) -> Option<&[Piece]> {
        match &self.shape {
            Shape::Typed(pieces) => Some(pieces),
            Shape::Literal(_) | Shape::Glob(_) => None,
        }
    }

    /// Whether its `*` stands for any text, wherever that leads.
    pub(super) fn names_no_place(&self) -> bool {
        matches!(&self.shape, Shape::Glob(glob) if confine::names_no_place(glob))
    }

    pub(super) fn paths(&self, argument: &str) -> Vec<(PathGlob, String)> {
        let found = self.typed().map(|pieces| typed::paths(pieces, argument)).unwrap_or_default();
        found.into_iter().map(|(glob, path)| (glob.clone(), path.to_owned())).collect()
    }

    fn example(&self) -> String {
        match &self.shape {
            Shape::Literal(text) => text.clone(),
            Shape::Glob(glob) => confine::example(glob),
            Shape::Typed(pieces) => typed::example(pieces),
        }
    }
}

/// Takes an element apart at its braces.
fn pieces(text: &str, braces: Braces<'_>) -> Result<Vec<Piece>, &'static str> {
    let Braces::Types(sealed) = braces else { return Ok(vec![Piece::Text(text.to_owned())]) };
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest.strip_prefix("{{").and_then(|inner| inner.split_once("}}"));
        let reference = reference.filter(|(name, _)| SecretName::parse(name).is_ok_and(|name| sealed(&name)));
        if let Some((name, later)) = reference {
            plain.push_str(&format!("{{{{{name}}}}}"));
            rest = later;
        } else if let Some(later) = rest.strip_prefix("{{") {
            plain.push('{');
            rest = later;
        } else if let Some(later) = rest.strip_prefix("}}") {
            plain.push('}');
            rest = later;
        } else {
            let inner = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (inner, later) = inner.ok_or("a brace without its other: write {{ and }} for braces")?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(typed::placeholder(inner)?);
            rest = later;
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

/// A text as a pattern's element that stands for it and nothing else.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

fn check_program(program: &str) -> Result<(), ArgvError> {
    if program.is_empty() {
        return Err(ArgvError::Empty);
    }
    if program.contains('*') {
        return Err(ArgvError::GlobProgram);
    }
    let path = Path::new(program);
    let dotted = path
        .components()
        .any(|c| matches!(c, std::path::Component::ParentDir | std::path::Component::CurDir));
    if program.contains('/') && (!path.is_absolute() || dotted) {
        return Err(ArgvError::RelativeProgram);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        line.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn patterns_cover_commands() {
        for (pattern, command, covered) in [
            (&["npm", "test"][..], &["npm", "test"][..], true),
            (&["npm", "test"], &["npm"], false),
            (&["npm", "test"], &["npm", "test", "--", "x"], false),
            (&["npm", "test"], &["npm", "Test"], false),
            (&["npm", "test"], &["/usr/bin/prog", "test"], true),
            (&["npm", "test"], &["/tmp/npm", "test"], false),
            (&["npm", "test"], &["./npm", "test"], false),
            (&["npm", "test"], &["../bin/npm", "test"], false),
            (&["npm", "test"], &["npm ", "test"], false),
            (&["curl", "**"], &["curl"], true),
            (&["curl", "**"], &["curl", "-o", "x", "y"], true),
            (&["curl", "-s", "**"], &["curl"], false),
            (&["psql", "-c", "*"], &["psql", "-c", "select 1"], true),
            (&["psql", "-c", "*"], &["psql", "-c", "\\! env"], false),
            (&["psql", "-c", "*"], &["psql", "-c", "-f"], false),
            (&["psql", "-c", "\\d*"], &["psql", "-c", "\\d users"], true),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/a.sql"], true),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/a.sql.sh"], false),
            (&["psql", "-f", "r/*.sql"], &["psql", "-fr/a.sql"], false),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/2026/a.sql"], true),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/../a.sql"], false),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/../../home/x/a.sql"], false),
            (&["psql", "-f", "r/*.sql"], &["psql", "-f", "r/..a/b..sql"], true),
            (&["psql", "-f", "../r/*.sql"], &["psql", "-f", "../r/a.sql"], true),
            (&["psql", "-f", "../r/*.sql"], &["psql", "-f", "../r/../a.sql"], false),
            (&["psql", "--file=r/*"], &["psql", "--file=r/../a"], false),
            (&["curl", "https://h/v1/*"], &["curl", "https://h/v1/../admin"], false),
            (&["curl", "https://h/v1/*"], &["curl", "https://h/v1/%2e%2E/admin"], false),
            (&["psql", "-*"], &["psql", "-x"], true),
            (&["psql", "*"], &["psql", ""], true),
            (&["psql", "*"], &["psql", "--command=x"], false),
            (&["psql", "*"], &["psql", "a", "b"], false),
            (&["psql", "*"], &["psql", "a\nb"], true),
        ] {
            let pattern = ArgvPattern::parse(&words(pattern)).unwrap();
            let resolved = Path::new("/usr/bin/prog");
            assert_eq!(pattern.matches(&words(command), Some(resolved)), covered, "{pattern:?} {command:?}");
        }
    }

    #[test]
    fn patterns_that_are_none() {
        for (pattern, error) in [
            (&[][..], ArgvError::Empty),
            (&[""], ArgvError::Empty),
            (&["*", "x"], ArgvError::GlobProgram),
            (&["./x"], ArgvError::RelativeProgram),
            (&["bin/x"], ArgvError::RelativeProgram),
            (&["/usr/../x"], ArgvError::RelativeProgram),
            (&["x", "**", "y"], ArgvError::RestNotLast),
            (&["x", "a\0b"], ArgvError::Nul),
        ] {
            assert_eq!(ArgvPattern::parse(&words(pattern)), Err(error), "{pattern:?}");
        }
    }

    #[test]
    fn examples_are_covered() {
        for pattern in [&["a", "*", "x*y", "**"][..], &["a"], &["a", "-*"]] {
            let pattern = ArgvPattern::parse(&words(pattern)).unwrap();
            assert!(pattern.matches(&pattern.example(), None));
        }
    }
}
