//! What every command needs: the home, and the vault opened in the way it is kept.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Globals, failures::unreadable, prompt::Terminal, usage_failure};
use crate::{
    broker::{Hidden, Surroundings, said_last_change},
    daemon::{Client, LocalError, Operator},
    files,
    operator::{Admin, Failure, FailureKind},
    run::ControlNames,
    setup,
    vault::{self, Accepted, Engine, HomeInfo, Memory, UnlockMethod, UnlockMethodKind},
};

/// No passphrase is as long, in KiB.
const LONGEST_PASSPHRASE: usize = 64;

/// Whether a person may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Person,
    Nobody,
}

/// What a command opens the vault for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Work,
    Diagnosis,
}

pub(super) fn home() -> Result<PathBuf, Failure> {
    Ok(setup::home()?)
}

pub(super) fn binary() -> Result<PathBuf, Failure> {
    Ok(setup::binary()?)
}

/// What commands stand on: the vault's own engine, or that of the daemon which keeps it.
pub(super) fn surroundings() -> Surroundings {
    Surroundings { engine: Engine::beside_a_daemon(Arc::new(Operator)), ..Surroundings::default() }
}

/// The operator's side of the home's vault.
pub(super) fn admin(globals: &Globals) -> Result<Admin, Failure> {
    opened(globals, Purpose::Work)
}

/// The operator's side for a command that only says what is there and what is wrong with it: it reads what the daemon
/// refuses, too, and says that first.
pub(super) fn diagnosis(globals: &Globals) -> Result<Admin, Failure> {
    opened(globals, Purpose::Diagnosis)
}

fn opened(globals: &Globals, purpose: Purpose) -> Result<Admin, Failure> {
    let home = home()?;
    let info = info(&home)?;
    let word = ask_if_forgotten(&home, &info)?;
    let opener = opener(globals, &home, &info, Ask::Person)?.ok_or_else(locked)?;
    let refused = refused_by_daemon(globals, &home);
    if info.format < vault::FORMAT {
        nobody_serves(globals, &home)?;
    }
    let mut admin = match (word, purpose, &refused) {
        (_, Purpose::Work, Some(refused)) => return Err(refused.clone()),
        (Word::Accepted, _, None) => {
            Admin::accept(&surroundings(), &home, &opener, &info.fingerprint, Accepted::Pinned)?
        }
        _ => Admin::unlock(&surroundings(), &home, &opener)?,
    };
    say_upgraded(&admin);
    if let Some(refused) = refused {
        admin.refuse(refused);
    }
    Ok(admin)
}

fn say_upgraded(admin: &Admin) {
    if let Some(kept) = admin.upgraded() {
        tracing::warn!(
            "the vault was upgraded to format {}; what was there before is kept in {}",
            vault::FORMAT,
            crate::shown::shown_path(kept)
        );
    }
}

/// Nothing is upgraded under a daemon: it has the format that it knows.
fn nobody_serves(globals: &Globals, home: &Path) -> Result<(), Failure> {
    let socket = super::sockets::socket(globals, home);
    let theirs = match super::runtime()?.block_on(Client::status(&socket)) {
        Err(LocalError::Nobody) => return Ok(()),
        Ok(status) => format!("version {}", status.version),
        Err(_) => "an earlier version".to_owned(),
    };
    Err(Failure::new(
        FailureKind::Busy,
        format!(
            "a daemon of {theirs} has this vault, which this version ({}) is to upgrade",
            env!("CARGO_PKG_VERSION")
        ),
        "authy-mcp lock ends the daemon; then type this again",
    ))
}

/// The operator's side of a vault that is accepted as it is.
pub(super) fn accepted(globals: &Globals, fingerprint: &str, accepted: Accepted) -> Result<Admin, Failure> {
    let home = home()?;
    let info = info(&home)?;
    let opener = opener(globals, &home, &info, Ask::Person)?.ok_or_else(locked)?;
    if info.format < vault::FORMAT {
        nobody_serves(globals, &home)?;
    }
    let admin = Admin::accept(&surroundings(), &home, &opener, fingerprint, accepted)?;
    say_upgraded(&admin);
    Ok(admin)
}

fn locked() -> Failure {
    Failure::new(
        FailureKind::Locked,
        "the vault is locked, and nobody can be asked here",
        "give --passphrase-fd N or --passphrase-file FILE, or type it at a terminal",
    )
}

/// Asks the daemon, where there is one, whether the vault was put back: it remembers how far it was.
pub(super) fn refused_by_daemon(globals: &Globals, home: &Path) -> Option<Failure> {
    let problem = looked_at(globals, home)?;
    let failure = Failure::new(
        FailureKind::Damaged,
        format!("the daemon that remembers this vault refuses it: {problem}"),
        "authy-mcp admin audit show says what happened",
    );
    Some(
        failure
            .or("authy-mcp admin restore DIR brings a backup back")
            .or("authy-mcp lock ends the daemon, and what it remembers is gone"),
    )
}

fn looked_at(globals: &Globals, home: &Path) -> Option<String> {
    let socket = super::sockets::socket(globals, home);
    match super::runtime().ok()?.block_on(Client::look(&socket)) {
        Ok(problem) => problem,
        Err(LocalError::Nobody) => None,
        Err(error) => {
            // It sees what was changed at its next call.
            tracing::debug!(%error, "the daemon could not be asked");
            None
        }
    }
}

/// What a person said of a vault that nothing remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Accepted,
    NotNeeded,
}

/// Says that nothing remembers the vault before anything that opens it is asked for. Where nobody can be asked,
/// opening it says so.
fn ask_if_forgotten(home: &Path, info: &HomeInfo) -> Result<Word, Failure> {
    // First: what the store says is in its journal, which is not read for nobody.
    let Some(mut terminal) = Terminal::open() else { return Ok(Word::NotNeeded) };
    let Memory::Lacking(what) = vault::memory(home, info) else { return Ok(Word::NotNeeded) };
    terminal.say(&format!("home {} · vault {}", crate::shown::shown_path(home), info.fingerprint))?;
    let last = said_last_change(home).unwrap_or_else(|| "unknown".to_owned());
    terminal.say(&format!("{what}; its last change, by its own word: {last}"))?;
    terminal.say("Another program may have put it back. If it is as you left it, type: accept")?;
    if terminal.line("> ")? == "accept" {
        return Ok(Word::Accepted);
    }
    Err(Failure::unremembered(what, &info.fingerprint))
}

pub(super) fn info(home: &Path) -> Result<HomeInfo, Failure> {
    // Of a home that can't be read, nothing can be verified.
    vault::home_info(home).map_err(|error| Failure::from(error).of_verify())
}

/// What opens a vault; `None` where a person would have to, and can't be asked.
pub(super) fn opener(
    globals: &Globals,
    home: &Path,
    info: &HomeInfo,
    ask: Ask,
) -> Result<Option<UnlockMethod>, Failure> {
    if globals.identity_file.is_some() || info.unlock == UnlockMethodKind::IdentityFile {
        return Ok(Some(UnlockMethod::IdentityFile(globals.identity_file.clone())));
    }
    if info.unlock == UnlockMethodKind::Keyring {
        return Ok(Some(UnlockMethod::Keyring));
    }
    if let Some(passphrase) = given_passphrase(globals)? {
        return Ok(Some(UnlockMethod::Passphrase(passphrase)));
    }
    match Terminal::open().filter(|_| ask == Ask::Person) {
        None => Ok(None),
        Some(mut terminal) => {
            terminal.say(&format!(
                "home {} · unlocked by passphrase · vault {}",
                home.display(),
                info.fingerprint
            ))?;
            let passphrase = terminal.secret("passphrase: ")?;
            Ok(Some(UnlockMethod::Passphrase(SecretString::from(passphrase.as_str()))))
        }
    }
}

/// A passphrase by descriptor or file, less one newline at its end.
pub(super) fn given_passphrase(globals: &Globals) -> Result<Option<SecretString>, Failure> {
    let path = match (globals.passphrase_fd, &globals.passphrase_file) {
        (None, None) => return Ok(None),
        (Some(number), _) => PathBuf::from(format!("/dev/fd/{number}")),
        (None, Some(path)) => {
            if files::is_open_to_others(path).unwrap_or(false) {
                let message = format!("{} can be read by others", path.display());
                return Err(Failure::new(
                    FailureKind::Denied,
                    message,
                    format!("chmod 600 {}", path.display()),
                ));
            }
            path.clone()
        }
    };
    let text = read_text(&path, LONGEST_PASSPHRASE)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(usage_failure("the passphrase is empty", "give the one with which the vault was made"));
    }
    Ok(Some(SecretString::from(text)))
}

/// A text with secrets in it that a person names: of a regular file or a pipe, and of at most so many KiB.
pub(super) fn read_text(path: &Path, most_kib: usize) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| unreadable(path, &error);
    let file = files::open_given(path).map_err(failed)?;
    let most = most_kib * 1024;
    let length = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(most);
    // Of its size at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(length.min(most) + 1));
    file.take(most as u64 + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() > most {
        let message = format!("{} is larger than {most_kib} KiB, which is the limit", path.display());
        return Err(usage_failure(message, "name the file that you mean"));
    }
    Ok(text)
}

/// What no run sees: other credentials, clients' configurations, the daemon's sockets and the vault's identity.
pub(super) fn hidden(globals: &Globals, home: &Path, info: Option<&HomeInfo>) -> Result<Hidden, Failure> {
    let user_home = setup::user_home()?;
    let sockets = [Some(super::sockets::own_socket(home)), super::sockets::named_socket(globals)];
    let sockets = sockets.into_iter().flatten().filter_map(|socket| Some(socket.parent()?.to_path_buf()));
    let sockets = sockets.filter(|dir| !home.starts_with(dir));
    let identity = info.and_then(|info| info.identity_file.clone());
    Ok(Hidden {
        places: setup::hidden_places(&user_home),
        in_projects: setup::hidden_in_projects(),
        control: Arc::new(ControlNames::with(setup::control_files())),
        never: sockets.chain(identity).collect(),
    })
}
