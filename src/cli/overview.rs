//! A bare `authy-mcp`: what is set up, and the next step.

use std::process::ExitCode;

use super::{open, output::Output};
use crate::{
    operator::Failure,
    vault::{self, UnlockMethodKind, VaultError},
};

pub(super) fn show(out: &Output) -> Result<ExitCode, Failure> {
    let home = open::home()?;
    match vault::home_info(&home) {
        Err(VaultError::NoVault(_)) => {
            out.line("no vault yet: authy-mcp lets AI agents use secrets and never see them.");
            out.line("");
            out.line("next: authy-mcp init");
            out.line("or see it work first: authy-mcp demo");
        }
        Err(_) => drop(open::info(&home)?),
        Ok(info) => {
            let way = match info.unlock {
                UnlockMethodKind::Passphrase => "a passphrase",
                UnlockMethodKind::IdentityFile => "an identity file",
                UnlockMethodKind::Keyring => "the keyring",
            };
            out.line(&format!(
                "vault {} in {}, unlocked by {way}",
                info.fingerprint,
                crate::shown::shown_path(&home)
            ));
            out.line("");
            out.line("authy-mcp admin list          the secrets");
            out.line("authy-mcp admin policy list   what agents may do");
            out.line("authy-mcp admin audit show    what they did");
            out.line("authy-mcp doctor              whether all is well");
        }
    }
    out.line("all commands: authy-mcp --help");
    Ok(ExitCode::SUCCESS)
}
