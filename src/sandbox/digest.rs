//! What a program is: the digest of its file, and those of the interpreters that it names.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{
        ffi::OsStringExt,
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Access, OFlags, access};
use sha2::{Digest, Sha256};

/// The longest first line that a kernel reads (execve(2), "Interpreter scripts").
const LONGEST_LINE: u64 = 255;
/// The deepest that scripts may name scripts (execve(2)).
const DEEPEST: usize = 4;

/// The largest program: a file with nothing in it may claim any length, and digesting it would take for ever.
const LARGEST: u64 = 4 << 30;

/// SHA-256 of a program's file. Modules that it loads are not covered.
///
/// # Errors
/// Of the operating system.
pub(crate) fn digest_program(path: &Path) -> io::Result<[u8; 32]> {
    copy(&mut open_regular(path)?, &mut io::sink())
}

/// Opens a regular file, waiting for nobody: a first line may name a pipe, or a device without an end.
fn open_regular(path: &Path) -> io::Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    let file = File::options().read(true).custom_flags(nonblocking).open(path)?;
    regular(&file)?;
    Ok(file)
}

/// Whether a program can lie in what is open.
///
/// # Errors
/// It is no regular file, or a larger one than any program.
pub(crate) fn regular(file: &File) -> io::Result<()> {
    let found = file.metadata()?;
    if found.is_file() && found.len() <= LARGEST { Ok(()) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

/// Copies a file; the SHA-256 of what was copied.
pub(crate) fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    io::copy(from, &mut Both(&mut hash, to))?;
    Ok(hash.finalize().into())
}

struct Both<'a, W>(&'a mut Sha256, &'a mut W);

impl<W: Write> Write for Both<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write_all(bytes)?;
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}

/// A program and the interpreters that run it, each by its real path: what has to be what it was for the run
/// to be what was decided. `search` is the PATH of the run, for `#!/usr/bin/env NAME`.
pub(crate) fn program_chain(program: &Path, search: &[PathBuf]) -> Vec<PathBuf> {
    let mut chain = Vec::new();
    let mut waiting = vec![program.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(real) = fs::canonicalize(&path) else { continue };
        if chain.len() < DEEPEST && !chain.contains(&real) && real.is_file() {
            waiting.extend(interpreters(&real, search));
            chain.push(real);
        }
    }
    chain
}

/// What the first line of a script names.
fn interpreters(script: &Path, search: &[PathBuf]) -> Vec<PathBuf> {
    let Ok(file) = open_regular(script) else { return Vec::new() };
    let mut line = Vec::new();
    let mut reader = BufReader::new(file.take(LONGEST_LINE));
    if reader.read_until(b'\n', &mut line).is_err() || !line.starts_with(b"#!") {
        return Vec::new();
    }
    let line = line[2..].trim_ascii();
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let path = |word: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(word.to_vec()));
    let Some(interpreter) = words.next().map(path) else { return Vec::new() };
    let by_env = interpreter.file_name().is_some_and(|name| name == "env");
    let named = words.find(|word| by_env && !word.starts_with(b"-") && !word.contains(&b'=')).map(path);
    let found = named.and_then(|name| search.iter().map(|dir| dir.join(&name)).find(|path| path.is_file()));
    std::iter::once(interpreter).chain(found).collect()
}

/// Whether another process of this user, who is not root, could put something else where a file is. Root can
/// always: what root runs changes only where it is pinned.
pub(crate) fn may_change(path: &Path) -> bool {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return false;
    }
    let ours = |path: &Path| {
        access(path, Access::WRITE_OK).is_ok()
            || fs::metadata(path).is_ok_and(|found| found.uid() == user.as_raw())
    };
    path.ancestors().any(ours)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_first_line_that_names_no_file_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let pipe = dir.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        for interpreter in [pipe.to_str().unwrap(), "/dev/zero", dir.to_str().unwrap()] {
            let script = dir.join("script");
            fs::write(&script, format!("#!{interpreter}\n")).unwrap();
            assert_eq!(program_chain(&script, &[]), std::slice::from_ref(&script), "{interpreter}");
            assert!(digest_program(Path::new(interpreter)).is_err(), "{interpreter}");
        }
        let hollow = dir.join("hollow");
        File::create(&hollow).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(digest_program(&hollow).is_err());
    }

    #[test]
    fn a_script_brings_its_interpreters() {
        let dir = tempfile::tempdir().unwrap();
        let dir = fs::canonicalize(dir.path()).unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let tool = file("tool", "\x7fELF");
        let direct = file("direct", &format!("#! {} -x\n", tool.display()));
        let by_env = file("by-env", "#!/usr/bin/env -S A=b tool -y\n");
        let real = fs::canonicalize("/usr/bin/env").unwrap();
        assert_eq!(program_chain(&tool, &[]), std::slice::from_ref(&tool));
        assert_eq!(program_chain(&direct, &[]), [direct, tool.clone()]);
        let mut chain = program_chain(&by_env, std::slice::from_ref(&dir));
        chain.sort();
        let mut expected = vec![by_env, tool.clone(), real];
        expected.sort();
        assert_eq!(chain, expected);
        let looped = file("looped", &format!("#!{}\n", dir.join("looped").display()));
        assert_eq!(program_chain(&looped, &[]), [looped]);
        std::os::unix::fs::symlink(&tool, dir.join("link")).unwrap();
        assert_eq!(program_chain(&dir.join("link"), &[]), [tool]);
    }
}
