//! A secret's name, and patterns over such names.

use super::{
    env::EnvName,
    globs::segments_match,
    text::{NameError, check_len, is_word, text_newtype},
};

/// The longest secret name, in bytes.
pub(crate) const MAX_SECRET_NAME: usize = 255;

text_newtype!(
    /// A secret's name: segments of `[A-Za-z0-9_.-]` joined by `/`, case kept, at most 255 bytes,
    /// no segment `.` or `..`.
    SecretName,
    check_secret_name
);

text_newtype!(
    /// A glob over secret names: `*` within a segment, `**` across segments.
    SecretPattern,
    check_secret_pattern
);

impl SecretName {
    /// The variable that carries the secret where nothing else was said: the whole name upper-cased,
    /// non-alphanumerics as `_` (`openai/api-key` becomes `OPENAI_API_KEY`).
    pub fn default_env(&self) -> EnvName {
        let mut text: String = self
            .as_str()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect();
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            text.insert(0, '_');
        }
        EnvName(text.into())
    }
}

impl SecretPattern {
    /// Whether the pattern has no glob: it stands for one name.
    pub fn literal(&self) -> Option<SecretName> {
        SecretName::parse(self.as_str()).ok()
    }

    /// Whether the pattern covers a name.
    pub fn matches(&self, name: &SecretName) -> bool {
        let mut pattern: Vec<&str> = self.as_str().split('/').collect();
        let segments: Vec<&str> = name.as_str().split('/').collect();
        // At the end `**` stands for one segment or more.
        if pattern.last() == Some(&"**") {
            pattern.insert(pattern.len() - 1, "*");
        }
        segments_match(&pattern, &segments)
    }
}

fn check_secret_name(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "secret name";
    check_len(WHAT, text, MAX_SECRET_NAME)?;
    let well_formed = text.split('/').all(|segment| {
        !segment.is_empty() && segment != "." && segment != ".." && segment.chars().all(is_word)
    });
    if well_formed {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "segments of A-Z a-z 0-9 _ . - joined by /, none of them . or ..",
    })
}

fn check_secret_pattern(text: &str) -> Result<(), NameError> {
    const WHAT: &str = "secret pattern";
    check_len(WHAT, text, MAX_SECRET_NAME)?;
    let well_formed = text.split('/').all(|segment| {
        segment == "**"
            || (!segment.is_empty()
                && segment != "."
                && segment != ".."
                && !segment.contains("**")
                && segment.chars().all(|c| is_word(c) || c == '*'))
    });
    if well_formed {
        return Ok(());
    }
    Err(NameError::Malformed {
        what: WHAT,
        allowed: "segments of A-Z a-z 0-9 _ . - joined by /, with * inside a segment and ** as a whole one",
    })
}
