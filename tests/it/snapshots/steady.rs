//! Texts without what differs from run to run: places, times, ids, digests, tokens.

use crate::stage::{Stage, pins};

/// The text with what differs written alike. Columns stay where they are: what is replaced keeps its length, except
/// for places and fractions of a second.
pub(super) fn steady(stage: &Stage, text: &str) -> String {
    let mut text = text.replace(stage.dir.path().to_str().unwrap(), "/stage");
    text = text.replace(env!("CARGO_BIN_EXE_authy-mcp"), "/usr/bin/authy-mcp");
    if let Some(pins) = pins() {
        text = text.replace(pins.to_str().unwrap(), "/state/authy-mcp");
    }
    let user = format!("operator:{}", nix::unistd::getuid());
    let mut text = words(&text.replace(&user, "operator:1000"));
    for key in ["call again in ", "is damaged at event "] {
        text = alike_after(&text, key);
    }
    text
}

/// Writes a number after a key alike, with the process that may stand behind it.
pub(super) fn alike_after(text: &str, key: &str) -> String {
    let mut parts = text.split(key);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |done, part| {
        if !part.starts_with(|c: char| c.is_ascii_digit()) {
            return done + key + part;
        }
        let rest = part.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '#' | '@'));
        done + key + "0" + rest
    })
}

/// Replaces words, where a word is what an id, a time or a token may be made of.
fn words(text: &str) -> String {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
    let mut steady = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        steady.push_str(&replaced(word));
        let gap = after.find(part).unwrap_or(after.len());
        steady.push_str(&after[..gap]);
        rest = &after[gap..];
    }
    steady
}

fn replaced(word: &str) -> String {
    let shaped = |text: &str, shape: &str| {
        text.len() >= shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(b, s)| if s == b'0' { b.is_ascii_digit() } else { b == s })
    };
    let (body, end) = word.strip_suffix([':', '.']).map_or((word, ""), |body| (body, &word[body.len()..]));
    if shaped(body, "0000-00-00T00:00:00") {
        return format!("2030-01-01T00:00:00{}{end}", if body.ends_with('Z') { "Z" } else { "" });
    }
    if shaped(body, "0000-00-00") {
        return format!("2030-01-01{end}");
    }
    if shaped(body, "00:00") && body.len() == 5 {
        return format!("00:00{end}");
    }
    let base32 = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if body.len() == 19 && body.split('-').count() == 4 && body.split('-').all(|p| p.len() == 4 && base32(p))
    {
        return format!("aaaa-bbbb-cccc-dddd{end}");
    }
    for prefix in ["t_", "r_", "g_", "agent-"] {
        let id = body.strip_prefix(prefix).filter(|id| id.len() >= 8 && base32(id));
        if let Some(id) = id {
            return format!("{prefix}{}{end}", "x".repeat(id.len()));
        }
    }
    if let Some((key, value)) =
        body.split_once(':').filter(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase()))
    {
        return format!("{key}:{}{end}", replaced(value));
    }
    if body.starts_with("eyJ") && body.split('.').count() == 3 {
        return format!("TOKEN{end}");
    }
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if body.len() >= 12 && hex(body) {
        return format!("{}{end}", "0".repeat(body.len().min(12)));
    }
    word.to_owned()
}

#[test]
fn what_differs_is_written_alike() {
    for (text, expected) in [
        ("at 2026-11-26T22:02:42.57835337Z; then", "at 2030-01-01T00:00:00Z; then"),
        ("1  2026-11-26 22:02  APP", "1  2030-01-01 00:00  APP"),
        ("the vault kpui-sjby-ye3u-kkwf is", "the vault aaaa-bbbb-cccc-dddd is"),
        ("t_u6bmz6633kba44u3 is", "t_xxxxxxxxxxxxxxxx is"),
        ("{epoch:2, root:ce1e604a0f21…}", "{epoch:2, root:000000000000…}"),
        ("line 4, column 1: warning: 2 rules", "line 4, column 1: warning: 2 rules"),
        ("sha256 3bf4b1e4036ca7d0fcc859a819315e73", "sha256 000000000000"),
    ] {
        assert_eq!(words(text), expected);
    }
}
