//! The envelope of a record, decrypted: whatever it is.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| authy_mcp::testing::vault::fuzz_envelope(json));
