//! The unescaped view: what encoders write of a value, once and twice, is masked where it stands.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::{super::NeedleSet, run, set};

const KEY: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3=sYb1";
const PASSWORD: &str = "p@ss \"q\" & <t> 'a' $1\\";
const ACCENTED: &str = "pä$$wörd-€niñode-9Xq";

/// A value as a tool wrote it.
const WRITTEN: &[(&str, &str, &str)] = &[
    ("Gson", KEY, r"tok_9fQ2xT7vLm4Z/kW8+hN3\u003dsYb1"),
    ("Gson, in JSON", KEY, r"tok_9fQ2xT7vLm4Z/kW8+hN3\\u003dsYb1"),
    ("Gson, in JSON in JSON", KEY, r"tok_9fQ2xT7vLm4Z/kW8+hN3\\\\u003dsYb1"),
    ("php's json_encode", KEY, r"tok_9fQ2xT7vLm4Z\/kW8+hN3=sYb1"),
    ("encodeURIComponent", KEY, "tok_9fQ2xT7vLm4Z%2FkW8%2BhN3%3DsYb1"),
    ("a URL in a URL", KEY, "tok_9fQ2xT7vLm4Z%252FkW8%252BhN3%253DsYb1"),
    ("a URL in a URL in a URL", KEY, "tok_9fQ2xT7vLm4Z%25252FkW8%25252BhN3%25253DsYb1"),
    ("jinja", KEY, "tok_9fQ2xT7vLm4Z&#x2F;kW8&#43;hN3&#61;sYb1"),
    (
        "html.escape of htmlentities",
        KEY,
        "tok&amp;lowbar;9fQ2xT7vLm4Z&amp;sol;kW8&amp;plus;hN3&amp;equals;sYb1",
    ),
    ("quopri", KEY, "tok_9fQ2xT7vLm4Z/kW8+hN3=3DsYb1"),
    ("a soft line break", KEY, "tok_9fQ2xT7vLm=\r\n4Z/kW8+hN3=3D=\nsYb1"),
    ("a mail with a URL in HTML", KEY, "tok_9fQ2xT7vLm4Z%2FkW8&#43;hN3=\n&=2361;sYb1"),
    ("quoted-printable in JSON", KEY, "tok_9fQ2xT7vLm=\\r\\n4Z/kW8+hN3=3DsYb1"),
    ("systemd-escape", KEY, r"tok_9fQ2xT7vLm4Z\x2fkW8\x2bhN3\x3dsYb1"),
    ("octal", KEY, r"tok_9fQ2xT7vLm4Z\057kW8\053hN3\075sYb1"),
    ("CSS", KEY, r"tok\5f 9fQ2xT7vLm4Z\2f kW8\2BhN3\00003dsYb1"),
    ("an LDAP filter", KEY, r"tok\5f9fQ2xT7vLm4Z\2fkW8\2bhN3\3dsYb1"),
    ("an LDAP filter in JSON", KEY, r"tok\\5f9fQ2xT7vLm4Z\\2fkW8\\2bhN3\\3dsYb1"),
    ("a zone file", KEY, r"tok\0959fQ2xT7vLm4Z\047kW8\043hN3\061sYb1"),
    ("a line that goes on", KEY, "tok_9fQ2xT7vLm4Z\\\n/kW8+hN3=sYb1"),
    ("ABNF and JavaScript's escape", KEY, "tok%x5F9fQ2xT7vLm4Z%u002FkW8+hN3=sYb1"),
    ("full width", KEY, "ｔｏｋ＿９ｆＱ２ｘＴ７ｖＬｍ４Ｚ／ｋＷ８＋ｈＮ３＝ｓＹｂ１"),
    ("mathematics, in JSON", KEY, r"\ud835\udc2dok_9fQ2xT7vLm4Z/kW8+hN3=sYb\ud835\udfcf"),
    ("json.dumps", PASSWORD, r#"p@ss \"q\" & <t> 'a' $1\\"#),
    ("json.dumps, twice", PASSWORD, r#"p@ss \\\"q\\\" & <t> 'a' $1\\\\"#),
    ("php, JSON_HEX", PASSWORD, r"p@ss \u0022q\u0022 \u0026 \u003Ct\u003E \u0027a\u0027 $1\\"),
    ("urlencode", PASSWORD, "p%40ss+%22q%22+%26+%3Ct%3E+%27a%27+%241%5C"),
    ("html.escape", PASSWORD, "p@ss &quot;q&quot; &amp; &lt;t&gt; &#x27;a&#x27; $1\\"),
    (
        "html.escape, twice",
        PASSWORD,
        "p@ss &amp;quot;q&amp;quot; &amp;amp; &amp;lt;t&amp;gt; &amp;#x27;a&amp;#x27; $1\\",
    ),
    ("printf %q", PASSWORD, r#"p@ss\ \"q\"\ \&\ \<t\>\ \'a\'\ \$1\\"#),
    ("shlex.quote", PASSWORD, r#"p@ss "q" & <t> '"'"'a'"'"' $1\"#),
    ("jq @sh", PASSWORD, r#"p@ss "q" & <t> '\''a'\'' $1\"#),
    ("sqlite3's quote()", PASSWORD, r#"p@ss "q" & <t> ''a'' $1\"#),
    ("CSV", PASSWORD, r#"p@ss ""q"" & <t> 'a' $1\"#),
    ("PowerShell", PASSWORD, "p@ss `\"q`\" & <t> 'a' `$1\\"),
    ("a mail's subject", PASSWORD, "p=40ss_=22q=22_=26_=3Ct=3E_=27a=27_$1=5C"),
    ("as it stands", ACCENTED, "pä$$wörd-€niñode-9Xq"),
    ("NFD", ACCENTED, "pa\u{308}$$wo\u{308}rd-€nin\u{303}ode-9Xq"),
    ("NFD, in a URL", ACCENTED, "pa%CC%88$$wo%CC%88rd-%E2%82%ACnin%CC%83ode-9Xq"),
    ("JSON in ASCII", ACCENTED, r"p\u00e4$$w\u00f6rd-\u20acni\u00f1ode-9Xq"),
    ("Python's ascii()", ACCENTED, r"p\xe4$$w\xf6rd-\u20acni\xf1ode-9Xq"),
    ("Python's repr of its bytes", ACCENTED, r"p\xc3\xa4$$w\xc3\xb6rd-\xe2\x82\xacni\xc3\xb1ode-9Xq"),
    ("git, ls -b", ACCENTED, r"p\303\244$$w\303\266rd-\342\202\254ni\303\261ode-9Xq"),
    ("ls", ACCENTED, r"p'$'\303\244''$$w'$'\303\266''rd-'$'\342\202\254''ni'$'\303\261''ode-9Xq"),
    ("ls, one character", "a-9Xq-é=b", r"'a-9Xq-'$'\303\251''=b'"),
    ("dig", ACCENTED, r"p\195\164$$w\195\182rd-\226\130\172ni\195\177ode-9Xq"),
    ("cat -v", ACCENTED, "pM-CM-$$$wM-CM-6rd-M-bM-^BM-,niM-CM-1ode-9Xq"),
    ("xmlcharrefreplace", ACCENTED, "p&#228;$$w&#246;rd-&#8364;ni&#241;ode-9Xq"),
    ("htmlentities", ACCENTED, "p&auml;$$w&ouml;rd-&euro;ni&ntilde;ode-9Xq"),
    ("windows-1252, in a URL", ACCENTED, "p%E4$$w%F6rd-%80ni%F1ode-9Xq"),
    (
        "UTF-8 read as Latin-1, in JSON",
        ACCENTED,
        r"p\u00c3\u00a4$$w\u00c3\u00b6rd-\u00e2\u0082\u00acni\u00c3\u00b1ode-9Xq",
    ),
    (
        "code points",
        ACCENTED,
        "U+0070 U+00E4 U+0024 U+0024 U+0077 U+00F6 U+0072 U+0064 U+002D U+20AC U+006E U+0069 U+00F1 U+006F U+0064 U+0065 U+002D U+0039 U+0058 U+0071",
    ),
    ("a host's name", "müller-2024-9Xq", "xn--mller-2024-9Xq-gsb"),
];

#[test]
fn what_tools_write_is_masked_where_it_stands() {
    for (tool, value, written) in WRITTEN {
        let set = set(&[value.as_bytes()]);
        let text = format!("<<{written}>>");
        for size in [1, 3, 1000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let out = String::from_utf8_lossy(&run(&set, &chunks)).into_owned();
            // Of the first and the last character a sign of the writing may be left.
            let left = out.replace("[redacted:s0]", "");
            assert!(out.contains("[redacted:s0]") && left.len() <= 7, "{tool}: {out}");
        }
    }
}

#[test]
fn what_stands_around_a_value_stays() {
    let set = set(&[KEY.as_bytes()]);
    let line = r#"{"a":"b\nc\"d","key":"KEY","e":"%20\u0041&amp;=3D\\"}"#;
    for written in WRITTEN.iter().filter(|(_, value, _)| *value == KEY).map(|(.., written)| written) {
        let text = line.replace("KEY", written);
        assert_eq!(set.text(&text).get(), &line.replace("KEY", "[redacted:s0]"), "{written}");
    }
}

/// A value in bytes that no text has: code pages, UTF-16.
#[test]
fn a_value_is_found_in_other_character_sets() {
    let cases: [(&str, &[u8]); 8] = [
        ("pä$$wörd-niñode-9Xq", b"p\xe4$$w\xf6rd-ni\xf1ode-9Xq"),
        ("pä$$wörd-niñode-9Xq", b"p\x84$$w\x94rd-ni\xa4ode-9Xq"),
        ("pä$$wörd-niñode-9Xq", b"p\x8a$$w\x9ard-ni\x96ode-9Xq"),
        ("ключ-доступа", b"\xcb\xcc\xc0\xde-\xc4\xcf\xd3\xd4\xd5\xd0\xc1"),
        ("ключ-доступа", b"\xea\xeb\xfe\xf7-\xe4\xee\xf1\xf2\xf3\xef\xe0"),
        ("日本語のパスワード", b"\x93\xfa\x96{\x8c\xea\x82\xcc\x83p\x83X\x83\x8f\x81[\x83h"),
        ("pä-ß", b"p\0\xe4\0-\0\xdf\0"),
        ("pä-ß", b"\0p\0\xe4\0-\0\xdf"),
    ];
    for (value, bytes) in cases {
        let out = run(&set(&[value.as_bytes()]), &[b"<<", bytes, b">>"]);
        assert!(out.starts_with(b"<<") && out.ends_with(b">>"));
        assert!(out.windows(13).any(|window| window == b"[redacted:s0]"), "{value}: {out:x?}");
        assert!(out.len() <= b"<<[redacted:s0]>>".len() + 2, "{value}: {out:x?}");
    }
}

/// Each character of a key by itself, in each writing that has letters or digits: neither what stands before it nor
/// what stands behind it is left.
#[test]
fn one_character_breaks_nothing() {
    let set = set(&[KEY.as_bytes()]);
    let writings: [fn(u8) -> String; 9] = [
        |byte| format!("\\u{byte:04x}"),
        |byte| format!("\\x{byte:02X}"),
        |byte| format!("\\u{{{byte:x}}}"),
        |byte| format!("%{byte:02x}"),
        |byte| format!("&#{byte};"),
        |byte| format!("&#x{byte:X};"),
        |byte| format!("={byte:02X}"),
        |byte| format!("\\{byte:03o}"),
        |byte| format!("\\\\u{byte:04x}"),
    ];
    for at in 0..KEY.len() {
        for (number, write) in writings.iter().enumerate() {
            let text = format!("<{}{}{}>", &KEY[..at], write(KEY.as_bytes()[at]), &KEY[at + 1..]);
            assert_eq!(set.text(&text).get(), "<[redacted:s0]>", "{text} {number}");
        }
    }
}

/// A value that looks as if it had escapes, in something that has others.
#[test]
fn a_value_with_escapes_of_its_own_is_found() {
    let url = "postgres://app:Zx81%2Bvw-Lq7@db:5432/app?a=b&c=d";
    let backslashes = r"C:\new\x41\%41-&amp;-9fQ2";
    for (value, written) in [
        (url, r"postgres:\/\/app:Zx81%2Bvw-Lq7@db:5432\/app?a\u003db\u0026c\u003dd"),
        (url, "postgres%3A%2F%2Fapp%3AZx81%252Bvw-Lq7%40db%3A5432%2Fapp%3Fa%3Db%26c%3Dd"),
        (url, "postgres://app:Zx81%2Bvw-Lq7@db:5432/app?a=b&amp;c=d"),
        (backslashes, r"C:\\new\\x41\\%41-\u0026amp;-9fQ2"),
        (backslashes, r"C:\new\x41\%41-&amp;amp;-9fQ2"),
        (backslashes, r"C%3A%5Cnew%5Cx41%5C%2541-%26amp%3B-9fQ2"),
    ] {
        let out = set(&[value.as_bytes()]).text(&format!("<{written}>")).into_inner();
        assert_eq!(out, "<[redacted:s0]>", "{written}");
    }
}

#[test]
fn base64_within_urls_and_wrapped_within_json_is_found() {
    let value = "zz?~~??>>>-9fQ2xT7vLm4ZkW8+hN3-9fQ2xT7vLm4ZkW8+hN3";
    let set = set(&[value.as_bytes()]);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("user:{value}"));
    assert!(base64.contains('/') && base64.contains('+'), "{base64}");
    let in_url = base64.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    let lines: Vec<&str> =
        base64.as_bytes().chunks(19).map(|line| std::str::from_utf8(line).unwrap()).collect();
    for text in [in_url, lines.join("\\n"), lines.join("\\\\r\\\\n"), lines.join("&#10;"), lines.join("=\n")]
    {
        let out = set.text(&text).into_inner();
        let left = out.replace("[redacted:s0]", "");
        assert!(out.contains("[redacted:s0]") && left.len() <= 16, "{text}: {out}");
    }
}

#[test]
fn a_prompt_that_ends_like_an_escape_is_shown() {
    let set = set(&[KEY.as_bytes()]);
    for prompt in ["done: 100%", "C:\\", "a & b &", "x =", "continue? \\", "100%2", "it's '"] {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        redactor.push(prompt.as_bytes(), &mut out);
        redactor.flush_idle(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), prompt);
    }
}

const VALUES: [&[u8]; 4] =
    [KEY.as_bytes(), PASSWORD.as_bytes(), "käse-9Xq-брод".as_bytes(), b"line-one-9Xq\nline-two-3Lm"];

static SET: LazyLock<NeedleSet> = LazyLock::new(|| set(&VALUES));
static ONE: LazyLock<NeedleSet> = LazyLock::new(|| set(&VALUES[..1]));

/// A character as one of many encoders writes it.
fn writing(char: char, how: u8) -> String {
    let units: Vec<String> =
        char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("{unit:04x}")).collect();
    let bytes = |prefix: &str| -> String {
        char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("{prefix}{byte:02x}")).collect()
    };
    match how {
        0 => bytes("%"),
        1 => bytes("\\x"),
        2 => format!("\\u{}", units.join("\\u")),
        3 => format!("&#{};", u32::from(char)),
        4 => format!("\\u{{{:x}}}", u32::from(char)),
        5 => format!("%u{}", units.join("%u")),
        6 => char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        7 if char == '\\' || (!char.is_alphanumeric() && char.is_ascii_graphic()) => format!("\\{char}"),
        _ if matches!(char, '\\' | '%' | '&' | '"' | '\'' | '`') => format!("\\{char}"),
        _ => char.to_string(),
    }
}

/// A value, each of its characters written in one of some ways, once or twice.
fn disguised() -> impl Strategy<Value = String> {
    let how = prop::collection::vec(0u8..16, 64);
    (prop::sample::select(VALUES.as_slice()), how.clone(), how, any::<bool>()).prop_map(
        |(value, how, again, twice)| {
            let write = |text: &str, how: &[u8]| -> String {
                text.chars().zip(how.iter().cycle()).map(|(char, how)| writing(char, *how)).collect()
            };
            let once = write(std::str::from_utf8(value).unwrap(), &how);
            if twice { write(&once, &again) } else { once }
        },
    )
}

const INTRODUCERS: &[&str] =
    &["\\", "\\\\", "%", "%25", "&", "&amp;", "=", "=3D", "\\u00", "=\n", "''", "'", "\\3d", " "];

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => disguised().prop_map(String::into_bytes),
        2 => prop::sample::select(INTRODUCERS).prop_map(|text| text.as_bytes().to_vec()),
        1 => "[a-z0-9 .:/\\\\%&=;\n\"'-]{0,100}".prop_map(String::into_bytes),
        1 => (prop::sample::select(VALUES.as_slice()), 1usize..20)
            .prop_map(|(value, keep)| value[..keep.min(value.len())].to_vec()),
        1 => (1usize..300).prop_map(|length| vec![b'x'; length]),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(), 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn chunks_make_no_difference(text in text(), cuts in prop::collection::vec(1usize..40, 1..40)) {
        let mut sizes = cuts.iter().cycle();
        let mut chunks = Vec::new();
        let mut rest = text.as_slice();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            chunks.push(chunk);
            rest = behind;
        }
        let (whole, pieces) = (run(&SET, &[&text]), run(&SET, &chunks));
        prop_assert_eq!(String::from_utf8_lossy(&pieces), String::from_utf8_lossy(&whole));
    }

    #[test]
    fn one_more_needle_unmasks_nothing(text in text()) {
        let fewer = ONE.redactor().masked(&text);
        let more = SET.redactor().masked(&text);
        for span in fewer {
            prop_assert!(more.iter().any(|wider| wider.0 <= span.0 && span.1 <= wider.1), "{:?} in {:?}", span, more);
        }
    }

    #[test]
    fn a_disguised_value_is_masked_whole(written in disguised(), before in "[a-z ]{0,90}<", behind in ">[a-z ]{0,90}") {
        let text = format!("{before}{written}{behind}");
        let out = SET.text(&text).into_inner();
        let inside = out.strip_prefix(&before).and_then(|rest| rest.strip_suffix(&behind));
        prop_assert!(inside.is_some(), "{} was {}", out, text);
        // The end of the line between two that are masked is none of either's.
        let left = super::masks_as_r(inside.unwrap());
        prop_assert!(left == "R" || (left.starts_with('R') && left.ends_with('R') && left.len() <= 16), "{} was {}", out, text);
    }

    #[test]
    fn escapes_without_a_value_stay(text in "([a-z]{1,9}[ \n.,:-]|\\\\[a-z\"\\\\/]|%[0-9A-F]{2}|&[a-z]{1,6};|=[0-9A-F]{2}|\\\\u[0-9a-f]{4}|''){0,80}") {
        prop_assert_eq!(run(&SET, &[text.as_bytes()]), text.as_bytes());
    }
}

/// However a stream is made, each reading takes in each byte of its source once, and ordinary logs next to nothing.
#[test]
fn a_stream_is_decoded_no_more_often_than_there_are_readings() {
    let cost = |set: &NeedleSet, text: &[u8]| {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        text.chunks(16 << 10).for_each(|chunk| redactor.push(chunk, &mut out));
        redactor.unescaping()
    };
    for piece in [
        "\\",
        "%",
        "&",
        "=",
        "%25",
        "\\\\",
        "&amp;",
        "=3D",
        "\\u005c",
        "%255c255cu0025",
        "&#x26;amp;",
        "\\\\3d =3D",
        "=\n",
        "tok_9fQ2\\u0078",
        "\\x",
        "\\u",
        "''",
        "'\\'",
        "\\3d %61 =3D \\\\3d ",
    ] {
        let text = piece.repeat((64 << 10) / piece.len());
        assert!(cost(&SET, text.as_bytes()) <= 14 * text.len() as u64, "{piece}");
    }
    let plain = "2026-11-25T10:00:00Z INFO request method=GET path=/api/v1/users/17 status=200 took=977us\n"
        .repeat(700);
    assert!(cost(&set(&[KEY.as_bytes()]), plain.as_bytes()) < plain.len() as u64 / 10);
}
