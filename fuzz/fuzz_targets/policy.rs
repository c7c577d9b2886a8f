//! The policy parser: whatever it reads, it answers; and what it takes, it takes again.

#![no_main]

use authy_mcp::testing::policy::Document;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let first = Document::parse(text).is_ok();
    assert_eq!(first, Document::parse(text).is_ok());
});
