//! A value in pieces, in lines that are framed alike.

use proptest::prelude::*;

use super::{run, set};

const VALUE: &str = "sk-live/9fQ2xT7vLm4Z+kW8";
/// Without sixteen letters and digits in a row that look random, so that none of its pieces is found by itself.
const WORDS: &str = "Orchid-saddle/Walnut+granite 7 Copper.Velvet";

/// How a piece is written in the line of a number.
type Frame = fn(usize, &str) -> String;

/// Frames that tools put around the lines of others.
const FRAMES: &[(&str, Frame)] = &[
    ("nl", |n, piece| format!("{:>6}\t{piece}\n", n + 7)),
    ("cat -n, from a number on", |n, piece| format!("{:>6}  {piece}\n", n + 98)),
    ("grep -n", |n, piece| format!("{}:{piece}\n", n + 8)),
    ("grep -n, in a file", |n, piece| format!("src/a-file.rs:{}:{piece}\n", n + 8)),
    ("strings -t x", |n, piece| format!("{:>7} {piece}\n", n * 32 + 100)),
    ("a mail", |_, piece| format!("> Jane wrote: {piece}\n")),
    ("quotes of quotes", |_, piece| format!("jd> kl> {piece}\n")),
    ("a log", |n, piece| format!("2026-11-25T10:02:{:02}.{}Z INFO  [worker-3] {piece}\n", n + 8, n * 7919)),
    ("syslog", |n, piece| format!("Nov 25 10:02:{:02} host-1 app[4711]: {piece}\n", n + 8)),
    ("kubectl --prefix", |_, piece| format!("[pod/app-7f9c/web] {piece}\n")),
    ("docker compose", |_, piece| format!("web-1  | {piece}\n")),
    ("a diff with its file", |n, piece| format!("a/secrets.txt:+{}: {piece}\n", n + 1)),
    ("a comment", |_, piece| format!("# key: {piece}\n")),
    ("docker's log file", |n, piece| {
        format!(
            "{{\"log\":\"{piece}\",\"stream\":\"stdout\",\"time\":\"2026-11-25T10:02:{:02}.{}Z\"}}\n",
            n + 8,
            n * 104_729
        )
    }),
    ("with its line feed", |n, piece| {
        format!(
            "{{\"log\":\"{piece}\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-25T10:02:{:02}Z\"}}\n",
            n + 8
        )
    }),
    ("behind its time", |n, piece| {
        format!("{{\"ts\":17640{n},\"level\":\"info\",\"msg\":\"{piece}\",\"id\":{n}}}\n")
    }),
    ("a header in parts (RFC 2231)", |n, piece| format!(" filename*{n}=\"{piece}\";\n")),
    ("an ASCII table", |_, piece| format!("| key name | {piece:<30} | 2026-11-25 |\n")),
    ("a table without borders", |n, piece| {
        format!(" {:<12} | {piece:<30} | text {n}\n", if n == 0 { "row one" } else { "" })
    }),
    ("rich", |n, piece| {
        format!(
            "│ {:<8} │ {piece:<30} │ {:<10} │\n",
            if n == 0 { "api key" } else { "" },
            if n == 1 { "prod eu" } else { "" }
        )
    }),
    ("a heavy box", |n, piece| format!("┃ {:<8} ┃ {piece:<30} ┃\n", ["one", "two", "three"][n % 3])),
    ("psql, wrapped", |n, piece| {
        format!(" {:<8} |.{piece:<30}.| {:<8}\n", ["ann", "", ""][n % 3], ["", "bob", ""][n % 3])
    }),
    ("strace", |n, piece| format!("[pid  47{n}] write(1, \"{piece}\", {}) = {}\n", piece.len(), piece.len())),
    ("a comment behind it", |n, piece| format!("{piece:<30} # line {n} of 20\n")),
    ("an assembler listing", |_, piece| format!("\t.ascii \"{piece}\" ; text\n")),
];

fn pieces(value: &str, length: usize) -> Vec<String> {
    value.as_bytes().chunks(length).map(|piece| String::from_utf8(piece.to_vec()).unwrap()).collect()
}

fn framed(frame: Frame, value: &str, length: usize) -> String {
    let pieces = pieces(value, length);
    let around = |n: usize, text: &str| frame(n, text);
    let before = around(0, "Some words");
    let lines: String = pieces.iter().enumerate().map(|(n, piece)| around(n + 1, piece)).collect();
    before + &lines + &around(pieces.len() + 1, "other words")
}

#[test]
fn a_value_in_pieces_is_masked_in_every_frame() {
    let set = set(&[VALUE.as_bytes(), WORDS.as_bytes()]);
    let mut open = Vec::new();
    for (name, frame) in FRAMES {
        for value in [VALUE, WORDS] {
            for length in [7, 11, 13, 23] {
                let text = framed(*frame, value, length);
                let out = String::from_utf8(run(&set, &[text.as_bytes()])).unwrap();
                let left: Vec<String> = pieces(value, length)
                    .into_iter()
                    .filter(|piece| piece.len() > 3 && out.contains(piece.as_str()))
                    .collect();
                if !left.is_empty() {
                    open.push(format!("{name}, {length}: {left:?} in\n{out}"));
                }
                assert!(out.contains("Some words") && out.contains("other words"), "{name}: {out}");
            }
        }
    }
    assert!(open.is_empty(), "{}:\n{}", open.len(), open.join("\n"));
}

/// A text of framed lines: whose frame, what value, in what pieces, where it begins.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let lines = (
        0..FRAMES.len(),
        prop::sample::select(vec![VALUE, WORDS, "hunter2-hunter2"]),
        1usize..30,
        "[ -~]{0,9}",
    );
    let of = |(at, value, length, lead): (usize, &str, usize, String)| {
        framed(FRAMES[at].1, &(lead + value), length)
    };
    let plain = "([a-z0-9]{1,9}[ \n.,:=|>-]){0,8}";
    prop::collection::vec(prop_oneof![3 => lines.prop_map(of), 1 => plain.prop_map(|text| text)], 1..5)
        .prop_map(|texts| texts.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lines_are_read_alike_in_any_chunks(text in text(), sizes in prop::collection::vec(1usize..90, 1..40)) {
        let set = set(&[VALUE.as_bytes(), WORDS.as_bytes(), b"hunter2-hunter2"]);
        let mut chunks = Vec::new();
        let mut rest = text.as_slice();
        for size in sizes.into_iter().cycle() {
            let (chunk, behind) = rest.split_at(size.min(rest.len()));
            chunks.push(chunk);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let (whole, pieces) = (run(&set, &[&text]), run(&set, &chunks));
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn one_more_secret_never_unmasks_a_line(text in text()) {
        let fewer = set(&[VALUE.as_bytes()]).redactor().masked(&text);
        let more = set(&[VALUE.as_bytes(), WORDS.as_bytes(), b"hunter2-hunter2"]).redactor().masked(&text);
        for span in fewer {
            prop_assert!(more.iter().any(|wider| wider.0 <= span.0 && span.1 <= wider.1), "{:?} in {:?}", span, more);
        }
    }

    #[test]
    fn lines_without_a_value_stay_as_they_are(
        at in 0..FRAMES.len(),
        pieces in prop::collection::vec("[a-zA-Z0-9/+ .-]{0,30}", 1..20),
    ) {
        let set = set(&[VALUE.as_bytes(), WORDS.as_bytes(), b"hunter2-hunter2"]);
        let text: String = pieces.iter().enumerate().map(|(n, piece)| FRAMES[at].1(n, piece)).collect();
        prop_assert_eq!(String::from_utf8(run(&set, &[text.as_bytes()])).unwrap(), text);
    }

    #[test]
    fn a_pause_between_lines_shows_no_beginning(at in 0..FRAMES.len(), length in 8usize..30) {
        let set = set(&[WORDS.as_bytes()]);
        let text = framed(FRAMES[at].1, WORDS, length);
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        for line in text.split_inclusive('\n') {
            redactor.push(line.as_bytes(), &mut out);
            redactor.flush_idle(&mut out);
        }
        redactor.finish(&mut out);
        let out = String::from_utf8(out).unwrap();
        // What a line of a table or of JSON ends with says nothing of the piece in it; the next line does.
        let shown = pieces(WORDS, length).into_iter().skip(1).filter(|piece| piece.len() > 3 && out.contains(piece.as_str()));
        prop_assert_eq!(shown.collect::<Vec<_>>(), Vec::<String>::new(), "{}", out);
    }
}

/// Each line is read at most once as what follows and once as what goes before, in the two frames and in its cells.
#[test]
fn what_reading_on_costs_is_bounded_by_what_is_read() {
    let set = set(&[VALUE.as_bytes()]);
    let heads = b"> sk-live/9fQ2 | sk-live/9fQ2 | sk-live/9fQ2 | T7vL\n> xT7vLm4Z+kW8 | sk-live | sk-live\n"
        .repeat(200);
    let cells = b"| sk-live | live | 9fQ2 | 2xT7 | xT7v | 7vLm | sk-l | sk-l |\n".repeat(300);
    let same = b"sk-live/9fQ2xT7vLm4Z+kW\n".repeat(500);
    let letters = b"1\ts\n2\tk\n3\tl\n4\ti\n5\tv\n6\te\n".repeat(500);
    for text in [heads, cells, same, letters] {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        text.chunks(1000).for_each(|chunk| redactor.push(chunk, &mut out));
        let cost = redactor.line_reading();
        assert!(0 < cost && cost <= 6 * text.len() as u64, "{cost} for {}: {:?}", text.len(), &text[..20]);
    }
    let log = b"2026-11-25T10:02:03Z INFO  GET /api/v1/users/17 status=200 in 12 ms\n".repeat(100);
    let mut redactor = set.redactor();
    redactor.push(&log, &mut Vec::new());
    assert_eq!(redactor.line_reading(), 0, "no line of a log begins a needle");
}
