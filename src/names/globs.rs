//! Globs: `*` within a segment, `**` across segments.

/// Whether a pattern of globs covers all of these segments; `**` stands for any number of them, also none.
///
/// Only the last `**` that was met is tried again: whatever one before it could take, it can take, too. So whoever
/// chooses the segments can't make this cost more than their number times the pattern's.
pub(crate) fn segments_match(pattern: &[&str], segments: &[&str]) -> bool {
    let (mut glob, mut segment) = (0, 0);
    let mut again = None;
    while segment < segments.len() {
        match pattern.get(glob) {
            Some(&"**") => {
                glob += 1;
                again = Some((glob, segment));
            }
            Some(one) if glob_matches(one, segments[segment]) => {
                glob += 1;
                segment += 1;
            }
            _ => {
                let Some((behind, from)) = again else { return false };
                (glob, segment) = (behind, from + 1);
                again = Some((glob, segment));
            }
        }
    }
    pattern[glob..].iter().all(|rest| *rest == "**")
}

/// Whether a glob in which `*` stands for any run of characters, also none, covers a whole text.
pub(crate) fn glob_matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
