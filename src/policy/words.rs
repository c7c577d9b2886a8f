//! The words that a policy is written with where it has a choice: ground on which its reading and its decisions stand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a value reaches a child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Deliver")]
#[serde(rename_all = "snake_case")]
pub enum DeliveryMode {
    /// In an environment variable.
    #[default]
    Env,
    /// In a private file, whose path is in an environment variable.
    File,
    /// As a placeholder that the egress proxy replaces.
    Sealed,
}

impl DeliveryMode {
    /// The word that a policy uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::File => "file",
            Self::Sealed => "sealed",
        }
    }
}

/// Whether a call brings standard input of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// It is closed.
    None,
    /// Any text.
    Text,
}

/// Which HOME a child has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HomeMode {
    /// An empty private directory, gone after the run.
    #[default]
    Private,
    /// The user's.
    User,
}

/// What of a run's output is returned. Ordered: later is stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputMode {
    /// The output, with masks.
    #[default]
    Redacted,
    /// Nothing if anything was redacted.
    Withhold,
    /// Success or failure only.
    Status,
}

impl OutputMode {
    /// The word that a policy uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::Withhold => "withhold",
            Self::Status => "status",
        }
    }
}

/// How much of the sandbox must stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// A run without it is refused.
    #[default]
    Required,
    /// As much as the machine gives.
    BestEffort,
    /// None.
    Off,
}

impl SandboxMode {
    /// The word that a policy uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
            Self::Off => "off",
        }
    }
}

/// Which network a child has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// A loopback of its own, and nothing else.
    #[default]
    None,
    /// The egress proxy, and nothing else.
    Proxy,
    /// The host's.
    Open,
}

impl Network {
    /// The word that a policy uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Proxy => "proxy",
            Self::Open => "open",
        }
    }
}

/// What becomes of a file that a run made, and that holds a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFileHit {
    /// It is removed. One that was there before is never removed.
    #[default]
    Remove,
    /// It is reported, and left.
    Report,
}

/// What is told of a program's exit code: a program that the agent chose could say a value by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitCodes {
    /// The code itself.
    Exact,
    /// 0, or 1 for every other.
    Reduced,
}
