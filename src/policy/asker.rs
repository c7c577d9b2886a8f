//! Who may ask for what: rules that are not for tools, secrets that a token does not bring to a terminal, and standard
//! input. It is decided here, whatever way a call came, so that no way around the command line is a way around it.

use super::{
    decision::{Asker, Denial, DenyCode, Request, Step, denial},
    document::Rule,
    words::{SandboxMode, Stdin},
};
use crate::names::SecretName;

impl Rule {
    /// Whether a rule is for whoever asks. One without a sandbox is a shell of the user: no tool call reaches it, and
    /// on a terminal only a proof does.
    pub(super) fn is_for(&self, asker: Asker) -> bool {
        self.sandbox != Some(SandboxMode::Off) || matches!(asker, Asker::Operator(_))
    }
}

/// Whoever only holds a token runs no command of their own choice with a secret on a terminal.
pub(super) fn check_asker(request: &Request, chosen: &[(&Rule, Option<SecretName>)]) -> Step<()> {
    let any = chosen.iter().find(|(rule, name)| rule.commands.is_none() && name.is_some());
    match (request.asker, any) {
        (Asker::TokenHolder, Some((rule, _))) => Err(Box::new(Denial {
            rule: Some(rule.id.clone()),
            ..*denial(
                DenyCode::CommandNotAllowed,
                "a rule for any command gives its secrets to authy-mcp run only with the operator's proof",
                "run it without --token-file where the vault can be opened, or name the commands in the rule",
            )
        })),
        _ => Ok(()),
    }
}

/// A call's own input would be code to many a program; an empty text is none.
pub(super) fn check_stdin(request: &Request, chosen: &[(&Rule, Option<SecretName>)]) -> Step<()> {
    if request.stdin.as_ref().is_none_or(String::is_empty) {
        return Ok(());
    }
    match chosen.iter().find(|(rule, _)| rule.stdin == Stdin::None) {
        None => Ok(()),
        Some((rule, _)) => Err(Box::new(Denial {
            rule: Some(rule.id.clone()),
            ..*denial(
                DenyCode::StdinNotAllowed,
                format!("rule {} takes no standard input from a call", rule.id),
                "leave stdin out; the operator can write stdin = \"text\" in the rule",
            )
        })),
    }
}
