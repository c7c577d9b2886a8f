//! Whether the sealed secrets of a run can be used together.

use super::{
    decision::Delivered,
    sealed::{Inject, Seal},
};
use crate::names::{HostPattern, SecretName};

/// The sealed ones among a run's secrets.
pub(super) fn sealed_among(secrets: &[Delivered]) -> impl Iterator<Item = (&SecretName, &Seal)> {
    secrets.iter().filter_map(|secret| Some((&secret.name, secret.how.seal()?)))
}

/// Whether the sealed secrets of a run can be used together.
pub(super) fn check_together(secrets: &[Delivered]) -> Result<(), Unfit> {
    let sealed: Vec<(&SecretName, &Seal)> = sealed_among(secrets).collect();
    if let Some((one, other)) = conflict(&sealed) {
        return Err(Unfit::Conflict(one.clone(), other.clone()));
    }
    for (name, seal) in &sealed {
        let Some(Inject::AwsSigV4(keys)) = &seal.inject else { continue };
        let missing = keys.secrets().find(|key| !sealed.iter().any(|(other, _)| other == key));
        if let Some(missing) = missing {
            return Err(Unfit::Incomplete((*name).clone(), missing.clone()));
        }
    }
    Ok(())
}

/// Why sealed secrets can't be used together.
pub(super) enum Unfit {
    /// Both would set the same header of the same host.
    Conflict(SecretName, SecretName),
    /// The first signs with the second, which the call leaves out.
    Incomplete(SecretName, SecretName),
}

/// Two secrets of one run that would set the same header of the same host; `None` where all is well.
fn conflict<'a>(sealed: &[(&'a SecretName, &Seal)]) -> Option<(&'a SecretName, &'a SecretName)> {
    sealed.iter().enumerate().find_map(|(index, (one, seal))| {
        let header = seal.header()?;
        let same = |(_, other): &&(&SecretName, &Seal)| {
            if seal.is_one_signature(other) {
                return false;
            }
            let meet = |host: &HostPattern| other.hosts.iter().any(|theirs| theirs.overlaps(host));
            other.header() == Some(header) && seal.hosts.iter().any(meet)
        };
        sealed[index + 1..].iter().find(same).map(|(other, _)| (*one, *other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal_of(host: &str, inject: Inject) -> Seal {
        Seal { hosts: vec![HostPattern::parse(host).unwrap()], inject: Some(inject), ..Seal::default() }
    }

    #[test]
    fn two_secrets_never_set_one_header_of_one_host() {
        let header = |name: &str| Inject::Header { name: name.to_owned() };
        for (one, other, meet) in [
            (("a.example.com", Inject::Bearer), ("a.example.com", Inject::Bearer), true),
            (("*.example.com", Inject::Bearer), ("a.example.com", header("authorization")), true),
            (("a.example.com", Inject::Bearer), ("a.example.com", header("x-api-key")), false),
            (("a.example.com", Inject::Bearer), ("b.example.com", Inject::Bearer), false),
        ] {
            let names = ["one", "other"].map(|name| SecretName::parse(name).unwrap());
            let seals = [seal_of(one.0, one.1), seal_of(other.0, other.1)];
            let sealed = [(&names[0], &seals[0]), (&names[1], &seals[1])];
            assert_eq!(conflict(&sealed).is_some(), meet, "{sealed:?}");
        }
    }
}
