//! How long a daemon keeps the keys.

use std::time::Duration;

use super::usage_failure;
use crate::{daemon::Lifetime, operator::Failure, policy};

/// Without a call for so long, a daemon that a person unlocked locks itself.
pub(super) const IDLE: Duration = Duration::from_secs(8 * 3600);

/// And after so long in any case.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone, clap::Args)]
pub(super) struct LifeArgs {
    /// Lock after this time without a call, e.g. 8h.
    #[arg(long, value_name = "TIME")]
    idle: Option<String>,
    /// Lock after this time regardless of activity, e.g. 24h.
    #[arg(long, value_name = "TIME")]
    life: Option<String>,
    /// Keep a passphrase's keys also inside a container's user namespace, whose maker can read them.
    #[arg(long)]
    pub(super) allow_user_namespace: bool,
}

impl LifeArgs {
    pub(super) fn parse(&self, idle: Duration) -> Result<Lifetime, Failure> {
        let time = |text: &Option<String>, default| match text {
            None => Ok(default),
            Some(text) => policy::parse_duration(text).ok_or_else(|| {
                usage_failure(format!("invalid duration {text:?}"), "write 30s, 15m, 8h or 7d")
            }),
        };
        Ok(Lifetime { idle: time(&self.idle, idle)?, longest: time(&self.life, LONGEST)? })
    }

    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (flag, value) in [("--idle", &self.idle), ("--life", &self.life)] {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        words.extend(self.allow_user_namespace.then(|| "--allow-user-namespace".to_owned()));
        words
    }
}
