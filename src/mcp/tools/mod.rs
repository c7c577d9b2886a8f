//! The three tools: what each is called, says, takes and gives. They are the same for every session.

mod list_allowed;
mod request_token;
mod run_with_secrets;

use std::sync::{Arc, LazyLock};

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::broker::{
    api::{ListAllowed, ListAllowedParams, RunParams, RunResult, TokenAnswer, TokenParams},
    refusal::{Code, Refusal},
};

pub(super) use list_allowed::list_allowed;
pub(super) use request_token::request_token;
pub(super) use run_with_secrets::run_with_secrets;

/// What a server says of itself at the beginning.
pub(super) const INSTRUCTIONS: &str = "\
Runs commands with secrets that you never see. Call list_allowed first and copy one of its examples. \
The value of a secret is in the variable that list_allowed names, inside the command only: write the \
program and its arguments as a list, no shell is added and $NAME is not expanded. In the output a secret \
reads [redacted:NAME]: that is a hidden value, not an error. The variable of a sealed secret holds a \
placeholder, in whose place a proxy puts the value on the way to the hosts that list_allowed names, and \
nowhere else; {{NAME}} stands for it in arguments and standard input. A non-zero exit code is the program's own \
result. A refusal says what to do in its hint. Never ask the user to paste a secret into the conversation.";

/// The tools, in the order in which a model needs them. Made once: schemas take longer than most calls.
pub(super) fn all() -> &'static [Tool] {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(make);
    &TOOLS
}

fn make() -> Vec<Tool> {
    vec![
        tool(
            "list_allowed",
            "What may be used",
            "Lists the secrets of this session by name, the commands that may use them, the variables that carry them, \
             and for each rule an example that works as it stands. Call it first. Never shows a value.",
            input::<ListAllowedParams>(),
            output::<ListAllowed>(),
            ToolAnnotations::new().read_only(true).open_world(false),
        ),
        tool(
            "run_with_secrets",
            "Run a command with secrets",
            "Runs an allowed command with secrets in its environment and returns its redacted output. Give the program \
             and its arguments as a list, as [\"npm\", \"test\"], and the names of the secrets that it needs; copy an \
             example from list_allowed. Masks like [redacted:NAME] stand for hidden values. A non-zero exit code is the \
             program's own result, not a failure of this tool.",
            input::<RunParams>(),
            output::<RunResult>(),
            ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true),
        ),
        tool(
            "request_token",
            "Narrow this session, or ask for a credential",
            "purpose narrow_me gives up everything but the named secrets and commands: over stdio for this server \
             process, over HTTP for everybody who shows the token, until an operator lifts it. subagent issues a \
             credential for a helper, never worth more than this session is at that moment. more puts on record what \
             is needed, is always denied, and answers with the command that the operator can type. Nothing here ever \
             widens what is allowed.",
            input::<TokenParams>(),
            output::<TokenAnswer>(),
            ToolAnnotations::new().read_only(false).destructive(false).idempotent(false).open_world(false),
        ),
    ]
}

/// The JSON Schemas of all that goes in and out, by file name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let named = |name, schema: JsonObject| (name, Value::Object(schema));
    vec![
        named("list_allowed.input.schema.json", input::<ListAllowedParams>()),
        named("list_allowed.output.schema.json", output::<ListAllowed>()),
        named("run_with_secrets.input.schema.json", input::<RunParams>()),
        named("run_with_secrets.output.schema.json", output::<RunResult>()),
        named("request_token.input.schema.json", input::<TokenParams>()),
        named("request_token.output.schema.json", output::<TokenAnswer>()),
        named("refusal.schema.json", plain::<Refusal>()),
    ]
}

fn tool(
    name: &'static str,
    title: &str,
    description: &'static str,
    input: JsonObject,
    output: JsonObject,
    annotations: ToolAnnotations,
) -> Tool {
    let mut tool = Tool::new(name, description, Arc::new(input));
    tool.title = Some(title.to_owned());
    tool.output_schema = Some(Arc::new(output));
    tool.annotations = Some(annotations);
    tool
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

/// Reads a tool's arguments. What is wrong with them is said in fixed words and the names of the tool's own fields:
/// a value that a model put where it doesn't belong, or a name that it made up, is not repeated.
fn parse<T: DeserializeOwned + JsonSchema>(arguments: JsonObject, form: &str) -> Result<T, Refusal> {
    let wrong = |message: String| Refusal::new(Code::BadArgument, message, form);
    let known = known_fields::<T>();
    if arguments.keys().any(|key| !known.contains(key)) {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(wrong(format!("there is an argument that this tool does not have; it has: {known}")));
    }
    T::deserialize(&arguments).map_err(|error| match misshapen::<T>(&arguments) {
        Some(name) => wrong(format!("the argument `{name}` is not of the right type")),
        None => wrong(error.to_string()),
    })
}

/// The first argument that is wrong by itself. Where there is none, all that can be wrong is that one is missing.
fn misshapen<T: DeserializeOwned>(arguments: &JsonObject) -> Option<&str> {
    let wrong = arguments.iter().find(|(name, value)| {
        let alone = JsonObject::from_iter([((*name).clone(), (*value).clone())]);
        T::deserialize(alone).is_err_and(|error| !error.to_string().starts_with("missing field"))
    });
    wrong.map(|(name, _)| name.as_str())
}

fn known_fields<T: JsonSchema>() -> Vec<String> {
    let schema = input::<T>();
    let fields = schema.get("properties").and_then(Value::as_object);
    fields.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}
