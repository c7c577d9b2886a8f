//! Forms in which a value is written out as text: base64 and hex. They are looked for as they stand, byte by byte.

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
