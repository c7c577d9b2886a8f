//! Brotli (RFC 7932), read as it comes: what can be said of the bytes so far is said before more of them are waited for.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// A reader of what another reads, without its coding.
pub(super) struct BrotliDecoder<R> {
    from: R,
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    waits_for: WaitsFor,
}

/// What the state needs to go on.
#[derive(PartialEq, Eq)]
enum WaitsFor {
    Input,
    Output,
    Nothing,
}

impl<R> BrotliDecoder<R> {
    pub(super) fn new(from: R) -> Self {
        let alloc = StandardAlloc::default;
        // Strict: no window beyond the 16 MiB of the RFC. An extension that is not for HTTP allows one of 1 GiB.
        let state = Box::new(BrotliState::new_strict(alloc(), alloc(), alloc()));
        Self { from, state, waits_for: WaitsFor::Input }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for BrotliDecoder<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.waits_for != WaitsFor::Nothing && out.remaining() > 0 {
            let mut input: &[u8] = &[];
            if this.waits_for == WaitsFor::Input {
                input = ready!(Pin::new(&mut this.from).poll_fill_buf(context))?;
                if input.is_empty() {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
            }
            let (mut read, mut written) = (0, 0);
            let room = out.initialize_unfilled();
            let result = BrotliDecompressStream(
                &mut input.len(),
                &mut read,
                input,
                &mut room.len(),
                &mut written,
                room,
                &mut 0,
                &mut this.state,
            );
            this.waits_for = match result {
                BrotliResult::ResultSuccess => WaitsFor::Nothing,
                BrotliResult::NeedsMoreInput => WaitsFor::Input,
                BrotliResult::NeedsMoreOutput => WaitsFor::Output,
                BrotliResult::ResultFailure => return Poll::Ready(Err(io::Error::other("no brotli"))),
            };
            Pin::new(&mut this.from).consume(read);
            out.advance(written);
            if written > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

    use super::*;

    const TEXT: &str = "the value of the secret is the value of the secret, and that is the secret of the value of this time";
    /// By Google's encoder, quality 11: words of the dictionary and copies of what came before.
    const CODED: &[u8] = &[
        0x13, 0x63, 0x00, 0xe8, 0x8d, 0x94, 0xaa, 0xc3, 0xbb, 0xa4, 0x4b, 0x03, 0x49, 0x34, 0x96, 0x39, 0x50,
        0xc6, 0x81, 0xcb, 0x6a, 0x20, 0x67, 0x59, 0x87, 0x0d, 0x38, 0xf3, 0x78, 0x90, 0x45, 0xdf, 0x86, 0x43,
        0xbe, 0x89, 0x01, 0xf1, 0x1f, 0x52, 0x85, 0xf6, 0xfd, 0xaf, 0x48, 0x4a, 0xfd, 0x01,
    ];

    async fn decoded(coded: &[u8], capacity: usize) -> io::Result<Vec<u8>> {
        let mut decoder = BrotliDecoder::new(BufReader::with_capacity(capacity, coded));
        let mut out = Vec::new();
        loop {
            let mut piece = vec![0; capacity];
            match decoder.read(&mut piece).await? {
                0 => return Ok(out),
                length => out.extend_from_slice(&piece[..length]),
            }
        }
    }

    #[tokio::test]
    async fn how_the_bytes_come_makes_no_difference() {
        for capacity in [1, 2, 7, 4096] {
            assert_eq!(decoded(CODED, capacity).await.unwrap(), TEXT.as_bytes(), "{capacity}");
        }
        assert_eq!(decoded(&[CODED, b"more"].concat(), 4096).await.unwrap(), TEXT.as_bytes());
    }

    #[tokio::test]
    async fn what_ends_early_or_is_none_is_an_error() {
        for end in 0..CODED.len() {
            let error = decoded(&CODED[..end], 4096).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        assert!(decoded(b"\xff\xff\xff\xff no brotli", 4096).await.is_err());
    }

    #[tokio::test]
    async fn a_window_larger_than_the_rfc_has_is_refused() {
        // 300,000 zeros in a window of 30 bits.
        let large =
            [0x11, 0x5e, 0x7d, 0x4f, 0x12, 0x00, 0x09, 0x80, 0x78, 0x2c, 0x10, 0x32, 0x17, 0x09, 0x00];
        assert!(decoded(&large, 4096).await.is_err());
    }

    #[tokio::test]
    async fn what_can_be_said_is_said_before_more_comes() {
        let (mut give, take) = tokio::io::duplex(64);
        let mut decoder = BrotliDecoder::new(BufReader::new(take));
        // A block of five bytes as they are; the last block, which is empty.
        give.write_all(b"\x40\x00\x10hello").await.unwrap();
        let mut piece = [0; 5];
        decoder.read_exact(&mut piece).await.unwrap();
        assert_eq!(&piece, b"hello");
        give.write_all(&[3]).await.unwrap();
        assert_eq!(decoder.read(&mut piece).await.unwrap(), 0);
    }
}
