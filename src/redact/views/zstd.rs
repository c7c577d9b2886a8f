//! Zstandard (RFC 8878), block by block: a block that is whole is unpacked at once, one that isn't waits.

use std::io::Read as _;

use ruzstd::decoding::FrameDecoder;

use super::sink::{Progress, Sink};

/// A frame's window is at most as large as `zstd -19` makes it: one frame may not take all memory.
const LARGEST_WINDOW: u64 = 8 << 20;
/// A block holds at most so much (section 3.1.1.2.4).
const LARGEST_BLOCK: usize = 128 << 10;
/// What a block's header has.
const BLOCK_HEADER: usize = 3;

/// One frame.
pub(super) struct Frame {
    decoder: FrameDecoder,
    /// Bytes that aren't unpacked yet; the last whole block is kept back, so that the frame can be closed with it.
    pending: Vec<u8>,
    /// Bytes of the whole block at the front of what is pending.
    whole: usize,
    header: usize,
}

/// The header of a block (section 3.1.1.2).
pub(super) struct Block {
    is_last: bool,
    /// Bytes behind the header.
    length: usize,
}

impl Block {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
        let size = (header >> 3) as usize;
        let length = match header >> 1 & 3 {
            1 => 1,
            0 | 2 => size,
            _ => return None,
        };
        (size <= LARGEST_BLOCK).then_some(Self { is_last: header & 1 != 0, length })
    }
}

/// Bytes of a frame's header, magic number included (section 3.1.1.1), as soon as that is known.
pub(super) fn header_length(bytes: &[u8]) -> Option<usize> {
    let descriptor = *bytes.get(4)?;
    let single = usize::from(descriptor >> 5 & 1);
    let content = match descriptor >> 6 {
        0 => single,
        size => 1 << size,
    };
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    Some(5 + (1 - single) + dictionary + content)
}

impl Frame {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self { decoder, pending: Vec::new(), whole: 0, header: 0 }
    }

    /// Takes bytes in; says how many belong to the frame.
    pub(super) fn feed(&mut self, input: &[u8], sink: &mut Sink<'_>) -> (usize, Progress) {
        self.pending.extend_from_slice(input);
        loop {
            let Some(block) = self.next_block() else { return (input.len(), Progress::More) };
            let Some(block) = block else { return (input.len(), Progress::Bad) };
            let from = self.whole + self.begins() + BLOCK_HEADER;
            if self.pending.len() < from + block.length {
                return (input.len(), Progress::More);
            }
            if self.whole > 0 && !self.unpack(sink) {
                return (input.len(), Progress::Stopped);
            }
            self.whole = self.begins() + BLOCK_HEADER + block.length;
            if block.is_last {
                let left = self.pending.len() - self.whole;
                return (input.len() - left.min(input.len()), Progress::End);
            }
        }
    }

    /// Where the block behind the whole one begins; before the first stands the frame's header.
    fn begins(&self) -> usize {
        if self.whole == 0 { self.header } else { 0 }
    }

    fn next_block(&mut self) -> Option<Option<Block>> {
        if self.header == 0 && self.whole == 0 {
            self.header = header_length(&self.pending)?;
        }
        let at = self.whole + self.begins();
        Some(Block::read(self.pending.get(at..at + BLOCK_HEADER)?))
    }

    /// Unpacks the whole block. Whether there may be more.
    fn unpack(&mut self, sink: &mut Sink<'_>) -> bool {
        let block: Vec<u8> = self.pending.drain(..self.whole).collect();
        self.header = 0;
        self.whole = 0;
        let mut output = [0; 4096];
        let Ok((_, mut written)) = self.decoder.decode_from_to(&block, &mut output) else { return false };
        while written > 0 {
            if !sink.push(&output[..written]) {
                return false;
            }
            let Ok(more) = self.decoder.read(&mut output) else { return false };
            written = more;
        }
        true
    }

    /// Closes the frame with the last block that is whole: the decoder holds back a window until it is closed.
    pub(super) fn close(&mut self, sink: &mut Sink<'_>) {
        if self.whole > 0 {
            self.pending[self.header] |= 1;
            self.unpack(sink);
        }
    }
}
