//! In an environment variable.

use super::{Delivery, DeliveryError, ForRun, Hands, Outfit, Revealed};
use crate::policy::How;

/// The value is in a variable of the program.
pub(super) struct InVariable;

impl Delivery for InVariable {
    fn takes(&self, how: &How) -> bool {
        matches!(how, How::Env)
    }

    fn hands(&self) -> Hands {
        Hands::Program
    }

    fn deliver(
        &self,
        secrets: Vec<Revealed>,
        _: &ForRun<'_>,
        outfit: &mut Outfit,
    ) -> Result<(), DeliveryError> {
        let values = secrets.into_iter().map(|secret| (secret.env, secret.name, secret.value));
        outfit.materials.env_secrets.extend(values);
        Ok(())
    }
}
