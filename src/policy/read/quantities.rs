//! Durations and sizes, as people write them.

use std::time::Duration;

/// `90d`, `8h`, `2m`, `30s`, and sums of them, as `1h30m`; more than nothing, at most ten years.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds: u64 = 0;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            _ => return None,
        };
        seconds = seconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    let whole = number.is_empty() && (1..=10 * 366 * 24 * 3600).contains(&seconds);
    whole.then(|| Duration::from_secs(seconds))
}

/// Bytes: `64KiB`, `1MiB`, `4096`; at most 16 MiB.
pub(super) fn parse_size(text: &str) -> Option<usize> {
    let bytes = parse_bytes(text).filter(|bytes| *bytes <= 16 << 20)?;
    usize::try_from(bytes).ok()
}

/// Bytes: `512MiB`, `4GiB`, `1TiB`; at most as many as a disk could have.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    const MOST: u64 = 1 << 60;
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes <= MOST)
}
