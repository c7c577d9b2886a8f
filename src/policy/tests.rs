//! Decisions as a table: a document, a request, the answer.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::names::{ScopeName, SecretName};

const DOCUMENT: &str = r#"
scope = "deploy"
[limits]
timeout = "1m30s"
[env]
agent = ["LOG_LEVEL"]
pass = ["CI"]
[sandbox]
mode = "off"
cwd = ["~/site", "/srv/work"]

[[allow]]
id = "db"
secrets = ["db/ro"]
deliver = "env"
env = { "db/ro" = "PGPASSWORD" }
set_env = { PGUSER = "ro" }
commands = [["psql", "-f", "reports/*.sql"], ["psql", "-c", "*"]]

[[allow]]
id = "cloud"
secrets = ["cloud/*"]
deliver = "file"
commands = [["curl", "**"], ["deployer", "--all"]]
output = "withhold"
pin = true

[[allow]]
id = "wide"
secrets = ["cloud/one", "misc/**"]
deliver = "env"
commands = [["deployer", "*"], ["other"]]
output = "status"
timeout = "10s"

[[deny]]
secrets = ["**/root-*"]
"#;

fn policy(text: &str) -> Policy {
    let document = Document::parse(text).unwrap_or_else(|e| panic!("{:?}", e.0));
    let programs = document.programs();
    let mut resolved =
        Resolved { home: "/home/u".into(), search: vec!["/usr/bin".into()], ..Resolved::default() };
    for program in programs {
        let path: PathBuf = if program.name.starts_with('/') {
            program.name.clone().into()
        } else {
            format!("/usr/bin/{}", program.name).into()
        };
        resolved.digests.insert(path.clone(), "11".repeat(32));
        resolved.programs.insert(program.name, path);
    }
    Policy::new(document, resolved)
}

fn facts() -> Vec<SecretFacts> {
    ["db/ro", "cloud/one", "cloud/two", "misc/a/b", "misc/root-key", "outside/x"]
        .map(|n| SecretFacts { name: name(n), env: None, description: None })
        .to_vec()
}

fn name(text: &str) -> SecretName {
    SecretName::parse(text).unwrap()
}

fn request(command: &[&str], secrets: Option<&[&str]>) -> Request {
    Request {
        command: command.iter().map(|s| (*s).to_owned()).collect(),
        secrets: secrets.map(|names| names.iter().map(|n| name(n)).collect()),
        ..Request::default()
    }
}

fn answer(policy: &Policy, request: &Request) -> Result<RunTerms, Denial> {
    match policy.decide(request, &facts()) {
        Decision::Deny(denial) => Err(denial),
        Decision::Allow(allowed) => Ok(*allowed.into_parts().1),
    }
}

#[test]
fn a_listing_needs_the_whole_vault_only_for_globs() {
    assert_eq!(policy(DOCUMENT).named_secrets(), None);
    let plain = DOCUMENT.replace("cloud/*", "cloud/two").replace("misc/**", "misc/a/b");
    let plain = policy(&plain);
    let named = plain.named_secrets().unwrap();
    assert_eq!(named, ["cloud/one", "cloud/two", "db/ro", "misc/a/b"].map(name).into());
    let of_those: Vec<SecretFacts> = facts().into_iter().filter(|fact| named.contains(&fact.name)).collect();
    let words = |all: &[SecretFacts]| format!("{:?}", plain.listing(all));
    assert_eq!(words(&of_those), words(&facts()), "the rest makes no difference");
}

#[test]
fn the_table() {
    use DenyCode::*;
    let policy = policy(DOCUMENT);
    for (command, secrets, expected) in [
        (&["psql", "-f", "reports/a.sql"][..], Some(&["db/ro"][..]), Ok("db")),
        (&["/usr/bin/psql", "-f", "reports/a.sql"], Some(&["db/ro"]), Ok("db")),
        (&["psql", "-f", "reports/a.sql"], None, Ok("db")),
        (&["psql", "-f", "reports/a.sql"], Some(&[]), Ok("db")),
        (&["psql", "-f", "/etc/passwd"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["psql", "-c", "\\! env"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["psql", "-c", "-o/tmp/x"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["./psql", "-c", "x"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["/tmp/psql", "-c", "x"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["PSQL", "-c", "x"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["psql"], Some(&["db/ro"]), Err(CommandNotAllowed)),
        (&["curl", "-s", "x"], Some(&["cloud/one", "cloud/two"]), Ok("cloud")),
        (&["curl"], None, Err(SecretsRequired)),
        (&["deployer", "--all"], Some(&["cloud/one"]), Ok("cloud")),
        (&["deployer", "x"], Some(&["cloud/one"]), Ok("wide")),
        (&["deployer", "x"], Some(&["cloud/two"]), Err(CommandNotAllowed)),
        (&["deployer", "x"], Some(&["misc/a/b"]), Ok("wide")),
        (&["deployer", "x"], Some(&["misc/root-key"]), Err(NotAvailable)),
        (&["deployer", "x"], Some(&["misc/nothing"]), Err(NotAvailable)),
        (&["deployer", "x"], Some(&["outside/x"]), Err(NotAvailable)),
        (&["deployer", "x"], Some(&["outside/nothing"]), Err(NotAvailable)),
        (&["deployer", "x"], Some(&["misc/a/b", "outside/x"]), Err(NotAvailable)),
        (&["env"], Some(&["cloud/one"]), Err(CommandNotAllowed)),
        (&["env"], None, Err(CommandNotAllowed)),
        (&["env"], Some(&[]), Err(CommandNotAllowed)),
        (&[], None, Err(BadArgument)),
        (&["npm test"], None, Err(BadArgument)),
        (&[""], None, Err(BadArgument)),
        (&["curl", "a\0b"], Some(&["cloud/one"]), Err(BadArgument)),
        (&["curl", "{{cloud/one}}"], Some(&["cloud/one"]), Err(SecretInArgv)),
        (&["curl", "{{cloud/two}}"], Some(&["cloud/one"]), Ok("cloud")),
    ] {
        let got = answer(&policy, &request(command, secrets));
        match (got, expected) {
            (Ok(terms), Ok(rule)) => assert_eq!(terms.rules, [rule], "{command:?} {secrets:?}"),
            (Err(denial), Err(code)) => assert_eq!(denial.code, code, "{command:?} {secrets:?}: {denial:?}"),
            (got, _) => panic!("{command:?} {secrets:?}: {got:?}"),
        }
    }
}

#[test]
fn a_missing_secret_and_one_outside_get_the_same_words() {
    let policy = policy(DOCUMENT);
    let words = |secret: &str| {
        let denial = answer(&policy, &request(&["deployer", "x"], Some(&[secret]))).unwrap_err();
        assert_eq!((denial.rule, denial.allowed), (None, vec![]));
        (denial.code, denial.message.replace(secret, "NAME"), denial.hint)
    };
    for other in ["outside/nothing", "misc/nothing", "misc/root-key", "cloud/three"] {
        assert_eq!(words("outside/x"), words(other));
    }
}

#[test]
fn the_strictest_terms_hold() {
    let text = DOCUMENT.replace("[\"other\"]", "[\"curl\", \"**\"]");
    let terms = answer(&policy(&text), &request(&["curl", "x"], Some(&["cloud/two", "misc/a/b"]))).unwrap();
    assert_eq!(terms.rules, ["cloud", "wide"]);
    assert_eq!(terms.output, OutputMode::Status);
    assert_eq!(terms.timeout.as_secs(), 10);
    assert_eq!(terms.promise, Promise::BestEffort);
    assert_eq!(terms.pin, Some([0x11; 32]));
    assert_eq!(terms.secrets[0].how, How::File);
    assert_eq!(terms.secrets[0].env.as_str(), "CLOUD_TWO");
}

#[test]
fn timeouts_are_cut() {
    for (asked, expected) in [(None, 90), (Some(5), 5), (Some(1000), 90)] {
        let mut request = request(&["psql", "-c", "x"], Some(&["db/ro"]));
        request.timeout = asked.map(std::time::Duration::from_secs);
        assert_eq!(answer(&policy(DOCUMENT), &request).unwrap().timeout.as_secs(), expected);
    }
}

#[test]
fn directories() {
    let policy = policy(DOCUMENT);
    for (cwd, expected) in [
        (None, Some("/home/u/site")),
        (Some("/home/u/site"), Some("/home/u/site")),
        (Some("/srv/work/a/b"), Some("/srv/work/a/b")),
        (Some("/srv/workx"), None),
        (Some("/srv"), None),
        (Some("/srv/work/../x"), None),
        (Some("/srv/work/./x"), None),
        (Some("srv/work"), None),
        (Some("~/site"), None),
        (Some(""), None),
        (Some("/srv/work/a\0b"), None),
    ] {
        let mut request = request(&["psql", "-c", "x"], Some(&["db/ro"]));
        request.cwd = cwd.map(PathBuf::from);
        match (answer(&policy, &request), expected) {
            (Ok(terms), Some(dir)) => {
                assert!(
                    matches!(terms.cwd, CwdTerm::Within { dir: d, .. } if d == std::path::Path::new(dir)),
                    "{cwd:?}"
                );
            }
            (Err(denial), None) => assert_eq!(denial.code, DenyCode::CwdNotAllowed),
            (got, _) => panic!("{cwd:?}: {got:?}"),
        }
    }
}

#[test]
fn variables_of_a_call() {
    let text = DOCUMENT;
    for (variable, allowed) in [
        ("LOG_LEVEL", true),
        ("OTHER", false),
        ("LD_PRELOAD", false),
        ("PATH", false),
        ("NODE_OPTIONS", false),
        ("BASH_ENV", false),
        ("PYTHONPATH", false),
        ("GIT_SSH_COMMAND", false),
        ("PGPASSWORD", false),
        ("PGUSER", false),
        ("https_proxy", false),
        ("A=B", false),
        ("", false),
        ("log_level", false),
    ] {
        let mut request = request(&["psql", "-c", "x"], Some(&["db/ro"]));
        request.env.insert(variable.to_owned(), "x".to_owned());
        match answer(&policy(text), &request) {
            Ok(_) => assert!(allowed, "{variable}"),
            Err(denial) => {
                assert!(!allowed && denial.code == DenyCode::EnvNotAllowed, "{variable} {denial:?}")
            }
        }
    }
}

#[test]
fn what_would_hijack_is_refused_even_if_named() {
    for variable in [
        "LD_PRELOAD",
        "DYLD_INSERT_LIBRARIES",
        "BASH_ENV",
        "NODE_OPTIONS",
        "PYTHONSTARTUP",
        "GIT_CONFIG",
        "PATH",
        "HTTPS_PROXY",
    ] {
        let text = DOCUMENT.replace("LOG_LEVEL", variable);
        let error = Document::parse(&text).unwrap_err();
        assert!(error.0[0].message.contains(variable) && error.0[0].line == 6, "{:?}", error.0);
    }
}

#[test]
fn errors_have_their_place() {
    for (from, to, line, column, words) in [
        ("scope = \"deploy\"", "scope = \"-x\"", 2, 9, "scope name"),
        ("scope = \"deploy\"", "scope = \"operator\"", 2, 9, "built in"),
        ("scope = \"deploy\"", "skope = \"deploy\"", 2, 1, "a policy has no key called"),
        ("timeout = \"1m30s\"", "timeout = \"soon\"", 4, 11, "invalid duration"),
        ("timeout = \"1m30s\"", "timeout = 5", 4, 11, "timeout must be a string"),
        ("cwd = [\"~/site\", \"/srv/work\"]", "cwd = [\"site\"]", 10, 8, "absolute"),
        ("deliver = \"env\"\nenv", "env", 12, 1, "[[allow]] has no deliver"),
        ("secrets = [\"db/ro\"]", "secrets = [\"db//ro\"]", 14, 12, "secret pattern"),
        ("[\"psql\", \"-c\", \"*\"]", "[\"psql\", \"**\", \"x\"]", 18, 12, "** before its end"),
        (
            "commands = [[\"curl\", \"**\"], [\"deployer\", \"--all\"]]",
            "commands = \"curl\"",
            24,
            12,
            "neither a list",
        ),
    ] {
        let text = DOCUMENT.replacen(from, to, 1);
        assert_ne!(text, DOCUMENT, "{from}");
        let error = Document::parse(&text).unwrap_err();
        let first = &error.0[0];
        assert!(first.message.contains(words), "{words}: {first:?}");
        assert_eq!((first.line, first.column), (line, column), "{words}: {first:?}");
    }
}

#[test]
fn what_cannot_be_enforced_is_refused_with_its_line() {
    for (from, to, line) in [
        ("mode = \"off\"", "mode = \"off\"\nnetwork = \"none\"", 10),
        ("mode = \"off\"", "mode = \"off\"\nread = [\"/x\"]", 10),
        ("mode = \"off\"", "mode = \"off\"\nwrite = [\"{cwd}\"]", 10),
        ("deliver = \"file\"", "deliver = \"file\"\napproval = \"once\"", 24),
    ] {
        let text = DOCUMENT.replacen(from, to, 1);
        let policy = policy(&text);
        let findings = policy.document().unenforceable();
        assert_eq!(findings.iter().map(|f| f.line).collect::<Vec<_>>(), [line], "{to}");
        let denial = answer(&policy, &request(&["psql", "-c", "x"], Some(&["db/ro"]))).unwrap_err();
        assert_eq!(denial.code, DenyCode::SandboxUnavailable, "{to}: never run without it");
    }
    assert!(policy(DOCUMENT).document().unenforceable().is_empty());
}

#[test]
fn two_secrets_on_one_variable_are_an_error() {
    let text = DOCUMENT.replace(
        "secrets = [\"cloud/*\"]",
        "secrets = [\"cloud/*\"]\nenv = { \"cloud/two\" = \"CLOUD_ONE\" }",
    );
    let denial = answer(&policy(&text), &request(&["curl"], Some(&["cloud/one", "cloud/two"]))).unwrap_err();
    assert_eq!(denial.code, DenyCode::BadArgument);
    assert!(denial.message.contains("CLOUD_ONE"));
}

#[test]
fn only_the_operator_may_look() {
    let reveal = RevealRequest { secret: name("db/ro"), version: None };
    assert!(matches!(Policy::operator().decide_reveal(&reveal), Decision::Allow(_)));
    assert!(matches!(policy(DOCUMENT).decide_reveal(&reveal), Decision::Deny(_)));
    assert!(answer(&Policy::operator(), &request(&["psql"], Some(&["db/ro"]))).is_err());
}

#[test]
fn every_example_is_allowed() {
    for text in [
        DOCUMENT.to_owned(),
        DOCUMENT
            .replace("[[\"curl\", \"**\"], [\"deployer\", \"--all\"]]", "\"any\"")
            .replace("pin = true", ""),
    ] {
        let policy = policy(&text);
        let listing = policy.listing(&facts());
        assert_eq!(listing.len(), 3);
        for rule in listing {
            let example = rule.example.expect("an example");
            let mut request = request(&[], None);
            request.command = example.command;
            request.secrets = Some(example.secrets);
            request.resolved_program = Some("/usr/bin/printenv".into());
            assert!(answer(&policy, &request).is_ok(), "{request:?}");
        }
    }
}

#[test]
fn listings_hide_what_is_denied_and_given_up() {
    let listed = |policy: &Policy| -> Vec<String> {
        policy.listing(&facts()).iter().flat_map(|r| &r.secrets).map(|s| s.name.to_string()).collect()
    };
    assert_eq!(listed(&policy(DOCUMENT)), ["db/ro", "cloud/one", "cloud/two", "cloud/one", "misc/a/b"]);
    let narrowed = policy(DOCUMENT).narrowed(Some(&[name("cloud/two")]), None).unwrap();
    assert_eq!(listed(&narrowed), ["cloud/two"]);
    let commands = [vec!["curl".to_owned(), "-s".to_owned()]];
    let narrowed = policy(DOCUMENT).narrowed(None, Some(&commands)).unwrap();
    let listing = narrowed.listing(&facts());
    assert_eq!(listing.len(), 1);
    assert_eq!(listing[0].commands, Some(vec![vec!["curl".to_owned(), "-s".to_owned()]]));
}

#[test]
fn a_rule_from_the_command_line() {
    let scope = crate::names::ScopeName::parse("dev").unwrap();
    let rule = NewRule {
        secrets: vec!["app/*".into()],
        deliver: DeliveryMode::Env,
        command: Some(vec!["npm".into(), "test".into()]),
        cwd: vec!["/srv/app".into()],
        ..NewRule::default()
    };
    let first = add_rule(None, &scope, &rule).unwrap();
    let document = Document::parse(&first).unwrap();
    assert!(document.unenforceable().is_empty());
    assert_eq!((document.allow.len(), document.cwd.as_slice()), (1, ["/srv/app".to_owned()].as_slice()));
    let commented = format!("# mine\n{first}");
    let second =
        add_rule(Some(&commented), &scope, &NewRule { command: None, id: Some("b".into()), ..rule }).unwrap();
    assert!(second.starts_with("# mine\n"));
    assert_eq!(Document::parse(&second).unwrap().allow.len(), 2);
    let changed = changes(Some(&document), &Document::parse(&second).unwrap());
    assert_eq!(changed.len(), 1);
    assert!(changed[0].effect == Effect::Widens && changed[0].text.contains("any command"), "{changed:?}");
    assert!(changes(Some(&document), &document).is_empty());
    let less = changes(Some(&Document::parse(&second).unwrap()), &document);
    assert!(less.iter().all(|change| change.effect == Effect::Narrows));
}

/// Though a call has the same limits by default: a person's run has none that is not written.
#[test]
fn a_limit_that_is_written_no_more_widens() {
    let document = |limits: &str| Document::parse(&format!("scope = \"dev\"\n[limits]\n{limits}\n")).unwrap();
    let as_by_default = "processes = 512\nmemory = \"4GiB\"\ndisk = \"10GiB\"";
    let said = |then: &str, now: &str| -> Vec<(Effect, String)> {
        let changed = changes(Some(&document(then)), &document(now));
        changed.into_iter().map(|change| (change.effect, change.text)).collect()
    };
    let limited = |sign: &str, effect| {
        let limits = ["disk", "memory", "processes (root's runs are refused where nothing counts them)"];
        limits.map(|what| (effect, format!("{sign} `authy-mcp run` is limited, too: {what}")))
    };
    assert_eq!(said(as_by_default, ""), limited("-", Effect::Widens));
    assert_eq!(said("", as_by_default), limited("+", Effect::Narrows));
    let [disk, ..] = limited("-", Effect::Widens);
    assert_eq!(said(as_by_default, "processes = 512\nmemory = \"4GiB\""), [disk]);
    let more = "processes = 600\nmemory = \"4GiB\"\ndisk = \"10GiB\"";
    assert_eq!(
        said(as_by_default, more),
        [(Effect::Widens, "processes of a run: 512 → 600".to_owned())],
        "it is written before and after"
    );
}

#[test]
fn another_order_or_timeout_is_a_change() {
    let rule = |id: &str, deliver: &str, extra: &str| {
        format!(
            "[[allow]]\nid = \"{id}\"\nsecrets = [\"a/*\"]\ndeliver = \"{deliver}\"\ncommands = [[\"curl\", \"**\"]]\n{extra}\n"
        )
    };
    let document = |rules: &[String]| {
        Document::parse(&format!("scope = \"dev\"\n[sandbox]\nmode = \"off\"\n{}", rules.concat())).unwrap()
    };
    let (one, two) = (rule("one", "file", "output = \"withhold\""), rule("two", "env", ""));
    let changed =
        changes(Some(&document(&[one.clone(), two.clone()])), &document(&[two.clone(), one.clone()]));
    assert_eq!(changed.len(), 1);
    assert!(changed[0].effect == Effect::Widens && changed[0].text.contains("order"), "{changed:?}");
    let slower = rule("two", "env", "timeout = \"5s\"");
    let changed = changes(Some(&document(&[one.clone(), slower])), &document(&[one, two]));
    assert!(
        changed.iter().any(|change| change.effect == Effect::Widens && change.text.contains("curl")),
        "{changed:?}"
    );
}

proptest! {
    #[test]
    fn less_is_never_more(
        secrets in prop::option::of(prop::collection::vec(prop::sample::select(vec!["db/ro", "cloud/one", "misc/a/b", "outside/x"]), 0..3)),
        commands in prop::option::of(prop::collection::vec(prop::sample::select(vec!["curl", "deployer", "psql", "env"]), 0..3)),
        command in prop::sample::select(vec![vec!["curl", "x"], vec!["deployer", "--all"], vec!["deployer", "x"], vec!["psql", "-c", "x"], vec!["env"]]),
        asked in prop::collection::vec(prop::sample::select(vec!["db/ro", "cloud/one", "cloud/two", "misc/a/b", "misc/root-key", "outside/x"]), 0..3),
    ) {
        let wide = policy(DOCUMENT);
        let secrets: Option<Vec<SecretName>> = secrets.map(|names| names.into_iter().map(name).collect());
        let commands: Option<Vec<Vec<String>>> =
            commands.map(|list| list.into_iter().map(|p| vec![p.to_owned(), "**".to_owned()]).collect());
        let narrow = wide.clone().narrowed(secrets.as_deref(), commands.as_deref()).unwrap();
        let request = request(&command, Some(&asked));
        let narrow = answer(&narrow, &request);
        prop_assert!(narrow.is_err() || answer(&wide, &request).is_ok());
        if let Ok(terms) = narrow {
            for secret in terms.secrets {
                prop_assert!(!secret.name.as_str().contains("root-"));
                prop_assert!(secrets.as_ref().is_none_or(|names| names.contains(&secret.name)));
            }
        }
    }
}

#[test]
fn what_a_run_may_reach_is_little_unless_more_is_said() {
    let terms = |sandbox: &str, deliver: &str| {
        let hosts =
            if deliver == "sealed" { "hosts = [\"api.example.com\"]\ninject = \"bearer\"" } else { "" };
        let text = format!(
            "scope = \"s\"\n{sandbox}\n[[allow]]\nsecrets = [\"a\"]\ndeliver = \"{deliver}\"\n{hosts}\ncommands = [[\"true\"]]\n"
        );
        Document::parse(&text).unwrap().sandbox.terms(Path::new("/home/u"))
    };
    let nothing = terms("", "env");
    assert_eq!(nothing, SandboxTerms::default());
    assert_eq!((nothing.mode, nothing.network), (SandboxMode::Required, Network::None));
    assert_eq!(nothing.on_file_hit, OnFileHit::Remove);
    assert_eq!(terms("", "sealed").network, Network::Proxy);
    assert_eq!(terms("[sandbox]\nmode = \"off\"", "env").network, Network::Open);
    let named = terms(
        "[sandbox]\nread = [\"~/x\", \"{cwd}\"]\nwrite = [\"{cwd}/dist\"]\non_file_hit = \"report\"\nwrite_control = [\".git/hooks/\", \"mise.toml\"]",
        "env",
    );
    assert_eq!(named.read, [PathBuf::from("/home/u/x"), "{cwd}".into()]);
    assert_eq!((named.write, named.on_file_hit), (vec!["{cwd}/dist".into()], OnFileHit::Report));
    assert_eq!(named.write_control, [PathBuf::from(".git/hooks"), "mise.toml".into()]);
    for path in ["", "/x", "~/x/../y", "../x", "./x", "a/../b", "{cwd}/.vscode", "**"] {
        let text = format!("scope = \"s\"\n[sandbox]\nwrite = [\"{{cwd}}\"]\nwrite_control = [\"{path}\"]\n");
        assert_eq!(Document::parse(&text).unwrap_err().0[0].line, 4, "{path}");
    }
    let nothing_to_open = "scope = \"s\"\n[sandbox]\nwrite_control = [\".vscode\"]\n";
    assert_eq!(Document::parse(nothing_to_open).unwrap_err().0[0].line, 3);
    for path in ["{cwd}/../x", "{cwd}x", "relative", "/a/../b"] {
        let text = format!("scope = \"s\"\n[sandbox]\nread = [\"{path}\"]\n");
        assert_eq!(Document::parse(&text).unwrap_err().0[0].line, 3, "{path}");
    }
}

#[test]
fn exit_codes_of_any_command_are_told_where_the_policy_says_so() {
    let code = |rule: &str| {
        let text = format!(
            "scope = \"s\"\n[sandbox]\nmode = \"off\"\n[[allow]]\nsecrets = [\"db/ro\"]\ndeliver = \"env\"\n{rule}\n"
        );
        let policy = policy(&text);
        let mut asked = request(&["psql"], Some(&["db/ro"]));
        asked.resolved_program = Some("/usr/bin/psql".into());
        let Decision::Allow(allowed) = policy.decide(&asked, &facts()) else { panic!("allowed") };
        allowed.terms().exit_code
    };
    assert_eq!(code("commands = \"any\""), ExitCodes::Reduced);
    assert_eq!(code("commands = \"any\"\nexit_code = \"exact\""), ExitCodes::Exact);
    assert_eq!(code("commands = [[\"psql\"]]"), ExitCodes::Exact);
    assert_eq!(code("commands = [[\"psql\"]]\nexit_code = \"reduced\""), ExitCodes::Reduced);
}

#[test]
fn an_agent_without_a_secret_may_go_without_a_sandbox_and_nothing_else_of_its_scope() {
    let text = "scope = \"s\"\n[[allow]]\nsecrets = []\ndeliver = \"env\"\ncommands = [[\"agent\", \"**\"]]\nsandbox = \"off\"\n[[allow]]\nsecrets = [\"db/ro\"]\ndeliver = \"env\"\ncommands = [[\"psql\"]]\n";
    let document = policy(text);
    assert!(answer(&document, &request(&["agent"], None)).is_err(), "no tool call reaches it");
    let asker = Asker::Operator(OperatorProof::of_an_opened_vault());
    let agent = answer(&document, &Request { asker, ..request(&["agent"], None) }).unwrap();
    assert_eq!((agent.sandbox.mode, agent.sandbox.network), (SandboxMode::Off, Network::Open));
    let tool = answer(&document, &request(&["psql"], Some(&["db/ro"]))).unwrap();
    assert_eq!((tool.sandbox.mode, tool.sandbox.network), (SandboxMode::Required, Network::None));
    let with_secret = text.replace("secrets = []", "secrets = [\"db/ro\"]");
    let error = Document::parse(&with_secret).unwrap_err();
    assert_eq!(error.0[0].line, 6, "{error:?}");
    let rule = NewRule {
        deliver: DeliveryMode::Env,
        command: Some(vec!["agent".to_owned()]),
        sandbox: Some(SandboxMode::Off),
        ..NewRule::default()
    };
    let written = add_rule(None, &ScopeName::parse("s").unwrap(), &rule).unwrap();
    assert!(written.contains("sandbox = \"off\"") && !written.contains("[sandbox]"), "{written}");
}
