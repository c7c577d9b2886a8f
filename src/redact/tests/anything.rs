//! Texts made of what the views look at: where their data begins, what they undo, and what only looks like it.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use proptest::{prelude::*, sample::select};

use super::containers::{CONTAINERS, WRITINGS};

/// Data in a container in a writing, perhaps once more, perhaps cut short, perhaps with a byte that is another.
pub(super) fn container(held: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let packed = (held, select(CONTAINERS.as_slice()), select(WRITINGS.as_slice()), document_length());
    let once = packed.prop_map(|(held, (_, pack), (_, write), lines)| write(&pack(&document(&held, lines))));
    let twice = (once, select(CONTAINERS.as_slice()), select(WRITINGS.as_slice()), 0..3u8)
        .prop_map(|(once, (_, pack), (_, write), again)| if again == 0 { write(&pack(&once)) } else { once });
    (twice, any::<prop::sample::Index>(), any::<u8>(), 0..4u8).prop_map(|(mut data, at, byte, how)| {
        let at = at.index(data.len());
        match how {
            0 => data.truncate(at + 1),
            1 => data[at] = byte,
            _ => {}
        }
        data
    })
}

fn document_length() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..4usize, 1 => 20..200usize]
}

fn document(held: &[u8], lines: usize) -> Vec<u8> {
    let before = (0..lines).flat_map(|n| format!("line {n} of a document, {}\n", n * 7919).into_bytes());
    before.chain(held.to_vec()).chain(*b"\nand more").collect()
}

/// Headers, and data that stores what follows, or begins to.
const MAGIC: &[&[u8]] = &[
    b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
    b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03\x04\0",
    b"\x1f\x8b\x08\x08\0\0\0\0\0\x03name",
    b"x\x01",
    b"x\x9c",
    b"x\x01\0\xff\xff\0\0",
    b"x\x01\x01\xff\xff\0\0",
    b"x\xda\x03\0",
    b"PK\x03\x04\x14\0\0\0\x08\0",
    b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\x10\0\0\0\x01\0\0\0a",
    b"\x28\xb5\x2f\xfd\x04\x00",
    b"\x28\xb5\x2f\xfd\x20\x10\x81\0\0",
    b"BZh91AY&SY",
    b"BZh9",
    b"\xfd7zXZ\0\0\x04",
    b"7z\xbc\xaf\x27\x1c\0\x04",
    b"Rar!\x1a\x07\0",
    b"\x04\x22\x4d\x18\x40\x40\0",
    b"LZIP\x01\x0c",
    b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0",
];

/// How the data of a container begins, in every writing, and headers that do not end.
pub(super) fn beginning() -> impl Strategy<Value = Vec<u8>> {
    let magic = select(MAGIC);
    (magic, 0..6usize, prop_oneof![6 => 1..3usize, 1 => 6..12usize]).prop_map(|(magic, how, times)| {
        let one = match how {
            0 => STANDARD.encode(magic).into_bytes(),
            1 => URL_SAFE.encode(magic).into_bytes(),
            2 => hex::encode(magic).into_bytes(),
            3 => STANDARD.encode(STANDARD.encode([magic, &[0; 9]].concat())).into_bytes(),
            _ => magic.to_vec(),
        };
        one.repeat(times)
    })
}

/// Bytes as a text of escapes, of one dialect or of several, once or twice.
pub(super) fn escaped(held: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let dialects = prop::collection::vec(0..12usize, 1..4);
    (held, dialects, 1..3usize).prop_map(|(held, dialects, times)| {
        let mut text = held;
        for _ in 0..times {
            let how = dialects.iter().cycle();
            text = text.iter().zip(how).flat_map(|(byte, how)| escape(*byte, *how).into_bytes()).collect();
        }
        text
    })
}

fn escape(byte: u8, how: usize) -> String {
    match how {
        0 => format!("%{byte:02X}"),
        1 => format!("\\x{byte:02x}"),
        2 => format!("\\u{byte:04x}"),
        3 => format!("&#{byte};"),
        4 => format!("&#x{byte:X};"),
        5 => format!("\\{byte:03o}"),
        6 => format!("={byte:02X}"),
        7 => format!("\\{byte:02x} "),
        8 => format!("\\{byte:03}"),
        9 => format!("\\u{{{byte:x}}}"),
        10 => format!("=\n={byte:02X}"),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("\\{}", char::from(byte)),
    }
}

/// Bytes as a tool dumps them: in words of one to eight bytes, of either end, with or without offsets and text.
pub(super) fn dumped(held: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let words = select([1usize, 2, 4, 8].as_slice());
    (held, words, any::<[bool; 3]>(), 0..20usize).prop_map(|(held, word, [swapped, offsets, text], lead)| {
        let bytes = [vec![b'.'; lead], held].concat();
        let line = |(n, line): (usize, &[u8])| {
            let words = line.chunks(word).map(|word| {
                let mut word = word.to_vec();
                if swapped {
                    word.reverse();
                }
                hex::encode(word)
            });
            let words = words.collect::<Vec<_>>().join(" ");
            let offset = if offsets { format!("{:08x}: ", n * 16) } else { String::new() };
            let shown: String = line.iter().map(|byte| printable(*byte)).collect();
            if text { format!("{offset}{words:<40} |{shown}|\n") } else { format!("{offset}{words}\n") }
        };
        bytes.chunks(16).enumerate().map(line).collect::<String>().into_bytes()
    })
}

fn printable(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

/// Bytes as numbers.
pub(super) fn numbers(held: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (held, 0..4usize, select([", ", " ", ",", "\n"].as_slice())).prop_map(|(held, how, between)| {
        let number = |byte: &u8| match how {
            0 => byte.to_string(),
            1 => format!("0x{byte:02x}"),
            2 => format!("{byte:03o}"),
            _ => format!("{byte:3}"),
        };
        format!("[{}]", held.iter().map(number).collect::<Vec<_>>().join(between)).into_bytes()
    })
}

/// What is no secret, and stands between all that.
pub(super) fn noise() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => "([a-z]{1,9}[ \n.,=-]|[0-9a-f]{1,16} ){0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "[\\\\%&='\"`\n0-9a-fx;# ]{0,24}".prop_map(String::into_bytes),
        1 => select(["00000010: ", "\n", "+ ", "| ", "\x1b[0m", "\0", "\r\n"].as_slice())
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

/// Something, in everything that a view looks at.
pub(super) fn anything<S: Strategy<Value = Vec<u8>> + Clone>(held: S) -> impl Strategy<Value = Vec<u8>> {
    let between = select(["", " ", "\n", "-", ", ", "\x1b[31m", "\0"].as_slice());
    let spaced = (held.clone(), between).prop_map(|(held, between)| {
        held.iter().flat_map(|byte| [&[*byte], between.as_bytes()].concat()).collect()
    });
    let piece = prop_oneof![
        3 => noise(),
        3 => beginning(),
        3 => container(held.clone()),
        2 => escaped(held.clone()),
        1 => dumped(held.clone()),
        1 => numbers(held.clone()),
        1 => spaced,
        1 => held.clone(),
        1 => (held, 1..40usize).prop_map(|(held, keep)| held[..keep.min(held.len())].to_vec()),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}
