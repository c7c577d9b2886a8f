//! Keys that real tools made and rewrote (`tests/corpora/keys/README.md`): kept in one container, printed in another.

use std::{collections::BTreeSet, fs, path::Path};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::Value;

use super::{
    super::{forms::forms, taken_apart},
    run, set,
};

fn file(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/keys").join(name)).unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap()
}

/// The private numbers of a key, as another library wrote them.
fn numbers(key: &str) -> Vec<Vec<u8>> {
    let web: Value = serde_json::from_slice(&file(&format!("{key}.jwk"))).unwrap();
    let members = ["d", "p", "q", "dp", "dq", "qi"].iter().filter_map(|member| web[member].as_str());
    members.map(|member| URL_SAFE_NO_PAD.decode(member).unwrap()).collect()
}

fn symbols(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect()
}

/// How often a text has so many bytes in a row of a number: as they are, in hex, or in base64 at any alignment.
fn leaks(text: &[u8], numbers: &[Vec<u8>], length: usize) -> usize {
    let squeezed = symbols(text);
    let base64 = |bytes: &[u8], before: usize| {
        let encoded = STANDARD_NO_PAD.encode([&[0; 2][..before], bytes].concat());
        symbols(&encoded.as_bytes()[(8 * before).div_ceil(6)..8 * (before + bytes.len()) / 6])
    };
    let there = |bytes: &[u8]| {
        let hex = hex::encode(bytes).into_bytes();
        let written = (0..3).map(|before| base64(bytes, before)).chain([hex]);
        memchr::memmem::find(text, bytes).is_some()
            || written.into_iter().any(|form| memchr::memmem::find(&squeezed, &form).is_some())
    };
    numbers.iter().flat_map(|number| number.windows(length).step_by(4)).filter(|bytes| there(bytes)).count()
}

/// So many bytes of a key that comes back whole may stand at an edge of what is masked.
const EDGE: usize = 12;

/// Where each key is kept, and what prints it.
const KEYS: &[(&str, &[&str], &[&str])] = &[
    (
        "rsa",
        &[
            "rsa.pkcs8.pem",
            "rsa.pkcs1.pem",
            "rsa.pkcs8.der",
            "rsa.ssh",
            "rsa.ppk",
            "rsa.jwk",
            "rsa.keygen.pem",
            "set.jwks",
        ],
        &["rsa.text"],
    ),
    (
        "ec",
        &[
            "ec.pkcs8.pem",
            "ec.sec1.pem",
            "ec.pkcs8.der",
            "ec.ssh",
            "ec.ppk",
            "ec.jwk",
            "ec.keygen.pem",
            "ec.open.p12",
            "set.jwks",
        ],
        &["ec.text"],
    ),
    (
        "ed25519",
        &[
            "ed25519.pkcs8.pem",
            "ed25519.pkcs8.der",
            "ed25519.ssh",
            "ed25519.ppk",
            "ed25519.jwk",
            "ed25519.raw.hex",
            "ed25519.raw.b64",
            "set.jwks",
        ],
        &["ed25519.text"],
    ),
];

#[test]
fn a_key_is_found_in_every_container_whatever_it_was_kept_in() {
    for (key, kept, printed) in KEYS {
        let numbers = numbers(key);
        for from in *kept {
            let set = set(&[&file(from)]);
            for to in kept.iter().chain(*printed) {
                let file = file(to);
                let mut outputs = vec![file.clone()];
                if std::str::from_utf8(&file).is_err() {
                    outputs.extend([STANDARD.encode(&file).into_bytes(), hex::encode(&file).into_bytes()]);
                }
                for output in outputs {
                    assert!(leaks(&output, &numbers, EDGE) > 0, "{to} has no number of {key}");
                    let out = run(&set, &[&output]);
                    assert_eq!(
                        leaks(&out, &numbers, EDGE),
                        0,
                        "{from} as {to}: {}",
                        String::from_utf8_lossy(&out)
                    );
                }
            }
        }
    }
}

#[test]
fn numbers_are_found_as_languages_print_them() {
    for (key, kept, _) in KEYS {
        for from in *kept {
            let set = set(&[&file(from)]);
            for line in text(&format!("{key}.python")).lines() {
                let out = set.text(line).into_inner();
                assert_eq!(out.trim_start_matches("0x"), "[redacted:s0]", "{from}: {line}");
            }
        }
    }
}

/// The lines of a body.
fn body(armoured: &str) -> Vec<&str> {
    let lines = armoured.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.contains(['-', ':', ' ']) && !line.starts_with('='))
        .collect()
}

/// Files of text, and where in the symbols of their body the private numbers of a key stand, found by the numbers.
fn armoured(key: &str, name: &str) -> (String, Vec<std::ops::Range<usize>>) {
    let all = body(&text(name)).concat();
    let mut places = Vec::new();
    for number in numbers(key) {
        for before in 0..3 {
            let encoded = STANDARD_NO_PAD.encode([&[0; 2][..before], &number].concat());
            let decided = &encoded[(8 * before).div_ceil(6)..8 * (before + number.len()) / 6];
            places.extend(all.find(decided).map(|at| at..at + decided.len()));
        }
    }
    assert!(!places.is_empty(), "{name} has no number of {key}");
    (all, places)
}

const ARMOURED: &[(&str, &str)] = &[
    ("rsa", "rsa.pkcs8.pem"),
    ("rsa", "rsa.pkcs1.pem"),
    ("rsa", "rsa.ssh"),
    ("ec", "ec.pkcs8.pem"),
    ("ec", "ec.sec1.pem"),
    ("ec", "ec.ssh"),
    ("ed25519", "ed25519.pkcs8.pem"),
    ("ed25519", "ed25519.ssh"),
];

#[test]
fn sixteen_symbols_in_a_row_of_what_is_private_are_masked() {
    for (key, name) in ARMOURED {
        let set = set(&[&file(name)]);
        let (all, places) = armoured(key, name);
        for place in places {
            let symbol = |at: &usize| all.as_bytes()[*at].is_ascii_alphanumeric();
            let symbols: Vec<usize> = place.filter(symbol).collect();
            for cut in symbols.windows(16).step_by(7) {
                let cut = &all[cut[0]..=cut[15]];
                assert_eq!(set.text(&format!("<{cut}>")).get(), "<[redacted:s0]>", "{name}");
            }
        }
    }
}

/// Other ways to print a body: what of it is shown, and how.
fn rewritten(all: &str) -> Vec<(String, String)> {
    let lines = |width: usize| -> Vec<&str> {
        all.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect()
    };
    let mut found = Vec::new();
    for width in [24, 40, 57, 70, 76, 100] {
        let every = lines(width);
        found.extend(every.iter().map(|line| (format!("a line of {width}"), (*line).to_owned())));
        found.push((
            format!("{width} in a line, turned"),
            every.iter().rev().copied().collect::<Vec<_>>().join("\n"),
        ));
        let quoted = every.iter().map(|line| format!("> {line}\n"));
        found.push((format!("{width} in a line, quoted"), quoted.collect()));
        let numbered = (1..).zip(&every).map(|(number, line)| format!("{number:>6}\t{line}\r\n"));
        found.push((format!("{width} in a line, numbered"), numbered.collect()));
    }
    for length in (16..all.len()).step_by(61) {
        found.push((format!("head -c {length}"), all[..length].to_owned()));
        found.push((format!("tail -c {length}"), all[all.len() - length..].to_owned()));
        found.push((format!("in JSON, cut at {length}"), format!("{{\"key\": \"{}\\n", &all[..length])));
    }
    found
}

#[test]
fn a_body_is_found_in_other_lines_and_cut() {
    for (key, name) in ARMOURED {
        let numbers = numbers(key);
        let set = set(&[&file(name)]);
        let all = body(&text(name)).concat();
        for (how, output) in rewritten(&all) {
            let out = set.text(&output).into_inner();
            assert_eq!(leaks(out.as_bytes(), &numbers, EDGE), 0, "{name}, {how}: {out}");
        }
    }
}

/// Whatever a full line holds, but for what every key of the kind has.
#[test]
fn every_line_of_a_body_is_masked_where_it_stands_as_one() {
    for (_, name) in ARMOURED {
        let (set, text) = (set(&[&file(name)]), text(name));
        for line in
            body(&text).iter().filter(|line| line.len() >= 48 && crate::redact::bits(line.as_bytes()) >= 80)
        {
            for printed in [
                format!("{line}\n"),
                format!("before\n  {line}\nbehind\n"),
                format!("{{\"line\": \"{line}\\n\"}}"),
            ] {
                let out = set.text(&printed).into_inner();
                assert!(!out.contains(line) && out.contains("[redacted:s0]"), "{name}: {printed} as {out}");
            }
        }
    }
}

/// A key that was written anew and cut: of half a line and more no long piece is left.
#[test]
fn lines_of_another_container_are_found() {
    const LEFT: usize = 24;
    for (key, name) in ARMOURED {
        let numbers = numbers(key);
        for (_, from) in ARMOURED.iter().filter(|(other, _)| other == key) {
            let set = set(&[&file(from)]);
            for line in body(&text(name)) {
                let out = set.text(line).into_inner();
                assert_eq!(leaks(out.as_bytes(), &numbers, LEFT), 0, "{from} as {name}: {line} as {out}");
            }
        }
        let set = set(&[&file(name)]);
        let printed = text(&format!("{key}.text"));
        let lines: Vec<&str> = printed.lines().collect();
        for three in lines.windows(3) {
            let out = set.text(&three.join("\n")).into_inner();
            assert_eq!(leaks(out.as_bytes(), &numbers, LEFT), 0, "{name} as text: {out}");
        }
    }
}

#[test]
fn the_public_half_is_nobodys_secret() {
    let public = |key: &str| {
        let files = ["pub.pem", "pub.b64", "pub.jwk", "ssh.pub", "cert.pem"];
        files.map(|kind| format!("{key}.{kind}"))
    };
    let mut beside: Vec<(&str, Vec<String>)> = Vec::new();
    for (key, kept, _) in KEYS {
        beside.extend(kept.iter().map(|from| (*from, public(key).into())));
    }
    for from in
        ["rsa.proc-type.pem", "ec.encrypted.pem", "ed25519.encrypted.ssh", "ec.p12", "ec.jks", "ec.jceks"]
    {
        beside.push((from, public(from.split('.').next().unwrap()).into()));
    }
    for (from, public) in
        [("test.pgp", "test.pub.pgp"), ("curve.pgp", "curve.pub.pgp"), ("locked.pgp", "locked.pub.pgp")]
    {
        beside.push((from, vec![public.to_owned()]));
    }
    for (from, public) in beside {
        let set = set(&[&file(from)]);
        for printed in public {
            let shown = text(&printed);
            for written in [hex::encode(&shown), shown] {
                assert_eq!(set.text(&written).get(), &written, "{printed} beside {from}");
            }
        }
    }
}

/// The numbers of a PGP key, which were found in it by the public ones.
#[test]
fn pgp_keys_in_armour_and_without() {
    for (key, kept) in [("curve", &["curve.pgp", "curve.pgp.bin"][..]), ("test", &["test.pgp"])] {
        let numbers: Vec<Vec<u8>> =
            text(&format!("{key}.numbers")).lines().map(|number| hex::decode(number).unwrap()).collect();
        for from in kept {
            let set = set(&[&file(from)]);
            for number in &numbers {
                for written in [STANDARD.encode(number), URL_SAFE_NO_PAD.encode(number), hex::encode(number)]
                {
                    assert_eq!(set.text(&written).get(), "[redacted:s0]", "{from}");
                }
            }
            for to in kept.iter() {
                for output in
                    [file(to), STANDARD.encode(file(to)).into_bytes(), hex::encode(file(to)).into_bytes()]
                {
                    assert_eq!(leaks(&run(&set, &[&output]), &numbers, EDGE), 0, "{from} as {to}");
                }
            }
        }
    }
}

/// Of what is encrypted the ciphertext is looked for; and each store is read in the writings it is kept in.
#[test]
fn encrypted_keys_and_stores() {
    let files = [
        ("rsa.proc-type.pem", 1),
        ("ec.encrypted.pem", 1),
        ("ed25519.encrypted.ssh", 1),
        ("ed25519.encrypted.ppk", 1),
        ("locked.pgp", 2),
        ("ec.p12", 2),
        ("ec.jks", 1),
        ("ec.jceks", 2),
        ("hmac.p12", 1),
    ];
    for (name, count) in files {
        let kept = file(name);
        let ciphertexts = |value: &[u8]| -> BTreeSet<Vec<u8>> {
            let parts = taken_apart(value).into_iter();
            parts
                .filter(|(place, _)| {
                    place.ends_with("encrypted key") || place.ends_with("encrypted contents")
                })
                .map(|(_, bytes)| bytes)
                .collect()
        };
        if name == "rsa.proc-type.pem" {
            let out = set(&[&kept]).text(body(&text(name))[20]).into_inner();
            assert_eq!(out, "[redacted:s0]");
            continue;
        }
        let found = ciphertexts(&kept);
        assert_eq!(found.len(), count, "{name}");
        let set = set(&[&kept]);
        for ciphertext in &found {
            assert!(ciphertext.len() >= 48, "{name}");
            let outputs =
                [ciphertext.clone(), STANDARD.encode(ciphertext).into(), hex::encode(ciphertext).into()];
            for output in outputs {
                assert_eq!(run(&set, &[&output]), b"[redacted:s0]", "{name}");
            }
            // Pieces of a long number stand some bytes from each other.
            let cut = set.text(&STANDARD.encode(&ciphertext[7..])[..50]).into_inner();
            assert!(cut.replace("[redacted:s0]", "").len() <= 10, "{name}: {cut}");
        }
        if std::str::from_utf8(&kept).is_err() {
            let wrapped = STANDARD
                .encode(&kept)
                .as_bytes()
                .chunks(76)
                .map(|line| [line, b"\n"].concat())
                .collect::<Vec<_>>();
            for written in [wrapped.concat(), STANDARD.encode(&kept).into(), hex::encode_upper(&kept).into()]
            {
                assert_eq!(ciphertexts(&written), found, "{name}");
            }
        }
    }
}

#[test]
fn raw_keys_in_other_alphabets() {
    let hex_of = |name: &str| hex::decode(text(name).trim()).unwrap();
    let ed448: String = text("ed448.text").lines().skip(2).take(4).map(str::trim).collect();
    // From NIP-19.
    let nsec = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    let raw_nsec = hex::decode("67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa").unwrap();
    let cases: [(Vec<u8>, Vec<u8>); 7] = [
        (file("age.txt"), hex_of("age.raw.hex")),
        (text("age.txt").lines().last().unwrap().into(), hex_of("age.raw.hex")),
        (nsec.into(), raw_nsec.clone()),
        (format!("{{\"nostr\": {{\"key\": \"{nsec}\"}}}}").into(), raw_nsec),
        (file("x25519.wireguard"), hex_of("x25519.raw.hex")),
        (file("x25519.pkcs8.pem"), hex_of("x25519.raw.hex")),
        (file("ed448.pkcs8.pem"), hex::decode(ed448.replace(':', "")).unwrap()),
    ];
    for (value, key) in cases {
        let set = set(&[&value]);
        let list = format!("{key:?}");
        let colons = key.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        for written in [hex::encode(&key), STANDARD.encode(&key), URL_SAFE_NO_PAD.encode(&key), colons] {
            assert_eq!(set.text(&written).get(), "[redacted:s0]", "{}", String::from_utf8_lossy(&value));
        }
        assert_eq!(set.text(&list).get(), "[[redacted:s0]]");
    }
    let set = set(&[&file("age.txt")]);
    let identity = text("age.txt");
    let (comments, key) = identity.trim().rsplit_once('\n').unwrap();
    assert_eq!(set.text(comments).get(), comments);
    assert_eq!(set.text(&key.to_lowercase()).get(), "[redacted:s0]");
}

/// Seed and public key in one: what is private is the first half.
#[test]
fn pairs_of_a_seed_and_its_public_key() {
    let wallet = text("ed25519.wallet.json");
    let bytes: Vec<u8> = serde_json::from_str(&wallet).unwrap();
    let values = [
        wallet.clone(),
        format!("{{\"keys\": {{\"type\": \"Buffer\", \"data\": {wallet}}}}}"),
        STANDARD.encode(&bytes),
        hex::encode(&bytes),
        format!("cache.example.com-1:{}", STANDARD.encode(&bytes)),
    ];
    for value in values {
        let set = set(&[value.as_bytes()]);
        for written in
            [text("ed25519.base58").trim(), &STANDARD.encode(&bytes[..32]), &hex::encode(&bytes[..32])]
        {
            assert_eq!(set.text(written).get(), "[redacted:s0]", "{value}");
        }
        assert_eq!(leaks(&run(&set, &[&file("ed25519.ssh")]), &numbers("ed25519"), EDGE), 0, "{value}");
        for public in [text("ed25519.pub.pem"), text("ed25519.ssh.pub"), hex::encode(&bytes[32..])] {
            assert_eq!(set.text(&public).get(), &public, "{value}");
        }
    }
}

/// The numbers of a key under names, and a key in a list of its lines.
#[test]
fn numbers_under_names_and_lists_of_lines() {
    let web: Value = serde_json::from_slice(&file("rsa.jwk")).unwrap();
    let member = |name: &str| STANDARD.encode(URL_SAFE_NO_PAD.decode(web[name].as_str().unwrap()).unwrap());
    const NAMES: [(&str, &str, &str); 7] = [
        ("n", "Modulus", "Modulus"),
        ("d", "D", "PrivateExponent"),
        ("p", "P", "Prime1"),
        ("q", "Q", "Prime2"),
        ("dp", "DP", "Exponent1"),
        ("dq", "DQ", "Exponent2"),
        ("qi", "InverseQ", "Coefficient"),
    ];
    let xml: String =
        NAMES.iter().map(|(own, name, _)| format!("<{name}>{}</{name}>", member(own))).collect();
    let lines: String = NAMES.iter().map(|(own, _, name)| format!("{name}: {}\n", member(own))).collect();
    let list: Vec<String> = text("rsa.pkcs8.pem").lines().map(str::to_owned).collect();
    let values = [
        format!("<RSAKeyValue>{xml}<Exponent>AQAB</Exponent></RSAKeyValue>"),
        format!("Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\n{lines}"),
        serde_json::to_string(&list).unwrap(),
    ];
    for value in values {
        let set = set(&[value.as_bytes()]);
        for printed in ["rsa.pkcs1.pem", "rsa.jwk", "rsa.text"] {
            assert_eq!(
                leaks(&run(&set, &[&file(printed)]), &numbers("rsa"), EDGE),
                0,
                "{printed} beside {value}"
            );
        }
        for public in ["rsa.pub.pem", "rsa.ssh.pub", "rsa.pub.jwk", "rsa.cert.pem"] {
            assert_eq!(set.text(&text(public)).get(), &text(public), "{public} beside {value}");
        }
    }
}

/// What hides a key from its readers: escapes, indentation, carriage returns, another document around it.
#[test]
fn keys_inside_of_other_documents() {
    for (key, name) in ARMOURED {
        let numbers = numbers(key);
        let pem = text(name);
        let other = file(&format!("{key}.jwk"));
        let values = [
            pem.replace('\n', "\r\n"),
            format!("KEY=\"{}\"\nPORT=3000\n", pem.replace('\n', "\\n")),
            format!("tls:\n  key: |\n    {}\n  port: 8443\n", pem.trim().replace('\n', "\n    ")),
            serde_json::json!({"auth": {"private": pem}}).to_string(),
            STANDARD.encode(&pem),
            format!("data:\n  tls.key: {}\n", STANDARD.encode(&pem)),
            format!("{}\n{pem}", text(&format!("{key}.cert.pem"))),
            format!("user key {pem} and {}", text("x25519.pkcs8.pem")),
            body(&pem).concat(),
            body(&pem).join("\n"),
            pem.replace('\n', " "),
        ];
        for value in values {
            let set = set(&[value.as_bytes()]);
            let out = run(&set, &[&other]);
            assert_eq!(leaks(&out, &numbers, EDGE), 0, "{value}\n{}", String::from_utf8_lossy(&out));
            let public = text(&format!("{key}.cert.pem"));
            assert_eq!(set.text(&public).get(), &public, "{value}");
        }
    }
}

/// A key of another, or what all keys of the kind have, is not this one's.
#[test]
fn what_keys_have_in_common_is_no_part() {
    let mut values = Vec::new();
    for (_, name) in ARMOURED {
        values.push(file(name));
    }
    values.push(file("ec.jceks"));
    values.push(file("locked.pgp"));
    let set = set(&values.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let x25519 = text("x25519.pkcs8.pem");
    let plain = [
        x25519.as_str(),
        "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ",
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABFwAAAAdzc2gtcn",
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
        "MC4CAQAwBQYDK2VwBCIEI",
        "javax.crypto.SealedObject com.sun.crypto.provider.SealedObjectForKeyProtector",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ];
    for text in plain {
        assert_eq!(set.text(text).get(), text);
    }
}

/// A key that is a text is one as a whole: its words stand in others.
#[test]
fn a_passphrase_in_a_web_key_has_no_pieces() {
    let phrase = "whatever goes around the garden comes around again";
    let value = format!("{{\"kty\": \"oct\", \"k\": \"{}\"}}", URL_SAFE_NO_PAD.encode(phrase));
    let set = set(&[value.as_bytes()]);
    for text in [phrase.to_owned(), hex::encode(phrase), STANDARD.encode(phrase)] {
        assert_eq!(set.text(&text).get(), "[redacted:s0]");
    }
    for text in ["goes around the garden", &hex::encode("around the garden")] {
        assert_eq!(set.text(text).get(), text);
    }
}

/// Of bodies, and of numbers in five writings.
const MOST_PIECES: usize = 2560 + 5 * 128;

/// How many needles a key makes: its pieces are bounded, whatever its length.
#[test]
fn pieces_are_bounded() {
    for (_, name) in ARMOURED {
        let forms = forms(&file(name));
        let pieces = forms.list.iter().filter(|form| form.kind == "part").count();
        assert!((100..=MOST_PIECES).contains(&pieces), "{name}: {pieces}");
    }
}

#[test]
fn many_keys_share_the_pieces() {
    const RSA: [&str; 5] =
        ["rsa.pkcs8.pem", "rsa.ssh", "rsa.pkcs1.pem", "rsa.proc-type.pem", "ed25519.encrypted.ssh"];
    let many: String = RSA.iter().map(|name| text(name)).collect();
    let pieces = forms(many.as_bytes()).list.iter().filter(|form| form.kind == "part").count();
    assert!((2000..=MOST_PIECES).contains(&pieces), "{pieces}");
    // Each has its own: of the last one no fewer than of the first.
    let set = set(&[many.as_bytes()]);
    for name in RSA {
        let all = body(&text(name)).concat();
        let cut = &all[all.len() - 120..all.len() - 60];
        assert!(set.text(cut).get().len() < 30, "{name}: {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Broken keys stop no reader, and cost what the bounds say.
    #[test]
    fn broken_keys_are_taken_apart(
        file_of in any::<prop::sample::Index>(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        length in any::<prop::sample::Index>(),
        written in 0usize..3,
    ) {
        const BINARY: [&str; 7] = ["rsa.pkcs8.der", "ec.pkcs8.der", "ec.p12", "ec.open.p12", "ec.jks", "ec.jceks", "curve.pgp.bin"];
        let mut key = file(BINARY[file_of.index(BINARY.len())]);
        for (at, byte) in &cuts {
            let at = at.index(key.len());
            key[at] = *byte;
        }
        if cuts.len() > 3 {
            key.truncate(length.index(key.len()));
        }
        let value = match written {
            0 => key,
            1 => STANDARD.encode(&key).into_bytes(),
            _ => hex::encode(&key).into_bytes(),
        };
        taken_apart(&value);
    }
}
