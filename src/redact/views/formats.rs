//! The formats that are looked into, or at least known when they are met. A format is a row.

use super::{
    containers,
    format::{Check, Format, Found, Opening},
};

const fn format(name: &'static str, magic: &'static [u8], check: fn(&[u8]) -> Opening) -> Format {
    Format {
        name,
        magic,
        begins_a_writing: false,
        found: Found::Everywhere,
        check: Check::Opening(check),
        trailer: 0,
    }
}

/// Without a reader here.
const fn unread(name: &'static str, magic: &'static [u8], check: fn(&[u8]) -> Opening) -> Format {
    Format { begins_a_writing: true, ..format(name, magic, check) }
}

const fn written(name: &'static str, magic: &'static [u8]) -> Format {
    Format { begins_a_writing: true, found: Found::Written, ..format(name, magic, containers::written) }
}

const fn zlib(magic: &'static [u8]) -> Format {
    Format {
        name: "zlib",
        magic,
        begins_a_writing: true,
        found: Found::Everywhere,
        check: Check::Deflated,
        trailer: 4,
    }
}

/// All formats.
pub(super) const FORMATS: [Format; 20] = [
    Format { check: Check::Deflated, trailer: 8, ..format("gzip", b"\x1f\x8b\x08", containers::written) },
    zlib(b"x\x01"),
    zlib(b"x\x5e"),
    zlib(b"x\x9c"),
    zlib(b"x\xda"),
    format("zip", b"PK\x03\x04", containers::zip),
    format("zstd", b"\x28\xb5\x2f\xfd", containers::zstd),
    format("bzip2", b"BZh", containers::bzip2),
    unread("xz", b"\xfd7zX", containers::xz),
    unread("7z", b"7z\xbc\xaf", containers::seven_zip),
    unread("rar", b"Rar!", containers::rar),
    unread("lz4", b"\x04\x22\x4d\x18", containers::lz4),
    unread("lzip", b"LZIP", containers::lzip),
    unread("lzma", b"\x5d\0\0", containers::lzma),
    // Data in a writing that was written once more.
    written("base64", b"H4sI"),
    written("base64", b"UEsDB"),
    written("base64", b"KLUv"),
    written("base64", b"Qlpo"),
    written("base64", b"eJ"),
    written("hex", b"1f8b08"),
];

/// Deflated data without a header.
pub(super) static DEFLATE: Format = format("deflate", b"", containers::written);
