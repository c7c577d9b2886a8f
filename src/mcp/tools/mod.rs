//! The tools: what each is called, says, takes and gives. They are the same for every session.

mod list_allowed;
mod request_token;
mod row;
mod run_with_secrets;
mod schema;

use std::sync::LazyLock;

use serde_json::Value;

use crate::broker::refusal::Refusal;
#[cfg(test)]
pub(super) use row::About;
pub(super) use row::Row;

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
    all.push(("refusal.schema.json".to_owned(), Value::Object(schema::of::<Refusal>())));
    all
}
