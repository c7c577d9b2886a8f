//! Argv patterns: one element an argument.
//!
//! `*` inside an element is a glob. An argument that begins with `-` or `\` is matched only by an element
//! that begins with the same: `*` never lets an option or a psql meta-command through. `**`, last only,
//! matches any rest, also none. An element with a `/` names a place, and its `*` never climbs out of it:
//! `reports/*.sql` does not cover `reports/../secrets.sql`.

use std::path::Path;

use crate::name::glob_matches;

/// One pattern over a whole command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgvPattern {
    /// The program: a bare name or an absolute path, no glob.
    pub program: String,
    /// The arguments' patterns.
    pub args: Vec<String>,
    /// Whether `**` stands at the end.
    pub any_rest: bool,
}

/// What is wrong with a pattern; completes "the command pattern …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
}

impl ArgvPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`ArgvError`].
    pub fn parse(elements: &[String]) -> Result<Self, ArgvError> {
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
        Ok(Self { program: program.clone(), args: args.to_vec(), any_rest })
    }

    /// The pattern as it was written.
    pub fn elements(&self) -> Vec<String> {
        let rest = self.any_rest.then(|| "**".to_owned());
        std::iter::once(&self.program).chain(&self.args).cloned().chain(rest).collect()
    }

    /// Whether a command is covered; its program may be written as here, or as the path that this
    /// program was resolved to.
    pub fn matches(&self, command: &[String], resolved: Option<&Path>) -> bool {
        let Some((program, args)) = command.split_first() else { return false };
        let same_program =
            *program == self.program || resolved.is_some_and(|path| path.as_os_str() == program.as_str());
        let fits = if self.any_rest { args.len() >= self.args.len() } else { args.len() == self.args.len() };
        same_program && fits && self.args.iter().zip(args).all(|(element, arg)| element_matches(element, arg))
    }

    /// A command that the pattern covers.
    pub fn example(&self) -> Vec<String> {
        let args = self.args.iter().map(|element| match element.as_str() {
            "*" => "example".to_owned(),
            element => element.replace('*', "example"),
        });
        std::iter::once(self.program.clone()).chain(args).collect()
    }

    /// Whether every argument is written out.
    pub fn is_literal(&self) -> bool {
        !self.any_rest && self.args.iter().all(|element| !element.contains('*'))
    }
}

fn element_matches(element: &str, arg: &str) -> bool {
    let guarded = |c: char| matches!(c, '-' | '\\');
    match arg.chars().next().filter(|c| guarded(*c)) {
        Some(first) if !element.starts_with(first) => false,
        _ if element.contains('/') && climbs(arg) > climbs(element) => false,
        _ => glob_matches(element, arg),
    }
}

/// How many segments of a path or URL are `..`, also with its dots percent-encoded, as URLs may have them.
fn climbs(text: &str) -> usize {
    let plain = text.replace("%2e", ".").replace("%2E", ".");
    plain.split(['/', '\\', '?', '#', '=']).filter(|segment| *segment == "..").count()
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
