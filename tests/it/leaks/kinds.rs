//! Each transform with other kinds of value, alone and in the middle of a document: what an encoder or a compressor does to
//! one it does not do to another.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{Cell, Column, decoders_find, measure, path, policies, transforms::Transform};
use crate::stage::Stage;

const HEADING: &str = "## Other kinds of value";
const PLACES: [Column; 2] = [
    Column { title: "alone", scope: "env", prelude: "V=$A_KEY" },
    Column { title: "in 4 kB", scope: "env", prelude: "V=\"$(seq 1000 1400) $A_KEY $(seq 1400 1800)\"" },
];

/// A kind of value.
#[derive(Deserialize)]
struct Kind {
    kind: String,
    text: String,
}

#[derive(Deserialize)]
struct Table {
    value: Vec<Kind>,
}

/// The part of the matrix about them, measured.
pub(super) fn table(rows: &[Transform], scripts: &[&Transform]) -> String {
    let kinds = kinds();
    let measured: Vec<Vec<&str>> = kinds.iter().map(|kind| words(&kind.text, scripts)).collect();
    let kept = fs::read_to_string(path()).unwrap_or_default();
    let kept = kept.split_once(HEADING).map_or("", |(_, kept)| kept);
    let (mut lines, mut all, mut caught) = (String::new(), 0, 0);
    for row in rows {
        let begins = format!("| {} |", row.name);
        let cells = scripts.iter().position(|script| script.name == row.name).map(|at| {
            let cells: Vec<&str> = measured.iter().map(|kind| kind[at]).collect();
            format!("{begins} {} |", cells.join(" | "))
        });
        // What can't be measured here stays as it was measured elsewhere.
        let line = cells.or_else(|| kept.lines().find(|line| line.starts_with(&begins)).map(str::to_owned));
        let line = line.unwrap_or(begins);
        let words = || line.split(" | ").skip(1).map(|word| word.trim_end_matches(" |"));
        all += words().filter(|word| *word != "—").count();
        caught += words().filter(|word| *word == "caught").count();
        lines += &line;
        lines.push('\n');
    }
    let titles: Vec<&str> = kinds.iter().map(|kind| kind.kind.as_str()).collect();
    format!(
        "\n{HEADING}\n\nThe first column once more, of the values in `tests/leaks/values.toml`, each by itself and in the \
         middle of a document of 4 kB.\n\"—\": the transform does not carry that value, its decoder finds nothing without \
         redaction either. Of {all} pairs, {caught}\nare caught in both places.\n\n| transform | {} |\n|{}\n{lines}",
        titles.join(" | "),
        "---|".repeat(titles.len() + 1),
    )
}

fn kinds() -> Vec<Kind> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/leaks/values.toml");
    toml::from_str::<Table>(&fs::read_to_string(file).unwrap()).unwrap().value
}

/// Of one value, what each transform comes to.
fn words(value: &str, scripts: &[&Transform]) -> Vec<&'static str> {
    let stage = Stage::new();
    stage.set("a/key", value.as_bytes());
    policies(&stage);
    let places = PLACES.each_ref().map(|place| {
        let there = decoders_find(value, &place.prelude.replace("$A_KEY", "$SECRET"), scripts);
        let measured = measure(&stage, place, value, scripts);
        let open: Vec<Option<bool>> = there
            .into_iter()
            .zip(measured)
            .map(|(there, cell)| there.then_some(cell == Cell::Open))
            .collect();
        open
    });
    let [alone, within] = places;
    let word = |(alone, within)| match (alone, within) {
        (None, None) => "—",
        (Some(true), Some(true) | None) | (None, Some(true)) => "open",
        (Some(true), Some(false)) => "open alone",
        (Some(false), Some(true)) => "open in 4 kB",
        (Some(false), Some(false) | None) | (None, Some(false)) => "caught",
    };
    alone.into_iter().zip(within).map(word).collect()
}
