//! `authy-mcp init`: makes a vault, and at a terminal goes on to the first secret, rule and client.

use std::{path::Path, process::ExitCode};

use secrecy::SecretString;
use serde_json::json;

use super::{
    Globals, admin, config, open,
    output::Output,
    prompt::{Confirmed, Terminal},
    usage_failure,
};
use crate::{
    broker::remembered,
    operator::{Admin, Failure, FailureKind},
    setup::above::exposed_above,
    vault::{self, Pin, Pinned, UnlockMethod, UnlockMethodKind},
};

/// The shortest passphrase, in characters: it is all that stands between a copied disk and the vault.
const SHORTEST_PASSPHRASE: usize = 12;

/// Create a vault.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ways of unlocking:
  passphrase     typed by you: authy-mcp unlock opens the vault for your agents
                 until it is locked again, and every admin command asks for it.
                 Your own programs can't read the vault.
  identity-file  an age identity in a file (0600): nothing to type. Any program
                 that you run can read it, also an agent with its own shell;
                 other users can't.
  keyring        a passphrase in the desktop's keyring.

Examples:
  authy-mcp init
  authy-mcp init --unlock identity-file --identity-file ~/keys/authy.txt
  authy-mcp init --unlock passphrase --passphrase-file ~/.authy-passphrase")]
pub(super) struct Args {
    /// How the vault is unlocked; asked for at a terminal, where passphrase is proposed; identity-file where
    /// nobody can be asked.
    #[arg(long, value_enum)]
    unlock: Option<Unlock>,
    /// Remember nothing outside of the home, as in a container that keeps nothing else: a vault that was put back
    /// while no daemon runs is then not noticed.
    #[arg(long)]
    no_pin: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Unlock {
    /// By a passphrase.
    Passphrase,
    /// By an identity in a file.
    IdentityFile,
    /// By the desktop's keyring.
    Keyring,
}

impl Unlock {
    fn kind(self) -> UnlockMethodKind {
        match self {
            Self::Passphrase => UnlockMethodKind::Passphrase,
            Self::IdentityFile => UnlockMethodKind::IdentityFile,
            Self::Keyring => UnlockMethodKind::Keyring,
        }
    }
}

pub(super) fn init(args: &Args, globals: &Globals, out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    if let Ok(info) = vault::home_info(&home) {
        let message = format!("there is a vault in {} already ({})", home.display(), info.fingerprint);
        return Err(Failure::new(
            FailureKind::Denied,
            message,
            "use it, or set AUTHY_MCP_HOME to another directory",
        ));
    }
    // Before anything is asked or made: a home that others can exchange is none.
    if let Some(exposed) = exposed_above(&home).first() {
        return Err(Failure::new(FailureKind::Denied, exposed.what(), exposed.remedy()));
    }
    let mut terminal = if args.unlock.is_none() { Terminal::open() } else { None };
    let kind = choose(args, terminal.as_mut())?;
    let opener = new_opener(kind, globals, &home)?;
    let pin = if args.no_pin { Pin::Unwanted } else { Pin::Wanted };
    let admin = Admin::init(&open::surroundings(), &home, kind, &opener, pin)?;
    report(&home, kind, out)?;
    if let Some(terminal) = terminal.as_mut().filter(|_| !globals.json) {
        go_on(terminal, &admin, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn choose(args: &Args, terminal: Option<&mut Terminal>) -> Result<UnlockMethodKind, Failure> {
    if let Some(unlock) = args.unlock {
        return Ok(unlock.kind());
    }
    let Some(terminal) = terminal else { return Ok(UnlockMethodKind::IdentityFile) };
    terminal.say("How is the vault to be unlocked?")?;
    terminal.say("  1  by a passphrase: you unlock it for your agents; your own programs can't read it")?;
    terminal
        .say("  2  by an identity file: nothing to type; protects against other users, not against your own programs")?;
    let question = if cfg!(feature = "keyring") {
        terminal.say("  3  by the desktop's keyring")?;
        "1, 2 or 3 [1]: "
    } else {
        "1 or 2 [1]: "
    };
    match terminal.line(question)?.as_str() {
        "" | "1" => Ok(UnlockMethodKind::Passphrase),
        "2" => Ok(UnlockMethodKind::IdentityFile),
        "3" => Ok(UnlockMethodKind::Keyring),
        _ => Err(usage_failure("that is none of them", "authy-mcp init --unlock identity-file")),
    }
}

fn new_opener(kind: UnlockMethodKind, globals: &Globals, home: &Path) -> Result<UnlockMethod, Failure> {
    match kind {
        UnlockMethodKind::IdentityFile => Ok(UnlockMethod::IdentityFile(globals.identity_file.clone())),
        UnlockMethodKind::Keyring => Ok(UnlockMethod::Keyring),
        UnlockMethodKind::Passphrase => {
            if let Some(passphrase) = open::given_passphrase(globals)? {
                return Ok(UnlockMethod::Passphrase(passphrase));
            }
            let mut terminal = Terminal::open().ok_or_else(|| {
                usage_failure(
                    "a passphrase is needed, and nobody can be asked here",
                    "give --passphrase-fd N or --passphrase-file FILE",
                )
            })?;
            terminal.say(&format!("home {} · a new vault, unlocked by passphrase", home.display()))?;
            let passphrase = terminal.new_secret("new passphrase: ")?;
            if passphrase.chars().count() < SHORTEST_PASSPHRASE {
                let message = format!("a passphrase has at least {SHORTEST_PASSPHRASE} characters");
                return Err(usage_failure(message, "take four words that don't belong together"));
            }
            Ok(UnlockMethod::Passphrase(SecretString::from(passphrase.as_str())))
        }
    }
}

fn report(home: &Path, kind: UnlockMethodKind, out: &Output) -> Result<(), Failure> {
    let info = open::info(home)?;
    let answer = json!({"home": home, "vault": info.fingerprint, "unlock": info.unlock, "identity_file": info.identity_file});
    out.answer(&answer, |_| {
        let mut lines = vec![format!("made the vault {} in {}", info.fingerprint, home.display())];
        match kind {
            UnlockMethodKind::IdentityFile => {
                let file = info.identity_file.as_deref().unwrap_or(home);
                lines.push(format!(
                    "its identity is in {} (0600): any program that reads that file can read the vault.",
                    file.display()
                ));
                lines.push(
                    "It protects against other users, not against your own programs. Keep a copy elsewhere."
                        .to_owned(),
                );
            }
            UnlockMethodKind::Passphrase => {
                lines.push("without the passphrase nobody opens it again, you included.".to_owned());
                lines.push("authy-mcp unlock opens it for your agents, until it is locked again.".to_owned());
            }
            UnlockMethodKind::Keyring => {
                lines.push("its passphrase is in this desktop's keyring.".to_owned())
            }
        }
        if !matches!(info.pin, Some(Pinned::Made { .. })) {
            lines.push(format!("{}.", remembered(home)));
        }
        lines.push("next: authy-mcp admin set NAME, or authy-mcp admin import .env".to_owned());
        lines
    });
    Ok(())
}

/// The short way to the first call: each step can be left out.
fn go_on(terminal: &mut Terminal, admin: &Admin, out: &Output) -> Result<(), Failure> {
    let env = Path::new(".env");
    if env.exists() && terminal.confirm("import ./.env?")? == Confirmed::Yes {
        let prefix = terminal.line("prefix for its names, as myapp/ (empty for none): ")?;
        admin::import::import_file(admin, env, &prefix, admin::import::Which::Secrets, out)?;
    }
    let line = terminal.line("allow a command (as npm test; empty to leave out): ")?;
    let Some(argv) = shlex::split(&line).filter(|argv| !argv.is_empty()) else { return Ok(()) };
    let scope = terminal.line("for which scope [dev]: ")?;
    let scope = if scope.is_empty() { "dev".to_owned() } else { scope };
    let secrets = terminal.line("which secrets, as myapp/* [**]: ")?;
    let secrets = if secrets.is_empty() { "**".to_owned() } else { secrets };
    admin::allow::allow_command(admin, &scope, vec![secrets], argv, out)?;
    let client = terminal.line("configure a client (claude-code, cursor, …; empty to leave out): ")?;
    if client.is_empty() { Ok(()) } else { config::write_for(admin, &client, &scope, out) }
}
