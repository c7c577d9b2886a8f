//! Output that is made to be expensive, or to hide what it holds: it ends with its run's own clock, takes nothing
//! from anybody else, and what was not looked into is said, or withheld.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::stage::{Server, Stage};

const VALUE: &str = "tok_9fQ2xT7vLm4Z/kW8+hN3pR6sYb1";

fn stage() -> Stage {
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    for (scope, more) in [("s", ""), ("w", "output = \"withhold\"")] {
        stage.policy(&format!(
            "scope = \"{scope}\"\n[sandbox]\nread = [\"{}\"]\n[[allow]]\nid = \"any\"\nsecrets = [\"a/key\"]\ndeliver = \"env\"\ncommands = [[\"python3\", \"**\"], [\"cat\", \"**\"], [\"echo\", \"**\"]]\n{more}\n",
            stage.path("shown").display()
        ));
    }
    std::fs::create_dir(stage.path("shown")).unwrap();
    stage
}

fn python(code: &str) -> Value {
    json!({"command": ["python3", "-c", code], "secrets": ["a/key"]})
}

/// Four streams of beginnings go on; whoever asks for something else meanwhile is answered before they end.
#[test]
fn a_hostile_stream_ends_with_its_run_and_takes_nothing_from_others() {
    let stage = stage();
    let (mut hostile, mut other) = (stage.serve("s"), stage.serve("s"));
    for beginning in ["x\\x9c", "H4sI\\n", "\\x1f\\x8b\\x08\\x08", "x\\x01\\x00\\xff\\xff\\x00\\x00"] {
        let code = format!(
            "import sys\nb=b\"{beginning}\"*65536\nwhile 1: sys.stdout.buffer.write(b); sys.stderr.buffer.write(b)"
        );
        let mut call = python(&code);
        call["timeout_seconds"] = json!(3);
        let call = json!({"name": "run_with_secrets", "arguments": call});
        let runs = [hostile.send("tools/call", call.clone()), hostile.send("tools/call", call)];
        let beside = json!({"command": ["echo", "hi"], "secrets": ["a/key"]});
        let own =
            hostile.send("tools/call", json!({"name": "run_with_secrets", "arguments": beside.clone()}));
        assert_eq!(other.run(beside)["stdout"], "hi\n");
        assert_eq!(hostile.answer(own)["result"]["structuredContent"]["stdout"], "hi\n");
        assert!(hostile.nothing_waits(), "an echo comes before what goes on for seconds");
        for id in runs {
            let ran = hostile.answer(id)["result"]["structuredContent"].clone();
            assert_eq!(
                (&ran["outcome"], &ran["stdout_truncated"]),
                (&json!("timed_out"), &json!(true)),
                "{beginning}"
            );
            assert!(!ran["stdout"].as_str().unwrap().is_empty() && ran.get("redactions").is_none());
        }
    }
}

/// Eight open pieces of zlib before a document in gzip and base64: the ninth beginning is followed, too.
fn behind_decoys(stage: &Stage) -> String {
    let code = "import base64, gzip, sys\n\
                doc = ('a line of a document\\n' * 100 + sys.argv[1]).encode()\n\
                sys.stdout.buffer.write(b'x\\x01\\x01\\xff\\xff\\x00\\x00' * 8 + b'\\n@@' + base64.b64encode(gzip.compress(doc)) + b'@@')";
    let done = std::process::Command::new("/usr/bin/env")
        .args(["PATH=/usr/local/bin:/usr/bin:/bin", "python3", "-c", code, VALUE])
        .output()
        .unwrap();
    assert!(done.status.success() && done.stdout.len() > 100);
    let path = stage.path("shown/b");
    std::fs::File::create(&path).unwrap().write_all(&done.stdout).unwrap();
    path.display().to_string()
}

#[test]
fn compressed_data_behind_decoys_is_masked_counted_and_withheld() {
    let stage = stage();
    let path = behind_decoys(&stage);
    let cat = json!({"command": ["cat", path], "secrets": ["a/key"]});
    let ran = stage.serve("s").run(cat.clone());
    assert_eq!(ran["redactions"], 1, "{ran}");
    assert!(!ran["stdout"].as_str().unwrap().contains("H4sI"), "{ran}");
    let ran = stage.serve("w").run(cat);
    assert_eq!((&ran["withheld"], &ran["stdout"]), (&json!(true), &Value::Null), "{ran}");
    let done = stage.run(&["run", "--scope", "s", "--secret", "a/key", "--", "cat", &path]);
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(out.contains("@@[redacted:a/key]") && !out.contains("H4sI"), "{out}");
}

/// What masks only what will be returned counts, too: bytes that are no text hide nothing behind their
/// replacement characters.
#[test]
fn what_was_too_much_to_look_into_is_said_and_withheld() {
    let stage = stage();
    let too_much =
        python("import sys, zlib; sys.stdout.buffer.write(b'so: ' + zlib.compress(bytes(3000000)))");
    let answer = stage.serve("s").tool("run_with_secrets", too_much.clone());
    let ran = &answer["structuredContent"];
    let left_out = ran["not_looked_into"].as_array().unwrap();
    assert_eq!((&left_out[0]["stream"], &left_out[0]["kind"]), (&json!("stdout"), &json!("zlib")), "{ran}");
    assert!(left_out.len() == 1 && left_out[0]["bytes"].as_u64().unwrap() > 500, "{ran}");
    assert!(ran["stdout"].as_str().unwrap().starts_with("so: "), "{ran}");
    let text = answer["content"][0]["text"].as_str().unwrap();
    assert!(text.lines().next().unwrap().contains("of zlib in stdout not looked into"), "{text}");
    let mut server: Server = stage.serve("w");
    let ran = server.run(too_much);
    assert_eq!((&ran["withheld"], &ran["stdout"]), (&json!(true), &Value::Null), "{ran}");
    // What is looked into is neither.
    let little = python(
        "import sys, zlib; sys.stdout.buffer.write(b'so: ' + zlib.compress(b'nothing of interest' * 9))",
    );
    let ran = server.run(little);
    assert!(ran.get("withheld").is_none() && ran.get("not_looked_into").is_none(), "{ran}");
}
