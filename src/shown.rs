//! Foreign text as a person is shown it: one function, so that what an agent, a host or a file wrote
//! can't pass for something else. It knows nobody; what enters is any text, and what leaves is text that
//! neither moves the cursor, nor changes the order of what stands beside it, nor looks like another
//! word, nor ends the field that it stands in.
//!
//! The list is of what is known to be harmless; everything else is escaped.

use std::fmt::Write as _;

/// One text as a field. What is not printable ASCII or a letter of the word's one script is escaped as
/// `\u{…}`; a text with anything unusual in it, a space, `=` or a quote, is quoted, so that no text looks
/// like two fields. `-` and what stands in a name or a path stays as it is.
pub(crate) fn shown(text: &str) -> String {
    let escaped = words(text, Quotes::Escaped);
    let plain = !text.is_empty() && escaped == text && text.chars().all(is_bare);
    if plain { escaped } else { format!("\"{escaped}\"") }
}

/// A path as a field.
pub(crate) fn shown_path(path: &std::path::Path) -> String {
    shown(&path.to_string_lossy())
}

/// A command as a person reads it: each argument as a field.
pub(crate) fn shown_command(argv: &[String]) -> String {
    argv.iter().map(|argument| shown(argument)).collect::<Vec<_>>().join(" ")
}

/// A sentence of ours with foreign text in it: escaped as [`shown`] does, never quoted as a whole, line
/// feeds escaped.
pub(crate) fn shown_line(text: &str) -> String {
    words(text, Quotes::Kept)
}

/// JSON text whose strings hold nothing that a terminal acts on or that can't be seen: DEL, C1, format
/// characters (bidi, zero width, tags), line and paragraph separators, variation selectors and fillers
/// are written as `\uXXXX`. It is the same JSON.
pub(crate) fn shown_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\u{7f}' || (!c.is_ascii() && is_unseen(c)) {
            // Outside of strings JSON is printable ASCII, so this stands inside of one.
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A line that is ours, or whose foreign parts were shown already: only what a terminal would act on, or
/// what can't be seen, is escaped.
pub(crate) fn quiet(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let harmless = c == '\t' || !(c.is_control() || is_unseen(c));
        push(&mut out, c, harmless);
    }
    out
}

/// What becomes of `"` and `\`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotes {
    Escaped,
    Kept,
}

fn words(text: &str, quotes: Quotes) -> String {
    let mut out = String::with_capacity(text.len());
    // A word ends where ASCII has a space: a host or a path whose letters are of two scripts is one.
    for word in text.split_inclusive(' ') {
        let one = is_of_one_script(word);
        for c in word.chars() {
            if quotes == Quotes::Escaped && matches!(c, '"' | '\\') {
                out.push('\\');
                out.push(c);
                continue;
            }
            let ours = quotes == Quotes::Kept && OURS.contains(c);
            push(&mut out, c, ours || c == ' ' || c.is_ascii_graphic() || (one && script(c).is_some()));
        }
    }
    out
}

fn push(out: &mut String, c: char, harmless: bool) {
    if harmless {
        out.push(c);
    } else {
        let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
    }
}

/// Whether a character needs no quotes around its text: what names, paths, numbers and hosts are made of.
fn is_bare(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '=' | '"' | '\'' | '`' | '\\')
}

/// Whether the letters of a word are all of one script, and not all of them lookalikes of ASCII's.
fn is_of_one_script(word: &str) -> bool {
    let mut scripts = word.chars().filter_map(|c| match c {
        _ if c.is_ascii_alphabetic() => Some(Script::Latin),
        _ if c.is_ascii() || OURS.contains(c) => None,
        _ => Some(script(c).unwrap_or(Script::Other)),
    });
    let Some(first) = scripts.next() else { return true };
    let foreign = word.chars().filter(|c| !c.is_ascii());
    let lookalike = foreign.clone().count() > 0 && foreign.clone().all(|c| LOOKALIKES.contains(c));
    first != Script::Other && scripts.all(|script| script == first) && !lookalike
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Armenian,
    Devanagari,
    Thai,
    Georgian,
    Hangul,
    /// Han, Hiragana and Katakana, which one language writes together.
    Japanese,
    /// None of these: written from right to left, for mathematics, full width, or unknown here.
    Other,
}

/// Signs that our own sentences have.
const OURS: &str = "…→·–";

/// Letters of Cyrillic and Greek that look like one of ASCII: a word of these alone reads as another.
const LOOKALIKES: &str = "АВЕЅІЈКМНОРСТУХаеѕіјһорсухԁԛԝьґΑΒΕΖΗΙΚΜΝΟΡΤΥΧοενικυρχ";

/// The script of a letter that is shown as it is. Letters from right to left are not among them: they
/// change the order of what stands beside them on the line.
fn script(c: char) -> Option<Script> {
    let script = match c {
        '\u{d7}' | '\u{f7}' => return None,
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Script::Latin,
        '\u{370}'..='\u{3ff}' => Script::Greek,
        '\u{400}'..='\u{52f}' => Script::Cyrillic,
        '\u{531}'..='\u{587}' => Script::Armenian,
        '\u{904}'..='\u{939}' | '\u{966}'..='\u{96f}' => Script::Devanagari,
        '\u{e01}'..='\u{e30}' | '\u{e40}'..='\u{e45}' => Script::Thai,
        '\u{10d0}'..='\u{10fa}' => Script::Georgian,
        '\u{ac00}'..='\u{d7a3}' => Script::Hangul,
        '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' => Script::Japanese,
        _ => return None,
    };
    // Combining marks, unassigned numbers and signs stand within these ranges, too.
    (c.is_alphanumeric()).then_some(script)
}

/// Whether a terminal acts on a character, or shows nothing for it: C1, the general category Cf, Zl, Zp,
/// variation selectors, fillers, and blanks that are no ASCII space.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
        | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{1680}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}' | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_as_they_are_shown() {
        for (text, expected) in [
            ("prod/db-url", "prod/db-url"),
            ("/usr/bin/psql", "/usr/bin/psql"),
            ("token:claude", "token:claude"),
            ("https://api.example.com/a?b", "https://api.example.com/a?b"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("a=b", "\"a=b\""),
            ("it's", "\"it's\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
            ("back\\slash", "\"back\\\\slash\""),
            ("\\u{202e}", "\"\\\\u{202e}\""),
            ("\u{202e}", "\"\\u{202e}\""),
            ("ok\u{2003}action=revoke", "\"ok\\u{2003}action=revoke\""),
            ("a\nb\tc\rd", "\"a\\u{a}b\\u{9}c\\u{d}d\""),
            ("\u{1b}[2J\u{9b}1m\u{7f}", "\"\\u{1b}[2J\\u{9b}1m\\u{7f}\""),
            ("zero\u{200b}width\u{e0041}", "\"zero\\u{200b}width\\u{e0041}\""),
            ("Schlüssel", "Schlüssel"),
            ("ключ", "ключ"),
            ("鍵とカギ", "鍵とカギ"),
            ("열쇠", "열쇠"),
            ("κλειδί für 鍵", "\"κλειδί für 鍵\""),
            ("\u{430}pi.example.com", "\"\\u{430}pi.example.com\""),
            ("\u{430}\u{440}\u{440}", "\"\\u{430}\\u{440}\\u{440}\""),
            ("g\u{1d5c8}\u{1d5c8}gle", "\"g\\u{1d5c8}\\u{1d5c8}gle\""),
            ("\u{ff43}url", "\"\\u{ff43}url\""),
            ("שלום", "\"\\u{5e9}\\u{5dc}\\u{5d5}\\u{5dd}\""),
            ("e\u{301}", "\"e\\u{301}\""),
            ("💥", "\"\\u{1f4a5}\""),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
        assert_eq!(shown_command(&["echo".into(), "a b".into()]), "echo \"a b\"");
        assert_eq!(shown_line("no \"x\" here\u{202e}"), "no \"x\" here\\u{202e}");
        assert_eq!(shown_line("off → on · сорс"), "off → on · \\u{441}\\u{43e}\\u{440}\\u{441}");
        assert_eq!(quiet("ends · 3 →\n\u{2066}a\u{9b}"), "ends · 3 →\\u{a}\\u{2066}a\\u{9b}");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"a\u{85}": "\u{9b}1\u{7f}\u{202e}\u{2028}\u{e0041}é\u{1b}"});
        let text = shown_json(&value.to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert!(text.contains("\\u0085") && text.contains("\\u009b1\\u007f\\u202e\\u2028\\udb40\\udc41é"));
        assert!(text.chars().all(|c| !c.is_control() && !is_unseen(c)), "{text}");
    }

    proptest! {
        /// Whatever is written, one field is one field, and each field tells which text it stands for.
        #[test]
        fn a_text_is_one_field_and_can_be_read_back(text in "\\PC*|[\\x00-\\u{2ff}\u{200b}-\u{2069} =\"\\\\]{0,12}") {
            let field = shown(&text);
            prop_assert!(field.chars().all(|c| !c.is_control() && !is_unseen(c)));
            let inside = match field.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
                Some(inside) => inside.to_owned(),
                None => {
                    prop_assert!(!field.contains([' ', '=', '"', '\'']) && !field.is_empty());
                    field
                }
            };
            prop_assert_eq!(read_back(&inside), text);
        }
    }

    fn read_back(inside: &str) -> String {
        let mut out = String::new();
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            assert_ne!(c, '"', "a quote ends the field: {inside}");
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('u') => {
                    let hex: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    out.push(char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap());
                }
                other => out.extend(other),
            }
        }
        out
    }
}
