//! The one door out: everything that reaches a model is built here, of what is redacted.

use rmcp::model::{
    CallToolResult, ContentBlock, ErrorData, ProgressNotificationParam, ProgressToken, RequestId,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    broker::{
        Answer,
        refusal::{Code, Refusal},
    },
    redact::{LedgerPage, MaskLedger, NeedleSet, Redacted},
};

/// The longest progress message, in bytes: a client wants a sign of life, the result has the output.
const PROGRESS_BYTES: usize = 4096;

/// A tool's answer: text and structure, each complete, each masked.
pub(super) fn answer<T: Serialize>(answer: &Answer<T>, text: &str) -> CallToolResult {
    masked(answer, text, Kind::Answer)
}

/// A refusal: an error of the tool, which a model can read and act on.
pub(super) fn refusal(refused: &Answer<Refusal>) -> CallToolResult {
    masked(refused, &super::render::refusal(&refused.body), Kind::Refusal)
}

/// The last look: what is told of a run is masked already, and in the run's ledger.
fn masked<T: Serialize>(answer: &Answer<T>, text: &str, kind: Kind) -> CallToolResult {
    let mut ledger = MaskLedger::of_no_run();
    let text = answer.needles.mask(text, LedgerPage::Rest, &mut ledger);
    let structure = answer.needles.mask_json(to_json(&answer.body), &mut ledger);
    result(text, structure, kind)
}

/// An error of the protocol, in fixed words.
#[expect(clippy::disallowed_methods, reason = "protocol errors leave here, and say nothing of what came in")]
pub(super) fn unknown_tool() -> ErrorData {
    ErrorData::invalid_params("no such tool; call tools/list", None)
}

/// What is wrong with a line of a client's over stdio, or with what it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON, or no text.
    Parse,
    /// It is longer than what is read.
    TooLong,
    /// It is no request of JSON-RPC 2.0.
    Request,
    /// A request with its id is worked on.
    SameId,
    /// The method doesn't take these parameters.
    Parameters,
}

impl Fault {
    /// The code (<https://www.jsonrpc.org/specification#error_object>) and fixed words: what was sent is not repeated.
    fn parts(self) -> (i32, &'static str) {
        match self {
            Self::Parse => (-32700, "the line can't be parsed: one JSON-RPC message a line, as UTF-8"),
            Self::TooLong => (-32700, "the line is longer than 16 MiB"),
            Self::Request => (-32600, "not a JSON-RPC 2.0 request: its id is a string or an integer"),
            Self::SameId => (-32600, "another request with this id has not been answered yet"),
            Self::Parameters => (-32602, "the parameters don't have the form that this method takes"),
        }
    }
}

/// An answer to what is no message. To nobody it is one with a null id: the protocol's crate leaves that out, and
/// JSON-RPC wants it.
pub(super) fn fault(to: Option<&RequestId>, fault: Fault) -> Vec<u8> {
    let (code, message) = fault.parts();
    let answer = json!({"jsonrpc": "2.0", "id": to, "error": {"code": code, "message": message}});
    answer.to_string().into_bytes()
}

/// A call that is not even kept waiting.
pub(super) fn too_many_calls() -> CallToolResult {
    let message = "too many calls of this client are waiting already";
    let body =
        Refusal::new(Code::RateLimited, message, "wait for the answers to earlier calls, then call again");
    refusal(&Answer { body, needles: NeedleSet::empty() })
}

/// A sign of life: what a run wrote since the last one.
pub(super) fn progress(
    token: ProgressToken,
    count: u32,
    text: &Redacted<String>,
) -> ProgressNotificationParam {
    let text = text.get();
    let end =
        (0..=text.len().min(PROGRESS_BYTES)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    ProgressNotificationParam::new(token, f64::from(count)).with_message(&text[..end])
}

/// Whether a result is what was asked for.
enum Kind {
    Answer,
    Refusal,
}

#[expect(clippy::disallowed_methods, reason = "results leave here, and take nothing that is not redacted")]
fn result(text: Redacted<String>, structure: Redacted<Value>, kind: Kind) -> CallToolResult {
    let content = vec![ContentBlock::text(text.into_inner())];
    let mut result = match kind {
        Kind::Answer => CallToolResult::success(content),
        Kind::Refusal => CallToolResult::error(content),
    };
    result.structured_content = Some(structure.into_inner());
    result
}

fn to_json<T: Serialize>(body: &T) -> Value {
    serde_json::to_value(body).expect("answers have string keys only")
}
