//! PEM (RFC 7468) and its kin: OpenSSH, PGP, SSH2, PuTTY. Of a private one each line of the body is a part; a
//! boundary or a header never is, and of a public one nothing.

use super::leaf::{Leaf, Read, Sense};

/// A line of a body shorter than this tells nothing beside the others: the end of a body.
const SHORTEST_LINE: usize = 8;
/// What the label of something public has: nothing in it is to be hidden.
const PUBLIC: [&str; 8] =
    ["CERTIFICATE", "PUBLIC", "PARAMETERS", "CRL", "PKCS7", "ATTRIBUTE", "TRUSTED", "SIGNATURE"];

pub(super) fn armour(text: &str, _sense: Sense) -> Option<Read> {
    if text.starts_with("PuTTY-User-Key-File-") {
        return Some(Read::Leaves(putty(text)));
    }
    let mut leaves = Vec::new();
    let mut outside = String::new();
    let (mut rest, mut blocks, mut private) = (text, 0, 0);
    while let Some(block) = Block::first(rest) {
        outside.push_str(block.before);
        blocks += 1;
        if !PUBLIC.iter().any(|label| block.label.contains(label)) {
            private += 1;
            lines(&mut leaves, &block);
        }
        rest = block.behind;
    }
    outside.push_str(rest);
    if blocks == 0 {
        return None;
    }
    let outside = outside.trim();
    if private == 0 && outside.is_empty() {
        return Some(Read::Public);
    }
    leaves.push(Leaf::new("around the key", Sense::Open, outside));
    Some(Read::Leaves(leaves))
}

/// What stands between two boundaries.
struct Block<'a> {
    before: &'a str,
    label: &'a str,
    body: &'a str,
    behind: &'a str,
}

impl<'a> Block<'a> {
    fn first(text: &'a str) -> Option<Self> {
        // `-----BEGIN X-----`; SSH2 has four dashes and a space (RFC 4716).
        let begin =
            ["-----BEGIN ", "---- BEGIN "].iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()?;
        let (at, mark) = begin;
        let label = &text[at + mark.len()..];
        let end = label.find("----")?;
        let (label, inner) = label.split_at(end);
        let inner = inner.trim_start_matches('-');
        let close = [format!("{}END ", &mark[..mark.len() - "BEGIN ".len()])];
        let stop = inner.find(&close[0])?;
        let behind = &inner[stop + close[0].len()..];
        let over = behind.find("----").map_or(behind.len(), |at| at);
        let behind = behind[over..].trim_start_matches('-');
        Some(Self { before: &text[..at], label, body: &inner[..stop], behind })
    }
}

/// The lines of a body, also where the line feeds are escaped or were made spaces.
fn lines(leaves: &mut Vec<Leaf>, block: &Block<'_>) {
    let body = block.body.replace("\\r", "\n").replace("\\n", "\n");
    let label = block.label.trim().to_ascii_lowercase();
    let mut number = 0;
    for line in body.split('\n') {
        let line = line.trim();
        // `Proc-Type: 4,ENCRYPTED`, `Version: …`: a header of the format; the checksum of PGP.
        if line.contains(':') || line.starts_with('=') {
            continue;
        }
        for word in line.split_whitespace().filter(|word| word.len() >= SHORTEST_LINE) {
            number += 1;
            leaves.push(Leaf::line(format!("{label}, line {number}"), Sense::Secret, word));
        }
    }
}

/// PuTTY's own format: sections that say how many lines they have.
fn putty(text: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut private = 0usize;
    let mut number = 0;
    for line in text.lines().map(str::trim) {
        if private > 0 {
            private -= 1;
            number += 1;
            leaves.push(Leaf::line(format!("private key, line {number}"), Sense::Secret, line));
            continue;
        }
        match line.split_once(':') {
            Some(("Private-Lines", count)) => private = count.trim().parse().unwrap_or(0),
            Some(("Private-MAC" | "Private-Hash", mac)) => {
                leaves.push(Leaf::new("checksum of the private key", Sense::Open, mac.trim()));
            }
            _ => {}
        }
    }
    leaves
}
