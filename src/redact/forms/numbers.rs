//! A value as numbers: of a byte, of a word, of the whole.

use std::fmt::Write as _;

/// Writes one byte.
pub(super) type Digits = fn(&mut String, u8);

pub(super) const HEX: Digits = |out, byte| put(out, format_args!("{byte:02x}"));
pub(super) const OCTAL: Digits = |out, byte| put(out, format_args!("{byte:03o}"));
pub(super) const OCTAL_PLAIN: Digits = |out, byte| put(out, format_args!("{byte:o}"));
pub(super) const DECIMAL: Digits = |out, byte| put(out, format_args!("{byte}"));
pub(super) const DECIMAL_PADDED: Digits = |out, byte| put(out, format_args!("{byte:03}"));
pub(super) const BITS: Digits = |out, byte| put(out, format_args!("{byte:08b}"));

fn put(out: &mut String, digits: std::fmt::Arguments<'_>) {
    out.write_fmt(digits).expect("a string takes all");
}

/// Every byte's digits, each behind a prefix.
pub(super) fn joined(text: &[u8], before: &str, digits: Digits) -> Vec<u8> {
    let mut out = String::new();
    for byte in text {
        out.push_str(before);
        digits(&mut out, *byte);
    }
    out.into_bytes()
}

/// Words in little endian, as dumps print them where they aren't told otherwise: `hexdump`, `od`, `od -x`,
/// `od -tu2`, `xxd -e`, `od -tx8`; from every byte on that a word may begin at. Only whole words are known.
pub(super) fn word_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let words = |size: usize, from: usize, write: fn(&mut String, u64, usize)| -> Vec<u8> {
        let mut out = String::new();
        for word in text.get(from..).unwrap_or_default().chunks_exact(size) {
            let number = word.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
            write(&mut out, number, size);
        }
        out.into_bytes()
    };
    let mut forms = Vec::new();
    for size in [2, 4, 8] {
        for from in 0..size {
            forms.push(words(size, from, |out, n, size| {
                put(out, format_args!("{n:0width$x}", width = size * 2))
            }));
            forms.push(words(size, from, |out, n, _| put(out, format_args!("{n}"))));
            if size < 8 {
                forms.push(words(size, from, |out, n, size| {
                    put(out, format_args!("{n:0width$o}", width = size * 8 / 3 + 1));
                }));
            }
        }
    }
    forms
}

/// The whole as one number, in either order of its bytes: in decimal digits, and in hex digits without zeros before
/// them, as languages print integers.
pub(super) fn integer_forms(text: &[u8]) -> Vec<Vec<u8>> {
    /// Of RSA with 16,384 bits; its digits cost the square of its length.
    const LONGEST: usize = 2048;
    if text.len() > LONGEST {
        return Vec::new();
    }
    let turned: Vec<u8> = text.iter().rev().copied().collect();
    let hex = |bytes: &[u8]| {
        let digits = joined(bytes, "", HEX);
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits[zeros..].to_vec()
    };
    vec![decimal(text), decimal(&turned), hex(text), hex(&turned)]
}

fn decimal(number: &[u8]) -> Vec<u8> {
    /// Nine digits at a time: with eight bits more they fit into a word.
    const LIMB: u64 = 1_000_000_000;
    let mut limbs: Vec<u64> = Vec::new();
    for byte in number {
        let mut carry = u64::from(*byte);
        for limb in &mut limbs {
            carry += *limb << 8;
            *limb = carry % LIMB;
            carry /= LIMB;
        }
        if carry > 0 {
            limbs.push(carry);
        }
    }
    let mut limbs = limbs.iter().rev();
    let mut out = limbs.next().map(u64::to_string).unwrap_or_default();
    limbs.for_each(|limb| put(&mut out, format_args!("{limb:09}")));
    out.into_bytes()
}

/// Base32 (RFC 4648, sections 6 and 7): at each of the five alignments, what the text alone decides.
pub(super) fn base32_forms(text: &[u8]) -> Vec<Vec<u8>> {
    const ALPHABETS: [&[u8; 32]; 3] = [
        b"abcdefghijklmnopqrstuvwxyz234567",
        b"0123456789abcdefghijklmnopqrstuv",
        b"0123456789abcdefghjkmnpqrstvwxyz",
    ];
    let mut forms = Vec::new();
    for alphabet in ALPHABETS {
        for before in 0..5usize {
            let bytes = [vec![0; before].as_slice(), text].concat();
            let decided = (8 * before).div_ceil(5)..8 * bytes.len() / 5;
            forms.push(decided.map(|at| alphabet[five_bits(&bytes, at)]).collect());
        }
    }
    forms
}

fn five_bits(bytes: &[u8], at: usize) -> usize {
    let bit = at * 5;
    let pair = u16::from(bytes[bit / 8]) << 8 | u16::from(bytes.get(bit / 8 + 1).copied().unwrap_or(0));
    usize::from(pair >> (11 - bit % 8) & 31)
}

/// Base58 of the text, and of the text with a line feed behind it.
pub(super) fn base58_forms(text: &[u8]) -> Vec<Vec<u8>> {
    // It is one number: its digits cost the square of its length.
    if text.len() > 128 {
        return Vec::new();
    }
    vec![base58(text), base58(&[text, b"\n"].concat())]
}

fn base58(text: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut digits: Vec<u32> = Vec::new();
    for byte in text {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % 58;
            carry /= 58;
        }
        while carry > 0 {
            digits.push(carry % 58);
            carry /= 58;
        }
    }
    digits.iter().rev().map(|digit| ALPHABET[*digit as usize]).collect()
}

/// Ascii85 and base85 (RFC 1924's alphabet, and ZeroMQ's): at each of the four alignments, whole groups.
pub(super) fn base85_forms(text: &[u8]) -> Vec<Vec<u8>> {
    const RFC1924: &[u8; 85] =
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~";
    const Z85: &[u8; 85] =
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
    let ascii: Vec<u8> = (b'!'..=b'u').collect();
    let mut forms = Vec::new();
    for alphabet in [ascii.as_slice(), RFC1924, Z85] {
        for from in 0..4 {
            let groups = text.get(from..).unwrap_or_default().chunks_exact(4);
            forms.push(groups.flat_map(|group| base85_group(group, alphabet)).collect());
        }
    }
    forms
}

fn base85_group(group: &[u8], alphabet: &[u8]) -> [u8; 5] {
    let mut number = group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte));
    let mut out = [0; 5];
    for place in out.iter_mut().rev() {
        *place = alphabet[(number % 85) as usize];
        number /= 85;
    }
    out
}

/// uuencoding, at each of the three alignments; a zero is a grave accent or a space.
pub(super) fn uu_forms(text: &[u8]) -> Vec<Vec<u8>> {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut forms = Vec::new();
    for before in 0..3 {
        for zero in [b'`', b' '] {
            let encoded = super::kinds::base64_at(text, before).into_iter().map(|digit| {
                match BASE64.iter().position(|known| *known == digit).unwrap_or_default() {
                    0 => zero,
                    number => 32 + u8::try_from(number).unwrap_or_default(),
                }
            });
            forms.push(encoded.collect());
        }
    }
    forms
}

/// Each visible character 47 further.
pub(super) fn rot47_forms(text: &[u8]) -> Vec<Vec<u8>> {
    let rotate = |byte: &u8| if byte.is_ascii_graphic() { 33 + (byte - 33 + 47) % 94 } else { *byte };
    vec![text.iter().map(rotate).collect()]
}
