//! `[env]` from the document's keys: what is let in, and by which type.

use std::collections::BTreeMap;

use super::{
    raw::{At, RawEnv, RawVariables},
    reader::Reader,
};
use crate::{
    names::EnvName,
    policy::{
        argv::{Braces, Element},
        env_names,
        variables::{EnvPart, Texts, Variables},
    },
};

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
