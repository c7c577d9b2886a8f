//! Files of the run's own over files of the system's: what programs read without asking a variable.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{fs::fstat, mount::mount_bind};

use super::{
    by_descriptor,
    mounts::{Access, Kind, MountView},
    open_beneath, open_without_links,
};
use crate::sandbox::Cover;

impl MountView<'_> {
    /// Lays each file over its places. `own` is the run's private directory. A place that may be written is the run's to
    /// change, and could not be exchanged any more with a mount on it.
    pub(super) fn covers(&self, covers: &[Cover], own: &OwnedFd, access: &Access) -> io::Result<()> {
        for cover in covers {
            let file = open_beneath(own, &cover.file)?;
            let places = cover.places.iter().filter(|place| !access.may_write(&self.inside(place)));
            for place in places {
                if let Some(target) = self.covered(place)? {
                    mount_bind(by_descriptor(&file), by_descriptor(&target))?;
                }
            }
        }
        Ok(())
    }

    /// What lies at a place in the view. What the system has in a directory that the view does not show (a link of `/etc`
    /// may lead there) is made, in the view's own memory and never in a directory of the host's.
    fn covered(&self, place: &Path) -> io::Result<Option<OwnedFd>> {
        match open_without_links(&self.inside(place)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened.map(Some),
        }
        let nearest = place.ancestors().skip(1).find_map(|dir| open_without_links(&self.inside(dir)).ok());
        let Some(nearest) = nearest else { return Ok(None) };
        if fstat(nearest)?.st_dev != fstat(open_without_links(self.root)?)?.st_dev {
            return Ok(None);
        }
        self.target(place, Kind::File).map(Some)
    }
}
