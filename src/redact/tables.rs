//! The tables in which the needles of many secrets are looked for together.

use std::sync::Arc;

use super::{
    forms::{MatchMode, squeeze},
    index::Index,
    views::{Alphabet, Pattern, SqueezedIndex},
};

/// Forms of at least so many bytes are in a table of their own: it is faster the longer its shortest is.
const LONG: usize = 8;
/// The label of what is masked by its shape, whatever the secret.
pub(super) const BY_SHAPE: u32 = u32::MAX;

/// The kind of what is masked whatever the secrets are.
pub(super) const SHAPE_KIND: &str = "url-userinfo";

/// What a needle is called when it is found.
#[derive(Debug)]
pub(super) struct Label {
    pub kind: &'static str,
    pub mask: Arc<[u8]>,
}

/// What is looked for in the stream with its escapes undone: the values, their parts, and their base64.
pub(super) struct Escaped {
    pub(super) tables: Tables,
    pub(super) alphabet: Alphabet,
}

/// A needle: how it is looked for, whether also where it is written with escapes, and what it is called.
pub(super) struct Sought<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) sight: MatchMode,
    pub(super) escaped: bool,
    pub(super) label: Label,
}

/// What is looked for, and what it is called.
pub(super) struct Tables {
    /// Forms that are looked for as they stand: the short ones and the long ones.
    written: Vec<Written>,
    squeezed: Option<SqueezedIndex>,
    escaped: Option<Box<Escaped>>,
    labels: Vec<Label>,
    by_shape: Label,
}

/// A table of forms that are looked for as they stand.
pub(super) struct Written {
    pub(super) index: Index,
    /// The label of each needle.
    pub(super) labels: Vec<u32>,
}

/// A needle, how it is looked for, and the number of its label.
type Numbered<'a> = (&'a [u8], MatchMode, u32);

impl Tables {
    /// Builds the tables of needles.
    pub(super) fn new<'a>(needles: impl Iterator<Item = Sought<'a>>) -> Self {
        let mut labels = Vec::new();
        let (mut all, mut escaped) = (Vec::new(), Vec::new());
        for (number, needle) in (0u32..).zip(needles.filter(|needle| !needle.bytes.is_empty())) {
            labels.push(needle.label);
            all.push((needle.bytes, needle.sight, number));
            if needle.escaped {
                escaped.push((needle.bytes, needle.sight, number));
            }
        }
        let literal = |(bytes, sight, _): &Numbered<'a>| (*sight == MatchMode::Literal).then_some(*bytes);
        let alphabet = Alphabet::new(escaped.iter().filter_map(literal));
        let escaped = (!escaped.is_empty())
            .then(|| Box::new(Escaped { tables: Self::of(&escaped, Vec::new(), None), alphabet }));
        Self::of(&all, labels, escaped)
    }

    fn of(needles: &[Numbered<'_>], labels: Vec<Label>, escaped: Option<Box<Escaped>>) -> Self {
        let (mut short, mut long, mut squeezed) = (Vec::new(), Vec::new(), Vec::new());
        for (bytes, sight, number) in needles.iter().copied() {
            match sight {
                MatchMode::Literal if bytes.len() < LONG => short.push((bytes, number)),
                MatchMode::Literal => long.push((bytes, number)),
                MatchMode::Ordered => squeezed.push(Pattern::new(number, squeeze(bytes), Some(bytes))),
                MatchMode::AlnumOnly => squeezed.push(Pattern::new(number, squeeze(bytes), None)),
            }
        }
        let written = [short, long].into_iter().filter(|forms| !forms.is_empty()).map(|forms| Written {
            index: Index::new(forms.iter().map(|(bytes, _)| *bytes)),
            labels: forms.iter().map(|(_, number)| *number).collect(),
        });
        Self {
            written: written.collect(),
            squeezed: SqueezedIndex::new(squeezed),
            escaped,
            labels,
            by_shape: Label { kind: SHAPE_KIND, mask: (*b"[redacted:url-userinfo]").into() },
        }
    }

    pub(super) fn literal(&self) -> &[Written] {
        &self.written
    }

    pub(super) fn squeezed(&self) -> Option<&SqueezedIndex> {
        self.squeezed.as_ref()
    }

    pub(super) fn escaped(&self) -> Option<&Escaped> {
        self.escaped.as_deref()
    }

    pub(super) fn label(&self, number: u32) -> &Label {
        if number == BY_SHAPE { &self.by_shape } else { &self.labels[number as usize] }
    }

    /// How many needles there are.
    pub(super) fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is anything but shapes to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
