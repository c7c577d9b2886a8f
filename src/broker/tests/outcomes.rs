//! What is returned of a run: a row is what the policy says of the output, what was masked, how it ended.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    broker::{
        outcome::{About, outcome_facts, result},
        resolve::{self, ResolveContext},
    },
    names::{RunId, SecretName},
    policy::{
        Decision, Document, ExitCodes,
        ExitCodes::{Exact, Reduced},
        Limit, OutputMode,
        OutputMode::{Redacted, Status, Withhold},
        Policy, Request, RunTerms, SecretFacts,
    },
    redact::{LedgerPage, MaskLedger, NeedleSet, testing},
    run::{Ended, LeftBehind, RunOutcome, RunOutput, Stream},
};

/// The terms of a run that is allowed.
pub(super) fn terms() -> RunTerms {
    let text =
        "scope = \"dev\"\n[[allow]]\nsecrets = [\"app/key\"]\ndeliver = \"env\"\ncommands = [[\"true\"]]\n";
    let document = Document::parse(text).unwrap();
    let here = std::path::PathBuf::from("/nowhere");
    let machine = ResolveContext { user_home: here.clone(), path: Vec::new(), cwd: here };
    let policy = Policy::new(document.clone(), resolve::resolve(&document, &machine).unwrap());
    let name = SecretName::parse("app/key").unwrap();
    let request =
        Request { command: vec!["true".to_owned()], secrets: Some(vec![name.clone()]), ..Request::default() };
    match policy.decide(&request, &[SecretFacts { name, env: None, description: None }]) {
        Decision::Allow(allowed) => allowed.terms().clone(),
        Decision::Deny(denial) => panic!("{denial:?}"),
    }
}

pub(super) fn output(ending: RunOutcome, masked: u64) -> RunOutput {
    let stream = |text: &str| Stream { text: NeedleSet::empty().text(text), truncated: true };
    let mut ledger = MaskLedger::default();
    for _ in 0..masked {
        testing::needles("a/key", "Zk9-vQ2xT7mLr4").mask("Zk9-vQ2xT7mLr4", LedgerPage::Stdout, &mut ledger);
    }
    RunOutput {
        ended: Ended {
            ending,
            without: None,
            ledger,
            left: LeftBehind::default(),
            duration: Duration::from_millis(1234),
            setup: Duration::ZERO,
        },
        stdout: stream("out"),
        stderr: stream("err"),
    }
}

/// What of a result depends on the row.
fn told(output: RunOutput, mode: OutputMode, exit_code: ExitCodes) -> Value {
    let terms = RunTerms { output: mode, exit_code, ..terms() };
    let (promise, sandbox) = (terms.promise, "off".to_owned());
    let about = About { run_id: RunId::random(), terms, promise, sandbox };
    let (result, _) = result(output, &about, &NeedleSet::empty());
    let mut json = serde_json::to_value(result).unwrap();
    for same in ["promise", "promise_why", "run_id", "timeout_seconds", "sandbox"] {
        json.as_object_mut().unwrap().remove(same);
    }
    json
}

#[test]
fn what_is_returned_of_the_output() {
    let all = json!({
        "outcome": "exited", "exit_code": 3, "stdout": "out", "stderr": "err", "stdout_truncated": true,
        "stderr_truncated": true, "duration_ms": 1234,
    });
    let with = |changes: Value| {
        let mut all = all.clone();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        all
    };
    let nothing =
        |code: i32, duration: u64| json!({"outcome": "exited", "exit_code": code, "duration_ms": duration});
    let withheld =
        |code: i32| json!({"outcome": "exited", "exit_code": code, "duration_ms": 1234, "withheld": true});
    let rows = [
        (Redacted, Exact, 0, all.clone()),
        (Redacted, Exact, 2, with(json!({"redactions": 2}))),
        (Redacted, Reduced, 0, with(json!({"exit_code": 1}))),
        (Redacted, Reduced, 2, with(json!({"exit_code": 1, "redactions": 2}))),
        (Withhold, Exact, 0, all.clone()),
        // How often something was masked would tell of what is held back.
        (Withhold, Exact, 2, withheld(3)),
        (Withhold, Reduced, 0, with(json!({"exit_code": 1}))),
        (Withhold, Reduced, 2, withheld(1)),
        (Status, Exact, 0, nothing(1, 2000)),
        (Status, Exact, 2, nothing(1, 2000)),
        (Status, Reduced, 0, nothing(1, 2000)),
        (Status, Reduced, 2, nothing(1, 2000)),
    ];
    for (mode, exit, masked, wanted) in rows {
        let told = told(output(RunOutcome::Exited(3), masked), mode, exit);
        assert_eq!(told, wanted, "{mode:?} {exit:?} {masked}");
    }
}

#[test]
fn how_it_ended_is_told_as_far_as_the_policy_lets_it() {
    let rows = [
        (RunOutcome::Exited(0), Exact, json!(["exited", 0, null])),
        (RunOutcome::Exited(0), Reduced, json!(["exited", 0, null])),
        (RunOutcome::Exited(255), Exact, json!(["exited", 255, null])),
        (RunOutcome::Exited(255), Reduced, json!(["exited", 1, null])),
        (RunOutcome::Signaled(15), Exact, json!(["signaled", null, "SIGTERM"])),
        // A program that ends itself by a signal of its choice would tell with it.
        (RunOutcome::Signaled(15), Reduced, json!(["signaled", null, "SIGKILL"])),
        (RunOutcome::Signaled(9), Reduced, json!(["signaled", null, "SIGKILL"])),
        (RunOutcome::TimedOut, Exact, json!(["timed_out", null, null])),
        (RunOutcome::Cancelled, Exact, json!(["cancelled", null, null])),
        (RunOutcome::Revoked, Exact, json!(["revoked", null, null])),
        (RunOutcome::ResourceLimit(Limit::Memory), Reduced, json!(["resource_limit", null, null])),
        (RunOutcome::FailedToStart, Exact, json!(["failed_to_start", null, null])),
    ];
    for (ending, exit, wanted) in rows {
        let told = told(output(ending, 0), Redacted, exit);
        assert_eq!(
            json!([told["outcome"], told["exit_code"], told["signal"]]),
            wanted,
            "{ending:?} {exit:?}"
        );
        // The audit, which no agent reads, has it as it was.
        let facts = outcome_facts(ending, Duration::ZERO, &MaskLedger::default());
        assert_eq!(facts.outcome, wanted[0], "{ending:?}");
        assert_eq!(facts.exit_code, if let RunOutcome::Exited(code) = ending { Some(code) } else { None });
    }
}

#[test]
fn what_a_run_came_to_the_end_of_is_named_but_where_only_success_or_failure_is() {
    for limit in [Limit::Processes, Limit::Memory, Limit::Disk] {
        let ending = RunOutcome::ResourceLimit(limit);
        for mode in [Redacted, Withhold] {
            assert_eq!(told(output(ending, 0), mode, Exact)["limit"], limit.as_str());
        }
        // A program chooses which one it comes to.
        assert!(told(output(ending, 0), Status, Exact).get("limit").is_none());
        assert_eq!(
            outcome_facts(ending, Duration::ZERO, &MaskLedger::default()).limit.as_deref(),
            Some(limit.as_str())
        );
    }
    assert!(told(output(RunOutcome::TimedOut, 0), Redacted, Exact).get("limit").is_none());
}

#[test]
fn what_nobody_looked_into_is_withheld_as_if_it_held_a_secret() {
    let unseen = || {
        let mut output = output(RunOutcome::Exited(0), 0);
        let xz = "see /Td6WFoAAATm1rRGBMDg here";
        testing::needles("a/key", "Zk9-vQ2xT7mLr4").mask(xz, LedgerPage::Stdout, &mut output.ended.ledger);
        output
    };
    let told_of = |mode| told(unseen(), mode, Exact);
    assert_eq!(told_of(Withhold)["withheld"], true);
    assert!(told_of(Withhold).get("stdout").is_none());
    // How much there is of it is the program's to choose.
    assert_eq!(
        told_of(Withhold)["not_looked_into"],
        json!([{"stream": "stdout", "kind": "xz", "bytes": 32}])
    );
    assert!(told_of(Status).get("not_looked_into").is_none());
    assert_eq!(told_of(Redacted)["stdout"], "out");
    assert!(told_of(Redacted).get("withheld").is_none());
    let said = json!([{"stream": "stdout", "kind": "xz", "bytes": 20}]);
    assert_eq!(told_of(Redacted)["not_looked_into"], said);
}
