//! Clients that know no proxy: in a run each host of the policy has an address of its own, names are resolved there, and
//! what the system's files say of names and roots is the run's.

use std::{fs, io::Write, net::TcpListener, path::Path};

use serde_json::{Value, json};

use super::{
    host::Host,
    program::{KEY, assert_clean},
};
use crate::stage::Stage;

const CHILD: &str = include_str!("doors.py");

/// A home with a sealed secret for hosts that stand for this machine, and a host without one.
fn stage(hosts: &str, tunnel: &str, more: &str, host: &Host) -> Stage {
    let stage = Stage::new();
    stage.set("openai/key", KEY.as_bytes());
    fs::write(stage.path("ca.pem"), &host.ca).unwrap();
    fs::create_dir(stage.path("work")).unwrap();
    fs::write(stage.path("work/doors.py"), CHILD).unwrap();
    stage.policy(&format!(
        "scope = \"s\"\n{more}\n[sandbox]\nextra_ca = \"{ca}\"\ncwd = [\"{work}\"]\nread = [\"{{cwd}}\"]\nhosts = [{tunnel}]\n\
         [[allow]]\nsecrets = [\"openai/key\"]\ndeliver = \"sealed\"\nhosts = [{hosts}]\ninject = \"bearer\"\ncommands = \"any\"\n",
        ca = stage.path("ca.pem").display(),
        work = stage.path("work").display(),
    ));
    stage
}

/// What the program said, by its first word.
fn said(answer: &Value) -> impl Fn(&str) -> String {
    let text = answer["stdout"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer["exit_code"], 0, "{answer}");
    move |word| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{word} ")));
        line.unwrap_or_else(|| panic!("nothing of {word}: {text}")).to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_no_proxy_reaches_each_host_at_an_address_of_its_own() {
    let host = Host::start().await;
    let port = host.address.port();
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let tunnel = plain.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut caller in plain.incoming().map_while(Result::ok) {
            let _ = caller.write_all(b"no TLS here\n");
        }
    });
    let hosts = format!("\"api.localhost:{port}\", \"*.wild.localhost:{port}\"");
    let stage = stage(&hosts, &format!("\"tunnel.localhost:{tunnel}\""), "", &host);
    let mut server = stage.serve("s");
    let answer = server.run(json!({
        "command": ["python3", "doors.py", port.to_string(), tunnel.to_string()],
        "secrets": ["openai/key"]
    }));
    let told = said(&answer);
    assert_eq!(told("api"), "127.0.1.1 200");
    // A wildcard stands for no address of this machine: it is let in, and goes no further.
    assert_eq!((told("wild").as_str(), told("other-wild").as_str()), ("127.0.1.3 403", "127.0.1.4 403"));
    assert_eq!(told("tunnel"), "127.0.1.2 no TLS here");
    // The address says which host: TLS that names another is not let in, nor is a port that the host does not have.
    for refused in ["other-name", "other-port", "not-covered", "nobodys-address"] {
        assert_eq!(told(refused), "refused", "{refused}: {answer}");
    }
    for unknown in ["api.example.com", "localhost.example", "wild.localhost.example"] {
        assert_eq!(told(unknown), "no such name");
    }
    assert_eq!(told("six"), "no such address", "there is no IPv6");
    let seen = host.seen().await;
    assert_eq!((seen.len(), seen[0].header("authorization")), (1, format!("Bearer {KEY}")));
    assert_clean(&server.hang_up());
    let events: Vec<_> = stage.audit().into_iter().filter(|event| event["event"] == "request").collect();
    let refused = |code: &str| events.iter().filter(|event| event["refused"] == code).count();
    let codes = ["name_differs", "host_not_allowed", "address_not_allowed"].map(refused);
    assert_eq!(codes, [1, 2, 2], "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_that_say_whom_to_ask_and_to_trust_are_the_runs_own() {
    let host = Host::start().await;
    let hosts = format!("\"api.localhost:{}\", \"api.example.com\"", host.address.port());
    let stage = stage(&hosts, "", "", &host);
    let mut server = stage.serve("s");
    let script = "cat /etc/hosts; cat /etc/resolv.conf; grep hosts /etc/nsswitch.conf; \
                  cmp $SSL_CERT_FILE /etc/ssl/certs/ca-certificates.crt && echo bundle; \
                  for f in hosts resolv.conf nsswitch.conf ssl/certs/ca-certificates.crt; do \
                  (echo x >> /etc/$f) 2>/dev/null && echo WRITTEN $f; done; \
                  echo done";
    let answer = server.run(json!({"command": ["sh", "-c", script], "secrets": ["openai/key"]}));
    let ends =
        if Path::new("/etc/ssl/certs/ca-certificates.crt").exists() { "bundle\ndone\n" } else { "done\n" };
    let expected = format!(
        "127.0.0.1 localhost sandbox\n127.0.1.1 api.localhost\n127.0.1.2 api.example.com\nnameserver 127.0.0.1\nhosts: files dns\n{ends}"
    );
    assert_eq!(answer["stdout"], expected, "{answer}");
    assert!(!fs::read_to_string("/etc/hosts").unwrap_or_default().contains("127.0.1.2 api.example.com"));
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_that_an_environment_brings_are_the_runs_unless_it_may_be_written() {
    let host = Host::start().await;
    let stage = stage(&format!("\"api.localhost:{}\"", host.address.port()), "", "", &host);
    for venv in ["venv", "work/venv"] {
        let roots = stage.path(venv).join("lib/python3.99/site-packages/certifi");
        fs::create_dir_all(&roots).unwrap();
        fs::create_dir_all(stage.path(venv).join("bin")).unwrap();
        fs::create_dir_all(stage.path(venv).join("lib/security")).unwrap();
        // As every virtual environment has it.
        std::os::unix::fs::symlink("lib", stage.path(venv).join("lib64")).unwrap();
        fs::write(roots.join("cacert.pem"), "its own\n").unwrap();
        fs::write(stage.path(venv).join("lib/security/cacerts"), "its own\n").unwrap();
    }
    let (kept, written) = (stage.path("venv"), stage.path("work/venv"));
    let text = stage.ok(&["admin", "policy", "show", "s"]);
    let env = format!(
        "[env]\npath = [\"{}/bin\", \"{}/bin\"]\n[sandbox]\nwrite = [\"{{cwd}}/venv\", \"{{cwd}}/venv/lib\"]",
        kept.display(),
        written.display()
    );
    stage.policy(&text.replace("[sandbox]", &env));
    let mut server = stage.serve("s");
    let script = "for v in $PWD/../venv $PWD/venv; do \
                  cmp -s $SSL_CERT_FILE $v/lib/python3.99/site-packages/certifi/cacert.pem && echo roots || echo own; \
                  head -c 4 $v/lib/security/cacerts | od -An -tx1; done";
    let answer = server.run(json!({
        "command": ["sh", "-c", script], "secrets": ["openai/key"], "cwd": stage.path("work")
    }));
    assert_eq!(answer["stdout"], "roots\n fe ed fe ed\nown\n 69 74 73 20\n", "{answer}");
    let file = kept.join("lib/python3.99/site-packages/certifi/cacert.pem");
    assert_eq!(fs::read_to_string(file).unwrap(), "its own\n");
}
