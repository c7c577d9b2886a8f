//! In a private file, whose path is in a variable.

use super::{Delivery, DeliveryError, ForRun, Hands, Outfit, Revealed};
use crate::policy::How;

/// The value is in a file of the run's private directory.
pub(super) struct InFile;

impl Delivery for InFile {
    fn takes(&self, how: &How) -> bool {
        matches!(how, How::File)
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
        outfit.materials.file_secrets.extend(values);
        Ok(())
    }
}
