//! Needles, and the tables in which those of many secrets are looked for together.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use secrecy::ExposeSecret;

use super::{
    Counts,
    find::Finder,
    forms::{Form, Guess, Sight, forms, squeeze},
    index::Index,
    stream::{Reach, Redactor},
    views::{Beginnings, SqueezedIndex, Wanted},
};
use crate::{names::SecretName, value::SecretValue};

/// Forms of at least so many bytes are in a table of their own: it is faster the longer its shortest is.
const LONG: usize = 8;
/// The label of what is masked by its shape, whatever the secret.
pub(super) const BY_SHAPE: u32 = u32::MAX;

/// The kind of what is masked whatever the secrets are.
pub(super) const SHAPE_KIND: &str = "url-userinfo";

/// The byte forms of one version of one secret. Cheap to clone, wiped when the last is dropped.
#[derive(Clone)]
pub struct Needles {
    name: SecretName,
    mask: Arc<[u8]>,
    /// Those that nobody guesses come first.
    forms: Arc<Vec<Form>>,
    /// How many of them are looked for.
    upto: usize,
}

impl Needles {
    /// Works out the forms of a value, which is masked as `[redacted:NAME]`. A value of fewer than four
    /// bytes has none.
    pub fn of(name: &SecretName, value: &SecretValue) -> Self {
        Self::of_masked(name, value, format!("[redacted:{name}]").as_bytes())
    }

    /// The same, with another text in the value's place: a placeholder that stands for it elsewhere.
    #[expect(clippy::disallowed_methods, reason = "a value becomes what is looked for")]
    pub fn of_masked(name: &SecretName, value: &SecretValue, mask: &[u8]) -> Self {
        let forms = forms(value.expose_secret());
        Self { name: name.clone(), mask: mask.into(), upto: forms.len(), forms: Arc::new(forms) }
    }

    /// Only those forms that nobody guesses: their masks answer no question. None of a value that can be
    /// guessed; of a value that can't, not the parts of it that can.
    #[must_use]
    pub fn beyond_guessing(&self) -> Self {
        let upto = self.forms.partition_point(|form| form.guess == Guess::Hopeless);
        Self { upto, ..self.clone() }
    }

    /// Whether everything that is looked for is beyond guessing.
    pub fn are_beyond_guessing(&self) -> bool {
        self.forms().iter().all(|form| form.guess == Guess::Hopeless)
    }

    fn forms(&self) -> &[Form] {
        &self.forms[..self.upto]
    }

    /// The forms that are looked for as they stand: for a benchmark that looks for them in another way.
    #[doc(hidden)]
    pub fn written(&self) -> impl Iterator<Item = &[u8]> {
        self.forms().iter().filter(|form| form.sight == Sight::Exact).map(|form| form.bytes.as_slice())
    }
}

impl fmt::Debug for Needles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Needles({}, {} forms)", self.name, self.upto)
    }
}

/// What a needle is called when it is found.
#[derive(Debug)]
pub(super) struct Label {
    pub kind: &'static str,
    pub mask: Arc<[u8]>,
}

/// The needles of any number of secrets, ready to be looked for. Cheap to clone; wiped when the last is
/// dropped, but for the hashes of the tables.
#[derive(Clone)]
pub struct NeedleSet(Arc<Tables>);

/// What is looked for, and what it is called.
pub(super) struct Tables {
    /// Forms that are looked for as they stand: the short ones and the long ones.
    written: Vec<Written>,
    squeezed: Option<SqueezedIndex>,
    labels: Vec<Label>,
    by_shape: Label,
}

/// A table of forms that are looked for as they stand.
pub(super) struct Written {
    pub(super) index: Index,
    /// The label of each needle.
    pub(super) labels: Vec<u32>,
}

static BEGINNINGS: LazyLock<Beginnings> = LazyLock::new(Beginnings::new);
static NOTHING: LazyLock<NeedleSet> = LazyLock::new(|| NeedleSet::from_labelled(std::iter::empty()));

impl NeedleSet {
    /// Builds the tables. Of two secrets with the same form, the one whose name comes first has it.
    pub fn new<'a>(needles: impl IntoIterator<Item = &'a Needles>) -> Self {
        let mut sorted: Vec<&Needles> = needles.into_iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        Self::from_labelled(sorted.into_iter().flat_map(|needles| {
            needles.forms().iter().map(move |form| {
                (
                    form.bytes.as_slice(),
                    form.sight,
                    Label { kind: form.kind, mask: Arc::clone(&needles.mask) },
                )
            })
        }))
    }

    /// A set without a secret: only what is masked by its shape.
    pub fn empty() -> Self {
        NOTHING.clone()
    }

    /// A redactor for one stream.
    pub fn redactor(&self) -> Redactor {
        Redactor::new(Arc::clone(&self.0), Reach::All)
    }

    /// Which needles a whole text holds, in any form: how often, by kind.
    pub fn finds(&self, bytes: &[u8]) -> Counts {
        let mut finder = self.finder();
        finder.push(bytes);
        finder.finish()
    }

    /// The same for a stream: a file that needn't fit into memory.
    pub fn finder(&self) -> Finder {
        Finder::new(Redactor::new(Arc::clone(&self.0), Reach::Needles))
    }

    /// Needles as they are, without any forms, all masked as `mask`.
    #[cfg(test)]
    pub(super) fn exact(needles: &[&[u8]], mask: &str) -> Self {
        let mask: Arc<[u8]> = mask.as_bytes().into();
        Self::from_labelled(
            needles
                .iter()
                .map(|bytes| (*bytes, Sight::Exact, Label { kind: "raw", mask: Arc::clone(&mask) })),
        )
    }

    fn from_labelled<'a>(needles: impl Iterator<Item = (&'a [u8], Sight, Label)>) -> Self {
        let mut labels = Vec::new();
        let (mut short, mut long, mut squeezed) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (bytes, sight, label)) in (0u32..).zip(needles.filter(|(bytes, ..)| !bytes.is_empty())) {
            labels.push(label);
            match sight {
                Sight::Exact if bytes.len() < LONG => short.push((bytes, number)),
                Sight::Exact => long.push((bytes, number)),
                Sight::Spelled => squeezed.push(Wanted::new(number, squeeze(bytes), Some(bytes))),
                Sight::Squeezed => squeezed.push(Wanted::new(number, squeeze(bytes), None)),
            }
        }
        let written = [short, long].into_iter().filter(|forms| !forms.is_empty()).map(|forms| Written {
            index: Index::new(forms.iter().map(|(bytes, _)| *bytes)),
            labels: forms.iter().map(|(_, number)| *number).collect(),
        });
        Self(Arc::new(Tables {
            written: written.collect(),
            squeezed: SqueezedIndex::new(squeezed),
            labels,
            by_shape: Label { kind: SHAPE_KIND, mask: (*b"[redacted:url-userinfo]").into() },
        }))
    }
}

impl fmt::Debug for NeedleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NeedleSet({} needles)", self.0.labels.len())
    }
}

impl Tables {
    pub(super) fn written(&self) -> &[Written] {
        &self.written
    }

    pub(super) fn squeezed(&self) -> Option<&SqueezedIndex> {
        self.squeezed.as_ref()
    }

    pub(super) fn beginnings(&self) -> &'static Beginnings {
        &BEGINNINGS
    }

    pub(super) fn label(&self, number: u32) -> &Label {
        if number == BY_SHAPE { &self.by_shape } else { &self.labels[number as usize] }
    }

    /// Whether there is anything but shapes to look for.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}
