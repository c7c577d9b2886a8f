//! `authy-mcp unlock`: opens the vault once, and hands its identity to a fresh daemon.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{ExitCode, Stdio},
};

use secrecy::ExposeSecret;
use serde_json::json;

use super::{
    Globals,
    hosting::own_namespace,
    life::{IDLE, LifeArgs},
    lock::{process_of, wait_until_gone},
    open,
    output::{self, Output},
    runtime,
    sockets::socket,
    starting::{start, wait_until_ready},
    status::hours,
};
use crate::{
    daemon::{Client, LocalError, LocalKey, Socket},
    operator::{Admin, Failure},
};

/// Unlock the vault into a daemon, for every server of this home.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a new daemon and hands it the identity through a pipe; an old daemon finishes its runs. Shows how \
often the vault was changed and when it was last used: if that is not what you expect, look at authy-mcp \
admin audit show.

Examples:
  authy-mcp unlock
  authy-mcp unlock --idle 1h --life 10h")]
pub(super) struct UnlockArgs {
    #[command(flatten)]
    life: LifeArgs,
}

pub(super) fn unlock(args: &UnlockArgs, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    args.life.parse(IDLE)?;
    let home = open::home()?;
    let info = open::info(&home)?;
    own_namespace(&info, &args.life)?;
    let admin = open::admin(globals)?;
    let (epoch, last_used) = admin.last_use()?;
    let renewed = admin.renew_tokens()?;
    let out_of_date = admin.out_of_date()?;
    warn_of_guessable_seals(&admin, out);
    admin.note_unlock()?;
    let socket = socket(globals, &home);
    let key = LocalKey::new(admin.local_key());
    let runtime = runtime()?;
    runtime.block_on(make_room(&socket, &key, out))?;

    hand_over(&admin, globals, &home, &args.life)?;
    // Before anybody is told that it is unlocked: who took the socket meanwhile can't prove that they know the identity.
    runtime.block_on(Client::prove(&socket, &key))?;
    let status = runtime.block_on(Client::status(&socket))?;
    let answer = json!({
        "daemon": status, "epoch": epoch, "last_used": last_used, "renewed": renewed,
        "out_of_date": out_of_date, "home": home, "vault": info.fingerprint,
    });
    out.answer(&answer, |_| {
        let mut lines = vec![
            format!("unlocked the vault {} in {}", info.fingerprint, home.display()),
            format!(
                "changed {epoch} times, last used {}: if that is not what you expect, see authy-mcp admin audit show",
                last_used.as_deref().unwrap_or("never")
            ),
            format!(
                "locks after {} without a call, and at {}; authy-mcp lock locks it now",
                hours(status.idle_lock_seconds),
                status.locks_at
            ),
        ];
        lines.extend(renewed.iter().map(|file| format!("renewed the token in {file}")));
        for policy in &out_of_date {
            lines.push(format!("the policy of {} was applied by an earlier version:", policy.scope));
            lines.extend(policy.notes.iter().map(|note| format!("  {note}")));
            lines.push(format!("  apply it again: {}", policy.remedy()));
        }
        lines
    });
    Ok(ExitCode::SUCCESS)
}

/// What can't be read here is said where it is used.
fn warn_of_guessable_seals(admin: &Admin, out: &Output) {
    for (scope, rule, secret) in admin.guessable_seals().unwrap_or_default() {
        let (what, fix) = output::guessable_seal(&scope, &rule, &secret);
        out.note(&format!("warning: {what}: {fix}"));
    }
}

/// Starts a daemon and gives it the identity.
#[expect(clippy::disallowed_methods, reason = "the identity goes to the daemon, through a pipe")]
fn hand_over(admin: &Admin, globals: &Globals, home: &Path, life: &LifeArgs) -> Result<(), Failure> {
    let mut words = vec!["--handed-over".to_owned()];
    words.extend(life.words());
    let mut child = start(globals, home, &words, Stdio::piped(), Stdio::piped())?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(admin.identity().expose_secret().as_bytes()).map_err(LocalError::Io)?;
    }
    wait_until_ready(&mut child)
}

/// Tells an old daemon to finish; what listens there and is none of ours loses its place.
async fn make_room(socket: &Socket, key: &LocalKey, out: &Output) -> Result<(), Failure> {
    match Client::retire(socket, key).await {
        Ok(()) | Err(LocalError::Nobody) => Ok(()),
        Err(LocalError::Version { .. }) => {
            let process = Client::status(socket).await.ok().and_then(|status| process_of(&status));
            Client::lock(socket).await?;
            wait_until_gone(process).await
        }
        Err(error) => {
            out.note(&format!("{error}; it is put aside"));
            match fs::remove_file(&socket.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LocalError::Io(error).into()),
                _ => Ok(()),
            }
        }
    }
}
