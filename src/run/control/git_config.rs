//! A repository's configuration: what a run may have changed in it, and what is taken back.
//!
//! Git starts what its configuration names, on a plain `git status`. Ordinary commands change that file, too (`git remote
//! add`, `git push -u`), so it can't be closed. What they write is known ([`is_ordinary`]); every other key is afterwards
//! what it was before. The file is read as git itself reads it (git-config(1), "Syntax"; `config.c`).

use std::mem::take;

/// A key as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    section: String,
    subsection: Option<Vec<u8>>,
    key: String,
    /// None: the key alone, which stands for true.
    value: Option<Vec<u8>>,
    /// Where in the text it begins and ends, its line feed included.
    span: (usize, usize),
    standing: Standing,
}

/// Section, subsection, key and value.
type Said<'a> = (&'a str, Option<&'a [u8]>, &'a str, Option<&'a [u8]>);

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It may start something.
    Extraordinary,
    /// It starts nothing, whatever it says.
    Ordinary,
}

/// Whether a repository may have its files laid out there.
pub(super) type WorksIn<'a> = &'a dyn Fn(&[u8]) -> bool;

/// What was taken back of a changed configuration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Undone {
    /// The text that is to stand there.
    pub text: Vec<u8>,
    /// The keys that were set, changed or removed.
    pub keys: Vec<String>,
}

/// What has to be taken back of what a run made of a configuration; nothing where it did what git itself does. What is
/// not as git writes it is taken back as a whole.
pub(super) fn undo(before: &[u8], after: &[u8], works_in: WorksIn<'_>) -> Option<Undone> {
    if before == after {
        return None;
    }
    let whole = || Some(Undone { text: before.to_vec(), keys: Vec::new() });
    let (Some(old), Some(new)) = (read(before, works_in), read(after, works_in)) else { return whole() };
    let keys = changed_keys(&old, &new);
    if keys.is_empty() && extraordinary(&old) == extraordinary(&new) {
        return None;
    }
    let text = merged(before, &old, &new);
    let stands = read(&text, works_in).is_some_and(|merged| extraordinary(&merged) == extraordinary(&old));
    if stands { Some(Undone { text, keys }) } else { whole() }
}

/// Where hooks and further configuration are, as a configuration names them.
pub(super) fn named_files(text: &[u8]) -> Vec<(NamedBy, Vec<u8>)> {
    let entries = read(text, &|_| false).unwrap_or_default().into_iter();
    let named = entries.filter_map(|entry| {
        let by = match (entry.section.as_str(), entry.key.as_str()) {
            ("core", "hookspath") => NamedBy::HooksPath,
            ("include" | "includeif", "path") => NamedBy::Include,
            _ => return None,
        };
        Some((by, entry.value?))
    });
    named.collect()
}

/// Where a configuration says that its files are laid out.
pub(super) fn work_tree(text: &[u8]) -> Option<Vec<u8>> {
    let entries = read(text, &|_| false).unwrap_or_default().into_iter().rev();
    let mut trees =
        entries.filter(|entry| (entry.section.as_str(), entry.key.as_str()) == ("core", "worktree"));
    trees.next()?.value
}

/// What names a file of a configuration's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedBy {
    /// Relative to where somebody works in the repository.
    HooksPath,
    /// Relative to the configuration itself.
    Include,
}

impl Entry {
    /// `remote.origin.url`.
    fn name(&self) -> String {
        let middle = self.subsection.as_ref().map(|sub| format!("{}.", String::from_utf8_lossy(sub)));
        format!("{}.{}{}", self.section, middle.unwrap_or_default(), self.key)
    }

    fn says(&self) -> Said<'_> {
        (&self.section, self.subsection.as_deref(), &self.key, self.value.as_deref())
    }

    fn header(&self) -> Vec<u8> {
        let mut line = format!("[{}", self.section).into_bytes();
        if let Some(subsection) = &self.subsection {
            line.extend(b" \"");
            line.extend(subsection.iter().flat_map(|byte| escaped(*byte, b"\"\\")));
            line.push(b'"');
        }
        line.extend(b"]\n");
        line
    }

    fn line(&self) -> Vec<u8> {
        let mut line = format!("\t{}", self.key).into_bytes();
        if let Some(value) = &self.value {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/.:@+*-_~".contains(byte);
            let quote: &[u8] = if !value.is_empty() && value.iter().all(plain) { b"" } else { b"\"" };
            line.extend(b" = ");
            line.extend(quote);
            line.extend(value.iter().flat_map(|byte| escaped(*byte, b"\"\\\n\t\x08")));
            line.extend(quote);
        }
        line.push(b'\n');
        line
    }
}

fn escaped(byte: u8, special: &[u8]) -> Vec<u8> {
    let letter = match byte {
        b'\n' => b'n',
        b'\t' => b't',
        b'\x08' => b'b',
        other => other,
    };
    if special.contains(&byte) { vec![b'\\', letter] } else { vec![byte] }
}

/// What of a configuration is not ordinary, in its order: of one key the last that is set holds.
fn extraordinary(entries: &[Entry]) -> Vec<Said<'_>> {
    entries.iter().filter(|entry| entry.standing == Standing::Extraordinary).map(Entry::says).collect()
}

fn changed_keys(old: &[Entry], new: &[Entry]) -> Vec<String> {
    let (before, after) = (extraordinary(old), extraordinary(new));
    let set = new
        .iter()
        .filter(|entry| entry.standing == Standing::Extraordinary && !before.contains(&entry.says()));
    let removed = old
        .iter()
        .filter(|entry| entry.standing == Standing::Extraordinary && !after.contains(&entry.says()));
    let mut names: Vec<String> = set.chain(removed).map(Entry::name).collect();
    names.sort();
    names.dedup();
    names
}

/// The text before, with the ordinary keys of the text after.
fn merged(before: &[u8], old: &[Entry], new: &[Entry]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut at = 0;
    // What was taken back leaves what was there before.
    let refused = |entry: &Entry| {
        new.iter().any(|now| now.standing == Standing::Extraordinary && now.name() == entry.name())
    };
    let gone = |entry: &&Entry| {
        entry.standing == Standing::Ordinary
            && !refused(entry)
            && !new.iter().any(|now| now.says() == entry.says())
    };
    for entry in old.iter().filter(gone) {
        text.extend(&before[at..entry.span.0]);
        at = entry.span.1;
    }
    text.extend(&before[at..]);
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    let added = new
        .iter()
        .filter(|now| now.standing == Standing::Ordinary && !old.iter().any(|was| was.says() == now.says()));
    let mut within = None;
    for entry in added {
        if within.replace(entry.header()) != Some(entry.header()) {
            text.extend(entry.header());
        }
        text.extend(entry.line());
    }
    text
}

/// Whether a key starts nothing, whatever it says: what `git init`, `clone`, `remote`, `branch`, `push -u`, `submodule`
/// and the like write, and switches that choose among git's own ways.
fn is_ordinary(entry: &Entry, works_in: WorksIn<'_>) -> bool {
    let value = entry.value.as_deref().unwrap_or(b"true");
    match (entry.section.as_str(), entry.subsection.is_some(), entry.key.as_str()) {
        // Where the files are laid out: of a submodule's repository in the tree that it is part of, and nowhere else.
        ("core", false, "worktree") => works_in(value),
        ("core", false, key) => CORE.contains(&key),
        ("extensions", false, "objectformat" | "refstorage" | "partialclone" | "worktreeconfig") => true,
        ("user", false, "name" | "email") => true,
        ("remote", true, "url" | "pushurl") | ("branch", true, "remote" | "pushremote") => is_address(value),
        ("remote", true, key) => REMOTE.contains(&key),
        ("branch", true, "merge" | "rebase" | "description" | "gh-merge-base" | "vscode-merge-base") => true,
        ("commit", false, "gpgsign") | ("diff", false, "colormoved") => true,
        ("submodule", true, "url") => is_address(value),
        ("submodule", true, "active" | "branch" | "ignore" | "fetchrecursesubmodules") => true,
        // `!command` is the other thing that it takes (git-config(1)).
        ("submodule", true, "update") => matches!(value, b"checkout" | b"rebase" | b"merge" | b"none"),
        ("submodule", false, "active" | "recurse") => true,
        ("init", false, "defaultbranch") | ("pull", false, "rebase" | "ff") => true,
        ("push", false, "default" | "autosetupremote" | "followtags") => true,
        ("fetch", false, "prune" | "prunetags") | ("rerere", false, "enabled" | "autoupdate") => true,
        ("gc", false, "auto") | ("maintenance", false, "auto" | "strategy") => true,
        ("lfs", false, "repositoryformatversion") | ("index", false, "version") => true,
        _ => false,
    }
}

/// Of `core`: what a repository is, and how files are stored. What names programs or other places is not among them.
const CORE: [&str; 17] = [
    "repositoryformatversion",
    "filemode",
    "bare",
    "logallrefupdates",
    "ignorecase",
    "precomposeunicode",
    "symlinks",
    "autocrlf",
    "eol",
    "safecrlf",
    "sparsecheckout",
    "sparsecheckoutcone",
    "commitgraph",
    "preloadindex",
    "untrackedcache",
    "compression",
    "abbrev",
];

/// Of a remote, beside its addresses.
const REMOTE: [&str; 9] = [
    "fetch",
    "push",
    "tagopt",
    "prune",
    "mirror",
    "promisor",
    "partialclonefilter",
    "skipdefaultupdate",
    "gh-resolved",
];

/// Whether an address leads to a host or a directory: `transport::…` and a leading `-` start something
/// (gitremote-helpers(7)).
fn is_address(value: &[u8]) -> bool {
    !value.starts_with(b"-") && !value.windows(2).any(|pair| pair == b"::")
}

/// The keys of a text; nothing where git would refuse it.
fn read(text: &[u8], works_in: WorksIn<'_>) -> Option<Vec<Entry>> {
    let mut reader = Reader { text, at: 0, section: None };
    // A byte order mark of UTF-8 may come first.
    if text.starts_with(b"\xef\xbb\xbf") {
        reader.at = 3;
    }
    let mut entries = Vec::new();
    while let Some(byte) = reader.next() {
        match byte {
            b'\n' | b' ' | b'\t' | b'\r' => {}
            b'#' | b';' => reader.skip_line(),
            b'[' => reader.section = Some(reader.header()?),
            first if first.is_ascii_alphabetic() => {
                let mut entry = reader.entry()?;
                if is_ordinary(&entry, works_in) {
                    entry.standing = Standing::Ordinary;
                }
                entries.push(entry);
            }
            _ => return None,
        }
    }
    Some(entries)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    section: Option<(String, Option<Vec<u8>>)>,
}

impl Reader<'_> {
    /// The next byte; a carriage return before a line feed is none.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (byte, length) = match rest {
            [b'\r', b'\n', ..] => (b'\n', 2),
            [byte, ..] => (*byte, 1),
            [] => return None,
        };
        self.at += length;
        Some(byte)
    }

    /// The same where the end of the text is the end of its line.
    fn next_or_end(&mut self) -> u8 {
        self.next().unwrap_or(b'\n')
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    /// `[section]`, `[section "subsection"]`, or, as it was once written, `[section.subsection]`.
    fn header(&mut self) -> Option<(String, Option<Vec<u8>>)> {
        let mut name = String::new();
        loop {
            match self.next()? {
                b']' => {
                    let (section, subsection) = match name.split_once('.') {
                        Some((section, subsection)) => {
                            (section.to_owned(), Some(subsection.to_owned().into_bytes()))
                        }
                        None => (name, None),
                    };
                    return Some((section, subsection));
                }
                b' ' | b'\t' => return Some((name, Some(self.subsection()?))),
                byte if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') => {
                    name.push(byte.to_ascii_lowercase().into());
                }
                _ => return None,
            }
        }
    }

    fn subsection(&mut self) -> Option<Vec<u8>> {
        let mut byte = self.next()?;
        while matches!(byte, b' ' | b'\t' | b'\r') {
            byte = self.next()?;
        }
        if byte != b'"' {
            return None;
        }
        let mut found = Vec::new();
        loop {
            match self.next()? {
                b'\n' => return None,
                b'"' => return (self.next()? == b']').then_some(found),
                b'\\' => found.push(self.next().filter(|byte| *byte != b'\n')?),
                byte => found.push(byte),
            }
        }
    }

    /// A key and its value, the first letter being read already. A NUL, which git's own strings end at, is refused.
    fn entry(&mut self) -> Option<Entry> {
        let start = self.at - 1;
        let (section, subsection) = self.section.clone()?;
        let mut key = String::from(char::from(self.text[start]).to_ascii_lowercase());
        let mut byte = self.next_or_end();
        while byte.is_ascii_alphanumeric() || byte == b'-' {
            key.push(byte.to_ascii_lowercase().into());
            byte = self.next_or_end();
        }
        while matches!(byte, b' ' | b'\t') {
            byte = self.next_or_end();
        }
        let value = match byte {
            b'\n' => None,
            b'=' => Some(self.value()?),
            _ => return None,
        };
        let blanks = self.text[..start].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t'));
        let span = (start - blanks.count(), self.at);
        let whole = value.as_ref().is_none_or(|value| !value.contains(&0));
        let standing = Standing::Extraordinary;
        whole.then_some(Entry { section, subsection, key, value, span, standing })
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let (mut found, mut blanks, mut quoted) = (Vec::new(), Vec::new(), false);
        loop {
            let byte = self.next_or_end();
            match byte {
                b'\n' if quoted => return None,
                b'\n' => return Some(found),
                b' ' | b'\t' | b'\r' if !quoted => {
                    if !found.is_empty() {
                        blanks.push(byte);
                    }
                    continue;
                }
                b'#' | b';' if !quoted => {
                    self.skip_line();
                    return Some(found);
                }
                _ => found.append(&mut take(&mut blanks)),
            }
            match byte {
                b'"' => quoted = !quoted,
                b'\\' => found.extend(self.after_backslash()?),
                byte => found.push(byte),
            }
        }
    }

    fn after_backslash(&mut self) -> Option<Option<u8>> {
        Some(match self.next_or_end() {
            b'\n' => None,
            b't' => Some(b'\t'),
            b'b' => Some(b'\x08'),
            b'n' => Some(b'\n'),
            byte @ (b'\\' | b'"') => Some(byte),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "[core]\n\trepositoryformatversion = 0\n\thooksPath = /own/hooks\n[alias]\n\tlg = \"log --graph\" ; mine\n\
                          [remote \"origin\"]\n\turl = https://example.com/a.git\n";

    fn after(text: &str) -> Option<(String, Vec<String>)> {
        undo(BEFORE.as_bytes(), text.as_bytes(), &|_| false)
            .map(|undone| (String::from_utf8(undone.text).unwrap(), undone.keys))
    }

    #[test]
    fn what_ordinary_commands_write_stays() {
        let more = [
            "[remote \"up\"]\n\turl = ../up.git\n\tfetch = +refs/heads/*:refs/remotes/up/*\n",
            "[branch \"topic\"]\n\tremote = origin\n\tmerge = refs/heads/topic\n",
            "[user]\n\tname = A\n\temail = a@example.com\n[core]\n\tbare = false\n",
            "[submodule \"x\"]\n\turl = git@example.com:x.git\n\tactive = true\n\tupdate = rebase\n",
            "[remote \"origin\"]\n\tgh-resolved = base\n[branch \"b\"]\n\tgh-merge-base = main\n\tvscode-merge-base = o/m\n",
            "[commit]\n\tgpgsign = true\n[diff]\n\tcolorMoved = zebra\n",
            "# a comment\n\n",
        ];
        for more in more {
            assert_eq!(after(&format!("{BEFORE}{more}")), None, "{more}");
        }
        assert_eq!(after(&BEFORE.replace("a.git", "b.git")), None);
        assert_eq!(after(&BEFORE.replace("\turl = https://example.com/a.git\n", "")), None);
    }

    #[test]
    fn what_starts_programs_is_taken_back_and_the_rest_stays() {
        let keys = [
            ("[core]\n\tfsmonitor = ./x\n", "core.fsmonitor"),
            ("[core]hooksPath=x\n", "core.hookspath"),
            ("[Core]\n\tSSHCommand = x\n", "core.sshcommand"),
            ("[alias]\n\tst = !x\n", "alias.st"),
            ("[alias \"st\"]\n\tcommand = !x\n", "alias.st.command"),
            ("[filter \"f\"]\n\tclean = x\n", "filter.f.clean"),
            ("[filter.f]\n\tclean = x\n", "filter.f.clean"),
            ("[include]\n\tpath = x\n", "include.path"),
            ("[includeIf \"gitdir:/\"]\n\tpath = x\n", "includeif.gitdir:/.path"),
            ("[credential]\n\thelper = !x\n", "credential.helper"),
            ("[url \"ext::x\"]\n\tinsteadOf = https://\n", "url.ext::x.insteadof"),
            ("[remote \"o\"]\n\tuploadpack = x\n", "remote.o.uploadpack"),
            ("[remote \"o\"]\n\turl = ext::sh -c x\n", "remote.o.url"),
            ("[remote \"o\"]\n\turl = -x\n", "remote.o.url"),
            ("[submodule \"s\"]\n\tupdate = !x\n", "submodule.s.update"),
            ("[unheard]\n\tof\n", "unheard.of"),
        ];
        let ordinary = "[branch \"b\"]\n\tremote = origin\n";
        for (more, key) in keys {
            let (text, undone) = after(&format!("{BEFORE}{ordinary}{more}")).unwrap();
            assert_eq!(undone, [key], "{more}");
            assert_eq!(text, format!("{BEFORE}[branch \"b\"]\n\tremote = origin\n"), "{more}");
        }
    }

    #[test]
    fn what_was_the_users_comes_back() {
        let (text, keys) = after(&BEFORE.replace("/own/hooks", "x")).unwrap();
        assert_eq!((text.as_str(), keys), (BEFORE, vec!["core.hookspath".to_owned()]));
        let (text, keys) = after(&BEFORE.replace("https://example.com/a.git", "ext::x")).unwrap();
        assert_eq!((text.as_str(), keys), (BEFORE, vec!["remote.origin.url".to_owned()]));
        let (text, keys) = after("").unwrap();
        let left = BEFORE.replace("\trepositoryformatversion = 0\n", "");
        assert_eq!(text, left.replace("\turl = https://example.com/a.git\n", ""));
        assert_eq!(keys, ["alias.lg", "core.hookspath"]);
        // The same keys in another order: of two the last holds.
        let twice = "[alias]\n\ta = one\n\ta = two\n";
        assert!(undo(twice.as_bytes(), b"[alias]\n\ta = two\n\ta = one\n", &|_| false).is_some());
        // Where a submodule's files are is its repository's to say.
        let tree = b"[core]\n\tworktree = ../x\n";
        assert!(undo(b"", tree, &|_| false).is_some() && undo(b"", tree, &|path| path == b"../x").is_none());
    }

    #[test]
    fn what_git_would_not_read_is_taken_back_as_a_whole() {
        for broken in [
            "[core",
            "x = y\n",
            "[core]\n\t= x\n",
            "[a \"b\n\"]\n",
            "[a]\n\tb = \"x\n",
            "[a]\n\tb = \\x\n",
            "[a]\n\tb = x\0y\n",
        ] {
            assert_eq!(after(broken), Some((BEFORE.to_owned(), Vec::new())), "{broken:?}");
        }
    }

    #[test]
    fn values_are_read_as_git_reads_them() {
        let value = |text: &str| {
            let entries = read(format!("[a]\n\tb = {text}").as_bytes(), &|_| false).unwrap();
            entries[0].value.clone().map(|value| String::from_utf8(value).unwrap()).unwrap()
        };
        for (text, expected) in [
            ("x  y \t", "x  y"),
            ("\" x \"", " x "),
            ("x # y", "x"),
            ("\"x # y\" ; z", "x # y"),
            ("x\\\n  y", "x  y"),
            ("a\\tb\\n\\\"\\\\", "a\tb\n\"\\"),
            ("x\r\n", "x"),
            ("", ""),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
        let named = named_files(b"[core]\n\thooksPath = .hooks\n[include]\n\tpath = ../more\n");
        assert_eq!(
            named,
            [(NamedBy::HooksPath, b".hooks".to_vec()), (NamedBy::Include, b"../more".to_vec())]
        );
    }
}
