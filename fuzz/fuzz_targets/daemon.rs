//! Bodies on the daemon's socket: what is read means the same once it is written and read again, and whoever shows
//! no scope is given none.

#![no_main]

use authy_mcp::testing::daemon::{self, Body, Given};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const BODIES: [Body; 6] =
    [Body::Call, Body::Cancel, Body::Challenge, Body::Challenged, Body::Reply, Body::Status];

// The first byte says which body the rest is.
fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else { return };
    let which = BODIES[usize::from(*which) % BODIES.len()];
    let Some(once) = daemon::again(which, body) else { return };
    if serde_json::from_slice(&once).is_ok_and(|json| has_fractions(&json)) {
        return;
    }
    assert_eq!(daemon::again(which, &once).as_ref(), Some(&once), "{}", String::from_utf8_lossy(&once));
    if let Body::Call = which {
        let call: Value = serde_json::from_slice(&once).expect("what was written is JSON");
        let kind =
            call["credential"].as_object().and_then(|shown| shown.keys().next()).expect("one credential");
        let expected = match kind.as_str() {
            "token" => Given::Token,
            "scope" => Given::Scope,
            "tree" => Given::Tree,
            _ => Given::Nothing,
        };
        assert_eq!(daemon::given(body), Some(expected));
    }
});

/// The text of a number with a fraction is not kept to the last digit.
fn has_fractions(json: &Value) -> bool {
    match json {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(fields) => fields.values().any(has_fractions),
        _ => false,
    }
}
