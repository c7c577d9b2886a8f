//! Values with a structure are taken apart within bounds, and every part decodes from the value: what stands in it as it
//! is has its letters and digits there, in order; what it was decoded from does.

#![no_main]

use authy_mcp::testing::redact::taken_apart;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|value: &[u8]| {
    let parts = taken_apart(value);
    // Once more is the same.
    assert_eq!(parts.len(), taken_apart(value).len());
    // Where nothing can be an escape or an encoding, a part is read off the value; the numbers of a key never are.
    const DECODED: [&str; 5] = ["base64", "hex", "bech32", "percent-decoded", "unescaped"];
    const OF_KEYS: [&str; 9] =
        ["by itself", "exponent", "prime", "coefficient", "number", "encrypted key", "contents", "handle", "its bytes"];
    let plain = |place: &str| !DECODED.iter().chain(&OF_KEYS).any(|way| place.contains(way));
    if value.iter().any(|byte| b"\\&%*!".contains(byte)) {
        return;
    }
    for (place, part) in parts.iter().filter(|(place, _)| plain(place)) {
        let mut rest = value.iter();
        let letters = part.iter().filter(|byte| byte.is_ascii_alphanumeric());
        let there = letters.into_iter().all(|byte| rest.any(|other| other == byte));
        // A number may be written in other digits.
        let number = part.iter().all(|byte| b"0123456789+-.eE".contains(byte));
        assert!(there || number, "{place}: {:?}", String::from_utf8_lossy(part));
    }
});
