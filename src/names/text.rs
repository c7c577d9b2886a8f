//! What all names have in common: a text that was checked once, and why one is none.

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("a {what} can't be empty")]
    Empty {
        /// What was parsed.
        what: &'static str,
    },
    /// Longer than allowed.
    #[error("a {what} has at most {limit} bytes")]
    TooLong {
        /// What was parsed.
        what: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A character, or a segment, that names don't have.
    #[error("a {what} is made of {allowed}")]
    Malformed {
        /// What was parsed.
        what: &'static str,
        /// What it may be made of.
        allowed: &'static str,
    },
}

/// Gives a validated text newtype its conversions: they all pass through `check`.
macro_rules! text_newtype {
    ($(#[$meta:meta])* $name:ident, $check:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub(super) std::sync::Arc<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`NameError`] says what a name of this kind looks like.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    };
}

pub(super) fn check_len(what: &'static str, text: &str, limit: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, limit });
    }
    Ok(())
}

pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

pub(super) use text_newtype;
