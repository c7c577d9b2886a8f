//! Who unpacks what: bytes of one piece in, unpacked bytes out.

use bzip2::{Decompress, Status};
use miniz_oxide::{
    MZError, MZFlush, MZStatus,
    inflate::stream::{InflateState, inflate},
};

use super::{
    budget::Shared,
    format::Method,
    sink::{Progress, Sink},
    zstd::Frame,
};

/// Unpacked bytes come so many at a time.
const BATCH: usize = 4096;
/// Bytes of the stream that a frame of zstd may take.
const LONGEST_FRAME: u64 = 64 * 1024;
/// The end of an archive (APPNOTE.TXT, section 4.3.16), and how long it is.
const ARCHIVE_END: &[u8] = b"PK\x05\x06";
const ARCHIVE_END_LENGTH: usize = 22;

/// The unpacker of one piece.
pub(super) enum Codec {
    /// Only its writing is undone; and how much of an archive's end was there.
    Stored(usize),
    Deflate(Box<InflateState>),
    Bzip2(Decompress),
    Zstd(Box<Frame>),
}

impl Codec {
    pub(super) fn new(method: Method, shared: &mut Shared) -> Self {
        match method {
            Method::Stored => Self::Stored(0),
            Method::Deflate => Self::Deflate(shared.state()),
            Method::Bzip2 => Self::Bzip2(Decompress::new(false)),
            Method::Zstd => Self::Zstd(Box::new(Frame::new())),
        }
    }

    /// Whether it holds megabytes.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Bzip2(_) | Self::Zstd(_))
    }

    /// What unpacking a byte costs, in bytes that are looked through: bzip2 is slow.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Stored(_) => 0,
            Self::Deflate(_) | Self::Zstd(_) => 1,
            Self::Bzip2(_) => 4,
        }
    }

    /// Whether it goes on with a piece of which so much was read. A frame of zstd gives nothing out before it has more
    /// than its window, or is closed: by then too little of it would be held back.
    pub(super) fn follows(&self, length: u64) -> bool {
        length < LONGEST_FRAME || !matches!(self, Self::Zstd(_))
    }

    /// Takes bytes in; says how many belong to the piece.
    pub(super) fn feed(&mut self, input: &[u8], sink: &mut Sink<'_>) -> (usize, Progress) {
        match self {
            Self::Stored(seen) => stored(seen, input, sink),
            Self::Deflate(state) => deflated(state, input, sink),
            Self::Bzip2(state) => bzipped(state, input, sink),
            Self::Zstd(frame) => frame.feed(input, sink),
        }
    }

    /// Gives out what was held back.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        if let Self::Zstd(frame) = self {
            frame.close(sink);
        }
    }

    pub(super) fn give_back(self, shared: &mut Shared) {
        if let Self::Deflate(state) = self {
            shared.take_back(state);
        }
    }
}

/// Archives say where they end; other writings end with their characters.
fn stored(seen: &mut usize, input: &[u8], sink: &mut Sink<'_>) -> (usize, Progress) {
    let end = input.iter().position(|byte| {
        *seen = match ARCHIVE_END.get(*seen) {
            None => *seen + 1,
            Some(next) if next == byte => *seen + 1,
            Some(_) => usize::from(*byte == ARCHIVE_END[0]),
        };
        *seen == ARCHIVE_END_LENGTH
    });
    let taken = end.map_or(input.len(), |at| at + 1);
    let progress = match (sink.push(&input[..taken]), end) {
        (false, _) => Progress::Stopped,
        (true, Some(_)) => Progress::End,
        (true, None) => Progress::More,
    };
    (taken, progress)
}

fn deflated(state: &mut InflateState, mut input: &[u8], sink: &mut Sink<'_>) -> (usize, Progress) {
    let length = input.len();
    let mut output = [0; BATCH];
    loop {
        let done = inflate(state, input, &mut output, MZFlush::None);
        input = &input[done.bytes_consumed.min(input.len())..];
        let taken = length - input.len();
        if !sink.push(&output[..done.bytes_written]) {
            return (taken, Progress::Stopped);
        }
        match done.status {
            Ok(MZStatus::StreamEnd) => return (taken, Progress::End),
            Ok(_) if done.bytes_written == output.len() => {}
            Ok(_) if !input.is_empty() && done.bytes_consumed + done.bytes_written > 0 => {}
            Ok(_) | Err(MZError::Buf) => return (length, Progress::More),
            Err(_) => return (taken, Progress::Bad),
        }
    }
}

/// Byte by byte: how far the decoder has read when it finds that data is broken depends on how much was there to be read,
/// and what is masked may not depend on chunks.
fn bzipped(state: &mut Decompress, input: &[u8], sink: &mut Sink<'_>) -> (usize, Progress) {
    let mut output = [0; BATCH];
    for (at, byte) in input.chunks(1).enumerate() {
        let progress = bzipped_byte(state, byte, &mut output, sink);
        if progress != Progress::More {
            return (at + 1, progress);
        }
    }
    (input.len(), Progress::More)
}

fn bzipped_byte(
    state: &mut Decompress,
    mut input: &[u8],
    output: &mut [u8; BATCH],
    sink: &mut Sink<'_>,
) -> Progress {
    loop {
        let before = (state.total_in(), state.total_out());
        let done = state.decompress(input, output);
        let written = usize::try_from(state.total_out() - before.1).unwrap_or(usize::MAX).min(BATCH);
        if state.total_in() > before.0 {
            input = &[];
        }
        if !sink.push(&output[..written]) {
            return Progress::Stopped;
        }
        match done {
            Ok(Status::StreamEnd) => return Progress::End,
            Ok(Status::MemNeeded) => return Progress::Stopped,
            Ok(_) if written == 0 => return Progress::More,
            Ok(_) => {}
            Err(_) => return Progress::Bad,
        }
    }
}
