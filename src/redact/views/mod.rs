//! Views of a stream: other ways to read the same bytes, each of which keeps where in the stream its symbols
//! stand, so that what is found in it masks the bytes that it was read from.

mod aligned;
mod beginnings;
mod block;
mod budget;
mod codec;
mod compressed;
mod containers;
mod derived;
mod dump;
mod format;
mod formats;
mod head;
mod header;
mod inflating;
mod layer;
mod line;
mod lines;
mod reading;
mod runs;
mod sink;
mod squeezed;
mod stream;
mod unescaped;
mod unpacked;
mod unread;
mod verbatim;
mod writing;
mod zstd;

#[cfg(test)]
pub(super) use budget::Budget;
pub(super) use compressed::Compressed;
pub(super) use lines::Lines;
use reading::Reading;
pub(super) use reading::SqueezedIndex;
pub(super) use squeezed::Squeezed;
pub(super) use stream::{Hit, LOOK_BACK, Stream};
pub(super) use unescaped::{Alphabet, Unescaped};
pub(super) use verbatim::Verbatim;
