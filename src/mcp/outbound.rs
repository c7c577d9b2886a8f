//! The one door out: everything that reaches a model is built here, of what is redacted.

use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ProgressNotificationParam, ProgressToken};
use serde::Serialize;
use serde_json::Value;

use crate::{
    broker::{Answer, refusal::Refusal},
    redact::Redacted,
};

/// The longest progress message, in bytes: a client wants a sign of life, the result has the output.
const PROGRESS_BYTES: usize = 4096;

/// A tool's answer: text and structure, each complete, each masked.
pub(super) fn answer<T: Serialize>(answer: &Answer<T>, render: fn(&T) -> String) -> CallToolResult {
    let text = answer.needles.text(&render(&answer.body));
    let structure = answer.needles.json(to_json(&answer.body));
    result(text, structure, Kind::Answer)
}

/// A refusal: an error of the tool, which a model can read and act on.
pub(super) fn refusal(refused: &Answer<Refusal>) -> CallToolResult {
    let text = refused.needles.text(&super::render::refusal(&refused.body));
    let structure = refused.needles.json(to_json(&refused.body));
    result(text, structure, Kind::Refusal)
}

/// An error of the protocol, in fixed words.
#[expect(clippy::disallowed_methods, reason = "protocol errors leave here, and say nothing of what came in")]
pub(super) fn unknown_tool() -> ErrorData {
    ErrorData::invalid_params("no such tool; call tools/list", None)
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
