//! Compressed data and archives in every writing, and within each other.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use super::{super::Redactor, set};

const VALUE: &[u8] = b"sk-live/9fQ2xT7vLm4Z+kW8";

pub(super) type Container = fn(&[u8]) -> Vec<u8>;

/// What holds data.
pub(super) const CONTAINERS: [(&str, Container); 6] = [
    ("gzip", gzip),
    ("zlib", |data| compress_to_vec_zlib(data, 6)),
    ("zlib stored", |data| compress_to_vec_zlib(data, 0)),
    ("zip", zip),
    ("bzip2", bzip2),
    ("zstd", |data| ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest)),
];

fn gzip(data: &[u8]) -> Vec<u8> {
    [[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].as_slice(), &compress_to_vec(data, 6), &[0; 8]].concat()
}

fn bzip2(data: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut all = Vec::new();
    bzip2::read::BzEncoder::new(data, bzip2::Compression::best()).read_to_end(&mut all).unwrap();
    all
}

/// An archive of two files: the second one has the data.
fn zip(data: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, data) in [("a-name.txt", b"something that isn't secret".as_slice()), ("b", data)] {
        let body = compress_to_vec(data, 6);
        all.extend(b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0");
        for length in [body.len(), data.len()] {
            all.extend((length as u32).to_le_bytes());
        }
        all.extend((name.len() as u16).to_le_bytes());
        all.extend([0, 0]);
        all.extend(name.as_bytes());
        all.extend(body);
    }
    let mut end = b"PK\x05\x06".to_vec();
    end.resize(22, 0);
    [all, end].concat()
}

fn hex(data: &[u8]) -> Vec<u8> {
    hex::encode(data).into_bytes()
}

fn base64(data: &[u8]) -> Vec<u8> {
    STANDARD.encode(data).into_bytes()
}

fn wrapped(data: &[u8], before: &str) -> Vec<u8> {
    let text = STANDARD.encode(data).into_bytes();
    text.chunks(76).flat_map(|line| [before.as_bytes(), line, b"\n"].concat()).collect()
}

/// How data is written.
pub(super) const WRITINGS: [(&str, Container); 9] = [
    ("as it stands", |data| data.to_vec()),
    ("base64", base64),
    ("base64 in lines", |data| wrapped(data, "")),
    ("base64 behind a quote", |data| wrapped(data, "> ")),
    ("base64 of URLs", |data| URL_SAFE_NO_PAD.encode(data).into_bytes()),
    ("base64 in JSON", |data| {
        serde_json::to_vec(&serde_json::json!({"d": String::from_utf8(wrapped(data, "")).unwrap()})).unwrap()
    }),
    ("base64 in a URL", |data| {
        [
            b"data:application/x;base64,".as_slice(),
            STANDARD.encode(data).replace('+', "%2B").replace('/', "%2F").as_bytes(),
        ]
        .concat()
    }),
    ("base64 behind two bytes", |data| base64(&[b"\0\0", data].concat())),
    ("hex", hex),
];

/// Documents with the value at their end, in half of which it stands for the second time.
fn documents() -> Vec<Vec<u8>> {
    let lines = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|n| format!("line {n} of a document, {}\n", n * 7919).into_bytes()).collect()
    };
    [0, 1, 120, 400].map(|count| [lines(count), VALUE.to_vec(), b"\nand more".to_vec()].concat()).to_vec()
}

fn through(text: &[u8], size: usize) -> (Vec<u8>, Redactor) {
    let mut redactor = set(&[VALUE]).redactor();
    let mut out = Vec::new();
    text.chunks(size).for_each(|chunk| redactor.push(chunk, &mut out));
    redactor.finish(&mut out);
    (out, redactor)
}

const BEFORE: &[u8] = b"before: ";
const BEHIND: &[u8] = b"\n... behind it\n";

#[test]
fn each_container_is_looked_into_in_each_writing() {
    for (container, pack) in CONTAINERS {
        for (writing, write) in WRITINGS {
            // Two bytes are no sign within a text of base64.
            if container.starts_with("zlib") && writing == "base64 behind two bytes" {
                continue;
            }
            for document in documents() {
                let written = write(&pack(&document));
                let text = [BEFORE, &written, BEHIND].concat();
                let (whole, redactor) = through(&text, usize::MAX);
                let what = format!("{container}, {writing}, {} bytes", document.len());
                assert!(redactor.counts().total() > 0, "{what}: {redactor:?}");
                assert!(redactor.not_looked_into().is_empty(), "{what}: {:?}", redactor.not_looked_into());
                assert!(whole.starts_with(b"before: ") && whole.ends_with(b"behind it\n"), "{what}");
                assert!(!whole.windows(written.len()).any(|window| window == written), "{what}");
                for size in [7, 4097] {
                    let (pieces, _) = through(&text, size);
                    assert!(pieces == whole, "{what}, chunks of {size}");
                }
            }
        }
    }
}

#[test]
fn what_holds_nothing_passes_as_it_is() {
    let document = [documents()[2].split_at(3000).0, b"sk-live/"].concat();
    for (container, pack) in CONTAINERS {
        for (writing, write) in WRITINGS {
            let text = [BEFORE, &write(&pack(&document)), BEHIND].concat();
            for size in [11, usize::MAX] {
                let (out, redactor) = through(&text, size);
                assert!(out == text, "{container}, {writing}");
                assert!(redactor.not_looked_into().is_empty(), "{container}, {writing}");
            }
        }
    }
}

/// Deflated data without a header is looked for at the beginning of a text in base64 or hex.
#[test]
fn raw_deflate_is_looked_for_where_a_writing_begins() {
    for document in documents() {
        for level in [1, 6, 9] {
            let data = compress_to_vec(&document, level);
            for write in [base64 as Container, hex, |data| wrapped(data, "")] {
                let text = [b"SAMLRequest=", write(&data).as_slice(), b"&more\n"].concat();
                for size in [3, usize::MAX] {
                    let (out, redactor) = through(&text, size);
                    assert!(redactor.counts().total() == 1, "{} bytes at {level}", document.len());
                    assert!(
                        out.starts_with(b"SAMLRequest=[redacted:"),
                        "{:?}",
                        String::from_utf8_lossy(&out)
                    );
                    assert!(out.ends_with(b"&more\n"));
                }
            }
        }
    }
}

/// Of a long piece what was given out stays; what holds the value doesn't come.
#[test]
fn a_value_at_the_end_of_a_long_piece_is_masked() {
    let mut state = 7u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"0123456789abcdef"[(state >> 28) as usize]
    })
    .take(1 << 20)
    .collect();
    let document = [noise.as_slice(), VALUE, &noise[..9000]].concat();
    for (container, pack) in &CONTAINERS[..2] {
        for (writing, write) in [WRITINGS[0], WRITINGS[2], WRITINGS[8]] {
            let written = write(&pack(&document));
            let text = [BEFORE, &written, BEHIND].concat();
            let (whole, redactor) = through(&text, usize::MAX);
            assert_eq!(redactor.counts().total(), 1, "{container}, {writing}");
            assert!(redactor.not_looked_into().is_empty(), "{container}, {writing}: {redactor:?}");
            assert!(whole.ends_with(b"... behind it\n"), "{container}, {writing}");
            assert!(
                whole.len() > text.len() / 2 && whole.len() < text.len() - 32_000,
                "{container}, {writing}"
            );
            for size in [513, 70_000] {
                assert!(through(&text, size).0 == whole, "{container}, {writing}, chunks of {size}");
            }
        }
    }
}

#[test]
fn data_within_data_is_looked_into() {
    let document = documents()[1].clone();
    for layers in [
        [gzip as Container, base64, gzip].as_slice(),
        &[gzip, base64, base64],
        &[gzip, hex, base64],
        &[zip, base64, gzip],
        &[bzip2, zip, base64],
        &[gzip, base64, zip, base64, bzip2, hex],
    ] {
        let text = layers.iter().fold(document.clone(), |data, layer| layer(&data));
        for size in [5, usize::MAX] {
            let (out, redactor) = through(&[BEFORE, &text, BEHIND].concat(), size);
            assert_eq!(redactor.counts().total(), 1, "{redactor:?}");
            assert!(out.len() < BEFORE.len() + BEHIND.len() + 40, "{}", String::from_utf8_lossy(&out));
        }
    }
}

#[test]
fn data_too_deep_is_said() {
    let text = (0..8).fold(documents()[1].clone(), |data, _| base64(&gzip(&data)));
    let (out, redactor) = through(&text, usize::MAX);
    assert!(out == text && redactor.not_looked_into()["gzip"] > 0, "{redactor:?}");
}

#[test]
fn what_has_no_reader_is_said() {
    let zeros = [0; 100];
    for (kind, beginning) in [
        ("xz", b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46".as_slice()),
        ("7z", b"7z\xbc\xaf\x27\x1c\0\x04"),
        ("rar", b"Rar!\x1a\x07\x01\0"),
        ("rar", b"Rar!\x1a\x07\0\xcf"),
        ("lz4", b"\x04\x22\x4d\x18\x64\x40\xa7"),
        ("lzip", b"LZIP\x01\x0c"),
        ("lzma", b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0"),
        ("zip", b"PK\x03\x04\x33\0\x01\0\x63\0\0\0\0\0\0\0\0\0\x20\0\0\0\x10\0\0\0\x01\0\0\0a"),
        ("zstd", b"\x28\xb5\x2f\xfd\x01\x58\x07\x01\0\0"),
    ] {
        let data = [beginning, &zeros].concat();
        for write in [WRITINGS[0], WRITINGS[1], WRITINGS[2], WRITINGS[8]].map(|writing| writing.1) {
            let text = [BEFORE, &write(&data), b"\n"].concat();
            for size in [9, usize::MAX] {
                let (out, redactor) = through(&text, size);
                let said = redactor.not_looked_into();
                assert!(out == text);
                assert!(said.len() == 1 && said[kind] >= data.len() as u64, "{kind}: {said:?}");
            }
        }
    }
}

/// Magic numbers, and what only begins like data, are in every binary.
#[test]
fn a_magic_number_alone_is_nothing() {
    let magics = [
        b"\xfd7zXZ\0".as_slice(),
        b"7z\xbc\xaf",
        b"Rar!",
        b"\x04\x22\x4d\x18",
        b"LZIP",
        b"PK\x03\x04",
        b"BZh9",
        b"\x28\xb5\x2f\xfd",
        b"\x5d\0\0",
    ];
    let text: Vec<u8> =
        magics.iter().flat_map(|magic| [magic, b"\x7fELF, not data".as_slice()].concat()).collect();
    let (out, redactor) = through(&text.repeat(20), 1000);
    assert!(out == text.repeat(20) && redactor.not_looked_into().is_empty(), "{redactor:?}");
}
