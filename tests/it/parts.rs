//! Secrets with a structure, in real runs: the part that a program uses comes back masked by itself, what stands beside it
//! does not, and the operator is shown which parts these are.

use serde_json::{Value, json};

use crate::stage::{Server, Stage};

/// A secret, a command that prints one part of it as programs do, and what comes back.
struct Case {
    name: &'static str,
    value: &'static str,
    script: &'static str,
    seen: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "kube/config",
        value: "apiVersion: v1\nkind: Config\nclusters:\n- name: demo\n  cluster:\n    server: https://10.0.0.1:6443\nusers:\n- name: deployer\n  user:\n    token: k8sTok9vQ2mZ7xR4tY8uW1sL5dF3gH6jK0pB\n",
        script: "T=$(printf %s \"$V\" | sed -n 's/ *token: //p'); echo $T; echo \"Authorization: Bearer $T\"; printf 'apiVersion: v1\\nkind: Pod\\nkind: Config\\n'; echo https://10.0.0.1:6443 deployer",
        seen: "[M]\nAuthorization: Bearer [M]\napiVersion: v1\nkind: Pod\nkind: Config\nhttps://10.0.0.1:6443 deployer\n",
    },
    Case {
        name: "aws/db",
        value: r#"{"username":"admin","password":"Xy7!kQ2mZp4w","engine":"postgres","host":"db.internal","port":5432}"#,
        script: "printf %s \"$V\" | sed 's/.*\"password\":\"\\([^\"]*\\)\".*/\\1/'; echo; echo admin@db.internal:5432 postgres",
        seen: "[M]\nadmin@db.internal:5432 postgres\n",
    },
    Case {
        name: "wg/conf",
        value: "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nAddress = 10.0.0.2/32\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n",
        script: "printf %s \"$V\" | sed -n 's/^P[a-zA-Z]*Key = //p'; echo '[Interface] 10.0.0.2/32'",
        seen: "[M]\nxTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n[Interface] 10.0.0.2/32\n",
    },
    Case {
        name: "app/env",
        value: "NODE_ENV=production\nPORT=3000\nSESSION_SECRET=s3ss10n-of-Mine\nDATABASE_URL=postgres://app:hunter2hunter@db:5432/app\n",
        script: "eval \"$V\"; echo \"$SESSION_SECRET on $PORT\"; echo PORT=3000 NODE_ENV=production; echo ${DATABASE_URL#*app:} | cut -d@ -f1",
        seen: "[M] on 3000\nPORT=3000 NODE_ENV=production\n[M]\n",
    },
    Case {
        name: "docker/config",
        value: r#"{"auths":{"reg.example.com":{"auth":"cm9ib3Q6UHE3Ny16eksxLW1tMDI="}}}"#,
        script: "A=$(printf %s \"$V\" | sed 's/.*\"auth\":\"\\([^\"]*\\)\".*/\\1/'); echo $A; printf %s $A | base64 -d | cut -d: -f2; echo robot at reg.example.com",
        seen: "[M]\n[M]\nrobot at reg.example.com\n",
    },
    Case {
        name: "git/netrc",
        value: "machine github.com\n  login wendy\n  password netrc-P4ss\n",
        script: "set -- $V; echo \"$6\"; echo \"$4 at $2\"",
        seen: "[M]\nwendy at github.com\n",
    },
    Case {
        name: "pg/pass",
        value: "db.internal:5432:*:app:pg\\:pass-9\n",
        script: "printf %s \"$V\" | sed 's/.*:app://;s/\\\\//g'; echo app at db.internal:5432",
        seen: "[M]\napp at db.internal:5432\n",
    },
    Case {
        name: "azure/storage",
        value: "DefaultEndpointsProtocol=https;AccountName=mystore;AccountKey=Zk9dQ2xT7vLm4ZkW8aB3cD5eF7gH9iJ1Kx2Lm9Qp4Rt8a+b/cA==;EndpointSuffix=core.windows.net",
        script: "K=${V#*AccountKey=}; echo ${K%;*}; echo mystore core.windows.net AccountKey",
        seen: "[M]\nmystore core.windows.net AccountKey\n",
    },
    Case {
        name: "mongo/url",
        value: "mongodb://svc:mQ7-ng0-Lx@a.example.net:27017,b.example.net:27017/prod?authSource=admin",
        script: "P=${V#*svc:}; echo ${P%%@*}; echo b.example.net:27017 authSource=admin",
        seen: "[M]\nb.example.net:27017 authSource=admin\n",
    },
    Case {
        name: "maven/settings",
        value: "<settings><servers><server><id>central-repo</id><username>deploy-user</username><password>mvn-P4ss</password></server></servers></settings>",
        script: "P=${V#*<password>}; echo ${P%%</password>*}; echo deploy-user central-repo",
        seen: "[M]\ndeploy-user central-repo\n",
    },
    Case {
        name: "otp/url",
        value: "otpauth://totp/Example:alice@example.com?secret=JBSWY3DPEHPK3PXP&issuer=Example&digits=6",
        script: "S=${V#*secret=}; echo ${S%%&*}; echo issuer=Example alice@example.com",
        seen: "[M]\nissuer=Example alice@example.com\n",
    },
    Case {
        name: "npm/rc",
        value: "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=npm_tok-Q1w2E3\n",
        script: "echo ${V##*=}; echo registry=https://registry.npmjs.org/",
        seen: "[M]\nregistry=https://registry.npmjs.org/\n",
    },
    Case {
        name: "git/credentials",
        value: "https://wendy:gh-tok-Q1w2E3@github.com\nhttps://ci:gl-tok-Z9x8@gitlab.example.com\n",
        script: "printf %s \"$V\" | sed 's/.*:\\(.*\\)@.*/\\1/'; echo wendy at gitlab.example.com",
        seen: "[M]\n[M]\nwendy at gitlab.example.com\n",
    },
];

fn printed(server: &mut Server, case: &Case) -> String {
    let variable = case.name.replace('/', "_").to_uppercase();
    let script = format!("V=\"${variable}\"; {}", case.script);
    let ran = server.run(json!({"command": ["sh", "-c", script], "secrets": [case.name]}));
    let mask = format!("[redacted:{}]", case.name);
    ran["stdout"].as_str().unwrap_or_else(|| panic!("{ran}")).replace(&mask, "[M]")
}

#[test]
fn the_part_that_is_used_is_masked_and_its_neighbours_are_not() {
    let stage = Stage::new();
    for case in CASES {
        stage.set(case.name, case.value.as_bytes());
    }
    stage.policy(
        "scope = \"s\"\n[limits]\nruns_per_minute = 6000\n[sandbox]\nmode = \"off\"\n[[allow]]\n\
         secrets = [\"**\"]\ndeliver = \"env\"\ncommands = \"any\"\n",
    );
    let failed: Vec<String> = CASES
        .iter()
        .filter_map(|case| {
            // A server each: nothing that another case taught it masks here.
            let out = printed(&mut stage.serve("s"), case);
            (out != case.seen).then(|| format!("{}: {out:?}", case.name))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_operator_is_shown_which_parts_are_masked_and_no_byte_of_them() {
    let stage = Stage::new();
    for case in CASES {
        stage.set(case.name, case.value.as_bytes());
    }
    let shown = stage.ok(&["admin", "get", "kube/config"]);
    let length = CASES[0].value.len();
    assert!(shown.contains(&format!("masked    the whole value ({length} bytes)\n")), "{shown}");
    assert!(shown.contains("\n          users[0].user.token (36 bytes)\n"), "{shown}");
    let parts = |name: &str| -> Vec<(String, u64)> {
        let known: Value = serde_json::from_str(&stage.ok(&["--json", "admin", "get", name])).unwrap();
        let part =
            |part: &Value| (part["path"].as_str().unwrap().to_owned(), part["bytes"].as_u64().unwrap());
        known["masked"].as_array().unwrap().iter().map(part).collect()
    };
    let has = |name: &str, path: &str, bytes: u64| {
        let all = parts(name);
        assert!(all.iter().any(|(place, length)| place == path && *length == bytes), "{name}: {all:?}");
    };
    has("mongo/url", "password of the URL", 10);
    has("app/env", "SESSION_SECRET in line 3", 15);
    has("docker/config", "auths[\"reg.example.com\"].auth, base64, password", 14);
    has("pg/pass", "password in line 1", 9);
    for (name, secret) in [("kube/config", "k8sTok9v"), ("app/env", "s3ss10n"), ("mongo/url", "mQ7-ng0")] {
        for words in [vec!["admin", "get", name], vec!["--json", "admin", "get", name]] {
            assert!(!stage.ok(&words).contains(secret), "{name}");
        }
    }
    // A key that is a secret itself is no path.
    stage.set("tokens/users", br#"{"tok_9fQ2xT7vLm4ZkW8hN3pR6sYb1": {"password": "hunter2-x"}}"#);
    let shown = stage.ok(&["admin", "get", "tokens/users"]);
    assert!(shown.contains("[\u{2026}].password (9 bytes)") && !shown.contains("9fQ2xT7v"), "{shown}");
}

/// A wide value, and a deep one.
#[test]
fn an_operator_is_told_of_a_value_that_is_not_taken_apart_further() {
    const SAID: &str = "not taken apart further";
    let stage = Stage::new();
    let wide: String = (0..3000).map(|n| format!("password_{n}: s3cret-value-{n}\n")).collect();
    let deep = (0..14).fold("hunter2-xq9".to_owned(), |inner, _| format!("{{\"password\":{inner:?}}}"));
    for (name, value) in [("too/wide", wide), ("too/deep", deep)] {
        let set = stage.set_with(name, value.as_bytes(), &[]);
        assert!(String::from_utf8_lossy(&set.stderr).contains(SAID), "{name}: {set:?}");
        assert!(stage.ok(&["admin", "get", name]).contains(SAID), "{name}");
    }
    let set = stage.set_with("app/key", b"tok_9fQ2xT7vLm4ZkW8hN3pR6sYb1", &[]);
    assert!(set.status.success() && set.stderr.is_empty(), "{set:?}");
}
