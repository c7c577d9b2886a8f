//! Ordinary logs stay as they are, byte for byte, with fifty realistic secrets loaded.

use std::{fs, path::Path};

use super::{run, set};

/// Numbers that are the same at every run.
struct Random(u64);

impl Random {
    fn word(&mut self, length: usize, letters: &str) -> String {
        let letters = letters.as_bytes();
        let mut letter = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(letters[(self.0 >> 33) as usize % letters.len()])
        };
        (0..length).map(|_| letter()).collect()
    }
}

const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// API keys of known shapes, passwords, private keys, connection strings, service accounts.
fn secrets() -> Vec<String> {
    let mut random = Random(42);
    let mut secrets: Vec<String> = [
        "correct horse battery staple",
        "Tr0ub4dor&3-zebra",
        "hunter2-hunter2",
        "summer-2024-Lisbon!",
        "p4ssw0rd for staging",
        "9021-4417-3358",
        "letmein-please-42",
        "Q!w2E#r4T%y6",
    ]
    .map(str::to_owned)
    .into();
    for _ in 0..3 {
        let mut mixed = |length| random.word(length, MIXED);
        let (a, b, c, d, e) = (mixed(40), mixed(36), mixed(24), mixed(48), mixed(16));
        secrets.extend([
            format!("sk-proj-{a}"),
            format!("ghp_{b}"),
            format!("sk_live_{c}"),
            format!("xoxb-1234567890-{d}"),
        ]);
        secrets.push(format!("postgres://app:{e}@db.internal:5432/app?sslmode=require"));
        secrets.push(format!("AKIA{}", random.word(16, UPPER)));
        secrets.push(random.word(40, BASE64));
        secrets.push(random.word(32, HEX));
        secrets.push(format!(
            "{}-{}-4{}-9{}-{}",
            random.word(8, HEX),
            random.word(4, HEX),
            random.word(3, HEX),
            random.word(3, HEX),
            random.word(12, HEX)
        ));
        secrets.push(format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", random.word(60, MIXED), random.word(43, MIXED)));
        let body: Vec<String> = (0..12).map(|_| random.word(64, BASE64)).collect();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n{}==\n-----END PRIVATE KEY-----\n",
            body.join("\n"),
            random.word(10, BASE64)
        );
        secrets.push(pem.clone());
        secrets.push(format!(
            "{{\n  \"type\": \"service_account\",\n  \"project_id\": \"my-project\",\n  \"private_key_id\": \"{}\",\n  \"private_key\": {},\n  \"client_email\": \"app@my-project.iam.gserviceaccount.com\",\n  \"auth_uri\": \"https://accounts.google.com/o/oauth2/auth\",\n  \"token_uri\": \"https://oauth2.googleapis.com/token\"\n}}\n",
            random.word(40, HEX),
            serde_json::to_string(&pem).unwrap()
        ));
        secrets.push(format!("mongodb+srv://svc:{}@cluster0.example.net/prod", random.word(20, MIXED)));
        secrets.push(random.word(10, MIXED));
    }
    secrets
}

#[test]
fn ordinary_logs_stay_as_they_are() {
    let secrets = secrets();
    assert_eq!(secrets.len(), 50);
    let set = set(&secrets.iter().map(String::as_bytes).collect::<Vec<_>>());
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/logs");
    let mut files = 0;
    let mut bytes = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        files += 1;
        bytes += text.len();
        let out = run(&set, &text.chunks(1000).collect::<Vec<_>>());
        let differs = out.iter().zip(&text).position(|(one, other)| one != other);
        let shown = differs.map(|at| {
            String::from_utf8_lossy(&out[at.saturating_sub(60)..(at + 60).min(out.len())]).into_owned()
        });
        assert!(out == text, "{}: {shown:?}", path.display());
        // And one that holds a secret doesn't.
        let leaky = [text.as_slice(), secrets[files % 50].as_bytes()].concat();
        assert!(run(&set, &[&leaky]) != leaky);
    }
    assert!(files >= 20 && bytes > 150_000, "{files} files of {bytes} bytes");
}
