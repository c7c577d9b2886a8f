//! What contains a run, and what it is: the policy's terms held against this machine.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Broker,
    asked::Streams,
    ground, logins,
    refusal::{Code, Refusal},
};
use crate::{
    policy::{CwdTerm, HomeMode, How, RunTerms},
    run::{RunError, Sandbox, Unseen},
    sandbox,
    sandbox::{SandboxBackend, SandboxPlan},
    supervise, system,
};

impl Broker {
    /// What will contain a run under these terms.
    ///
    /// # Errors
    /// A refusal that names what this machine can't enforce.
    pub(super) fn plan(&self, terms: &RunTerms, streams: Streams) -> Result<SandboxPlan, Refusal> {
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
        let plan = SandboxPlan::make(&terms.sandbox, self.machine()).map_err(|lack| {
            Refusal::new(
                Code::SandboxUnavailable,
                lack.to_string(),
                "ask the operator to run: authy-mcp doctor, which says what this machine lacks and how to get it",
            )
        })?;
        let given = terms.secrets.iter().any(|secret| matches!(secret.how, How::Env | How::File));
        Ok(if given { plan.of_a_value(self.machine(), || self.can_be_apart(terms, streams)) } else { plan })
    }

    /// Whether what the run is shown can be shown through overlays. A person's run goes on for as long as they like, and is
    /// to see what they change meanwhile, which an overlay does not show.
    fn can_be_apart(&self, terms: &RunTerms, streams: Streams) -> bool {
        let home = (terms.home == HomeMode::User).then_some(self.settings.user_home.as_path());
        let places = sandbox::read_only(&terms.sandbox, &terms.path, cwd(terms), home, &terms.program);
        streams == Streams::Captured && sandbox::can_be_apart(&places)
    }

    pub(crate) fn sandbox(&self, plan: SandboxPlan, terms: &RunTerms) -> Sandbox {
        let hidden = &self.settings.hidden;
        let cwd = cwd(terms);
        let shown = terms.sandbox.read.iter().chain(&terms.sandbox.write).map(PathBuf::as_path);
        let projects = cwd.into_iter().flat_map(Path::ancestors).chain(shown);
        let covered = projects.flat_map(|dir| hidden.in_projects.iter().map(|name| dir.join(name))).collect();
        // From a run that nothing contains nothing is hidden, so nothing is looked for.
        let (settings, closed) = match plan.shape {
            SandboxBackend::None => (Vec::new(), Vec::new()),
            _ => (self.settings_with_logins(), self.closed.now()),
        };
        let unseen = Unseen {
            hidden: hidden.places.clone(),
            settings,
            covered,
            closed,
            never: hidden.never.iter().cloned().chain([self.settings.home.clone()]).collect(),
            control: Arc::clone(&hidden.control),
        };
        Sandbox::new(plan, terms.sandbox.clone(), unseen)
    }

    /// Settings of the home that hold a login. Whether a run is shown the home is known as it starts, no sooner: where it
    /// starts may be a link to it.
    fn settings_with_logins(&self) -> Vec<PathBuf> {
        let settings = system::SETTINGS.iter().map(|part| self.settings.user_home.join(part));
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

fn cwd(terms: &RunTerms) -> Option<&Path> {
    match &terms.cwd {
        CwdTerm::Private => None,
        CwdTerm::Within { dir, .. } => Some(dir),
    }
}
