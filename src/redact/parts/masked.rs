//! What the operator is shown of a value: which parts of it are masked, by where they stand and how long they are.

use serde::Serialize;

use super::parts;
use crate::value::Judgement;

/// The parts of a value that are masked in output: places and lengths, no byte of any.
#[derive(Debug, Serialize)]
pub(crate) struct Masked {
    /// The parts, the value itself first.
    pub(crate) masked: Vec<MaskedPart>,
    /// Whether the value has more parts than are looked for.
    #[serde(rename = "masked_in_part", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) in_part: bool,
}

/// One part.
#[derive(Debug, Serialize)]
pub(crate) struct MaskedPart {
    /// Where it stands.
    pub(crate) path: String,
    /// Its length.
    pub(crate) bytes: usize,
}

/// It is made here alone, of places and lengths.
impl Judgement for Masked {}

/// Says which parts of a value are masked.
pub(crate) fn masked(value: &[u8]) -> Masked {
    let parts = parts(value);
    let shown =
        parts.list.iter().map(|part| MaskedPart { path: part.place.clone(), bytes: part.bytes.len() });
    Masked { masked: shown.collect(), in_part: parts.cut_short }
}
