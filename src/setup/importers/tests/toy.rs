//! An importer that is not of the product: a row, and nothing else knows of it.

use std::path::Path;

use zeroize::Zeroizing;

use super::super::{Candidate, Candidates, Importers, ReadError, candidates::Importer, env_file};
use crate::names::EnvName;

/// A name and a value in turn, a line each.
const TOY: Importer = Importer { takes: |file| file.extension().is_some_and(|ending| ending == "toy"), read };

const WITH_TOY: Importers = Importers(&[TOY, env_file::IMPORTER]);

fn read(text: &str) -> Result<Candidates, ReadError> {
    let mut candidates = Candidates::default();
    let lines: Vec<&str> = text.lines().collect();
    for (at, pair) in lines.chunks(2).enumerate() {
        let line = 2 * at + 1;
        let &[name, value] = pair else {
            return Err(ReadError { line, what: "a name has no value".to_owned() });
        };
        let name = EnvName::parse(name).map_err(|error| ReadError { line, what: error.to_string() })?;
        candidates.add(Candidate { line, name, value: Zeroizing::new(value.to_owned()) })?;
    }
    Ok(candidates)
}

#[track_caller]
fn read_by(file: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let importer = WITH_TOY.of(Path::new(file)).expect("somebody reads it");
    let candidates = importer.read(text).map_err(|error| error.to_string())?.into_iter();
    Ok(candidates.map(|one| (one.secret("app/").unwrap().to_string(), one.value.to_string())).collect())
}

#[test]
fn a_new_importer_is_a_row() {
    let one = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(read_by("/p/keys.toy", "A\nb\nC\nd=e\n"), Ok(vec![one("app/A", "b"), one("app/C", "d=e")]));
    assert_eq!(read_by("/p/.env", "C=d=e\n"), Ok(vec![one("app/C", "d=e")]), "the others are read as before");
}

/// What no file may have is not for its reader to know.
#[test]
fn what_holds_for_every_file_holds_for_a_new_one() {
    assert_eq!(read_by("keys.toy", "A\nb\nA\nb").unwrap().len(), 1);
    assert_eq!(read_by("keys.toy", "A\nb\nA\nc").unwrap_err(), "line 3: A has another value on line 1");
    let nul = read_by("keys.toy", "A\n\0").unwrap_err();
    assert_eq!(nul, "line 1: the value of A has a NUL byte, which no variable can hold");
}
