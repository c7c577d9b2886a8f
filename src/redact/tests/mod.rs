//! Tables first, then properties.

mod aligned;
mod anything;
mod budget;
mod containers;
mod dumps;
mod escapes;
mod guesses;
mod keys;
mod logs;
mod parts;
mod properties;
mod transforms;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Capture, LedgerPage, NeedleSet, Needles, Redacted, forms::forms, weak::Weakness, weakness};
use crate::{names::SecretName, value::SecretValue};

const CORPUS: &str = include_str!("../../../tests/corpora/redaction.json");

fn set(values: &[&[u8]]) -> NeedleSet {
    NeedleSet::new(&needles(values))
}

fn needles(values: &[&[u8]]) -> Vec<Needles> {
    let of = |(n, value): (usize, &&[u8])| {
        Needles::of(&SecretName::parse(&format!("s{n}")).unwrap(), &SecretValue::new(value.to_vec()))
    };
    values.iter().enumerate().map(of).collect()
}

fn run(set: &NeedleSet, chunks: &[&[u8]]) -> Vec<u8> {
    let mut redactor = set.redactor();
    let mut out = Vec::new();
    for chunk in chunks {
        redactor.push(chunk, &mut out);
    }
    redactor.finish(&mut out);
    out
}

fn strings<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    value[key].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect()
}

#[test]
fn corpus_exact() {
    let corpus: Value = serde_json::from_str(CORPUS).unwrap();
    let cases = corpus["exact"].as_array().unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let needles: Vec<&[u8]> = strings(case, "needles").into_iter().map(str::as_bytes).collect();
        let writes: Vec<&[u8]> = strings(case, "writes").into_iter().map(str::as_bytes).collect();
        let out = run(&NeedleSet::exact(&needles, "R"), &writes);
        assert_eq!(String::from_utf8_lossy(&out), case["expect"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn corpus_encoded() {
    let corpus: Value = serde_json::from_str(CORPUS).unwrap();
    let cases = corpus["encoded"].as_array().unwrap();
    assert!(cases.len() > 10);
    for case in cases {
        let secrets: Vec<&[u8]> = strings(case, "secrets").into_iter().map(str::as_bytes).collect();
        let out = run(&set(&secrets), &[case["input"].as_str().unwrap().as_bytes()]);
        let out = masks_as_r(&String::from_utf8(out).unwrap());
        match case["expect"].as_str() {
            Some(expected) => assert_eq!(out, expected, "{case}"),
            None => assert!(out.contains(case["expect_contains"].as_str().unwrap()), "{case}: {out}"),
        }
    }
}

#[test]
fn corpus_multiline() {
    let corpus: Value = serde_json::from_str(CORPUS).unwrap();
    for case in corpus["multiline"].as_array().unwrap() {
        let secrets: Vec<&[u8]> = strings(case, "secrets").into_iter().map(str::as_bytes).collect();
        let set = set(&secrets);
        for line in strings(case, "lines_masked") {
            assert_eq!(masks_as_r(set.text(line).get()), "R", "{line}");
        }
        for line in strings(case, "never_masked") {
            assert_eq!(set.text(line).get(), line);
        }
    }
}

fn masks_as_r(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("[redacted:") {
        out.push_str(before);
        out.push('R');
        rest = behind.split_once(']').unwrap().1;
    }
    out + rest
}

#[test]
fn a_mask_names_the_secret_and_the_counts_its_form() {
    let set = set(&[b"hunter2-hunter2"]);
    let mut redactor = set.redactor();
    let mut out = Vec::new();
    redactor.push(b"a hunter2-hunter2 b aHVudGVyMi1odW50ZXIy c", &mut out);
    redactor.finish(&mut out);
    assert_eq!(out, b"a [redacted:s0] b [redacted:s0] c");
    assert_eq!(
        redactor.counts().0.iter().map(|(k, n)| (*k, *n)).collect::<Vec<_>>(),
        [("base64", 1), ("raw", 1)]
    );
}

#[test]
fn a_mask_can_be_another_text_and_a_finder_only_counts() {
    let (name, value) = (SecretName::parse("a/b").unwrap(), SecretValue::new(b"hunter2-hunter2".to_vec()));
    let set = NeedleSet::new(&[Needles::of_masked(&name, &value, b"placeholder-1")]);
    assert_eq!(run(&set, &[b"x hunter2-hun", b"ter2 y"]), b"x placeholder-1 y");
    let mut finder = set.finder();
    finder.push(b"x hunter2-hun");
    finder.push(b"ter2 y");
    assert_eq!(finder.finish(), set.finds(b"hunter2-hunter2"));
    assert_eq!(set.finds(b"hunter2-hunter2").total(), 1);
    assert_eq!(set.finds(b"hunter2-hunter").total(), 0);
}

#[test]
fn needles_that_chain_over_each_other_are_one_mask() {
    let exact = NeedleSet::exact(&[b"ab", b"cd", b"bcdX"], "R");
    assert_eq!(run(&exact, &[b"abcdX."]), b"R.");
    assert_eq!(run(&exact, &[b"abcdY."]), b"RRY.");
    assert_eq!(run(&NeedleSet::exact(&[b"aa"], "R"), &[b"xaaaaay"]), b"xRy");
}

#[test]
fn an_endless_mask_holds_nothing() {
    let exact = NeedleSet::exact(&[b"aa"], "R");
    let mut redactor = exact.redactor();
    let mut out = Vec::new();
    for _ in 0..64 {
        redactor.push(&[b'a'; 65536], &mut out);
        assert!(format!("{redactor:?}") == "Redactor(1 bytes held)", "{redactor:?}");
    }
    redactor.finish(&mut out);
    assert_eq!(out, b"R");
}

/// Whatever the line before was, a line without an end is given out as it comes.
#[test]
fn a_line_without_an_end_holds_nothing() {
    let secrets: Vec<Vec<u8>> =
        (0..20u64).map(|n| format!("tok_{}", n.pow(9) * 7_919 + 3).into_bytes()).collect();
    let secrets: Vec<&[u8]> = secrets.iter().map(Vec::as_slice).collect();
    let set = set(&secrets);
    let cut = [b"token ".as_slice(), &secrets[7][..9]].concat();
    for before in [
        &b"no line\n"[..],
        b"00000010: 746f 6b5f 33  tok_3\n",
        b"| tok_ |\n",
        &cut,
        b"ends with t\n",
        b"eJx\n",
    ] {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        redactor.push(before, &mut out);
        redactor.push(b"\n> ", &mut out);
        for _ in 0..32 {
            redactor.push(&b"no end of this line, ".repeat(3000), &mut out);
            let held = redactor.held();
            assert!(held.0 <= 256 && held.1 <= 8 * 1024, "{held:?} behind {before:?}");
        }
    }
}

#[test]
fn a_pause_shows_prompts_and_keeps_beginnings() {
    let set = set(&[b"Password-of-mine"]);
    let mut redactor = set.redactor();
    let mut out = Vec::new();
    redactor.push(b"Your name? Pas", &mut out);
    redactor.flush_idle(&mut out);
    assert_eq!(out, b"Your name? Pas");
    redactor.push(b"sword-of-mine and Password-", &mut out);
    redactor.flush_idle(&mut out);
    assert_eq!(out, b"Your name? Pas[redacted:s0] and ");
    redactor.push(b"less", &mut out);
    redactor.finish(&mut out);
    assert_eq!(out, b"Your name? Pas[redacted:s0] and Password-less");
}

#[test]
fn a_secret_that_straddles_the_limit_is_masked_before_the_cut() {
    let set = set(&[b"0123456789-secret-value"]);
    for lead in 0..64 {
        let mut capture = Capture::new(LedgerPage::Stdout, &set, 40);
        let mut text = vec![b'x'; lead];
        text.extend_from_slice(b"0123456789-secret-value");
        text.extend_from_slice(&[b'y'; 300]);
        for chunk in text.chunks(7) {
            capture.push(chunk);
        }
        let captured = capture.finish();
        assert!(captured.truncated);
        assert!(
            !captured.text.get().contains("0123") && !captured.text.get().contains("value"),
            "{:?}",
            captured.text
        );
        assert!(captured.text.get().len() < 120);
    }
}

#[test]
fn a_capture_is_whole_characters_and_bounded() {
    let mut capture = Capture::new(LedgerPage::Stdout, &NeedleSet::empty(), 1000);
    let mut shown = String::new();
    for _ in 0..10_000 {
        for byte in "ä€𝄞".as_bytes() {
            if let Some(piece) = capture.push(&[*byte]) {
                shown.push_str(piece.get());
            }
        }
    }
    assert_eq!(shown.len(), 90_000);
    assert!(!shown.contains('\u{fffd}'));
    let captured = capture.finish();
    assert!(captured.text.get().len() <= 1100 && !captured.text.get().contains('\u{fffd}'));
    let mut capture = Capture::new(LedgerPage::Stdout, &NeedleSet::empty(), 1000);
    capture.push(b"\xff\xfe ok \xc3");
    assert_eq!(capture.finish().text.get(), "\u{fffd}\u{fffd} ok \u{fffd}");
}

#[test]
fn json_is_masked_in_keys_strings_and_numbers() {
    let set = set(&[b"hunter2-hunter2", b"90210902109021"]);
    let masked = set.json(json!({"hunter2-hunter2": ["x hunter2-hunter2", 90210902109021u64, 7, null, true], "[redacted:s0]": 1}));
    assert_eq!(
        masked.get(),
        &json!({"[redacted:s0]": ["x [redacted:s0]", "[redacted:s1]", 7, null, true], "[redacted:s0]#2": 1})
    );
}

#[test]
fn debug_shows_no_needle() {
    let needles =
        Needles::of(&SecretName::parse("a/b").unwrap(), &SecretValue::new(b"hunter2-hunter2".to_vec()));
    let text = format!("{needles:?} {:?}", NeedleSet::new([&needles]));
    assert!(text.contains("a/b") && !text.contains("hunter2"), "{text}");
}

#[test]
fn weak_values() {
    let judged = [
        ("", Some(Weakness::Empty)),
        ("  \n", Some(Weakness::Blank)),
        ("short7b", Some(Weakness::Short)),
        ("aaaabbbbcccc", Some(Weakness::Monotonous)),
        ("Password123", Some(Weakness::Common)),
        ("development", Some(Weakness::Common)),
        ("12345678", Some(Weakness::Sequence)),
        ("1234567890", Some(Weakness::Sequence)),
        ("abcdefgh", Some(Weakness::Sequence)),
        ("username", Some(Weakness::Common)),
        ("deployment", Some(Weakness::Common)),
        ("production-db", Some(Weakness::Common)),
        ("Staging_Database", Some(Weakness::Common)),
        ("us-east-1", Some(Weakness::Common)),
        ("ap-southeast-2", Some(Weakness::Common)),
        ("europe-west1-b", Some(Weakness::Common)),
        ("20261126", Some(Weakness::Common)),
        ("2026-11-26", Some(Weakness::Common)),
        ("31.12.1999", Some(Weakness::Common)),
        ("application/json", Some(Weakness::Common)),
        ("text/html; charset=utf-8", Some(Weakness::Common)),
        ("application/vnd.github.v3+json", Some(Weakness::Common)),
        ("https://api.example.com", Some(Weakness::Common)),
        ("http://localhost:8080/", Some(Weakness::Common)),
        ("db.internal.example.com:5432", Some(Weakness::Common)),
        ("someone@example.com", Some(Weakness::Common)),
        ("en_US.UTF-8", Some(Weakness::Common)),
        ("de_DE@euro", Some(Weakness::Common)),
        ("192.168.178.20:8443", Some(Weakness::Common)),
        ("2001:db8::1", Some(Weakness::Common)),
        ("/var/run/docker.sock", Some(Weakness::Common)),
        ("~/projects/site", Some(Weakness::Common)),
        ("Qwertyuiop123", Some(Weakness::Common)),
        ("dr0w$$4p", Some(Weakness::Common)),
        ("Falcon27", Some(Weakness::Common)),
        ("AdministratorAdministrator", Some(Weakness::Common)),
        ("2026-11-26T10:00:00Z", Some(Weakness::Common)),
        ("2026-11-26 10:00:00.123+01:00", Some(Weakness::Common)),
        ("Thu, 26 Nov 2026 10:00:00 GMT", Some(Weakness::Common)),
        ("My-Company-Name", Some(Weakness::Common)),
        ("backup_service_account", Some(Weakness::Common)),
        ("ProductionDatabaseServer", Some(Weakness::Common)),
        ("example-project-staging", Some(Weakness::Common)),
        ("https://api.example.com/v1/users?page=2", Some(Weakness::Common)),
        ("http://192.168.178.20:8443/healthz", Some(Weakness::Common)),
        ("https://github.com/example/project.git", Some(Weakness::Common)),
        ("jane.doe@example.com", Some(Weakness::Common)),
        ("image/png", Some(Weakness::Common)),
        ("fr_CA.ISO-8859-1", Some(Weakness::Common)),
        ("1.24.0-1.2", Some(Weakness::Common)),
        ("ca-central-1", Some(Weakness::Common)),
        ("northamerica-northeast2", Some(Weakness::Common)),
        ("orchid-saddle-walnut", None),
        ("Scribble-Kitten-Anthem", None),
        ("correct horse battery staple", None),
        ("tbkd-wqyz-pnst-mhvl", None),
        ("AKIAIOSFODNN7EXAMPLE", None),
        ("AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", None),
        ("123456789:AAF9fQ2xT7vLm4ZkW8hN3pR6sYb1Qz7wKx", None),
        ("https://sentry.example.com/9fQ2xT7vLm4Z", None),
        ("https://9fQ2xT7vLm4Z@sentry.example.com/1", None),
        ("amqp://app:tr0ub4dor&3@mq.internal/vhost", None),
        ("kqzjxvwbpmtrhgyfdlcn", None),
        ("8392017466519284", None),
        ("Zk=9dQ2xT7", None),
        ("some-value-123456", None),
        ("a-value-of-some-length", None),
        ("plain-value-1", None),
        ("p w $x # y", None),
        ("tok-9182736455", None),
        ("Falcon27!granite", None),
        ("48291736", Some(Weakness::Common)),
        ("postgres://app:9fQ2xT7vLm@db.internal:5432/app", None),
        ("https://hooks.example.com/services/T0/B0/9fQ2xT7vLm4Z", None),
        ("550e8400-e29b-41d4-a716-446655440000", None),
        ("/9fQ2xT7vLm4ZkW8+hN3p==", None),
        ("sk-9fQ2xT7v", None),
        ("tr0ub4dor&3", None),
        ("postgresql://app@/shop?host=/var/run/postgresql&password=9fQ2xT7vLm", None),
        ("postgresql://app@db.internal/shop?password=tr0ub4dor%263;sslmode=require", None),
        ("https://me@example.com/#access_token=9fQ2xT7vLm4Z", None),
        ("postgresql://app@/shop?host=/var/run&sslmode=require", Some(Weakness::Common)),
        ("ssh://git@github.com/example/project.git", Some(Weakness::Common)),
    ];
    let others = judged.iter().filter(|(value, expected)| weakness(value.as_bytes()) != *expected);
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&(&str, Option<Weakness>)>::new());
}

#[test]
fn other_peoples_encoders() {
    let value = "p@ss w/ \"q\" & <t> 'a' ü$1";
    let set = set(&[value.as_bytes()]);
    for written in [
        "p%40ss%20w%2F%20%22q%22%20%26%20%3Ct%3E%20%27a%27%20%C3%BC%241",
        "p%40ss+w%2f+%22q%22+%26+%3ct%3e+%27a%27+%c3%bc%241",
        "p%40ss%20w%2F%20%22q%22%20%26%20%3Ct%3E%20'a'%20%C3%BC%241",
        r#"p@ss w/ \"q\" & <t> 'a' ü$1"#,
        r#"p@ss w\/ \"q\" & <t> 'a' \u00fc$1"#,
        r#"p@ss w/ \"q\" \u0026 \u003ct\u003e \u0027a\u0027 \u00fc$1"#,
        "p@ss w/ &quot;q&quot; &amp; &lt;t&gt; &#39;a&#39; ü$1",
        "p@ss w/ \"q\" &amp; &lt;t&gt; &apos;a&apos; ü$1",
        r#"p@ss w/ "q" & <t> '\''a'\'' ü$1"#,
        r#"p@ss w/ \"q\" & <t> 'a' ü\$1"#,
        r#"p@ss w/ ""q"" & <t> 'a' ü$1"#,
        r#"p@ss\ w/\ \"q\"\ \&\ \<t\>\ \'a\'\ ü\$1"#,
        "70407373207720",
    ] {
        let masked = set.text(&format!("<<{written}>>"));
        if written.len() > 20 {
            assert_eq!(masked.get(), "<<[redacted:s0]>>", "{written}");
        } else {
            assert_eq!(masked.get(), &format!("<<{written}>>"), "a part of a form is no match");
        }
    }
}

/// Every occurrence of every needle, overlapping ones united: the definition, without any cleverness.
fn naive(needles: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for needle in needles.iter().filter(|n| !n.is_empty()) {
        for at in 0..text.len().saturating_sub(needle.len() - 1) {
            if text[at..].starts_with(needle) {
                spans.push((at, at + needle.len()));
            }
        }
    }
    spans.sort_unstable();
    let mut united: Vec<(usize, usize)> = Vec::new();
    for (start, end) in spans {
        match united.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => united.push((start, end)),
        }
    }
    let mut out = Vec::new();
    let mut from = 0;
    for (start, end) in united {
        out.extend_from_slice(&text[from..start]);
        out.push(b'R');
        from = end;
    }
    out.extend_from_slice(&text[from..]);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_chunking_is_the_definition(
        needles in prop::collection::vec(prop::collection::vec(prop::sample::select(b"abc".as_slice()), 0..6), 0..6),
        text in prop::collection::vec(prop::sample::select(b"abc.".as_slice()), 0..80),
        cuts in prop::collection::vec(1usize..9, 0..40),
    ) {
        let refs: Vec<&[u8]> = needles.iter().map(Vec::as_slice).collect();
        let set = NeedleSet::exact(&refs, "R");
        let mut chunks = Vec::new();
        let mut rest = text.as_slice();
        for cut in cuts {
            let (chunk, behind) = rest.split_at(cut.min(rest.len()));
            chunks.push(chunk);
            rest = behind;
        }
        chunks.push(rest);
        prop_assert_eq!(run(&set, &chunks), naive(&needles, &text));
    }

    #[test]
    fn no_form_survives(value in "[ -~]{8,40}", before in "[ -~]{0,20}", behind in "[ -~]{0,20}") {
        let value = value.as_bytes();
        prop_assume!(weakness(value).is_none());
        let set = set(&[value]);
        let forms = forms(value);
        for form in &forms.list {
            let bytes = forms.bytes(form);
            let text = [before.as_bytes(), bytes, behind.as_bytes()].concat();
            let out = run(&set, &[&text]);
            prop_assert!(!out.windows(bytes.len()).any(|w| w == bytes), "{} form", form.kind);
        }
    }

    #[test]
    fn base64_hides_the_value_at_every_alignment(value in prop::collection::vec(any::<u8>(), 12..40), before in prop::collection::vec(any::<u8>(), 0..5), behind in prop::collection::vec(any::<u8>(), 0..5)) {
        use base64::{Engine as _, engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD}};
        let set = set(&[&value]);
        let all = [before.as_slice(), &value, &behind].concat();
        for text in [STANDARD.encode(&all), URL_SAFE_NO_PAD.encode(&all)] {
            let out = set.text(&text).into_inner();
            prop_assert!(out.contains("[redacted:s0]"), "{out}");
            prop_assert!(out.replace("[redacted:s0]", "").len() <= text.len() - (value.len() * 4 / 3 - 2));
        }
    }
}

#[test]
fn what_had_to_wait_for_the_end_is_shown_with_it() {
    let needles =
        Needles::of(&SecretName::parse("a").unwrap(), &SecretValue::new(b"tok_9fQ2xT7vLm4Z".to_vec()));
    let mut capture = Capture::new(LedgerPage::Stdout, &NeedleSet::new([&needles]), 1000);
    let mut shown = capture.push(b"tok_9fQ2xT7vLm4Z\n").map(Redacted::into_inner).unwrap_or_default();
    shown += &capture.end().map(Redacted::into_inner).unwrap_or_default();
    assert_eq!(shown, "[redacted:a]\n");
    assert_eq!(capture.end(), None);
    let captured = capture.finish();
    assert_eq!((captured.text.get().as_str(), captured.ledger.masked().total()), ("[redacted:a]\n", 1));
}
