//! Deliveries: how a revealed secret gets to where it is used. Each is a file and a row of [`Deliveries::all`]: what
//! it takes, whose hands a value gets into, what the program finds of it, what serves the run meanwhile, and what of
//! that goes on record.
//!
//! What enters are values that an intent covers and the terms that a policy set for them. Nothing here decides who may
//! have a secret, and nothing here starts a program.

mod env;
mod file;
mod found;
mod sealed;
#[cfg(test)]
mod tests;
mod way;

pub(crate) use crate::proxy::{Right, is_bundle};
use crate::{
    names::SecretName,
    policy::{Promise, RunTerms},
    run::Materials,
    value::SecretValue,
};
use way::MOST_LISTENERS;
pub(crate) use way::{Beside, Delivery, DeliveryError, ForRun, Hands, Outfit, Revealed, Services, Serving};

/// The deliveries that there are.
#[derive(Clone, Copy)]
pub(crate) struct Deliveries<'a>(&'a [&'a dyn Delivery]);

/// A run's secrets, each with the delivery that takes it.
pub(crate) struct Sorted<'a>(Vec<(&'a dyn Delivery, Vec<Revealed>)>);

impl Deliveries<'static> {
    /// A row each.
    pub(crate) fn all() -> Self {
        Self(&[&env::InVariable, &file::InFile, &sealed::ByProxy])
    }
}

impl<'a> Deliveries<'a> {
    /// Finds the delivery of each secret.
    ///
    /// # Errors
    /// [`DeliveryError::NoWay`].
    pub(crate) fn sort(self, secrets: Vec<Revealed>) -> Result<Sorted<'a>, DeliveryError> {
        let mut rows: Vec<(&dyn Delivery, Vec<Revealed>)> =
            self.0.iter().map(|delivery| (*delivery, Vec::new())).collect();
        for secret in secrets {
            let row = rows.iter_mut().find(|(delivery, _)| delivery.takes(&secret.how));
            let Some((_, taken)) = row else { return Err(DeliveryError::NoWay(secret.name)) };
            taken.push(secret);
        }
        Ok(Sorted(rows))
    }
}

impl Sorted<'_> {
    /// What may be promised of the run: the least that a delivery promises.
    ///
    /// # Errors
    /// [`DeliveryError`], for a value that is not delivered.
    pub(crate) fn judge(&self, terms: &RunTerms) -> Result<Promise, DeliveryError> {
        let mut promise = terms.promise;
        for (delivery, secrets) in &self.0 {
            promise = promise.min(delivery.judge(secrets, terms)?);
        }
        Ok(promise)
    }

    /// The values that get into these hands.
    pub(crate) fn in_hands(&self, hands: Hands) -> impl Iterator<Item = (&SecretName, &SecretValue)> {
        let rows = self.0.iter().filter(move |(delivery, _)| delivery.hands() == hands);
        rows.flat_map(|(_, secrets)| secrets).map(|secret| (&secret.name, &secret.value))
    }

    /// Puts everything in place, on top of what the program finds in any case.
    ///
    /// # Errors
    /// [`DeliveryError`].
    pub(crate) fn deliver(self, materials: Materials, run: &ForRun<'_>) -> Result<Outfit, DeliveryError> {
        let mut outfit = Outfit { materials, ..Outfit::default() };
        for (delivery, secrets) in self.0 {
            delivery.deliver(secrets, run, &mut outfit)?;
        }
        if outfit.materials.listen.len() > MOST_LISTENERS {
            return Err(DeliveryError::TooManyListeners);
        }
        Ok(outfit)
    }
}
