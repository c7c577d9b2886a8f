//! A request with what the rules put into it by themselves.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicU64},
};

use http_body_util::BodyExt;

use super::{
    body::Counted, inject, outgoing::Outgoing, refusal::Refusal, rules::SealedSecret, run::Shared, sigv4,
};
use crate::{names::SecretName, policy::Inject};

impl Outgoing {
    /// Puts in what the rules put in by themselves, and begins to count the body.
    pub(super) async fn with_secrets(
        mut self,
        run: &Shared,
        fitting: &[&SealedSecret],
        used: &mut BTreeSet<SecretName>,
    ) -> Result<(Self, Arc<AtomicU64>), Refusal> {
        for held in fitting {
            match &held.seal.inject {
                None => continue,
                Some(Inject::AwsSigV4(keys)) if keys.secret_key != held.name => continue,
                Some(Inject::AwsSigV4(keys)) => {
                    self = sigv4::signed(self, run, keys).await?;
                    used.extend(keys.secrets().cloned());
                }
                Some(inject) => inject::header(&mut self.headers, inject, held)?,
            }
            used.insert(held.name.clone());
        }
        let sent = Arc::new(AtomicU64::new(0));
        self.body = Counted::new(self.body, Arc::clone(&sent)).boxed_unsync();
        Ok((self, sent))
    }
}
