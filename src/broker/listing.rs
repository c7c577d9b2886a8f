//! What a session may use and run, in the words of the policy's own listing.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Answer, Broker, Credential, Refused,
    api::{AnyCommand, Approval, Commands, Example, LimitsEntry, ListAllowed, RuleEntry, SecretEntry},
    blocking,
    entry::Slot,
    guessable,
    refusal::Refusal,
    session::Session,
};
use crate::{
    policy::{Policy, RuleListing, SandboxMode, SecretFacts, Stdin},
    vault::SecretInfo,
};

impl Broker {
    /// What the session may use and run.
    ///
    /// # Errors
    /// A refusal.
    pub(crate) async fn list_allowed(
        self: &Arc<Self>,
        credential: &Credential,
    ) -> Result<Answer<ListAllowed>, Refused> {
        let entered = self.enter(credential).await.map_err(|refusal| self.refused(refusal))?;
        let broker = Arc::clone(self);
        let credential = credential.clone();
        let listed = blocking(move || broker.list_now(entered.turn, &credential)).await;
        listed.map_err(|refusal| {
            entered.pass.was_refused();
            self.refused(refusal)
        })
    }

    fn list_now(&self, turn: Slot, credential: &Credential) -> Result<Answer<ListAllowed>, Refusal> {
        let open = self.open_in(turn)?;
        let session = Session::authenticate(&open.vault, &open.keys, credential, open.now())?;
        let all = match session.policy.named_secrets() {
            Some(names) => open.vault.facts(&names.into_iter().collect::<Vec<_>>()),
            None => open.vault.list_secrets().map(|all| all.into_iter().map(facts_of).collect()),
        };
        let all: Vec<SecretFacts> = all?;
        let policy = &session.policy;
        let mut rules = policy.listing(&all);
        if !policy.values_judged() {
            rules = guessable::corrected(&open.vault, policy.document(), rules)?;
        }
        let sandbox = self.sandbox_text(policy);
        Ok(Answer { body: listing(&session, rules, sandbox), needles: self.needles.of(&session.scope) })
    }
}

impl Broker {
    /// What of the sandbox an agent has to know: what it can count on not to have.
    fn sandbox_text(&self, policy: &Policy) -> String {
        let part = &policy.document().sandbox;
        if part.mode == SandboxMode::Off {
            return part.mode.as_str().to_owned();
        }
        let writes = self.writes_text(policy);
        format!("{}, network {}, writes {writes}", part.mode.as_str(), part.network.as_str())
    }

    /// What runs may write, and what holds of control files there on this machine.
    fn writes_text(&self, policy: &Policy) -> String {
        let part = &policy.document().sandbox;
        if part.write.is_empty() {
            return "nothing outside".to_owned();
        }
        let control = match self.machine().namespaces {
            Ok(()) => "closed where they are, else checked after the run",
            Err(_) => "checked after the run",
        };
        let opened = match part.write_control.as_slice() {
            [] => String::new(),
            names => format!(" but {}", names.join(", ")),
        };
        format!("{} (control files{opened} {control})", part.write.join(", "))
    }
}

pub(crate) fn facts_of(info: SecretInfo) -> SecretFacts {
    SecretFacts { name: info.name, env: info.meta.env, description: info.meta.description }
}

fn listing(session: &Session, rules: Vec<RuleListing>, sandbox: String) -> ListAllowed {
    let policy = &session.policy;
    ListAllowed {
        scope: session.scope.to_string(),
        expires_at: session.ends.and_then(|end| Timestamp::from_second(end).ok()).map(|end| end.to_string()),
        default_cwd: policy.default_cwd().map(|dir| dir.display().to_string()),
        rules: rules.into_iter().map(rule_entry).collect(),
        limits: limits(policy),
        sandbox,
    }
}

fn limits(policy: &Policy) -> LimitsEntry {
    let limits = &policy.document().limits;
    let of_run = limits.run.of_calls();
    LimitsEntry {
        timeout_seconds: limits.timeout.as_secs().max(1),
        output_bytes: limits.output,
        runs_per_minute: limits.runs_per_minute,
        concurrent_runs: limits.concurrent_runs,
        processes: of_run.processes,
        memory_bytes: of_run.memory,
        disk_bytes: of_run.disk,
    }
}

fn rule_entry(rule: RuleListing) -> RuleEntry {
    RuleEntry {
        id: rule.id,
        secrets: rule
            .secrets
            .into_iter()
            .map(|secret| SecretEntry {
                name: secret.name.to_string(),
                description: secret.description,
                env: secret.env.to_string(),
            })
            .collect(),
        commands: rule.commands.map_or(Commands::Any(AnyCommand::Any), Commands::Patterns),
        hosts: rule.hosts,
        deliver: rule.deliver,
        promise: rule.promised.promise,
        promise_why: rule.promised.why,
        stdin: Some(rule.stdin).filter(|stdin| *stdin == Stdin::Text),
        sandbox: rule.sandbox,
        output: rule.output,
        approval: Approval::Never,
        example: rule.example.map(|example| Example {
            command: example.command,
            secrets: example.secrets.iter().map(ToString::to_string).collect(),
        }),
    }
}
