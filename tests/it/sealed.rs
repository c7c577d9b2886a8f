//! Sealed delivery: a host that says everything again, a program that asks in every wrong way, and no byte of
//! a value that reaches it.

mod host;
mod program;

use authy_mcp::policy::Inject;
use host::Host;
use program::{KEY, Program, seal, sealed, terms};

#[tokio::test]
async fn a_value_is_put_in_and_taken_out_again() {
    let host = Host::start().await;
    let at = host.name();
    let program =
        Program::start(terms(vec![sealed("openai/key", KEY, seal(&at, Some(Inject::Bearer)))], &host));
    let answer = program.get(&at, "/v1/models?x=1", "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = host.seen().await;
    assert_eq!(seen[0].header("authorization"), format!("Bearer {KEY}"));
    assert!(answer.contains(program.placeholder("openai/key")), "{answer}");
    assert!(answer.contains("x-trailer-0"), "{answer}");
    program.assert_clean();
    let (records, beyond) = program.running.end().await;
    assert_eq!(beyond, 0);
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(host::shown(record), format!("GET {at} /v1/models 200 passed"));
    assert_eq!(record.secrets.len(), 1);
    assert!(record.scrubs > 20 && record.received > 100, "{record:?}");
}
