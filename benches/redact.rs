//! Redaction beside a plain scan: how fast log-like text goes through all forms and views, with one secret
//! and with a hundred, next to a contiguous NFA of the same written forms in the same run.
//!
//! Then the worst of five hundred random grammars of what the views begin with, beside a plain scan of the same bytes
//! for one byte: what a hostile program can make redaction cost, in CPU seconds of the thread that does it.
//!
//! `cargo bench --bench redact` prints the speeds and their ratios, measured alternating.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_macros,
    reason = "a benchmark prints, and stops where something is wrong"
)]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use authy_mcp::testing::{
    names::SecretName,
    redact::{NeedleSet, Needles},
    value::SecretValue,
};

/// Bytes of text that each measurement goes over, in chunks as a pipe gives them.
const TEXT: usize = 8 * 1024 * 1024;
const CHUNK: usize = 64 * 1024;
/// Secrets that are added one by one.
const MORE: usize = 100;
/// Alternating rounds; the best of each counts.
const ROUNDS: usize = 9;

fn main() {
    ready(1000);
    let text = log_text();
    println!(
        "{} MiB of log-like text, chunks of {} KiB, best of {ROUNDS} alternating rounds",
        TEXT >> 20,
        CHUNK >> 10
    );
    for count in [1, 10, 100, 1000] {
        ratios(&text, count);
    }
    memory();
    estimates();
    for count in [1, 100, 1000] {
        hostile(count);
    }
}

/// Speeds side by side, and what building costs.
fn ratios(text: &[u8], count: usize) {
    let begun = Instant::now();
    let needles = needles(count);
    let forms = begun.elapsed();
    let begun = Instant::now();
    let set = NeedleSet::new(&needles);
    let tables = begun.elapsed();
    let begun = Instant::now();
    let nfa = plain(&needles);
    let nfa_built = begun.elapsed();
    let (mut redacted, mut plain) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        redacted = redacted.min(timed(|| redact(&set, text)));
        plain = plain.min(timed(|| scan(&nfa, text)));
    }
    let speed = |time: Duration| text.len() as f64 / time.as_secs_f64() / 1e6;
    let each = |time: Duration| time.as_secs_f64() * 1e3 / count as f64;
    println!(
        "{count:>3} secrets: redactor {:>5.0} MB/s, contiguous NFA {:>4.0} MB/s, ratio {:>4.0} %; \
         a secret: forms {:.3} ms, tables {:.3} ms (NFA {:.3} ms); {set:?}",
        speed(redacted),
        speed(plain),
        100.0 * plain.as_secs_f64() / redacted.as_secs_f64(),
        each(forms),
        each(tables),
        each(nfa_built),
    );
}

/// What it takes until a run with so many secrets can begin, and one secret more: the best and the worst of some, for
/// now and then a table grows.
fn ready(count: usize) {
    let before = resident_kb();
    let begun = Instant::now();
    let all = needles(count);
    let forms = begun.elapsed();
    let mut set = NeedleSet::new(&all);
    let took = begun.elapsed();
    let held = resident_kb().saturating_sub(before);
    let mut random = Random(11);
    let more: Vec<Duration> = (0..MORE)
        .map(|number| {
            let name = SecretName::parse(&format!("bench/more-{number}")).unwrap();
            let value = SecretValue::new(secret(number, &mut random));
            let begun = Instant::now();
            set.add(&Needles::of(&name, &value));
            begun.elapsed()
        })
        .collect();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "needles of {count} secrets ready in {:.1} ms ({:.1} of it their forms), {:.1} MB; one more in {:.2} ms, at worst {:.2}",
        ms(took),
        ms(forms),
        held as f64 / 1024.0,
        ms(more.iter().copied().sum::<Duration>() / MORE as u32),
        ms(more.iter().copied().max().unwrap_or_default()),
    );
    black_box(set);
}

/// What a redactor holds after a small and after a large stream.
fn memory() {
    let set = NeedleSet::new(&needles(100));
    let chunk = log_text();
    for times in [1, 16] {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        for _ in 0..times {
            for part in chunk.chunks(CHUNK) {
                redactor.push(part, &mut out);
                out.clear();
            }
        }
        println!("after {:>3} MiB: {redactor:?}, resident {} kB", (times * TEXT) >> 20, resident_kb());
    }
}

/// What it costs to judge a value.
fn estimates() {
    let mut random = Random(5);
    let values: [(&str, Vec<u8>); 4] = [
        ("a key", secret(0, &mut random)),
        ("a hundred letters and digits", random.word(100).into_bytes()),
        ("a passphrase", b"Correct-Horse-Battery-Staple-Granite-P4nth3r-2026".to_vec()),
        ("a mebibyte", random.word(1 << 20).into_bytes()),
    ];
    for (what, value) in values {
        let best = (0..ROUNDS).map(|_| timed(|| authy_mcp::testing::redact::bits(&value) as usize)).min();
        println!("judging {what}: {:.0} us", best.unwrap_or_default().as_secs_f64() * 1e6);
    }
}

/// Bytes of one grammar's text, how many grammars there are, how many of them are looked at closely, and how often
/// their texts are repeated then: what may be spent once on any stream is in the first figure, and hardly in the second.
const HOSTILE_TEXT: usize = 256 * 1024;
const GRAMMARS: u64 = 500;
const SLOWEST: usize = 12;
const REPEATED: usize = 16;

/// What the views of the redactor begin with, the beginning of a secret, and whole pieces that inflate far.
fn beginnings() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        b"x\x9c".as_slice(),
        b"x\x01",
        b"x\xda",
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        b"\x1f\x8b\x08\x08",
        b"H4sI",
        b"H4sI\n",
        b"eJw",
        b"eNq",
        b"1f8b08",
        b"789c",
        b"7801",
        b"\x01\xff\xff\0\0",
        b"\0\xff\xff\0\0",
        b"\x03\0",
        b"00000010: 6563 ",
        b"0000020   e   c ",
        b"    12\t",
        b"://u:",
        b"://",
        b"@",
        b"\x1b[31m",
        b"\x1b]8;;",
        b"sk-proj-",
        b"\\\\u003d",
        b"\\",
        b"%25",
        b"%2541",
        b"&amp;#x41;",
        b"&",
        b"=3D",
        b"=\n",
        b"\\3d ",
        b"\n",
        b" ",
    ]
    .iter()
    .map(|bytes| bytes.to_vec())
    .collect();
    let mut random = Random(7);
    let secret = secret(0, &mut random);
    all.push(secret[..secret.len() - 1].to_vec());
    all.push(secret[..12].to_vec());
    all.push(miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 100_000], 9));
    all.push(miniz_oxide::deflate::compress_to_vec_zlib(&secret.repeat(200), 9));
    all
}

/// A text of a few beginnings, drawn at random, the same at every run.
fn grammar(seed: u64, beginnings: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random(seed);
    let count = beginnings.len() as u64;
    let few: Vec<&Vec<u8>> =
        (0..1 + random.below(4)).map(|_| &beginnings[random.below(count) as usize]).collect();
    let mut text = Vec::with_capacity(HOSTILE_TEXT + 4096);
    while text.len() < HOSTILE_TEXT {
        text.extend_from_slice(few[random.below(few.len() as u64) as usize]);
    }
    text
}

/// The worst grammars beside a scan for one byte that isn't there, in one run.
fn hostile(count: usize) {
    let needles = needles(count);
    let set = NeedleSet::new(&needles);
    let beginnings = beginnings();
    let speed = |text: &[u8], work: &dyn Fn(&[u8]) -> usize| {
        text.len() as f64 / 1e6 / (0..2).map(|_| cpu_seconds(|| work(text))).fold(f64::MAX, f64::min)
    };
    let through = |text: &[u8]| redact(&set, text);
    let mut all: Vec<(f64, u64)> =
        (0..GRAMMARS).map(|seed| (speed(&grammar(seed, &beginnings), &through), seed)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let sustained = |seed| speed(&grammar(seed, &beginnings).repeat(REPEATED), &through);
    let worst = all[..SLOWEST].iter().map(|(short, seed)| (sustained(*seed), *short, *seed));
    let (long, short, seed) = worst.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
    let text = grammar(seed, &beginnings).repeat(REPEATED);
    let scan = speed(&text, &|text| memchr::memchr_iter(b'\xfe', text).count());
    let shown = String::from_utf8_lossy(&text[..48]).escape_debug().to_string();
    println!(
        "{count:>3} secrets: the worst of {GRAMMARS} grammars goes at {:.1} MB per CPU second where it is of {} KiB \
         (seed {}), at {long:.1} where it is of {} MiB (seed {seed}, {shown} …; of {} KiB at {short:.1}); memchr {scan:.0}",
        all[0].0,
        HOSTILE_TEXT >> 10,
        all[0].1,
        (HOSTILE_TEXT * REPEATED) >> 20,
        HOSTILE_TEXT >> 10,
    );
}

/// CPU time of this thread.
fn cpu_seconds(work: impl FnOnce() -> usize) -> f64 {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let begun = now();
    black_box(work());
    now() - begun
}

/// Resident memory of this process, in kB.
fn resident_kb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn timed(work: impl FnOnce() -> usize) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn redact(set: &NeedleSet, text: &[u8]) -> usize {
    let mut redactor = set.redactor();
    let mut out = Vec::with_capacity(2 * CHUNK);
    let mut total = 0;
    for chunk in text.chunks(CHUNK) {
        redactor.push(chunk, &mut out);
        total += out.len();
        out.clear();
    }
    redactor.finish(&mut out);
    total + out.len()
}

/// All matches, overlapping ones too, as a redactor needs them.
fn scan(nfa: &AhoCorasick, text: &[u8]) -> usize {
    text.chunks(CHUNK).map(|chunk| nfa.find_overlapping_iter(chunk).count()).sum()
}

fn plain(needles: &[Needles]) -> AhoCorasick {
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .match_kind(MatchKind::Standard)
        .prefilter(false)
        .build(needles.iter().flat_map(Needles::literal))
        .unwrap()
}

fn needles(count: usize) -> Vec<Needles> {
    let mut random = Random(7);
    (0..count)
        .map(|number| {
            let name = SecretName::parse(&format!("bench/{number}")).unwrap();
            Needles::of(&name, &SecretValue::new(secret(number, &mut random)))
        })
        .collect()
}

/// Keys of known shapes, passwords and connection strings, from 16 to 90 bytes.
fn secret(number: usize, random: &mut Random) -> Vec<u8> {
    match number % 5 {
        0 => format!("sk-proj-{}", random.word(40)),
        1 => format!("ghp_{}", random.word(36)),
        2 => format!("{}/{}+{}==", random.word(12), random.word(14), random.word(12)),
        3 => format!("postgres://app:{}@db.internal:5432/app", random.word(18)),
        _ => format!("{}!{}#{}", random.word(6), random.word(5), random.word(4)),
    }
    .into_bytes()
}

fn log_text() -> Vec<u8> {
    let mut random = Random(1);
    let mut text = String::new();
    while text.len() < TEXT {
        let n = random.below(1_000_000);
        text += &match random.below(8) {
            0 => format!(
                "2026-11-25T10:{:02}:{:02}.{:03}Z INFO  request handled method=GET path=/api/v1/users/{n} status=200 duration_ms={}\n",
                n % 60,
                n / 7 % 60,
                n % 1000,
                n % 977
            ),
            1 => format!(
                "   Compiling serde_json v1.0.{} (registry+https://registry.example/index)\n",
                n % 150
            ),
            2 => format!(
                "{{\"level\":\"warn\",\"ts\":17640{n},\"msg\":\"slow query\",\"id\":\"{:08x}-{:04x}-4{:03x}-9{:03x}-{:012x}\"}}\n",
                random.next(),
                n & 0xffff,
                n & 0xfff,
                n & 0xfff,
                n
            ),
            3 => format!(
                "    at Object.handle (/app/node_modules/express/lib/router/layer.js:{}:{})\n",
                n % 500,
                n % 80
            ),
            4 => format!("test module_{}::tests::it_works_for_case_{n} ... ok\n", n % 40),
            5 => format!(
                "commit {:016x}{:016x}{:08x}\nAuthor: A Person <person@example.com>\n",
                random.next(),
                random.next(),
                random.next() as u32
            ),
            6 => format!("-rw-r--r-- 1 app app {n:>8} Nov 25 10:{:02} file-{n}.txt\n", n % 60),
            _ => format!(
                "[{n:>7}.{n:06}] usb 1-{}: new high-speed USB device number {} using xhci_hcd\n",
                n % 8,
                n % 30
            ),
        };
    }
    text.truncate(TEXT);
    text.into_bytes()
}

/// A small generator, the same numbers at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..length).map(|_| char::from(LETTERS[self.below(LETTERS.len() as u64) as usize])).collect()
    }
}
