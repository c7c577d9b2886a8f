//! What contains a run, and what it is: the policy's terms held against this machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Broker, ground, logins,
    refusal::{Code, Refusal},
};
use crate::{
    policy::{CwdTerm, HomeMode, RunTerms},
    run::{RunError, Sandbox, Unseen},
    sandbox,
    sandbox::SandboxPlan,
    supervise, system,
};

impl Broker {
    /// What will contain a run under these terms.
    ///
    /// # Errors
    /// A refusal that names what this machine can't enforce.
    pub(crate) fn plan(&self, terms: &RunTerms) -> Result<SandboxPlan, Refusal> {
        // Whatever a run starts is found there when it is to be ended.
        if supervise::proc_is_anothers() {
            return Err(Refusal::new(
                Code::SandboxUnavailable,
                "/proc is not mounted here, or is another pid namespace's: a run could not be ended",
                "ask the operator to mount it: mount -t proc proc /proc",
            ));
        }
        if let Some(off) = terms.sandbox.said_off() {
            let plan = SandboxPlan::off(off);
            // Only what limits has to know the machine.
            let limited = !terms.sandbox.limits.is_none();
            return Ok(if limited { plan.within(&terms.sandbox, self.machine()) } else { plan });
        }
        SandboxPlan::make(&terms.sandbox, self.machine()).map_err(|lack| {
            Refusal::new(
                Code::SandboxUnavailable,
                lack.to_string(),
                "ask the operator to run: authy-mcp doctor, which says what this machine lacks and how to get it",
            )
        })
    }

    pub(crate) fn sandbox(&self, plan: SandboxPlan, terms: &RunTerms) -> Sandbox {
        let hidden = &self.settings.hidden;
        let cwd = match &terms.cwd {
            CwdTerm::Private => None,
            CwdTerm::Within { dir, .. } => Some(dir.as_path()),
        };
        let shown = terms.sandbox.read.iter().chain(&terms.sandbox.write).map(PathBuf::as_path);
        let projects = cwd.into_iter().flat_map(Path::ancestors).chain(shown);
        let covered = projects.flat_map(|dir| hidden.in_projects.iter().map(|name| dir.join(name))).collect();
        let unseen = Unseen {
            hidden: hidden.places.iter().cloned().chain(self.settings_with_logins(terms)).collect(),
            covered,
            #[cfg(target_os = "linux")]
            closed: self.closed.now(),
            #[cfg(not(target_os = "linux"))]
            closed: Vec::new(),
            never: hidden.never.iter().cloned().chain([self.settings.home.clone()]).collect(),
            control: Arc::clone(&hidden.control),
        };
        Sandbox::new(plan, terms.sandbox.clone(), unseen)
    }

    /// Settings that a home is shown with, and that hold a login.
    fn settings_with_logins(&self, terms: &RunTerms) -> Vec<PathBuf> {
        let home = &self.settings.user_home;
        if terms.home == HomeMode::Private && !terms.sandbox.read.iter().any(|read| home.starts_with(read)) {
            return Vec::new();
        }
        let settings = system::SETTINGS.iter().map(|part| home.join(part));
        settings.filter(|path| logins::holds_a_login(path)).collect()
    }

    /// The program and its interpreters, each with its digest; and the files that a pinned command names.
    pub(crate) fn chain(&self, terms: &RunTerms) -> Result<Vec<(PathBuf, [u8; 32])>, Refusal> {
        let search: Vec<PathBuf> = terms.path.iter().cloned().chain(system::path()).collect();
        let chain = sandbox::program_chain(&terms.program, &search);
        let digests = chain.into_iter().map(|path| {
            let digest = self.digests.of(&path).map_err(|error| Refusal::from(RunError::program(error)))?;
            Ok((path, digest))
        });
        let mut chain: Vec<(PathBuf, [u8; 32])> = digests.collect::<Result<_, Refusal>>()?;
        if ground::strange_interpreter(terms, &chain).is_some() {
            return Err(Refusal::from(RunError::ProgramChanged));
        }
        // Last, since the first is what is started. The sandbox shows what was digested, not what lies there by then.
        let files = ground::pinned_files(terms).map_err(|path| {
            let refusal = Refusal::from(RunError::ProgramChanged);
            Refusal { message: format!("{} has changed since it was pinned", path.display()), ..refusal }
        });
        chain.extend(files?);
        Ok(chain)
    }
}
