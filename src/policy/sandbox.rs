//! `[sandbox]`: what a run may reach. Enforced by `run`; pure, as everything in this room.

use std::path::{Path, PathBuf};

use super::{
    decision::SandboxTerms,
    dirs::expand,
    words::{Network, OnFileHit, SandboxMode},
};

/// What stands for the directory in which a run starts.
pub(crate) const CWD: &str = "{cwd}";

/// `[sandbox]`, defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxPart {
    /// How much of it must stand.
    pub mode: SandboxMode,
    /// Which network.
    pub network: Network,
    /// What may be read, `~` not yet replaced.
    pub read: Vec<String>,
    /// What may be written, `~` not yet replaced.
    pub write: Vec<String>,
    /// What becomes of written files that hold a secret.
    pub on_file_hit: OnFileHit,
    /// Control files that may be written, too, relative to a project.
    pub write_control: Vec<String>,
}

impl SandboxPart {
    /// What a run may reach, as far as the document alone says.
    pub(super) fn terms(&self, home: &Path) -> SandboxTerms {
        let expanded =
            |dirs: &[String]| -> Vec<PathBuf> { dirs.iter().map(|dir| expand(dir, home)).collect() };
        SandboxTerms {
            mode: self.mode,
            network: self.network,
            read: expanded(&self.read),
            write: expanded(&self.write),
            on_file_hit: self.on_file_hit,
            write_control: self.write_control.iter().map(PathBuf::from).collect(),
            ..SandboxTerms::default()
        }
    }
}
