//! A value that is not ASCII, in the other ways to write its characters.

use std::collections::BTreeSet;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, IBM866, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16,
    KOI8_R, KOI8_U, MACINTOSH, SHIFT_JIS, WINDOWS_874, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252,
    WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256, WINDOWS_1257, WINDOWS_1258, X_MAC_CYRILLIC,
};
use unicode_normalization::UnicodeNormalization as _;

/// A text longer than this is a document: its lines are looked for in other character sets, too.
const LONGEST: usize = 512;

/// Those of the WHATWG Encoding standard that are no form of UTF.
const CODE_PAGES: [&Encoding; 33] = [
    WINDOWS_1252,
    ISO_8859_15,
    MACINTOSH,
    WINDOWS_1250,
    WINDOWS_1251,
    WINDOWS_1253,
    WINDOWS_1254,
    WINDOWS_1255,
    WINDOWS_1256,
    WINDOWS_1257,
    WINDOWS_1258,
    WINDOWS_874,
    ISO_8859_2,
    ISO_8859_3,
    ISO_8859_4,
    ISO_8859_5,
    ISO_8859_6,
    ISO_8859_7,
    ISO_8859_8,
    ISO_8859_10,
    ISO_8859_13,
    ISO_8859_14,
    ISO_8859_16,
    KOI8_R,
    KOI8_U,
    IBM866,
    X_MAC_CYRILLIC,
    SHIFT_JIS,
    EUC_JP,
    EUC_KR,
    GBK,
    GB18030,
    BIG5,
];

/// The other writings of a text, each once; none of one that is ASCII or not UTF-8.
pub(super) fn charsets(text: &[u8]) -> Vec<Vec<u8>> {
    let Some(text) = std::str::from_utf8(text).ok().filter(|text| !text.is_ascii()) else {
        return Vec::new();
    };
    if text.len() > LONGEST {
        return Vec::new();
    }
    let composed: String = text.nfc().collect();
    let decomposed: String = text.nfd().collect();
    let mut all = BTreeSet::new();
    for cased in [&composed, &decomposed, &composed.to_lowercase(), &composed.to_uppercase()] {
        all.insert(cased.as_bytes().to_vec());
        all.insert(cased.encode_utf16().flat_map(u16::to_le_bytes).collect());
        all.insert(cased.encode_utf16().flat_map(u16::to_be_bytes).collect());
    }
    for page in CODE_PAGES {
        let (bytes, _, unmappable) = page.encode(&composed);
        if !unmappable {
            all.insert(bytes.into_owned());
        }
    }
    all.extend(dos(&composed));
    all.extend([meta(&composed), code_points(&composed)]);
    all.extend([short(&composed), misread(&composed), misread_as_windows(&composed)]);
    all.extend(domains(&composed).into_iter().chain(domains(&composed.to_lowercase())));
    all.remove(text.as_bytes());
    all.into_iter().collect()
}

/// Characters of one byte as that byte, as Python and JavaScript escape them (`\xfc`), and others in UTF-8. Of a text
/// with no others it is Latin-1.
fn short(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for char in text.chars() {
        match u8::try_from(char) {
            Ok(byte) => out.push(byte),
            Err(_) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}

/// UTF-8 that was read as Latin-1 and written in UTF-8.
fn misread(text: &str) -> Vec<u8> {
    text.bytes().map(char::from).collect::<String>().into_bytes()
}

fn misread_as_windows(text: &str) -> Vec<u8> {
    WINDOWS_1252.decode_without_bom_handling(text.as_bytes()).0.into_owned().into_bytes()
}

/// Code page 850, the letters of which are those of 437; no encoder of the web has it.
fn dos(text: &str) -> Option<Vec<u8>> {
    const FROM_80: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐\
        └┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´";
    let byte = |char: char| match u8::try_from(char) {
        Ok(byte) if byte.is_ascii() => Some(byte),
        _ => FROM_80.chars().zip(0x80u8..).find(|(other, _)| *other == char).map(|(_, byte)| byte),
    };
    text.chars().map(byte).collect()
}

/// As `cat -v` and vis write bytes that are no ASCII.
fn meta(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in text.bytes() {
        let low = byte & 0x7f;
        if byte > low {
            out.extend_from_slice(b"M-");
        }
        match low {
            0..0x20 | 0x7f if byte > low => out.extend([b'^', low ^ 0x40]),
            _ => out.push(low),
        }
    }
    out
}

/// As `U+00E4` and the like, with anything between.
fn code_points(text: &str) -> Vec<u8> {
    text.chars().map(|char| format!("u{:04x}", u32::from(char))).collect::<String>().into_bytes()
}

/// As the name of a host (RFC 5891, section 4.4): label by label, and as one.
fn domains(text: &str) -> Vec<Vec<u8>> {
    let labels = text.split('.').map(|label| match punycode(label) {
        Some(ascii) if !label.is_ascii() => format!("xn--{ascii}"),
        _ => label.to_owned(),
    });
    let labels = labels.collect::<Vec<_>>().join(".");
    [Some(labels), punycode(text)].into_iter().flatten().map(String::into_bytes).collect()
}

/// RFC 3492, section 6.3, with the parameters of section 5.
fn punycode(text: &str) -> Option<String> {
    let mut out: String = text.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut code, mut delta, mut bias, mut done) = (128u32, 0u32, 72u32, basic);
    let count = u32::try_from(text.chars().count()).ok()?;
    while done < count {
        let next = text.chars().map(u32::from).filter(|other| *other >= code).min()?;
        delta = delta.checked_add((next - code).checked_mul(done + 1)?)?;
        code = next;
        for other in text.chars().map(u32::from) {
            if other < code {
                delta = delta.checked_add(1)?;
            } else if other == code {
                digits(&mut out, delta, bias);
                bias = adapt(delta, done + 1, done == basic);
                delta = 0;
                done += 1;
            }
        }
        delta = delta.checked_add(1)?;
        code += 1;
    }
    Some(out)
}

fn digits(out: &mut String, mut number: u32, bias: u32) {
    let digit = |value: u32| char::from_digit(if value < 26 { value + 10 } else { value - 26 }, 36);
    for k in (36u32..).step_by(36) {
        let least = k.saturating_sub(bias).clamp(1, 26);
        if number < least {
            break;
        }
        out.extend(digit(least + (number - least) % (36 - least)));
        number = (number - least) / (36 - least);
    }
    out.extend(digit(number));
}

fn adapt(delta: u32, count: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}
