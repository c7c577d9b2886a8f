//! Properties of all forms and views together.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::{
    super::forms::{MatchMode, forms, squeeze},
    NeedleSet,
    anything::anything,
    needles, run, set,
};

const VALUES: [&[u8]; 4] =
    [b"sk-live/9fQ2xT7vLm4Z+kW8", b"tr0ub4dor&3 \"x\"", b"!!Zx81vwLq7!!", b"line-one-9Xq\nline-two-3Lm"];

/// Pieces of which the texts are made: plain text, and values in their disguises.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let value = prop::sample::select(VALUES.as_slice());
    let between =
        prop::sample::select(["", " ", "\n", "-", ", ", "\x1b[31m", "\x1b]0;t\x07", "\0"].as_slice());
    prop_oneof![
        2 => "[a-z0-9 .:/\n\"'!-]{0,12}".prop_map(String::into_bytes),
        1 => "[ -~]{0,12}".prop_map(String::into_bytes),
        1 => Just(b"00000010: ".to_vec()),
        1 => Just(b"x://u:".to_vec()),
        1 => Just(b"@h eJx H4sI 789c \x1b".to_vec()),
        2 => (value.clone(), between).prop_map(|(value, between)| {
            value.iter().flat_map(|byte| [&[*byte], between.as_bytes()].concat()).collect()
        }),
        2 => (value.clone(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
            let forms = forms(value);
            forms.bytes(&forms.list[at.index(forms.list.len())]).to_vec()
        }),
        1 => (value.clone(), 1usize..40).prop_map(|(value, keep)| value[..keep.min(value.len())].to_vec()),
        1 => (value.clone(), 0usize..20).prop_map(|(value, lead)| dump(&[vec![b'.'; lead].as_slice(), value].concat())),
        1 => value.prop_map(|value| {
            STANDARD.encode(miniz_oxide::deflate::compress_to_vec_zlib(value, 6)).into_bytes()
        }),
    ]
}

fn dump(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.chunks(16).enumerate().map(|(n, line)| {
        let pairs: Vec<String> = line.chunks(2).map(hex::encode).collect();
        format!(
            "{:08x}: {:<39}  {}\n",
            n * 16,
            pairs.join(" "),
            String::from_utf8_lossy(line).replace('\n', ".")
        )
    });
    lines.collect::<String>().into_bytes()
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..12).prop_map(|pieces| pieces.concat())
}

/// Values in everything that a view looks at, among what only looks like it.
fn disguised() -> impl Strategy<Value = Vec<u8>> {
    anything(prop::sample::select(VALUES.as_slice()).prop_map(<[u8]>::to_vec))
}

/// The same of what is no value.
fn innocent() -> impl Strategy<Value = Vec<u8>> {
    let others = ["an ordinary line", "{\"status\": 200}", "Lorem ipsum dolor", "3fa85f64-5717-4562"];
    anything(prop::sample::select(others.map(str::as_bytes).to_vec()).prop_map(<[u8]>::to_vec))
}

/// Sizes of chunks: most of them small, and some larger than what is looked through at a time.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![8 => 1..30usize, 2 => 30..900usize, 1 => 900..20_000usize], 0..60)
}

fn cut(text: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    let mut rest = text;
    for cut in cuts {
        let (chunk, behind) = rest.split_at((*cut).min(rest.len()));
        chunks.push(chunk.to_vec());
        rest = behind;
    }
    chunks.push(rest.to_vec());
    chunks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn chunks_make_no_difference_to_any_view(text in text(), cuts in prop::collection::vec(1usize..30, 0..60)) {
        let set = set(&VALUES);
        let chunks = cut(&text, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let whole = run(&set, &[&text]);
        let pieces = run(&set, &chunks);
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn every_form_that_stands_there_is_covered(text in text()) {
        let masked = set(&VALUES).redactor().masked(&text);
        prop_assert!(masked.windows(2).all(|pair| pair[0].1 <= pair[1].0), "disjoint, in order");
        for forms in VALUES.map(forms) {
            for form in forms.list.iter().filter(|form| form.sight == MatchMode::Literal) {
                let bytes = forms.bytes(form);
                for at in (0..text.len()).filter(|at| text[*at..].starts_with(bytes)) {
                    let (from, to) = (at as u64, (at + bytes.len()) as u64);
                    prop_assert!(masked.iter().any(|span| span.0 <= from && to <= span.1), "{} at {}", form.kind, at);
                }
            }
        }
    }

    #[test]
    fn one_more_needle_never_unmasks_a_byte(text in text()) {
        let fewer = set(&VALUES[..2]).redactor().masked(&text);
        let more = set(&VALUES).redactor().masked(&text);
        for span in fewer {
            prop_assert!(more.iter().any(|wider| wider.0 <= span.0 && span.1 <= wider.1), "{:?} in {:?}", span, more);
        }
    }

    #[test]
    fn secrets_that_are_added_one_by_one_are_masked_as_together(text in text(), first in 0usize..VALUES.len()) {
        let mut values = VALUES;
        values.rotate_left(first);
        let mut grown = NeedleSet::empty();
        needles(&values).iter().for_each(|one| grown.add(one));
        prop_assert_eq!(grown.redactor().masked(&text), set(&VALUES).redactor().masked(&text));
        prop_assert!(NeedleSet::empty().is_empty(), "a set that is shared stays as it was");
    }

    #[test]
    fn nothing_of_a_value_is_left_to_be_read(text in text()) {
        let out = String::from_utf8_lossy(&run(&set(&VALUES), &[&text])).into_owned();
        let out = super::masks_as_r(&out).replace('R', &"\n".repeat(200));
        for value in VALUES {
            prop_assert!(!out.as_bytes().windows(value.len()).any(|window| window == value));
            let symbols = squeeze(value);
            if symbols.len() >= 16 {
                for line in out.split(&"\n".repeat(100)) {
                    let left = squeeze(line.as_bytes());
                    prop_assert!(line.contains('\x1b') || !left.windows(symbols.len()).any(|w| w == symbols.as_slice()), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn clean_text_stays_as_it_is(text in "([a-z]{1,9}[ \n.,:=-]|[0-9a-f]{1,16} |[A-Z][a-z]{2,8} ){0,60}") {
        prop_assert_eq!(run(&set(&VALUES), &[text.as_bytes()]), text.as_bytes());
    }

    #[test]
    fn chunks_make_no_difference_to_anything(text in disguised(), cuts in cuts()) {
        let set = set(&VALUES);
        let chunks = cut(&text, &cuts);
        let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let (whole, pieces) = (run(&set, &[&text]), run(&set, &chunks));
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn one_more_secret_unmasks_nothing_of_anything(text in disguised(), known in 0..VALUES.len()) {
        let fewer = set(&VALUES[known..=known]).redactor().masked(&text);
        let more = set(&VALUES).redactor().masked(&text);
        for span in fewer {
            prop_assert!(more.iter().any(|wider| wider.0 <= span.0 && span.1 <= wider.1), "{:?} in {:?}", span, more);
        }
    }

    #[test]
    fn anything_without_a_value_stays_as_it_is(text in innocent()) {
        let out = run(&set(&VALUES), &[&text]);
        prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&text));
    }

    #[test]
    fn a_pause_leaks_no_more_than_three_bytes(text in text(), cuts in prop::collection::vec(1usize..30, 0..60)) {
        let set = set(&VALUES[..1]);
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        for chunk in cut(&text, &cuts) {
            redactor.push(&chunk, &mut out);
            redactor.flush_idle(&mut out);
        }
        redactor.finish(&mut out);
        prop_assert!(!out.windows(VALUES[0].len() - 3).any(|window| VALUES[0].starts_with(window)));
    }
}
