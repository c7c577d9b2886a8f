//! Views of a stream: other ways to read the same bytes, each of which keeps where in the stream its symbols
//! stand, so that what is found in it masks the bytes that it was read from.

mod beginnings;
mod budget;
mod compressed;
mod dump;
mod head;
mod inflating;
mod reading;
mod squeezed;
mod stream;
mod unescaped;
mod unpacked;
mod userinfo;
mod verbatim;
mod writing;

#[cfg(test)]
pub(super) use budget::Budget;
pub(super) use compressed::Compressed;
pub(super) use dump::Dump;
use reading::Reading;
pub(super) use reading::{Pattern, SqueezedIndex};
pub(super) use squeezed::Squeezed;
pub(super) use stream::{Hit, LOOK_BACK, Stream};
pub(super) use unescaped::{Alphabet, Unescaped};
pub(super) use userinfo::Userinfo;
pub(super) use verbatim::Verbatim;
