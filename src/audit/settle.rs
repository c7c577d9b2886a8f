//! Waiting until what was written is on the disk, and the one sync for all who wait.

use std::{fs::File, io, sync::Arc};

use super::{
    AuditError, AuditLog, Intent, OutcomeFacts,
    entry::Durable,
    group::{Stands, Unsettled},
    segments::UNSYNCED,
};
use crate::files;

impl AuditLog {
    /// Waits until an intent is on the disk, by one sync for all who wait.
    ///
    /// # Errors
    /// [`AuditError`]: then nothing is revealed, and the run never is.
    pub fn settle<T>(&self, unsettled: Unsettled<T>) -> Result<Intent<T>, AuditError> {
        let Unsettled { intent, written } = unsettled;
        let Some((seq, failures)) = written else { return Ok(intent) };
        match self.until_durable(seq, failures) {
            Ok(()) => Ok(intent),
            Err(error) => {
                self.never_was(intent);
                Err(AuditError::io("write it", error))
            }
        }
    }

    /// Leaves the segment that can't be synced; where an intent's line came to the disk for all that, the next one says
    /// that there was no run.
    fn never_was<T>(&self, intent: Intent<T>) {
        let left = self.append(Vec::new(), Durable::Later);
        let stands = || self.place.lock().state.open.iter().any(|open| open.run == *intent.run_id());
        if left.is_ok() && stands() {
            // Where even that can't be recorded, it is found without an outcome once this process has ended.
            let _ = self.record_outcome(intent, OutcomeFacts::failed_to_start());
        }
    }

    fn until_durable(&self, seq: u64, failures: u64) -> io::Result<()> {
        let mut state = self.group.state.lock();
        loop {
            match state.of(seq, failures) {
                Stands::Durable => return Ok(()),
                Stands::Lost => return Err(io::Error::other("a sync of it has failed")),
                Stands::Syncing => self.group.told.wait(&mut state),
                Stands::Open => {
                    state.leading = true;
                    drop(state);
                    let led = self.lead();
                    state = self.group.state.lock();
                    state.leading = false;
                    self.group.told.notify_all();
                    led?;
                }
            }
        }
    }

    /// Syncs what is written by now, while others go on writing.
    fn lead(&self) -> io::Result<()> {
        let (place, file, failures) = {
            let place = self.place.lock();
            (place.clone(), self.current_file()?, self.group.failures())
        };
        if !place.synced {
            self.synced(&file, failures)?;
            place.write(&self.dir, &self.keys)?;
            let mut now = self.place.lock();
            now.synced |= now.head == place.head;
        }
        self.group.is_durable(place.head);
        Ok(())
    }

    /// Syncs a file that was written to when so many syncs had failed.
    pub(super) fn synced(&self, file: &File, failures: u64) -> io::Result<()> {
        let _one = self.group.syncing.lock();
        if self.group.failures() != failures {
            return Err(io::Error::other("a sync of it has failed"));
        }
        (self.sync)(file).or_else(|error| {
            // Never tried again on this file: it is left with the next event, by whichever process.
            self.group.fails(file);
            File::create(self.dir.join(UNSYNCED))?;
            Err(error)
        })
    }

    /// The file of the segment that is written to, opened once.
    pub(super) fn current_file(&self) -> io::Result<Arc<File>> {
        let mut kept = self.file.lock();
        let path = self.current();
        if let Some(file) = kept.as_ref().filter(|file| files::is_at(file, &path)) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(files::open_or_make(&path)?);
        *kept = Some(Arc::clone(&file));
        Ok(file)
    }
}
