//! The token in a file: whoever can read it has what its scope allows.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::{
    broker::{Bearer, Credential},
    files,
};

/// No token is as long as this.
const MOST: u64 = 64 * 1024;

/// The token in a file that nobody else can read. A pipe or a device in its place is named, and not waited for.
pub(super) fn token_from(path: &Path) -> Credential {
    let unreadable = |error: io::Error| {
        Credential::missing(format!("the token file {} can't be read: {error}", path.display()))
    };
    match opened(path) {
        Err(error) => unreadable(error),
        // Of the file that is read, which another may be put in the place of.
        Ok((_, true)) => Credential::Missing {
            why: format!("the token file {} can be read by others", path.display()),
            hint: shlex::try_join(["chmod", "600", &path.to_string_lossy()]).unwrap_or_default(),
        },
        Ok((file, false)) => match text(&file) {
            Ok(text) => Credential::Token(Bearer::of_process(SecretString::from(text.trim()))),
            Err(error) => unreadable(error),
        },
    }
}

/// The file, and whether others can read or write it. It may stand behind links, as mounted secrets do.
fn opened(path: &Path) -> io::Result<(File, bool)> {
    let file = files::open_regular(&fs::canonicalize(path)?)?;
    let open = file.metadata()?.permissions().mode() & 0o077 != 0;
    Ok((file, open))
}

fn text(file: &File) -> io::Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(files::read_at_most(file, MOST)?);
    let text = std::str::from_utf8(&bytes);
    text.map(|text| Zeroizing::new(text.to_owned())).map_err(|_| io::Error::other("it is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why a file is not taken.
    fn refused(path: &Path) -> String {
        match token_from(path) {
            Credential::Missing { why, .. } => why,
            _ => panic!("{} was taken", path.display()),
        }
    }

    fn written(path: &Path, bytes: &[u8], mode: u32) {
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn only_a_regular_file_of_bounded_size_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert!(refused(&path).ends_with("it is not a regular file"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(refused(&link).ends_with("it is not a regular file"), "a link to a pipe");
        for other in ["/dev/zero", "/dev/null", "/"] {
            assert!(refused(Path::new(other)).ends_with("it is not a regular file"), "{other}");
        }
        fs::remove_file(&path).unwrap();
        assert!(refused(&path).contains("can't be read"));
        written(&path, &vec![b'a'; 64 * 1024 + 1], 0o600);
        assert!(refused(&path).ends_with("it is larger than 65536 bytes"));
        written(&path, b"\xff\xfe", 0o600);
        assert!(refused(&path).ends_with("it is not text"));
        written(&path, b"a.b.c\n", 0o640);
        assert!(refused(&path).ends_with("can be read by others"));
        written(&path, b"a.b.c\n", 0o600);
        for path in [&path, &link] {
            assert!(matches!(token_from(path), Credential::Token(_)), "{}", path.display());
        }
    }
}
