//! The JSON Schemas of what tools take and give.

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::broker::refusal::Refusal;

/// Schemas stand alone: some clients don't follow references.
pub(super) fn of<T: JsonSchema>() -> JsonObject {
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

/// The schema of arguments: it always says its fields.
pub(super) fn input<T: JsonSchema>() -> JsonObject {
    let mut schema = of::<T>();
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// A result or a refusal: some clients hold an error's structure against the schema, too.
pub(super) fn output<T: JsonSchema>() -> JsonObject {
    let mut result = of::<T>();
    let mut refusal = of::<Refusal>();
    let schema = result.remove("$schema");
    refusal.remove("$schema");
    let mut output = JsonObject::new();
    output.extend(schema.map(|schema| ("$schema".to_owned(), schema)));
    output.insert("type".to_owned(), json!("object"));
    output.insert("anyOf".to_owned(), json!([result, refusal]));
    output
}
