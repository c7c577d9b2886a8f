//! The rows: what is done to the value in `V`, by which tools, and which decoder of `tests/leaks/decode.py`
//! undoes it.

use std::{fs, path::Path};

use serde::Deserialize;

/// A transform.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Transform {
    pub(super) name: String,
    /// What must be installed.
    pub(super) tools: Vec<String>,
    pub(super) script: String,
    pub(super) decoder: String,
}

#[derive(Deserialize)]
struct Table {
    transform: Vec<Transform>,
}

/// A way out that is no transform of the output: its cells, and the test that measures them, as `file::name`
/// below `tests/it`.
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) any: &'static str,
    pub(super) reviewed: &'static str,
    pub(super) test: &'static str,
}

pub(super) const CHANNELS: &[Channel] = &[
    Channel {
        name: "the network, `none`",
        any: "contained",
        reviewed: "contained",
        test: "contained::the_network_is_what_the_policy_says",
    },
    Channel {
        name: "the network, `open`",
        any: "open",
        reviewed: "what the command does",
        test: "contained::the_network_is_what_the_policy_says",
    },
    Channel {
        name: "a file in a `write` path, in a form that the net knows",
        any: "caught",
        reviewed: "caught",
        test: "contained::a_file_that_holds_a_secret_is_removed_if_the_run_made_it",
    },
    Channel {
        name: "a file in a `write` path, in another form",
        any: "open",
        reviewed: "what the command does",
        test: "contained::what_the_net_does_not_know_is_left_in_a_file_as_it_is_in_output",
    },
    Channel {
        name: "a file elsewhere",
        any: "contained",
        reviewed: "contained",
        test: "contained::a_run_sees_its_project_and_writes_where_it_may",
    },
    Channel {
        name: "the exit code (success or failure is told: a bit a run, and runs are limited)",
        any: "contained",
        reviewed: "what the command does",
        test: "contained::an_exit_code_of_any_command_says_no_more_than_success",
    },
    Channel {
        name: "how long it took, and how much it wrote",
        any: "open",
        reviewed: "what the command does",
        test: "contained::how_long_it_took_is_told_in_whole_seconds_where_only_success_is",
    },
    Channel {
        name: "the same, under `status`",
        any: "contained",
        reviewed: "contained",
        test: "contained::how_long_it_took_is_told_in_whole_seconds_where_only_success_is",
    },
];

/// The rows of `tests/leaks/transforms.toml`.
pub(super) fn transforms() -> Vec<Transform> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leaks/transforms.toml");
    let table: Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    table.transform
}
