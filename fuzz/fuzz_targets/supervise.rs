//! Between a run and its supervisor: orders and reports keep their meaning, and whatever comes on the socket is what
//! to start, whole, or an error.

#![no_main]

use authy_mcp::testing::supervise::{order_again, receive, report_again, spec_again};
use libfuzzer_sys::fuzz_target;

// The first byte says how many descriptors come, and whether the length is the real one.
fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    if let Some(order) = rest.first_chunk() {
        // What is no order ends the run.
        assert!(order_again(*order) == *order || [b'T', b'K'].contains(&order_again(*order)[0]));
        assert_eq!(order_again(order_again(*order)), order_again(*order));
    }
    if let Some(report) = rest.first_chunk() {
        let again = report_again(*report);
        assert_eq!(report_again(again), again);
        assert!(again[0] == report[0] || again[0] == b'F', "what is no report is a failure");
        assert!(again == *report || !b"ESC".contains(&report[0]));
    }
    let spec = spec_again(rest);
    if let Some(once) = &spec {
        assert_eq!(spec_again(once).as_ref(), Some(once));
    }
    let descriptors = usize::from(first & 3);
    if first & 4 == 0 {
        let length = u32::try_from(rest.len()).expect("inputs are small").to_be_bytes();
        assert_eq!(receive(length, rest, descriptors).ok(), spec.filter(|_| descriptors == 3));
    } else if let Some((length, rest)) = rest.split_first_chunk() {
        let whole = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|length| rest.get(..length));
        let expected = whole.and_then(spec_again).filter(|_| descriptors == 3);
        assert_eq!(receive(*length, rest, descriptors).ok(), expected);
    }
});
