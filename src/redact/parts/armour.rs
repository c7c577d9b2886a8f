//! PEM (RFC 7468) and its kin: OpenSSH, PGP, SSH2, PuTTY; and their bodies without boundaries. A boundary or a header
//! never is a part, of a private key not what is public in it (`body.rs`), and of something public nothing.

use super::{
    body::{self, Kept, Writing},
    leaf::{Leaf, Read, Sense},
    private,
    tree::MOST_LEAVES,
};

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
    while let Some(block) = Block::first(rest).filter(|_| leaves.len() <= MOST_LEAVES) {
        outside.push_str(block.before);
        blocks += 1;
        if !PUBLIC.iter().any(|label| block.label.contains(label)) {
            private += 1;
            block.private(&mut leaves);
        }
        rest = block.behind;
    }
    outside.push_str(rest);
    if blocks == 0 {
        return bare(text);
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

    /// What is private in it, also where the line feeds are escaped or were made spaces. What is not known by its
    /// structure is so by its label.
    fn private(&self, leaves: &mut Vec<Leaf>) {
        let body = self.body.replace("\\r", "\n").replace("\\n", "\n");
        let label = self.label.trim().to_ascii_lowercase();
        // `Proc-Type: 4,ENCRYPTED`, `Version: …`: a header of the format; the checksum of PGP.
        let header = |line: &&str| line.contains(':') || line.starts_with('=');
        let lines = body.split('\n').map(str::trim).filter(|line| !header(line));
        let lines: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
        if let Kept::Unknown = body::read(leaves, &label, &lines, Writing::Base64) {
            body::all(leaves, &label, &lines);
        }
    }
}

/// The least that a key has in hex or base64.
const SHORTEST_BARE: usize = 40;

/// A key in base64 or hex without anything around it: nothing else is such bytes.
fn bare(text: &str) -> Option<Read> {
    let hex = |c: char| c.is_ascii_hexdigit() || c == ':' || c.is_ascii_whitespace();
    let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c) || c.is_ascii_whitespace();
    let hexadecimal = text.strip_prefix("0x").unwrap_or(text);
    let (writing, lines): (_, Vec<&str>) = if text.len() < SHORTEST_BARE {
        return None;
    } else if hexadecimal.chars().all(hex) {
        (Writing::Hex, hexadecimal.split(|c: char| c == ':' || c.is_whitespace()).collect())
    } else if text.chars().all(base64) {
        (Writing::Base64, text.split_whitespace().collect())
    } else {
        return None;
    };
    let mut leaves = Vec::new();
    match body::read(&mut leaves, "key", &lines, writing) {
        Kept::Private => Some(Read::Leaves(leaves)),
        Kept::Public => Some(Read::Public),
        Kept::Unknown => None,
    }
}

/// PuTTY's own format: sections that say how many lines they have.
fn putty(text: &str) -> Vec<Leaf> {
    const LABEL: &str = "private key";
    let mut leaves = Vec::new();
    let (mut kind, mut encrypted) = ("", false);
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        match line.split_once(':').map(|(key, value)| (key, value.trim())) {
            Some((key, algorithm)) if key.starts_with("PuTTY-User-Key-File-") => kind = algorithm,
            Some(("Encryption", how)) => encrypted = how != "none",
            Some(("Private-Lines", count)) => {
                let private: Vec<&str> = lines.by_ref().take(count.parse().unwrap_or(0)).collect();
                body::all(&mut leaves, LABEL, &private);
                let bytes = Writing::Base64.decode(&private.concat());
                let numbers = bytes.map(|bytes| private::putty(kind, encrypted, &bytes)).unwrap_or_default();
                leaves.extend(numbers.into_iter().map(|number| body::of(LABEL, number)));
            }
            Some(("Private-MAC" | "Private-Hash", mac)) => {
                leaves.push(Leaf::new("checksum of the private key", Sense::Open, mac));
            }
            _ => {}
        }
    }
    leaves
}
