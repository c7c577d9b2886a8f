//! The argv matcher: a pattern covers its own example, never a command that has an option where it has a
//! glob, and never one that climbs out of a place that it names.

#![no_main]

use authy_mcp::testing::policy::ArgvPattern;
use libfuzzer_sys::fuzz_target;

// Two lists of words, by line: the pattern's and the command's.
fuzz_target!(|text: &str| {
    let mut lists = text.split("\n\n").map(|list| list.split('\n').map(str::to_owned).collect::<Vec<_>>());
    let (Some(elements), Some(command)) = (lists.next(), lists.next()) else { return };
    let Ok(pattern) = ArgvPattern::parse(&elements) else { return };
    assert_eq!(ArgvPattern::parse(&pattern.elements()).as_ref(), Ok(&pattern));
    if !pattern.matches(&command, None) {
        return;
    }
    assert_eq!(command[0], pattern.program);
    for (element, argument) in pattern.args.iter().zip(&command[1..]) {
        let element = element.as_str();
        if element.contains(['{', '}']) {
            continue;
        }
        let guarded = ['-', '\\', '@', '+', '|'];
        assert!(!argument.starts_with(guarded) || element.starts_with(&argument[..1]));
        let place = element.contains('/') && !element.contains("..");
        assert!(!place || !argument.split('/').any(|segment| segment == ".."));
    }
});
