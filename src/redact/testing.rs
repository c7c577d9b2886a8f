//! Needles for the tests of other rooms, which may not know values.

use super::{NeedleSet, Needles};
use crate::{names::SecretName, value::SecretValue};

/// What is looked for where one secret may turn up.
pub(crate) fn needles(secret: &str, value: &str) -> NeedleSet {
    let name = SecretName::parse(secret).expect("a name");
    NeedleSet::new([&Needles::of(&name, &SecretValue::new(value.as_bytes().to_vec()))])
}
