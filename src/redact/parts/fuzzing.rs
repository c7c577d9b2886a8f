//! What a fuzz target asks of the readers.

use super::{Extent, MOST_PARTS, WORK_A_BYTE, WORK_ONCE, parts};

/// Takes a value apart and holds the result against its bounds: where each part stands, and its bytes.
///
/// # Panics
/// Where a bound does not hold.
pub fn taken_apart(value: &[u8]) -> Vec<(String, Vec<u8>)> {
    let parts = parts(value);
    assert!(parts.list.len() <= MOST_PARTS);
    assert!(parts.work <= WORK_ONCE + WORK_A_BYTE * value.len(), "{} bytes of work", parts.work);
    let shortest = |part: &super::Part| part.bytes.len() >= super::SHORTEST_VALUE;
    assert!(parts.list.iter().all(|part| shortest(part) || part.extent == Extent::Line));
    parts.list.iter().map(|part| (part.place.clone(), part.bytes.to_vec())).collect()
}
