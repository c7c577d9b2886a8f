//! A tool's row: what it says of itself, and how its arguments are read.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::schema;
use crate::broker::{
    Call, Reply,
    refusal::{Code, Refusal},
};

/// A tool: what it is called and says, what it takes and gives, and how its answer reads.
pub(in crate::mcp) struct Row {
    pub tool: Tool,
    /// The schemas of what it takes, and of its answer or a refusal.
    pub(super) schemas: [JsonObject; 2],
    /// What it takes, by name.
    fields: Vec<String>,
    /// What a call of it looks like.
    form: &'static str,
    /// Reads arguments; or what is wrong with them.
    call: Box<dyn Fn(&JsonObject) -> Result<Call, String> + Send + Sync>,
    pub render: fn(&Reply) -> Option<String>,
}

/// What is said of a tool.
pub(in crate::mcp) struct About {
    pub name: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub form: &'static str,
    pub annotations: ToolAnnotations,
}

impl Row {
    /// A tool that takes `P` and answers with `R`.
    pub(in crate::mcp) fn new<P: DeserializeOwned + JsonSchema + 'static, R: JsonSchema>(
        about: About,
        call: fn(P) -> Call,
        render: fn(&Reply) -> Option<String>,
    ) -> Self {
        let schemas = [schema::input::<P>(), schema::output::<R>()];
        let mut tool = Tool::new(about.name, about.description, Arc::new(schemas[0].clone()));
        tool.title = Some(about.title.to_owned());
        tool.output_schema = Some(Arc::new(schemas[1].clone()));
        tool.annotations = Some(about.annotations);
        let fields = schemas[0].get("properties").and_then(Value::as_object);
        let fields = fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default();
        let call = Box::new(move |arguments: &JsonObject| parse::<P>(arguments).map(call));
        Self { tool, schemas, fields, form: about.form, call, render }
    }

    /// Reads arguments. What is wrong with them is said in fixed words and the names of the tool's own fields: a value
    /// that a model put where it doesn't belong, or a name that it made up, is not repeated.
    pub(in crate::mcp) fn call(&self, arguments: &JsonObject) -> Result<Call, Refusal> {
        let known = || arguments.keys().all(|key| self.fields.contains(key));
        let call = if known() { (self.call)(arguments) } else { Err(self.unknown()) };
        call.map_err(|message| Refusal::new(Code::BadArgument, message, self.form))
    }

    fn unknown(&self) -> String {
        let known = if self.fields.is_empty() { "none".to_owned() } else { self.fields.join(", ") };
        format!("there is an argument that this tool does not have; it has: {known}")
    }
}

fn parse<P: DeserializeOwned>(arguments: &JsonObject) -> Result<P, String> {
    P::deserialize(arguments).map_err(|error| match misshapen::<P>(arguments) {
        Some(name) => format!("the argument `{name}` is not of the right type"),
        None => error.to_string(),
    })
}

/// The first argument that is wrong by itself. Where there is none, all that can be wrong is that one is missing.
fn misshapen<P: DeserializeOwned>(arguments: &JsonObject) -> Option<&str> {
    let wrong = arguments.iter().find(|(name, value)| {
        let alone = JsonObject::from_iter([((*name).clone(), (*value).clone())]);
        P::deserialize(alone).is_err_and(|error| !error.to_string().starts_with("missing field"))
    });
    wrong.map(|(name, _)| name.as_str())
}
