//! Answers through the sealed proxy: one without a value passes byte for byte, however it comes; of one with a value the
//! length stays, and the value is gone, or it is refused.

#![no_main]

use std::{fs::File, io::Read as _, sync::LazyLock};

use authy_mcp::testing::{
    names::SecretName,
    proxy::{Ended, Proxy},
    redact::Needles,
    value::SecretValue,
};
use libfuzzer_sys::fuzz_target;

/// Made anew each time, so that it is in no input of before; what tries inputs learns it from comparisons all the same.
static VALUE: LazyLock<String> = LazyLock::new(|| {
    let mut random = [0; 20];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random)).expect("randomness");
    random.iter().map(|byte| format!("{byte:02x}")).collect::<String>().replace('0', "Zq")
});
static PROXY: LazyLock<Proxy> = LazyLock::new(|| {
    let name = SecretName::parse("a/key").expect("a name");
    let value = SecretValue::new(VALUE.as_bytes().to_vec());
    Proxy::new(vec![Needles::of(&name, &value)]).expect("a proxy without a network")
});
const TYPES: [&str; 4] = ["text/plain", "application/json", "application/grpc", "application/octet-stream"];

// The first byte says the type and whether the value is put in, the second where, the third how long the chunks are.
fuzz_target!(|data: &[u8]| {
    let [kind, place, chunk, rest @ ..] = data else { return };
    let content_type = TYPES[usize::from(kind & 0x7f) % TYPES.len()];
    let chunk = usize::from(*chunk) + 1;
    if kind & 0x80 == 0 {
        let passed = PROXY.passed(content_type, &rest.chunks(chunk).collect::<Vec<_>>());
        // Where nothing is found, nothing is changed.
        assert!(passed.found > 0 || (passed.bytes == rest && passed.ended == Ended::Whole));
        assert!(passed.bytes.len() == rest.len() || passed.ended == Ended::Broken);
        return;
    }
    let (before, after) = rest.split_at(usize::from(*place).min(rest.len()));
    let body = [before, VALUE.as_bytes(), after].concat();
    let passed = PROXY.passed(content_type, &body.chunks(chunk).collect::<Vec<_>>());
    assert!(passed.found > 0);
    assert!(!passed.bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes()));
    match passed.ended {
        Ended::Whole => assert!(passed.bytes.len() == body.len() && content_type != "application/grpc"),
        // Inside of what looks compressed it can't be taken out of text either.
        Ended::Broken | Ended::Early => assert!(passed.bytes.len() < body.len()),
    }
});
