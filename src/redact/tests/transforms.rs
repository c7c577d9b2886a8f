//! What others do to a value, worked out here and not by the code under test; `tests/it/leaks.rs` has the
//! same done by real tools.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{run, set};

const VALUE: &str = "sk-live/9fQ2xT7vLm4Z+kW8";

/// The value in each of its disguises.
fn transforms() -> Vec<(&'static str, String)> {
    let bytes = VALUE.as_bytes();
    let each = |f: &dyn Fn(u8) -> String, between: &str| -> String {
        bytes.iter().map(|byte| f(*byte)).collect::<Vec<_>>().join(between)
    };
    let letter = |byte: u8| char::from(byte).to_string();
    let base64 = STANDARD.encode(VALUE);
    let wide =
        |zeros: usize| bytes.iter().flat_map(|b| [vec![*b], vec![0; zeros]].concat()).collect::<Vec<u8>>();
    vec![
        ("upper", VALUE.to_uppercase()),
        (
            "swapped",
            VALUE
                .chars()
                .map(|c| if c.is_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect(),
        ),
        ("reversed", VALUE.chars().rev().collect()),
        ("a line each", each(&letter, "\n")),
        ("spaced", each(&letter, " ")),
        ("dashed", each(&letter, "-")),
        ("listed", format!("[\"{}\"]", each(&letter, "\",\n      \""))),
        ("coloured", each(&|b| format!("\x1b[38;5;{b}m{}\x1b[0m", char::from(b)), "")),
        ("linked", each(&|b| format!("\x1b]8;;http://x/{b}\x1b\\{}\x1b]8;;\x07", char::from(b)), "")),
        ("hex with colons", each(&|b| format!("{b:02x}"), ":")),
        ("HEX with spaces", each(&|b| format!("{b:02X}"), " ")),
        ("\\x", each(&|b| format!("\\x{b:02x}"), "")),
        ("0x", each(&|b| format!("0x{b:02X}"), ", ")),
        ("\\u", each(&|b| format!("\\u{b:04x}"), "")),
        ("\\U", each(&|b| format!("\\u{b:04X}"), "")),
        ("octal escapes", each(&|b| format!("\\{b:03o}"), "")),
        ("decimal entities", each(&|b| format!("&#{b};"), "")),
        ("hex entities", each(&|b| format!("&#x{b:x};"), "")),
        ("numbers", format!("[{}]", each(&|b| b.to_string(), ", "))),
        ("binary", each(&|b| format!("{b:08b}"), " ")),
        ("quoted-printable", each(&|b| format!("={b:02X}"), "").replace("=66", "=\n=66")),
        ("percent twice", each(&|b| format!("%25{b:02x}"), "")),
        ("percent, reserved twice", VALUE.replace('/', "%252F").replace('+', "%252B")),
        (
            "base64 wrapped",
            base64
                .as_bytes()
                .chunks(5)
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        ("base64 twice", STANDARD.encode(&base64)),
        ("base64 of user:secret, twice", STANDARD.encode(STANDARD.encode(format!("user:{VALUE}")))),
        ("utf-16", String::from_utf8(wide(1)).unwrap()),
        ("utf-32", String::from_utf8(wide(3)).unwrap()),
        ("utf-16 in base64", STANDARD.encode(wide(1))),
    ]
}

#[test]
fn each_is_masked_and_its_surroundings_are_not() {
    let set = set(&[VALUE.as_bytes()]);
    for (name, text) in transforms() {
        let out = String::from_utf8(run(&set, &[format!("<<{text}>>").as_bytes()])).unwrap();
        assert!(out.starts_with("<<") && out.ends_with(">>"), "{name}: {out:?}");
        let left = out.replace("[redacted:s0]", "");
        let lost = text.len() + 4 - left.len();
        // What a prefix before the first byte and a suffix behind the last consist of may stay.
        assert!(left.len() <= 40 && lost * 10 >= text.len() * 7, "{name}: {out:?}");
    }
}

#[test]
fn dumps_are_read_across_lines_and_columns() {
    let value = b"0123456789abcdefGHIJKLMNOPQRSTUVWXYZsecret";
    let set = set(&[value]);
    let mut dumps: Vec<(&str, String)> = Vec::new();
    let column = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let text = [b"PREFIX=", value.as_slice(), b"\n"].concat();
    let lines = || (0..).step_by(16).zip(text.chunks(16));
    let pairs = |line: &[u8]| line.chunks(2).map(hex::encode).collect::<Vec<_>>().join(" ");
    let bytes = |line: &[u8]| line.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    dumps.push((
        "xxd",
        lines()
            .map(|(at, l): (usize, _)| {
                format!("{at:08x}: {:<39}  {}\n", pairs(l), column(l).replace('\n', "."))
            })
            .collect(),
    ));
    dumps.push((
        "hexdump -C",
        lines()
            .map(|(at, l)| format!("{at:08x}  {:<47}  |{}|\n", bytes(l), column(l).replace('\n', ".")))
            .collect(),
    ));
    dumps.push(("od -tx1", lines().map(|(at, l)| format!("{at:07o} {}\n", bytes(l))).collect()));
    dumps.push((
        "od -c",
        lines()
            .map(|(at, l)| {
                format!(
                    "{at:07o}{}\n",
                    l.iter().map(|b| format!("   {}", char::from(*b))).collect::<String>()
                )
            })
            .collect(),
    ));
    dumps.push((
        "od",
        lines()
            .map(|(at, l)| {
                format!(
                    "{at:07o} {}\n",
                    l.chunks(2)
                        .map(|w| format!("{:06o}", w.iter().rev().fold(0u32, |n, b| n << 8 | u32::from(*b))))
                        .collect::<Vec<_>>()
                        .join(" ")
                )
            })
            .collect(),
    ));
    dumps.push((
        "cat -n",
        value.chunks(1).enumerate().map(|(n, c)| format!("{:>6}\t{}\n", n + 1, column(c))).collect(),
    ));
    for (name, dump) in dumps {
        let out = String::from_utf8(run(&set, &[dump.as_bytes()])).unwrap();
        assert!(out.contains("[redacted:s0]"), "{name}: {out}");
        for piece in ["GHI", "KLM", "ret", "72 65", "7265", "162", "062562", "47 48"] {
            assert!(!out.contains(piece), "{name} has {piece}: {out}");
        }
    }
}

#[test]
fn compressed_data_is_looked_into() {
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};
    let value = VALUE.as_bytes();
    let set = set(&[value]);
    let document = [b"token: ".as_slice(), value, b"\n"].concat();
    let zlib = compress_to_vec_zlib(&document, 6);
    let gzip = [b"\x1f\x8b\x08\0\0\0\0\0\0\x03".as_slice(), &compress_to_vec(&document, 9), &[7; 8]].concat();
    let mut cases = vec![gzip.clone(), zlib.clone()];
    for data in [&gzip, &zlib] {
        cases.push(hex::encode(data).into_bytes());
        let base64 = STANDARD.encode(data).into_bytes();
        cases.push(base64.chunks(30).collect::<Vec<_>>().join(b"\n".as_slice()));
        cases.push(base64);
    }
    for case in cases {
        let out = run(&set, &[b"a: ", &case, b" :z"]);
        let text = String::from_utf8_lossy(&out);
        assert!(text.starts_with("a: [redacted:s0]") && text.ends_with(" :z"), "{text:?}");
        assert!(text.len() <= "a: [redacted:s0] :z".len() + 2, "{text:?}");
    }
    let other = STANDARD.encode(compress_to_vec_zlib(b"nothing of interest in here", 6));
    assert_eq!(run(&set, &[other.as_bytes()]), other.as_bytes());
}

#[test]
fn a_bomb_is_let_go() {
    let set = set(&[VALUE.as_bytes()]);
    let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 30_000_000], 9);
    let text = [b"x ".as_slice(), STANDARD.encode(bomb).as_bytes(), b" y"].concat();
    assert_eq!(run(&set, &[&text]), text);
}

/// What is no secret of this vault is never masked, whatever it looks like.
#[test]
fn a_login_in_a_url_is_masked_if_it_is_a_secret() {
    let password = set(&[b"hunter2/hunter2"]);
    let url = set(&[b"postgres://app:Zx81%2Bvw-Lq7@db:5432/app"]);
    for (text, with_password, with_url) in [
        ("postgres://app:pa55@db/x", "postgres://app:pa55@db/x", "postgres://app:pa55@db/x"),
        (
            "to https://u:p@ss:w@h:8080, and",
            "to https://u:p@ss:w@h:8080, and",
            "to https://u:p@ss:w@h:8080, and",
        ),
        ("a://u:hunter2/hunter2@h", "a://u:[redacted:s0]@h", "a://u:hunter2/hunter2@h"),
        ("a://u:hunter2%2Fhunter2@h", "a://u:[redacted:s0]@h", "a://u:hunter2%2Fhunter2@h"),
        ("a://u:Zx81%2Bvw-Lq7@h", "a://u:Zx81%2Bvw-Lq7@h", "a://u:[redacted:s0]@h"),
        ("a://u:Zx81+vw-Lq7@h", "a://u:Zx81+vw-Lq7@h", "a://u:[redacted:s0]@h"),
    ] {
        assert_eq!(super::NeedleSet::empty().text(text).get(), text);
        for (set, expected) in [(&password, with_password), (&url, with_url)] {
            for cut in 0..text.len() {
                let (one, two) = text.as_bytes().split_at(cut);
                assert_eq!(String::from_utf8_lossy(&run(set, &[one, two])), expected, "{cut}");
            }
        }
    }
}

#[test]
fn a_part_of_a_random_value_is_masked_and_a_short_one_is_not() {
    let value = "ghp_x7Kq2LmZ9vT4wR8sB1nC5dF6gH3jQ0pY2aE";
    let set = set(&[value.as_bytes()]);
    assert_eq!(set.text(&value[..24]).get(), "[redacted:s0]".to_owned().as_str().trim_start_matches("ghp_"));
    assert_eq!(set.text(&value[12..32]).get(), "[redacted:s0]");
    assert_eq!(set.text(&value[12..26]).get(), &value[12..26]);
}

#[test]
fn what_is_left_out_of_a_short_value_makes_another() {
    let set = set(&[b"Password123!", b"summer-2024-x"]);
    for text in ["password123", "Password 123", "summer2024x", "summer 2024 x"] {
        assert_eq!(set.text(text).get(), text);
    }
    assert_eq!(set.text("PASSWORD123!").get(), "[redacted:s0]");
    assert_eq!(set.text("s u m m e r - 2 0 2 4 - x").get(), "[redacted:s1]");
}

#[test]
fn inside_of_documents_and_connection_strings() {
    let account = r#"{"type":"service_account","project_id":"my-project","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nZk9dQ2xT7vLm4ZkW8aB3cD5eF7gH9iJ1\n-----END PRIVATE KEY-----\n","token_uri":"https://oauth2.googleapis.com/token"}"#;
    let set = set(&[account.as_bytes(), b"postgres://app:Zx81%2Bvw-Lq7@db:5432/app"]);
    assert_eq!(set.text("Zk9dQ2xT7vLm4ZkW8aB3cD5eF7gH9iJ1").get(), "[redacted:s0]");
    assert_eq!(set.text("password is Zx81+vw-Lq7.").get(), "password is [redacted:s1].");
    for plain in ["-----BEGIN PRIVATE KEY-----", "https://oauth2.googleapis.com/token", "service_account"] {
        assert_eq!(set.text(plain).get(), plain);
    }
}

#[test]
fn a_prompt_is_not_held_up_by_any_view() {
    let set = set(&[VALUE.as_bytes()]);
    for prompt in ["Password: ", "Name [app]? ", "proceed (y/n) ", "http://localhost:8080", "id 42 ", "> "] {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        redactor.push(prompt.as_bytes(), &mut out);
        redactor.flush_idle(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), prompt);
    }
}

/// A terminal shows nothing of it; a model reads it.
#[test]
fn the_text_of_an_escape_sequence_is_looked_through() {
    let set = set(&[VALUE.as_bytes()]);
    let spread: String = VALUE.chars().map(|c| format!("{c} ")).collect();
    let encoded =
        hex::encode(VALUE).as_bytes().chunks(2).map(String::from_utf8_lossy).collect::<Vec<_>>().join(":");
    for hidden in [VALUE, &spread, &encoded] {
        for (begin, end) in
            [("\x1bP", "\x1b\\"), ("\x1b]8;;https://h/", "\x07"), ("\x1b_", ""), ("\x1b]0;", "\x1b\\")]
        {
            let text = format!("before {begin}{hidden}{end} behind");
            let out = set.text(&text).into_inner();
            assert!(out.contains("[redacted:s0]") && out.starts_with("before"), "{text:?} as {out:?}");
            assert!(!out.contains(hidden) && (end.is_empty() || out.ends_with(" behind")), "{out:?}");
        }
    }
}
