//! Files that are made of the code, held against it. `AUTHY_MCP_UPDATE=1 cargo test --test it files` writes
//! them anew.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[track_caller]
fn held(path: &Path, text: &str) {
    if std::env::var_os("AUTHY_MCP_UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, text, "{} is not what the code makes", path.display());
}

#[test]
fn schemas() {
    let dir = root().join("schemas");
    let mut all = authy_mcp::testing::mcp::schemas();
    all.push(("policy.schema.json".to_owned(), authy_mcp::testing::policy::policy_schema()));
    for (name, schema) in &all {
        held(&dir.join(name), &format!("{}\n", serde_json::to_string_pretty(schema).unwrap()));
    }
    only(&dir, &all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
}

#[test]
fn client_examples() {
    let dir = root().join("mcp-config-examples");
    let all = authy_mcp::testing::setup::clients::Clients::all().examples();
    for (name, text) in &all {
        held(&dir.join(name), text);
    }
    only(&dir, &all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
}

/// The groups of system calls are on the page as they are in the filter.
#[test]
#[cfg(target_os = "linux")]
fn system_calls() {
    let path = root().join("docs/system-calls.md");
    let kept = fs::read_to_string(&path).unwrap();
    let (by_hand, _) = kept.split_once("\n## Allowed\n").expect("the page has its groups below a heading");
    held(&path, &format!("{by_hand}\n{}", authy_mcp::testing::sandbox::system_calls()));
}

#[track_caller]
fn only(dir: &Path, names: &[&str]) {
    for entry in fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name.as_str()), "{name} is made by nothing");
    }
}

#[test]
fn versions_agree() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(&format!("## [{version}]")), "the changelog has this version");
    let server: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(root().join("server.json")).unwrap()).unwrap();
    assert_eq!(server["version"], version);
}

/// What SECURITY.md promises names the test that proves it, by its full path, and that test is there.
/// `tests/promises.py` holds the same names against the tests that really ran.
#[test]
fn every_promise_names_its_test() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let promises: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("`"))
        .filter(|line| line.matches('|').count() == 3)
        .collect();
    let sources = sources(&root().join("src")) + &sources(&root().join("tests"));
    let mut proved = 0;
    for line in promises {
        let cell = line.split('|').nth(2).unwrap();
        for test in cell.split('`').skip(1).step_by(2) {
            proved += 1;
            let found = match test.rsplit_once("::") {
                Some((_, name)) if test.starts_with("doc::") => root().join(name).exists(),
                Some((_, name)) => sources.contains(&format!("fn {name}(")),
                None => root().join(test).exists(),
            };
            assert!(found, "{test} is not there: {line}");
        }
    }
    assert!(proved > 20, "only {proved} promises have a test");
}

fn sources(dir: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            text += &sources(&path);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

/// The README's configuration, commands and files are those that there are.
#[test]
fn the_readme_names_what_is_there() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    for path in ["SECURITY.md", "CHANGELOG.md", "schemas/policy.schema.json", "mcp-config-examples"] {
        assert!(text.contains(path) && root().join(path).exists(), "{path}");
    }
    let words = authy_mcp::testing::setup::clients::Clients::all().words();
    let known = words.strip_suffix(", json").expect("what fits any other client is the last");
    let flowing = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flowing.contains(&format!("`config` knows {known}, and `json` for any other client")), "{known}");
    assert!(text.contains("cargo run -- demo") && text.contains("cargo test"));
    let ci = fs::read_to_string(root().join(".ci/run")).unwrap();
    assert!(ci.contains("\ncargo test --locked"), "CI calls the README's test command");
}
