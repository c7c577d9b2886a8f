//! What tells each container from chance: the fields that its specification fixes, in its first bytes.

use super::{
    block::Block,
    format::{Body, Method, Opening},
    zstd,
};

const fn data(method: Method, header: usize) -> Opening {
    Opening::Data(Body { method, header, trailer: 0, promise: Block::Dynamic })
}

/// Data in a writing, in a writing: what it is, is judged once the outer one is undone.
pub(super) fn written(_: &[u8]) -> Opening {
    Opening::Data(Body { method: Method::Stored, header: 0, trailer: 0, promise: Block::Fixed })
}

/// A local file header (APPNOTE.TXT, section 4.3.7). What is stored is seen as it stands.
pub(super) fn zip(bytes: &[u8]) -> Opening {
    let Some(header) = bytes.get(..30) else { return Opening::Waiting };
    let field = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let (version, flags, method, name, extra) = (header[4], field(6), field(8), field(26), field(28));
    if version > 63 {
        return Opening::No;
    }
    if name > 4096 || extra > 16_384 {
        return Opening::Unreadable;
    }
    let body = 30 + name + extra;
    match method {
        _ if flags & 1 != 0 => Opening::Unreadable,
        0 => Opening::No,
        8 => data(Method::Deflate, body),
        12 => data(Method::Bzip2, body),
        93 => data(Method::Zstd, body),
        1..=99 => Opening::Unreadable,
        _ => Opening::No,
    }
}

/// RFC 8878, section 3.1.1: a frame's header, and the header of its first block.
pub(super) fn zstd(bytes: &[u8]) -> Opening {
    let Some(length) = zstd::header_length(bytes) else {
        return if bytes.len() > 4 && bytes[4] & 8 != 0 { Opening::No } else { Opening::Waiting };
    };
    let Some(block) = bytes.get(length..length + 3) else { return Opening::Waiting };
    match zstd::Block::read(block) {
        _ if bytes[4] & 8 != 0 => Opening::No,
        Some(_) if bytes[4] & 3 != 0 => Opening::Unreadable,
        Some(_) => {
            let trailer = usize::from(bytes[4] & 4);
            Opening::Data(Body { method: Method::Zstd, header: 0, trailer, promise: Block::Dynamic })
        }
        None => Opening::No,
    }
}

/// A level, and the number that each block begins with.
pub(super) fn bzip2(bytes: &[u8]) -> Opening {
    match bytes.get(3..10) {
        Some([b'1'..=b'9', b'1', b'A', b'Y', b'&', b'S', b'Y']) => data(Method::Bzip2, 0),
        Some(_) => Opening::No,
        None => Opening::Waiting,
    }
}

/// Of what nobody here reads, the fields are all that is looked at.
fn unreadable(bytes: &[u8], length: usize, fits: impl Fn(&[u8]) -> bool) -> Opening {
    match bytes.get(..length) {
        Some(bytes) if fits(bytes) => Opening::Unreadable,
        Some(_) => Opening::No,
        None => Opening::Waiting,
    }
}

/// The stream header of xz-file-format.txt, section 2.1.1.
pub(super) fn xz(bytes: &[u8]) -> Opening {
    unreadable(bytes, 8, |bytes| bytes[4..7] == *b"Z\0\0" && matches!(bytes[7], 0 | 1 | 4 | 10))
}

/// 7zFormat.txt: the signature and the version.
pub(super) fn seven_zip(bytes: &[u8]) -> Opening {
    unreadable(bytes, 8, |bytes| bytes[4..7] == [0x27, 0x1c, 0] && bytes[7] <= 4)
}

/// Versions 4 and 5.
pub(super) fn rar(bytes: &[u8]) -> Opening {
    unreadable(bytes, 8, |bytes| bytes[4..7] == *b"\x1a\x07\0" || bytes[4..8] == *b"\x1a\x07\x01\0")
}

/// lz4_Frame_format.md: version 1, no reserved bit, a block of 64 KiB to 4 MiB.
pub(super) fn lz4(bytes: &[u8]) -> Opening {
    unreadable(bytes, 7, |bytes| bytes[4] & 0xc2 == 0x40 && matches!(bytes[5], 0x40 | 0x50 | 0x60 | 0x70))
}

/// The version, and the size of a dictionary.
pub(super) fn lzip(bytes: &[u8]) -> Opening {
    unreadable(bytes, 6, |bytes| bytes[4] == 1 && (12..=29).contains(&(bytes[5] & 31)))
}

/// lzma-file-format.txt, section 1.1: a dictionary of a power of two, no length said, a range coder that begins.
pub(super) fn lzma(bytes: &[u8]) -> Opening {
    unreadable(bytes, 14, |bytes| {
        let dictionary = u32::from_le_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
        dictionary.is_power_of_two() && bytes[5..13] == [0xff; 8] && bytes[13] == 0
    })
}
