//! Character references of HTML and XML.

use super::written::{Escape, Parsed, Written};

/// The longest name below.
const LONGEST_NAME: usize = 7;

/// Names of ASCII punctuation and the signs that word processors put in its place (HTML, section 13.5).
const NAMED: [(&str, u32); 66] = [
    ("amp", 0x26),
    ("AMP", 0x26),
    ("lt", 0x3c),
    ("LT", 0x3c),
    ("gt", 0x3e),
    ("GT", 0x3e),
    ("quot", 0x22),
    ("QUOT", 0x22),
    ("apos", 0x27),
    ("nbsp", 0x20),
    ("Tab", 0x09),
    ("NewLine", 0x0a),
    ("excl", 0x21),
    ("num", 0x23),
    ("dollar", 0x24),
    ("percnt", 0x25),
    ("lpar", 0x28),
    ("rpar", 0x29),
    ("ast", 0x2a),
    ("midast", 0x2a),
    ("plus", 0x2b),
    ("comma", 0x2c),
    ("period", 0x2e),
    ("sol", 0x2f),
    ("colon", 0x3a),
    ("semi", 0x3b),
    ("equals", 0x3d),
    ("quest", 0x3f),
    ("commat", 0x40),
    ("lsqb", 0x5b),
    ("lbrack", 0x5b),
    ("bsol", 0x5c),
    ("rsqb", 0x5d),
    ("rbrack", 0x5d),
    ("Hat", 0x5e),
    ("lowbar", 0x5f),
    ("grave", 0x60),
    ("lcub", 0x7b),
    ("lbrace", 0x7b),
    ("verbar", 0x7c),
    ("vert", 0x7c),
    ("rcub", 0x7d),
    ("rbrace", 0x7d),
    ("tilde", 0x2dc),
    ("circ", 0x2c6),
    ("OElig", 0x152),
    ("oelig", 0x153),
    ("Scaron", 0x160),
    ("scaron", 0x161),
    ("Yuml", 0x178),
    ("fnof", 0x192),
    ("ndash", 0x2013),
    ("mdash", 0x2014),
    ("lsquo", 0x2018),
    ("rsquo", 0x2019),
    ("sbquo", 0x201a),
    ("ldquo", 0x201c),
    ("rdquo", 0x201d),
    ("bdquo", 0x201e),
    ("dagger", 0x2020),
    ("bull", 0x2022),
    ("hellip", 0x2026),
    ("permil", 0x2030),
    ("lsaquo", 0x2039),
    ("rsaquo", 0x203a),
    ("euro", 0x20ac),
];

/// Names of the characters from U+00A1 on (HTML 4, section 24.2.1).
const LATIN_1: [&str; 95] = [
    "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not",
    "shy", "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil",
    "sup1", "ordm", "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde",
    "Auml", "Aring", "AElig", "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc",
    "Iuml", "ETH", "Ntilde", "Ograve", "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave",
    "Uacute", "Ucirc", "Uuml", "Yacute", "THORN", "szlig", "agrave", "aacute", "acirc", "atilde", "auml",
    "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc", "euml", "igrave", "iacute", "icirc", "iuml",
    "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml", "divide", "oslash", "ugrave", "uacute",
    "ucirc", "uuml", "yacute", "thorn", "yuml",
];

/// `&amp;`, `&#38;`, `&#x26;`.
pub(super) fn entity(text: Written<'_>) -> Parsed {
    if text.at(1)? == Some(b'#') {
        let (from, base, most) = match text.at(2)? {
            Some(b'x' | b'X') => (3, 16, 7),
            _ => (2, 10, 8),
        };
        let (count, code) = text.digits(from, base, most)?;
        let ends = count > 0 && text.at(from + count)? == Some(b';');
        return Ok(if ends { Escape::code(from + count + 1, code) } else { None });
    }
    let mut length = 0;
    while text.at(1 + length)?.is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        length += 1;
        if length > LONGEST_NAME {
            return Ok(None);
        }
    }
    if length == 0 || text.at(1 + length)? != Some(b';') {
        return Ok(None);
    }
    Ok(code_of(&text.text[1..=length]).and_then(|code| Escape::code(length + 2, code)))
}

fn code_of(name: &[u8]) -> Option<u32> {
    let named = NAMED.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, code)| *code);
    let latin = || LATIN_1.iter().zip(0xa1..).find(|(known, _)| known.as_bytes() == name);
    named.or_else(|| latin().map(|(_, code)| code))
}
