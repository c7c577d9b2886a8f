//! `[env]`: which variables a child gets beside its secrets, and who chooses them.

use std::{collections::BTreeMap, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::{
    argv::{Braces, Element},
    document::HomeMode,
    env_names,
    read::Reader,
    read::raw::{At, RawEnv},
    typed::PathGlob,
};
use crate::names::EnvName;

/// `[env]`.
#[derive(Debug, Clone, Default)]
pub struct EnvPart {
    /// Directories before the system's, `~` not yet replaced.
    pub path: Vec<String>,
    /// From the server's environment.
    pub pass: Variables,
    /// That a call may set.
    pub agent: Variables,
    /// Which HOME.
    pub home: HomeMode,
    /// What a policy that was applied by an earlier version names, and this one neither passes nor lets a call set.
    pub(super) dropped: Vec<EnvName>,
}

/// Variables, each with the texts that it may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<EnvName, Texts>);

/// The texts that a variable may have.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Texts {
    /// Those that are harmless for its name.
    Harmless,
    /// Those of a type.
    Typed(Element),
}

impl Variables {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &EnvName> {
        self.0.keys()
    }

    /// Whether a variable may have a text.
    pub fn fits(&self, name: &EnvName, text: &str) -> bool {
        match self.0.get(name) {
            None => false,
            Some(Texts::Harmless) => env_names::harmless(name.as_str(), text) == Some(true),
            Some(Texts::Typed(element)) => element.covers(text) && !text.contains('\0'),
        }
    }

    /// The first that has no type of the policy's own.
    pub(super) fn untyped(&self) -> Option<&EnvName> {
        self.0.iter().find(|(_, texts)| **texts == Texts::Harmless).map(|(name, _)| name)
    }

    /// The first that names a file.
    pub(super) fn with_path(&self) -> Option<&EnvName> {
        let has_path = |texts: &Texts| match texts {
            Texts::Harmless => false,
            Texts::Typed(element) => element.has_path(),
        };
        self.0.iter().find(|(_, texts)| has_path(texts)).map(|(name, _)| name)
    }

    /// The paths that a variable's text names, with what each must fit once links are followed.
    pub(super) fn paths(&self, name: &EnvName, text: &str) -> Vec<(PathGlob, String)> {
        match self.0.get(name) {
            Some(Texts::Typed(element)) => element.paths(text),
            None | Some(Texts::Harmless) => Vec::new(),
        }
    }

    /// Each as a policy would write it: the name, and its type where it has one.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, texts)| match texts {
            Texts::Harmless => name.to_string(),
            Texts::Typed(element) => format!("{name} ({})", element.as_str()),
        })
    }
}

/// Names, or names with their types.
#[derive(Debug, Default)]
pub(super) struct RawVariables(Vec<(At<String>, Option<At<String>>)>);

impl<'de> Deserialize<'de> for RawVariables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// By hand, since an untagged enum loses the places of what it reads.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = RawVariables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or a table of names with their types")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<RawVariables, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = all.next_element()? {
            found.push((name, None));
        }
        Ok(RawVariables(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<RawVariables, A::Error> {
        let mut found = Vec::new();
        while let Some((name, text)) = all.next_entry()? {
            found.push((name, Some(text)));
        }
        Ok(RawVariables(found))
    }
}

impl JsonSchema for RawVariables {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Variables".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Names that are known to be harmless, or names with the type of their texts, as { DEPTH = \"{int:1..9}\" }.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } }
            ]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

impl Reader<'_> {
    pub(super) fn env(&mut self, raw: &RawEnv) -> EnvPart {
        let mut part = EnvPart { home: raw.home, ..EnvPart::default() };
        part.path = raw.path.iter().filter_map(|dir| self.dir(dir)).collect();
        part.pass =
            self.variables(&raw.pass, "comes from the process that starts the server", &mut part.dropped);
        part.agent = self.variables(&raw.agent, "would be the caller's", &mut part.dropped);
        part
    }

    /// One door for both: whoever starts the server is, as far as anybody can tell, the agent.
    fn variables(&mut self, raw: &RawVariables, whose: &str, dropped: &mut Vec<EnvName>) -> Variables {
        let mut variables = BTreeMap::new();
        for (at, text) in &raw.0 {
            let Some(name) = self.name(at, EnvName::parse) else { continue };
            let refused = match text {
                _ if env_names::never_a_calls(name.as_str()) => Some(
                    "leave it out; a rule can set it with set_env, and [env] path and home say PATH and HOME"
                        .to_owned(),
                ),
                None if env_names::is_harmless(name.as_str()) => {
                    variables.insert(name.clone(), Texts::Harmless);
                    None
                }
                None => Some(format!(
                    "give it a type, as {{ {name} = \"{{enum:a|b}}\" }}, or set it in a rule with set_env; without a type: {}",
                    env_names::harmless_names()
                )),
                Some(text) => {
                    if let Some(element) = self.variable_type(text) {
                        variables.insert(name.clone(), Texts::Typed(element));
                    }
                    None
                }
            };
            match refused {
                Some(_) if self.is_stored() => dropped.push(name),
                Some(hint) => {
                    let message = format!("{name} {whose}, and can turn an approved command into another");
                    self.error(at.span(), message, &hint);
                }
                None => {}
            }
        }
        Variables(variables)
    }

    fn variable_type(&mut self, text: &At<String>) -> Option<Element> {
        const FORM: &str = "write {int:1..100}, {enum:a|b}, {host:a|b} or {path:DIR/*.txt}";
        match Element::parse(text.get(), Braces::Types(&|_| false)) {
            Ok(element) if element.is_free() => {
                self.error(text.span(), format!("{:?} is any text, not a type", text.get()), FORM);
                None
            }
            Ok(element) => Some(element),
            Err(error) => {
                self.error(text.span(), format!("the type {error}"), FORM);
                None
            }
        }
    }
}
