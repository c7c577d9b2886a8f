//! Compressed answers: how the bytes arrive makes no difference, what was compressed comes back, and no more of it is
//! held at once than a piece.

#![no_main]

use std::{io::Write as _, sync::LazyLock};

use authy_mcp::testing::proxy::{Decoded, Ended, Proxy};
use flate2::{Compression, write};
use libfuzzer_sys::fuzz_target;

static PROXY: LazyLock<Proxy> = LazyLock::new(|| Proxy::new(Vec::new()).expect("a proxy without a network"));
const CODINGS: [&str; 6] = ["gzip", "deflate", "br", "zstd", "identity", "gzip, br, zstd"];
/// So much of a body is read.
const MOST: usize = 1 << 20;
/// The longest piece.
const PIECE: usize = 64 << 10;

// The first byte says by what and whether the rest is compressed, the second how the bytes come.
fuzz_target!(|data: &[u8]| {
    let [kind, chunk, rest @ ..] = data else { return };
    let codings = CODINGS[usize::from(kind & 0x7f) % CODINGS.len()];
    let chunk = usize::from(*chunk) + 1;
    if kind & 0x80 == 0 {
        let (one, other) = (decoded(codings, rest, rest.len().max(1)), decoded(codings, rest, chunk));
        if one.ended != Ended::Early && other.ended != Ended::Early {
            assert_eq!(one.ended, other.ended);
        }
        let shorter = one.bytes.len().min(other.bytes.len());
        assert!(one.bytes[..shorter] == other.bytes[..shorter]);
        assert!(one.ended != Ended::Whole || one.bytes.len() == other.bytes.len());
    } else {
        let compressed = codings.split(", ").fold(rest.to_vec(), |data, coding| compress(coding, &data));
        back(codings, &compressed, chunk, rest);
        if codings == "deflate" {
            let mut bare = write::DeflateEncoder::new(Vec::new(), Compression::fast());
            bare.write_all(rest).expect("memory");
            back(codings, &bare.finish().expect("memory"), chunk, rest);
        }
    }
});

fn back(codings: &str, compressed: &[u8], chunk: usize, plain: &[u8]) {
    let found = decoded(codings, compressed, chunk);
    assert_eq!(found.ended, Ended::Whole, "{codings}");
    assert!(found.bytes == plain, "{codings}");
}

fn decoded(codings: &str, bytes: &[u8], chunk: usize) -> Decoded {
    let chunks: Vec<&[u8]> = bytes.chunks(chunk).collect();
    let found = PROXY.decoded(codings, &chunks, MOST).expect("codings that are known");
    assert!(
        found.longest <= PIECE && found.bytes.len() <= MOST + PIECE,
        "a piece of {} bytes",
        found.longest
    );
    found
}

fn compress(coding: &str, data: &[u8]) -> Vec<u8> {
    match coding {
        "gzip" => {
            let mut to = write::GzEncoder::new(Vec::new(), Compression::fast());
            to.write_all(data).expect("memory");
            to.finish().expect("memory")
        }
        "deflate" => {
            let mut to = write::ZlibEncoder::new(Vec::new(), Compression::fast());
            to.write_all(data).expect("memory");
            to.finish().expect("memory")
        }
        "br" => {
            let mut to = Vec::new();
            let mut compressor = brotli::CompressorWriter::new(&mut to, 4096, 1, 18);
            compressor.write_all(data).expect("memory");
            drop(compressor);
            to
        }
        "zstd" => ruzstd::encoding::compress_to_vec(data, ruzstd::encoding::CompressionLevel::Fastest),
        _ => data.to_vec(),
    }
}
