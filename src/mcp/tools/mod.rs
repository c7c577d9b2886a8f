//! The tools: what each is called, says, takes and gives. They are the same for every session.

mod list_allowed;
mod request_token;
mod run_with_secrets;

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::broker::{
    Call, Reply,
    refusal::{Code, Refusal},
};

/// What a server says of itself at the beginning.
pub(super) const INSTRUCTIONS: &str = "\
Runs commands with secrets that you never see. Call list_allowed first and copy one of its examples. \
The value of a secret is in the variable that list_allowed names, inside the command only: write the \
program and its arguments as a list, no shell is added and $NAME is not expanded. In the output a secret \
reads [redacted:NAME]: that is a hidden value, not an error. The variable of a sealed secret holds a \
placeholder, in whose place a proxy puts the value on the way to the hosts that list_allowed names, and \
nowhere else; {{NAME}} stands for it in arguments and standard input. A non-zero exit code is the program's own \
result. A refusal says what to do in its hint. Never ask the user to paste a secret into the conversation.";

/// The tools, in the order in which a model needs them. A new one is a file and a row.
const ROWS: [fn() -> Row; 3] = [list_allowed::row, run_with_secrets::row, request_token::row];

/// A tool: what it is called and says, what it takes and gives, and how its answer reads.
pub(super) struct Row {
    pub tool: Tool,
    /// The schemas of what it takes, and of its answer or a refusal.
    schemas: [JsonObject; 2],
    /// What it takes, by name.
    fields: Vec<String>,
    /// What a call of it looks like.
    form: &'static str,
    /// Reads arguments; or what is wrong with them.
    call: Box<dyn Fn(&JsonObject) -> Result<Call, String> + Send + Sync>,
    pub render: fn(&Reply) -> Option<String>,
}

/// What is said of a tool.
pub(super) struct About {
    pub name: &'static str,
    pub title: &'static str,
    pub description: &'static str,
    pub form: &'static str,
    pub annotations: ToolAnnotations,
}

/// The tools of a server.
pub(super) struct Table(Vec<Row>);

impl Table {
    /// All there are. Made once a process: schemas take longer than most calls.
    pub(super) fn all() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(|| Table(ROWS.iter().map(|row| row()).collect()));
        &TABLE
    }

    /// For a server whose tools are these.
    #[cfg(test)]
    pub(super) fn of(rows: Vec<Row>) -> &'static Self {
        Box::leak(Box::new(Self(rows)))
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.0
    }

    pub(super) fn named(&self, name: &str) -> Option<&Row> {
        self.0.iter().find(|row| row.tool.name == name)
    }
}

/// The rows of the product.
#[cfg(test)]
pub(super) fn rows() -> Vec<Row> {
    ROWS.iter().map(|row| row()).collect()
}

impl Row {
    /// A tool that takes `P` and answers with `R`.
    pub(super) fn new<P: DeserializeOwned + JsonSchema + 'static, R: JsonSchema>(
        about: About,
        call: fn(P) -> Call,
        render: fn(&Reply) -> Option<String>,
    ) -> Self {
        let schemas = [input::<P>(), output::<R>()];
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
    pub(super) fn call(&self, arguments: &JsonObject) -> Result<Call, Refusal> {
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

/// The JSON Schemas of all that goes in and out, by file name.
pub fn schemas() -> Vec<(String, Value)> {
    let of_row = |row: &Row| {
        let name = &row.tool.name;
        let [input, output] = row.schemas.clone();
        [
            (format!("{name}.input.schema.json"), Value::Object(input)),
            (format!("{name}.output.schema.json"), Value::Object(output)),
        ]
    };
    let mut all: Vec<_> = Table::all().rows().iter().flat_map(of_row).collect();
    all.push(("refusal.schema.json".to_owned(), Value::Object(plain::<Refusal>())));
    all
}

/// Schemas stand alone: some clients don't follow references.
fn plain<T: JsonSchema>() -> JsonObject {
    let generator =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    drop_formats(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => unreachable!("the schema of a struct is an object"),
    }
}

/// Rust's number formats are no JSON Schema formats, and some clients say so on every call.
fn drop_formats(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_formats),
        Value::Object(fields) => {
            if fields
                .get("format")
                .and_then(Value::as_str)
                .is_some_and(|f| f.starts_with("uint") || f.starts_with("int"))
            {
                fields.remove("format");
            }
            fields.values_mut().for_each(drop_formats);
        }
        _ => {}
    }
}

fn input<T: JsonSchema>() -> JsonObject {
    let mut schema = plain::<T>();
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// A result or a refusal: some clients hold an error's structure against the schema, too.
fn output<T: JsonSchema>() -> JsonObject {
    let mut result = plain::<T>();
    let mut refusal = plain::<Refusal>();
    let schema = result.remove("$schema");
    refusal.remove("$schema");
    let mut output = JsonObject::new();
    output.extend(schema.map(|schema| ("$schema".to_owned(), schema)));
    output.insert("type".to_owned(), json!("object"));
    output.insert("anyOf".to_owned(), json!([result, refusal]));
    output
}
