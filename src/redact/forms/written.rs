//! Forms in which a value is written out as text: base64, hex and every kind of escaping. They are looked
//! for as they stand, byte by byte.

use std::fmt::Write as _;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

/// At each of the three alignments, the characters that the value alone decides; and with the padding
/// that stands behind it when it comes last. Standard and URL-safe alphabet (RFC 4648, sections 4 and 5).
pub(super) fn base64_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3usize {
        let mut bytes = Zeroizing::new(vec![0; before]);
        bytes.extend_from_slice(value);
        let first = (8 * before).div_ceil(6);
        let decided = 8 * bytes.len() / 6;
        for (plain, padded) in [(&STANDARD_NO_PAD, &STANDARD), (&URL_SAFE_NO_PAD, &URL_SAFE)] {
            let text = plain.encode(&*bytes).into_bytes();
            if first < decided {
                forms.push(text[first..decided].to_vec());
            }
            if first < text.len() {
                forms.push(text[first..].to_vec());
                forms.push(padded.encode(&*bytes).into_bytes()[first..].to_vec());
            }
        }
    }
    forms
}

pub(super) fn hex_forms(value: &[u8]) -> Vec<Vec<u8>> {
    vec![hex::encode(value).into_bytes(), hex::encode_upper(value).into_bytes()]
}

/// The sets of bytes that encoders in use leave as they are: RFC 3986 unreserved, the same with `/`
/// (Python's quote), encodeURIComponent, encodeURI, form data (where a space becomes `+`), none.
pub(super) fn percent_forms(value: &[u8]) -> Vec<Vec<u8>> {
    const KEPT: [&[u8]; 6] =
        [b"-_.~", b"-_.~/", b"-_.!~*'()", b"-_.!~*'();,/?:@&=+$#", b"*-._", b"-_.~!$&'()*+,;=:@/?"];
    let mut forms = Vec::new();
    for kept in KEPT {
        for space in ["%20", "+"] {
            for upper in [true, false] {
                forms.push(percent(value, |b| b.is_ascii_alphanumeric() || kept.contains(&b), space, upper));
            }
        }
    }
    forms.extend([true, false].map(|upper| percent(value, |_| false, "%20", upper)));
    // A URL inside of a URL: the same, once more.
    let twice = |text: &Vec<u8>| percent(text, |byte| byte != b'%', "%20", true);
    forms.extend(forms.iter().map(twice).collect::<Vec<_>>());
    forms
}

fn percent(value: &[u8], kept: impl Fn(u8) -> bool, space: &str, upper: bool) -> Vec<u8> {
    let mut text = String::new();
    for &byte in value {
        let written = match byte {
            b' ' => text.write_str(space),
            _ if kept(byte) => text.write_char(char::from(byte)),
            _ if upper => write!(text, "%{byte:02X}"),
            _ => write!(text, "%{byte:02x}"),
        };
        written.expect("a string takes all");
    }
    text.into_bytes()
}

/// How an encoder of JSON strings (RFC 8259, section 7) writes what it may write in several ways.
struct JsonStyle {
    slash: bool,
    ascii: bool,
    html: bool,
    upper: bool,
}

pub(super) fn json_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(value) else { return Vec::new() };
    let mut forms = Vec::new();
    for slash in [false, true] {
        for ascii in [false, true] {
            for html in [false, true] {
                for upper in [false, true] {
                    forms.push(json(text, &JsonStyle { slash, ascii, html, upper }).into_bytes());
                }
            }
        }
    }
    // A JSON document inside a JSON string: the same, once more.
    let twice = json(&json(text, &JSON_PLAIN), &JSON_PLAIN);
    forms.push(twice.into_bytes());
    forms
}

const JSON_PLAIN: JsonStyle = JsonStyle { slash: false, ascii: false, html: false, upper: false };

fn json(text: &str, style: &JsonStyle) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '/' if style.slash => out.push_str("\\/"),
            '<' | '>' | '&' | '\'' if style.html => json_unit(&mut out, c as u16, style.upper),
            c if c.is_ascii_control() || (style.ascii && !c.is_ascii()) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    json_unit(&mut out, *unit, style.upper);
                }
            }
            c => out.push(c),
        }
    }
    out
}

fn json_unit(out: &mut String, unit: u16, upper: bool) {
    let written = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
    written.expect("a string takes all");
}

/// `&`, `<` and `>` have one name each; quotes have several, and may be left as they are.
pub(super) fn xml_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(value) else { return Vec::new() };
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Vec::new();
    }
    let mut forms = Vec::new();
    for greater in ["&gt;", ">"] {
        for quote in ["\"", "&quot;", "&#34;", "&#x22;"] {
            for apostrophe in ["'", "&apos;", "&#39;", "&#x27;", "&#039;"] {
                let encoded = text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', greater)
                    .replace('"', quote)
                    .replace('\'', apostrophe);
                forms.push(encoded.into_bytes());
            }
        }
    }
    forms
}

/// Inside single quotes (three ways to write one), doubled quotes, inside double quotes, with
/// backslashes as `printf %q` does, and inside `$'…'`.
pub(super) fn shell_forms(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(value) else { return Vec::new() };
    let escaped = |special: fn(char) -> bool| -> String {
        text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
    };
    let ansi = text
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', "\\n")
        .replace('\t', "\\t")
        .replace('\r', "\\r");
    vec![
        text.replace('\'', "'\\''").into_bytes(),
        text.replace('\'', "'\"'\"'").into_bytes(),
        text.replace('\'', "''").into_bytes(),
        text.replace('"', "\"\"").into_bytes(),
        escaped(|c| matches!(c, '$' | '`' | '"' | '\\')).into_bytes(),
        escaped(|c| matches!(c, '$' | '`' | '"' | '\\' | '!')).into_bytes(),
        escaped(|c| {
            c.is_ascii()
                && !c.is_ascii_alphanumeric()
                && !matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+' | '=' | ',')
        })
        .into_bytes(),
        escaped(|c| {
            c.is_ascii()
                && !c.is_ascii_alphanumeric()
                && !matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+' | '=')
        })
        .into_bytes(),
        ansi.into_bytes(),
    ]
}
