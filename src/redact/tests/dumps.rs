//! Dumps that other programs have made (`tests/corpora/dumps/make.py`): where a dump is another one if the value is another
//! one, it is masked.

use std::{collections::BTreeSet, fs, path::Path};

use proptest::prelude::*;

use super::{run, set};

const VALUE: &[u8] = b"Orchid-saddle/Walnut+granite 7 Copper.Velvet";

/// The name of each dump, with the value in it and with another one.
fn dumps() -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/dumps");
    let names: BTreeSet<_> =
        fs::read_dir(dir.join("value")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let read = |of: &str, name: &std::ffi::OsString| fs::read(dir.join(of).join(name)).unwrap();
    let named = |name: std::ffi::OsString| {
        (name.to_string_lossy().into_owned(), read("value", &name), read("other", &name))
    };
    names.into_iter().map(named).collect()
}

#[test]
fn what_the_value_decides_in_a_dump_is_masked() {
    let set = set(&[VALUE]);
    let mut open = Vec::new();
    let all = dumps();
    assert!(all.len() >= 80, "{}", all.len());
    for (name, dump, other) in all {
        assert_eq!(dump.len(), other.len(), "{name}");
        let spans = set.redactor().masked(&dump);
        let masked = |at: usize| spans.iter().any(|(start, end)| (*start..*end).contains(&(at as u64)));
        let differs: Vec<usize> = (0..dump.len()).filter(|at| dump[*at] != other[*at]).collect();
        let left = differs.iter().filter(|at| !masked(**at)).count();
        let (first, last) = (differs[0], differs[differs.len() - 1]);
        let line = dump[..first].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = dump[last..].iter().position(|byte| *byte == b'\n').map_or(dump.len(), |at| last + at);
        let beyond = (0..dump.len()).filter(|at| masked(*at) && !(line..end).contains(at)).count();
        if left > 0 || beyond > 0 {
            open.push(format!("{name}: {left} of {} left, {beyond} masked beyond", differs.len()));
        }
    }
    assert!(open.is_empty(), "{}:\n{}", open.len(), open.join("\n"));
}

#[test]
fn a_dump_is_read_alike_in_any_chunks() {
    let set = set(&[VALUE]);
    for (name, dump, _) in dumps() {
        let whole = run(&set, &[&dump]);
        for size in [1, 7, 50, 333] {
            let pieces = run(&set, &dump.chunks(size).collect::<Vec<_>>());
            assert!(pieces == whole, "{name} in chunks of {size}: {}", String::from_utf8_lossy(&pieces));
        }
    }
}

/// Without the value nothing of a dump is touched, whatever else is looked for.
#[test]
fn a_dump_of_anything_else_stays_as_it_is() {
    let set = set(&[VALUE, b"sk-live/9fQ2xT7vLm4Z+kW8", b"hunter2-hunter2", b"9021-4417-3358"]);
    for (name, _, other) in dumps() {
        assert!(run(&set, &[&other]) == other, "{name}");
    }
}

/// A program that writes slowly shows no more of a dump than of plain text.
#[test]
fn a_pause_within_a_dump_shows_nothing_of_the_value() {
    let set = set(&[VALUE]);
    let all = dumps();
    for name in [
        "xxd.txt",
        "hexdump.txt",
        "hexdump-canonical.txt",
        "od-x1.txt",
        "od-c.txt",
        "od-u4.txt",
        "xxd-bits.txt",
    ] {
        let (_, dump, other) = all.iter().find(|(one, ..)| one == name).unwrap();
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        for chunk in dump.chunks(11) {
            redactor.push(chunk, &mut out);
            redactor.flush_idle(&mut out);
        }
        redactor.finish(&mut out);
        // Three bytes may be shown of what may go on in another way: their digits, and their characters.
        let shown = dump.iter().zip(&out).take_while(|(one, shown)| one == shown).count();
        let of_the_value = dump.iter().zip(other).take(shown).filter(|(one, other)| one != other).count();
        assert!(of_the_value <= 3 * 9, "{name}: {}", String::from_utf8_lossy(&out));
        let text = String::from_utf8_lossy(&out);
        assert!(text.matches("[redacted:s0]").count() == 1, "{name}: {text}");
    }
}

/// A line is read once, in no more shapes than there are; and once more at a pause in it.
#[test]
fn what_reading_dumps_costs_is_bounded_by_what_is_read() {
    let set = set(&[VALUE]);
    let numbers = b"1 22 333 4444 55555 666666 12345678 9 10 18446744073709551615\n".repeat(100);
    let bits = b"00000000 11111111 01010101 10101010\n".repeat(100);
    let small = b"1 2 3 4 5 6 7 0\n".repeat(100);
    let alternating = b"00000000: 7365 6372\nno\nno\nno\n0000000 163 145 143\nno\nno\nno\n".repeat(100);
    let others = dumps().into_iter().map(|(_, dump, _)| dump);
    for text in [numbers, bits, small, alternating].into_iter().chain(others) {
        let mut redactor = set.redactor();
        let mut out = Vec::new();
        text.chunks(100).for_each(|chunk| redactor.push(chunk, &mut out));
        let cost = redactor.dump_reading();
        assert!(cost <= 20 * text.len() as u64, "{cost} for {}: {:?}", text.len(), &text[..40]);
    }
    let log = b"2026-11-25T10:02:03Z INFO  GET /api/v1/users/17 status=200 in 12 ms\n".repeat(100);
    let mut redactor = set.redactor();
    redactor.push(&log, &mut Vec::new());
    assert_eq!(redactor.dump_reading(), 0, "a log is no dump");
}

/// A layout of no tool in particular.
#[derive(Debug, Clone)]
struct Layout {
    /// Bytes of a word, and words of a line.
    size: usize,
    words: usize,
    little: bool,
    base: u32,
    /// How the offset is written, and what stands before it.
    offset: usize,
    prefix: &'static str,
    between: &'static str,
    column: bool,
}

impl Layout {
    fn of(&self, bytes: &[u8]) -> String {
        let lines = bytes.chunks(self.size * self.words).enumerate();
        lines.map(|(n, row)| self.line(n * self.size * self.words, row)).collect()
    }

    fn line(&self, at: usize, row: &[u8]) -> String {
        let offset =
            [format!("{at:08x}: "), format!("{at:07o} "), format!("{at:08} "), format!("0x{at:04x}:\t")];
        let words: Vec<String> = row.chunks(self.size).map(|word| self.word(word)).collect();
        let column = if self.column {
            // It stands farther off than the words do.
            format!(
                "{}  {}",
                if self.between == "  " { "  " } else { "" },
                String::from_utf8_lossy(row).replace(['\n', '\r'], ".")
            )
        } else {
            String::new()
        };
        format!("{}{}{}{column}\n", self.prefix, offset[self.offset], words.join(self.between))
    }

    fn word(&self, word: &[u8]) -> String {
        let mut bytes = word.to_vec();
        bytes.resize(self.size, 0);
        if self.little {
            bytes.reverse();
        }
        let number = bytes.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let bits = 8 * self.size;
        match self.base {
            2 => format!("{number:0bits$b}"),
            8 => format!("{number:0width$o}", width = bits.div_ceil(3)),
            10 => format!("{number:>width$}", width = [0, 3, 5, 0, 10, 0, 0, 0, 20][self.size]),
            _ => format!("{number:0width$x}", width = bits / 4),
        }
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    let sizes = prop::sample::select(vec![1usize, 2, 4, 8]);
    let bases = prop::sample::select(vec![2u32, 8, 10, 16]);
    let prefixes = prop::sample::select(vec![
        "",
        "> ",
        "[pod/app-1] ",
        "kernel: [   12.345] buf: ",
        "2026-11-25T10:02:03Z INFO  ",
    ]);
    let between = prop::sample::select(vec![" ", "  ", "\t", ", "]);
    (sizes, 1usize..9, any::<bool>(), bases, 0usize..4, prefixes, between, any::<bool>()).prop_map(
        |(size, words, little, base, offset, prefix, between, column)| Layout {
            size,
            // Behind a prefix a dump is known by more than a few bytes.
            words: if prefix.is_empty() { words } else { words.max(16 / size) },
            little,
            base,
            offset,
            prefix,
            // Decimal numbers end below each other, the first as far behind the offset as the others are apart.
            between: if base == 10 { " " } else { between },
            // One or two words are told from as many characters by nothing but what real tools write.
            column: column && base != 10 && words > 3,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_dump_of_any_layout_is_decoded(layout in layout(), lead in "[ -~]{20,60}", behind in "[ -~]{20,60}", size in 1usize..200) {
        let set = set(&[VALUE]);
        let dump = layout.of(&[lead.as_bytes(), VALUE, behind.as_bytes()].concat());
        let out = run(&set, &[dump.as_bytes()]);
        let pieces = run(&set, &dump.as_bytes().chunks(size).collect::<Vec<_>>());
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(&String::from_utf8(pieces).unwrap(), &out);
        let lines = layout.size * layout.words;
        let whole: Vec<&[u8]> = VALUE.chunks(layout.size).collect();
        prop_assert!(out.contains("[redacted:s0]"), "{layout:?}\n{dump}");
        // No line with the value in it is left, beside those at its ends.
        let middle = VALUE.len().saturating_sub(2 * lines) / lines;
        let left = dump.lines().count() - out.lines().count();
        prop_assert!(left >= middle && !whole.is_empty(), "{layout:?}\n{out}");
    }
}
