//! Answers as text: readable, and as complete as the structure beside it.

use std::fmt::Write as _;

use crate::{
    broker::{
        api::{Commands, LimitsEntry, ListAllowed, Outcome, RuleEntry, RunResult, TokenAnswer, TokenStatus},
        refusal::Refusal,
    },
    policy::Promise,
    run::WrittenKind,
};

/// `exited 1 · 1.2 s · 2 redacted · run r_8f3k`, then the streams.
pub(super) fn run(result: &RunResult) -> String {
    let mut head = vec![ending(result)];
    head.push(seconds(result.duration_ms));
    if let Some(count) = result.redactions {
        head.push(format!("{count} redacted"));
    }
    if result.withheld {
        head.push("output withheld: it had a secret in it, or could have one".to_owned());
    }
    for part in &result.not_looked_into {
        head.push(format!("{} bytes of {} in {} not looked into", part.bytes, part.kind, part.stream));
    }
    for hit in &result.file_hits {
        let done = if hit.removed { ", which was removed" } else { "" };
        head.push(format!("a secret in the file {}{done}", hit.path));
    }
    let control = result.written.iter().filter(|file| file.kind == WrittenKind::Control).count();
    if control > 0 {
        head.push(format!("{control} control files written"));
    }
    head.push(promise(&result.promise, result.promise_why.as_deref()));
    head.push(format!("sandbox {}", result.sandbox));
    head.push(format!("run {}", result.run_id));
    let mut text = head.join(" · ");
    for note in &result.notes {
        let _ = write!(text, "\nnote: {note}");
    }
    written(&mut text, result);
    stream(&mut text, "stdout", &result.stdout, result.stdout_truncated, !result.stderr.is_empty());
    stream(&mut text, "stderr", &result.stderr, result.stderr_truncated, true);
    text
}

/// A line a kind: `written, program: /w/tool, /w/run.sh`.
fn written(text: &mut String, result: &RunResult) {
    for kind in [WrittenKind::Control, WrittenKind::Program, WrittenKind::Config] {
        let of_kind = result.written.iter().filter(|file| file.kind == kind);
        let paths: Vec<&str> = of_kind.map(|file| file.path.as_str()).collect();
        if !paths.is_empty() {
            let _ = write!(text, "\nwritten, {}: {}", kind.as_str(), paths.join(", "));
        }
    }
}

/// `promise best_effort (any command may have its secrets)`.
fn promise(promise: &Promise, why: Option<&str>) -> String {
    match why {
        Some(why) => format!("promise {} ({why})", word(promise)),
        None => format!("promise {}", word(promise)),
    }
}

fn ending(result: &RunResult) -> String {
    match result.outcome {
        Outcome::Exited => format!("exited {}", result.exit_code.unwrap_or_default()),
        Outcome::Signaled => format!("ended by {}", result.signal.as_deref().unwrap_or("a signal")),
        Outcome::TimedOut => format!("timed out after {} s", result.timeout_seconds),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::Revoked => "ended: what allowed it was taken back".to_owned(),
        Outcome::ResourceLimit => match result.limit {
            Some(limit) => format!("ended: it came to its limit of {}", limit.as_str()),
            None => "ended: it came to one of its limits".to_owned(),
        },
        Outcome::FailedToStart => "failed to start".to_owned(),
    }
}

fn stream(text: &mut String, name: &str, stream: &str, truncated: bool, named: bool) {
    if stream.is_empty() {
        return;
    }
    text.push_str("\n\n");
    if named || truncated {
        let note = if truncated { " (the middle is left out)" } else { "" };
        let _ = writeln!(text, "{name}{note}:");
    }
    text.push_str(stream);
}

/// What a session has: each rule with its variables and an example to copy.
pub(super) fn allowed(listed: &ListAllowed) -> String {
    let mut text = format!("scope {}", listed.scope);
    if let Some(end) = &listed.expires_at {
        let _ = write!(text, " · until {end}");
    }
    let start = listed.default_cwd.as_deref().unwrap_or("a private empty directory");
    let limits = &listed.limits;
    let _ = write!(
        text,
        " · sandbox {} · runs start in {start} · at most {} s, {} bytes a stream, {} runs a minute, {} at once",
        listed.sandbox,
        limits.timeout_seconds,
        limits.output_bytes,
        limits.runs_per_minute,
        limits.concurrent_runs
    );
    of_one_run(&mut text, limits);
    if listed.rules.is_empty() {
        text.push_str("\n\nNothing is allowed. The operator can change that.");
    }
    for entry in &listed.rules {
        rule(&mut text, entry);
    }
    text
}

/// What one run may use.
fn of_one_run(text: &mut String, limits: &LimitsEntry) {
    let processes = limits.processes.map(|most| format!("{most} processes"));
    let memory = limits.memory_bytes.map(|most| format!("{most} bytes of memory"));
    let disk = limits.disk_bytes.map(|most| format!("{most} bytes of disk"));
    let parts: Vec<String> = [processes, memory, disk].into_iter().flatten().collect();
    if !parts.is_empty() {
        let _ = write!(text, " · a run has {}", parts.join(", "));
    }
}

fn rule(text: &mut String, rule: &RuleEntry) {
    let _ = write!(
        text,
        "\n\nrule {} · deliver {} · {} · output {} · approval {}",
        rule.id,
        word(&rule.deliver),
        promise(&rule.promise, rule.promise_why.as_deref()),
        word(&rule.output),
        word(&rule.approval)
    );
    if let Some(mode) = rule.sandbox {
        let _ = write!(text, " · sandbox {}", mode.as_str());
    }
    if let Some(stdin) = &rule.stdin {
        let _ = write!(text, " · stdin {}", word(stdin));
    }
    for secret in &rule.secrets {
        let _ = write!(text, "\n  secret {} in ${}", secret.name, secret.env);
        if let Some(description) = &secret.description {
            let _ = write!(text, " ({description})");
        }
    }
    if !rule.hosts.is_empty() {
        let _ = write!(text, "\n  hosts: {}", rule.hosts.join(", "));
    }
    match &rule.commands {
        Commands::Any(_) => text.push_str("\n  command: any"),
        Commands::Patterns(patterns) => {
            for pattern in patterns {
                let _ = write!(text, "\n  command: {}", word(pattern));
            }
        }
    }
    if let Some(example) = &rule.example {
        let _ = write!(text, "\n  example: run_with_secrets {}", word(example));
    }
}

/// What became of a wish for a token.
pub(super) fn token(answer: &TokenAnswer) -> String {
    let status = match answer.status {
        TokenStatus::Granted => "granted",
        TokenStatus::Pending => "pending",
        TokenStatus::Denied => "denied",
    };
    let mut text = format!("{status} · grant {}", answer.grant_id);
    if let Some(end) = &answer.expires_at {
        let _ = write!(text, " · until {end}");
    }
    if let Some(uses) = answer.max_uses {
        let _ = write!(text, " · {uses} runs");
    }
    let _ = write!(text, "\nsecrets: {}", answer.secrets.join(", "));
    for (name, value) in [("token_file", &answer.token_file), ("token", &answer.token)] {
        if let Some(value) = value {
            let _ = write!(text, "\n{name}: {value}");
        }
    }
    let _ = write!(text, "\n{}", answer.next);
    text
}

/// What was refused, why, and what to do.
pub(super) fn refusal(refusal: &Refusal) -> String {
    let mut text = format!("refused ({}): {}\nhint: {}", word(&refusal.code), refusal.message, refusal.hint);
    if let Some(rule) = &refusal.rule {
        let _ = write!(text, "\nrule: {rule}");
    }
    for pattern in &refusal.allowed {
        let _ = write!(text, "\nallowed: {}", word(pattern));
    }
    if let Some(command) = &refusal.operator_command {
        let _ = write!(text, "\nthe operator can type: {command}");
    }
    text
}

/// A value as it stands in JSON; a plain word without its quotes.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}
