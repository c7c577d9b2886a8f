//! The bytes of many forms in one piece of memory.

use zeroize::Zeroizing;

/// Bytes that are wiped together. They stay where they are once they are shared.
#[derive(Default)]
pub(in crate::redact) struct Arena(Zeroizing<Vec<u8>>);

impl Arena {
    /// What was added: its place and its length.
    pub(in crate::redact) fn bytes(&self, at: u32, length: u32) -> &[u8] {
        &self.0[at as usize..(at + length) as usize]
    }

    /// Adds bytes, and gives their place.
    pub(in crate::redact) fn add(&mut self, bytes: &[u8]) -> u32 {
        if self.0.len() + bytes.len() > self.0.capacity() {
            self.move_to(2 * self.0.len() + bytes.len());
        }
        let at = u32::try_from(self.0.len()).expect("forms of a value of a mebibyte fit into 4 GiB");
        self.0.extend_from_slice(bytes);
        at
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.move_to(self.0.len());
    }

    /// A vector that grows by itself leaves its bytes behind.
    fn move_to(&mut self, capacity: usize) {
        let mut moved = Zeroizing::new(Vec::with_capacity(capacity));
        moved.extend_from_slice(&self.0);
        self.0 = moved;
    }
}
