//! One ledger a run: what is masked in whatever is told of it, counted once, in the result and on record alike.

use serde_json::{Value, json};

use super::{Bench, admission::VALUE, outcomes::output};
use crate::{
    broker::{
        api::{RunParams, RunResult},
        refusal::{Code, Refusal},
    },
    redact::{Capture, LedgerPage, NeedleSet},
    run::{Fate, FileHit, RunError, RunOutcome, RunOutput, Stream, WrittenFate, WrittenFile, WrittenKind},
};

const MASK: &str = "[redacted:app/key]";
/// How xz data begins, in base64: nobody here looks into it.
const XZ: &str = "/Td6WFoAAATm1rRGBMDg";

fn policy(output: &str) -> String {
    format!(
        "scope = \"dev\"\n[limits]\nruns_per_minute = 1000\n[sandbox]\nmode = \"off\"\n[[allow]]\nid = \"env\"\n\
         secrets = [\"app/key\"]\ndeliver = \"env\"\noutput = \"{output}\"\ncommands = [[\"true\"]]\n"
    )
}

fn bench(output: &str) -> Bench {
    let bench = Bench::new(&[&policy(output)]);
    bench.secrets(&[("app/key", VALUE)]);
    bench
}

/// What a run comes to that writes this to its streams.
fn wrote(needles: &NeedleSet, page: LedgerPage, text: &str) -> RunOutput {
    let mut capture = Capture::new(page, needles, 1000);
    // It is told on the way, too.
    let told: Vec<_> = capture.push(text.as_bytes()).into_iter().chain(capture.end()).collect();
    assert!(!told.is_empty());
    let captured = capture.finish();
    let mut output = output(RunOutcome::Exited(0), 0);
    output.ended.ledger.add(captured.ledger);
    let stream = Stream { text: captured.text, truncated: false };
    match page {
        LedgerPage::Stdout => RunOutput { stdout: stream, ..output },
        _ => RunOutput { stderr: stream, ..output },
    }
}

fn left(make: impl FnOnce(&mut RunOutput)) -> RunOutput {
    let mut output = output(RunOutcome::Exited(0), 0);
    make(&mut output);
    output
}

fn written(path: &str, fate: WrittenFate) -> RunOutput {
    let file = WrittenFile { path: path.into(), kind: WrittenKind::Control, fate };
    left(|output| output.ended.left.written.push(file))
}

/// How often something was masked in the last run, as the audit has it.
fn on_record(bench: &Bench) -> u64 {
    let log = std::fs::read_to_string(bench.broker.home().join("audit/log.jsonl")).unwrap();
    let mut events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcome = events.rfind(|event| event["event"] == "outcome").expect("it is on record");
    let counts = outcome["redactions"].as_object().into_iter().flatten();
    counts.map(|(_, count)| count.as_u64().unwrap()).sum()
}

/// What is told of a run that comes to this.
async fn ran(
    bench: &Bench,
    becomes: impl FnOnce(&NeedleSet) -> Result<RunOutput, RunError> + Send + 'static,
) -> Result<RunResult, Refusal> {
    bench.runner.next(|ready| {
        let becomes = becomes(&ready.needles);
        Box::pin(async { becomes })
    });
    let credential = bench.of("ann", "dev", |_| ());
    let params = RunParams { command: vec!["true".to_owned()], ..RunParams::default() };
    bench.answered(&credential, params).await
}

/// A row is where the value stands, and what a run comes to that brings it there.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_masked_anywhere_is_counted_once_in_result_and_audit() {
    type Becomes = fn(&NeedleSet) -> RunOutput;
    let rows: [(&str, Becomes); 8] = [
        ("stdout", |needles| wrote(needles, LedgerPage::Stdout, &format!("<{VALUE}>"))),
        ("stderr", |needles| wrote(needles, LedgerPage::Stderr, &format!("<{VALUE}>"))),
        ("a hit's path", |_| {
            let hit = FileHit { path: format!("/w/{VALUE}").into(), fate: Fate::Removed };
            left(|output| output.ended.left.hits.push(hit))
        }),
        ("a written file's path", |_| written(&format!("/w/{VALUE}"), WrittenFate::Left)),
        ("where it was moved", |_| written("/w/x", WrittenFate::Moved(format!("/w/{VALUE}").into()))),
        ("what was kept of it", |_| {
            written("/w/x", WrittenFate::Undone(format!("/w/{VALUE}").into(), Vec::new()))
        }),
        ("its keys", |_| {
            written("/w/x", WrittenFate::Undone("/w/y".into(), vec![format!("filter.{VALUE}.clean")]))
        }),
        ("its keys, in base64", |_| {
            use base64::Engine as _;
            let value = base64::prelude::BASE64_STANDARD.encode(VALUE);
            written("/w/x", WrittenFate::Undone("/w/y".into(), vec![value]))
        }),
    ];
    let (shown, withheld) = (bench("redacted"), bench("withhold"));
    for (what, becomes) in rows {
        let told = ran(&shown, move |needles| Ok(becomes(needles))).await.unwrap();
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!((told.redactions, on_record(&shown)), (Some(1), 1), "{what}: {text}");
        assert_eq!((text.matches(MASK).count(), text.contains(VALUE)), (1, false), "{what}: {text}");
        let told = ran(&withheld, move |needles| Ok(becomes(needles))).await.unwrap();
        let text = serde_json::to_string(&told).unwrap();
        assert_eq!((told.withheld, told.redactions, on_record(&withheld)), (true, None, 1), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_masked_in_an_error_is_on_record() {
    let bench = bench("redacted");
    let refused = ran(&bench, |_| Err(RunError::CwdInControlFile(format!("/w/{VALUE}").into()))).await;
    let Refusal { code, message, .. } = refused.unwrap_err();
    assert_eq!((code, on_record(&bench)), (Code::CwdNotAllowed, 1));
    assert!(message.contains(MASK) && !message.contains(VALUE), "{message}");
}

/// A path is looked into as a stream is.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_nobody_looked_into_is_said_wherever_it_stands() {
    let rows: [(&str, fn(&NeedleSet) -> RunOutput); 3] = [
        ("stdout", |needles| wrote(needles, LedgerPage::Stdout, XZ)),
        ("stderr", |needles| wrote(needles, LedgerPage::Stderr, XZ)),
        ("result", |_| written("/w/x", WrittenFate::Undone("/w/y".into(), vec![XZ.to_owned()]))),
    ];
    let (shown, withheld) = (bench("redacted"), bench("withhold"));
    for (stream, becomes) in rows {
        let told = ran(&shown, move |needles| Ok(becomes(needles))).await.unwrap();
        let said = json!([{"stream": stream, "kind": "xz", "bytes": 20}]);
        assert_eq!((serde_json::to_value(&told.not_looked_into).unwrap(), told.redactions), (said, None));
        assert!(ran(&withheld, move |needles| Ok(becomes(needles))).await.unwrap().withheld, "{stream}");
    }
}
