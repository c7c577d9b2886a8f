//! Which forms answer a guess, and which are looked for everywhere.

use super::{
    super::{
        NeedleSet, Needles,
        forms::{Guess, forms},
        is_guessable,
    },
    set,
};
use crate::{names::SecretName, value::SecretValue};

fn everywhere(values: &[&str]) -> NeedleSet {
    let needles: Vec<Needles> = values
        .iter()
        .map(|value| {
            let name = SecretName::parse("a/key").unwrap();
            Needles::of(&name, &SecretValue::new(value.as_bytes().to_vec())).beyond_guessing()
        })
        .collect();
    NeedleSet::new(&needles)
}

const HARD: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1";

#[test]
fn a_value_that_can_be_guessed_is_looked_for_nowhere_by_itself() {
    for value in [
        "48291736",
        "Falcon27!granite",
        "Winter-2025-Winter-2025",
        "correct horse battery staple",
        "postgres://app:hunter2hunter2@db.internal:5432/app",
        "10293847\n56473829\n91827364\n",
        "{\"user\": \"app\", \"password\": \"Falcon27!granite-1\"}",
    ] {
        let found = everywhere(&[value]).finds(value.lines().next().unwrap().as_bytes());
        assert_eq!(found.total(), 0, "{value}");
        for form in forms(value.as_bytes()).list.iter().filter(|form| form.guess == Guess::Hopeless) {
            assert!(value.contains('\n'), "{} of {value}", form.kind);
        }
        assert!(
            set(&[value.as_bytes()]).finds(value.as_bytes()).total() > 0,
            "a run that was given it masks it"
        );
    }
}

#[test]
fn a_value_that_can_not_is_masked_in_its_forms_and_its_weak_parts_are_not() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let set = everywhere(&[HARD, "first-9fQ2xT7vLm4ZkW8hN3pR6\n48291736\nFalcon27\n"]);
    for text in [
        HARD.to_owned(),
        HARD.to_uppercase(),
        STANDARD.encode(HARD),
        hex::encode(HARD),
        HARD.chars().rev().collect(),
    ] {
        assert_eq!(set.text(&text).get(), "[redacted:a/key]", "{text}");
    }
    // A line of a value is a value of its own; one that can be guessed answers no guess.
    assert_eq!(set.text("first-9fQ2xT7vLm4ZkW8hN3pR6").get(), "[redacted:a/key]");
    for text in ["48291736", "Falcon27", "tok_9fQ2xT"] {
        assert_eq!(set.text(text).get(), text);
    }
}

/// No form that is looked for everywhere tells less of its value than what is beyond guessing.
#[test]
fn a_form_of_a_part_is_as_hard_as_the_part() {
    // Twelve characters are not enough, whatever form they are in; twenty-four are.
    for (value, hard) in [("9fQ2xT7vLm4Z", false), ("9fQ2xT7vLm4ZkW8hN3pR6sYb", true)] {
        assert_eq!(is_guessable(value.as_bytes()), !hard);
        let any = forms(value.as_bytes()).list.iter().any(|form| form.guess == Guess::Hopeless);
        assert_eq!(any, hard, "{value}");
    }
    // Words of eight bytes leave up to seven bytes out at either end: nothing that is beyond guessing is left.
    let words = forms(b"9fQ2xT7vLm4ZkW8hN3pR");
    assert!(words.list.iter().filter(|form| form.kind == "words").all(|form| form.guess == Guess::Possible));
    // The password of a URL decides, whatever stands around it.
    let url = forms(b"postgres://application:Falcon27!x@database.internal.example.com:5432/production");
    assert!(url.list.iter().all(|form| form.guess == Guess::Possible));
}

#[test]
fn what_is_beyond_guessing_comes_first_and_the_rest_is_left_out() {
    let name = SecretName::parse("a/key").unwrap();
    let all = Needles::of(&name, &SecretValue::new(HARD.as_bytes().to_vec()));
    let some = all.beyond_guessing();
    assert!(!all.are_beyond_guessing() && some.are_beyond_guessing());
    assert!(some.literal().count() > 10 && format!("{some:?}") != format!("{all:?}"));
}
