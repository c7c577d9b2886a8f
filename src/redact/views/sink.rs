//! Where unpacked bytes go: into the views of what was unpacked, as far as the budget reaches.

use super::{budget::Shared, unpacked::Unpacked};

/// So many bytes at a time are looked through: one part full of needles costs a match each, and the first decides.
const PART: usize = 512;

/// How far an unpacker came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It took everything in and waits for more.
    More,
    /// The data is over.
    End,
    /// It isn't data.
    Bad,
    /// The data goes on, and is not followed.
    Stopped,
}

/// Takes unpacked bytes.
pub(super) struct Sink<'a> {
    pub(super) inner: &'a mut Unpacked,
    pub(super) shared: &'a mut Shared,
    /// What unpacking a byte costs, in bytes that are looked through.
    pub(super) cost: usize,
}

impl Sink<'_> {
    /// Takes bytes in. Whether there may be more.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        for part in bytes.chunks(PART) {
            self.shared.budget.spend(self.cost * part.len());
            if self.inner.label().is_none() {
                self.inner.push(part, self.shared);
            }
        }
        !self.shared.budget.is_used_up()
    }
}
