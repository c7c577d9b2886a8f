//! The stage of one run: its private directories, files and environment.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::{
    Launch, RunError, Sandbox,
    control::{Control, Means, Start},
    place::{Moment, Written},
};
use crate::{
    files,
    policy::{CwdTerm, HomeMode},
    sandbox::{
        self, Containment, Cover, INSIDE, PathRule, SandboxBackend, Seen, ViewError, Wanted,
        digest::may_change, digest_program,
    },
    supervise::{
        DIRS, Role,
        discard::Scratch,
        wire::{self, Spec, TtyMode},
    },
    system,
};

/// Where the run's own files lie, in its private directory.
const FILES: &str = "files";

/// What stands ready for the child; gone when this is dropped, or when the supervisor ends.
pub(super) struct RunDir {
    pub spec: Spec,
    pub role: Role,
    /// Where the run may write outside of its private directories.
    pub written: Arc<[Written]>,
    /// What is known of the control files there.
    pub control: Arc<Control>,
    /// From when on what is written there is the run's.
    pub since: Moment,
    _scratch: Scratch,
}

impl RunDir {
    /// As [`RunDir::build`]. Off the tasks that serve a program is held against its pin, which takes as long as it is large,
    /// and control files are looked for where the run may write, which takes as long as there are many.
    pub(super) async fn ready(launch: Launch, session: TtyMode) -> Result<(Launch, Self), RunError> {
        if launch.start.pin.is_none() && launch.sandbox.terms.write.is_empty() {
            return Self::build(&launch, session).map(|stage| (launch, stage));
        }
        let built =
            tokio::task::spawn_blocking(move || Self::build(&launch, session).map(|stage| (launch, stage)));
        built.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
    }

    /// Checks the program and the directory, and puts everything in place.
    pub(super) fn build(launch: &Launch, session: TtyMode) -> Result<Self, RunError> {
        check_program(launch)?;
        let scratch = Scratch::make().map_err(|error| RunError::io("make its private directory", error))?;
        for dir in DIRS {
            make_inside(&scratch.path().join(dir))?;
        }
        let shape = launch.sandbox.plan.shape;
        let own = Own::of(shape, scratch.path());
        let outside = working_directory(launch)?;
        let since = Moment::now();
        let program = started_as(launch);
        let mut contain = contain(launch, &program, session, outside.as_deref(), scratch.path())?;
        let written = contain.iter_mut().flat_map(|contain| &mut contain.places);
        let written = written.filter(|place| place.seen == Seen::Write);
        let written: Arc<[Written]> =
            written.map(open_written).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let control = look_at_control_files(launch, &written, outside.as_deref());
        if let Some(contain) = &mut contain {
            close_control_files(contain, &control, &written);
        }
        let env = environment(launch, scratch.path(), &own)?;
        if let Some(run_as) = launch.start.supervisors.run_as() {
            run_as
                .own(scratch.path())
                .map_err(|error| RunError::io("hand its private directory to its user", error))?;
        }
        let spec = Spec {
            program,
            argv: launch.start.argv.clone(),
            env,
            cwd: outside.unwrap_or_else(|| own.base.join("work")),
            scratch: scratch.path().to_owned(),
            session,
            umask: crate::supervise::tree::started_umask(),
            contain,
            kept: launch.sandbox.plan.kept(),
        };
        let role = Role::of(shape, launch.sandbox.plan.network);
        Ok(Self { spec, role, written, control: Arc::new(control), since, _scratch: scratch })
    }
}

/// Makes a directory in one that is private already.
fn make_inside(dir: &Path) -> Result<(), RunError> {
    let made = DirBuilder::new().mode(0o700).create(dir);
    made.map_err(|error| RunError::io("make its private directory", error))
}

/// Where the run finds what is its own.
struct Own {
    base: PathBuf,
    tmp: PathBuf,
}

impl Own {
    fn of(shape: SandboxBackend, scratch: &Path) -> Self {
        match shape {
            SandboxBackend::Namespaces => Self { base: INSIDE.into(), tmp: "/tmp".into() },
            _ => Self { base: scratch.to_owned(), tmp: scratch.join("tmp") },
        }
    }
}

/// What contains the run, worked out.
fn contain(
    launch: &Launch,
    program: &Path,
    session: TtyMode,
    cwd: Option<&Path>,
    scratch: &Path,
) -> Result<Option<Containment>, RunError> {
    let Sandbox { plan, terms, unseen } = &launch.sandbox;
    if plan.shape == SandboxBackend::None {
        return Ok(None);
    }
    let copies: Vec<_> = launch
        .chain
        .iter()
        .filter(|(path, _)| {
            plan.shape == SandboxBackend::Namespaces && (launch.start.pin.is_some() || may_change(path))
        })
        .cloned()
        .collect();
    let places = sandbox::places(&Wanted {
        terms,
        path: &launch.start.path,
        cwd,
        home: (launch.start.home == HomeMode::User).then_some(launch.start.user_home.as_path()),
        user_home: launch.start.user_home.as_path(),
        program,
        copies: &copies,
        shape: plan.shape,
        hidden: &unseen.hidden,
        settings: &unseen.settings,
        covered: &unseen.covered,
        closed: &unseen.closed,
        never: &unseen.never,
        given: &launch.given,
    })?;
    Ok(Some(Containment {
        shape: plan.shape,
        network: plan.network,
        places,
        scratch: scratch.to_owned(),
        listen: launch.materials.listen.clone(),
        covers: covers(launch),
        landlock: plan.landlock(),
        locks: plan.locks(),
        given: !launch.given.is_empty(),
        terminal: session == TtyMode::Shared,
        memory: plan.kept().and_then(|kept| kept.limits.memory),
    }))
}

/// Which of the run's own files lie over the system's.
fn covers(launch: &Launch) -> Vec<Cover> {
    let files = &launch.materials.files;
    let found = launch.materials.covers.iter().filter_map(|(called, places)| {
        let index = files.iter().position(|(file, _)| file == called)?;
        Some(Cover { file: Path::new(FILES).join(own_file(index)), places: places.clone() })
    });
    found.collect()
}

/// What a file that isn't secret is called in the run's private directory.
fn own_file(index: usize) -> String {
    format!("own-{index}")
}

/// What other programs run or trust unasked, where the run may write.
fn look_at_control_files(launch: &Launch, written: &[Written], cwd: Option<&Path>) -> Control {
    let Sandbox { plan, terms, unseen } = &launch.sandbox;
    let means = if plan.shape == SandboxBackend::Namespaces { Means::Mounts } else { Means::Memory };
    Control::look(written, cwd, &unseen.control, &terms.write_control, launch.start.run_id.as_str(), means)
}

/// What is hidden, or named by the policy, stays as it is said there.
fn close_control_files(contain: &mut Containment, control: &Control, written: &[Written]) {
    if contain.shape != SandboxBackend::Namespaces {
        return;
    }
    for (path, writable) in control.mounts(written) {
        let seen = if writable { Seen::Held } else { Seen::Closed };
        if !contain.places.iter().any(|place| place.path == path) {
            contain.places.push(PathRule { path, seen, inode: None });
        }
    }
    contain.places.sort_by(|one, other| one.path.cmp(&other.path));
}

/// Opens a place to be written: what is searched afterwards, and what the run is shown, is what lies there now.
fn open_written(place: &mut PathRule) -> Result<Option<Written>, RunError> {
    let unopened = |_| ViewError::NoSuchPlace(place.path.clone());
    let Some(written) = Written::open(&place.path).map_err(unopened)? else { return Ok(None) };
    place.inode = Some(written.inode().map_err(unopened)?);
    Ok(Some(written))
}

/// A program that could be exchanged, or is none of the system's, is started by its real path: what a link leads
/// to could change, or not be seen.
fn started_as(launch: &Launch) -> PathBuf {
    let contained = launch.sandbox.plan.shape != SandboxBackend::None;
    match launch.chain.first() {
        Some((real, _))
            if contained
                && (may_change(&launch.start.program) || !system::is_read(&launch.start.program)) =>
        {
            real.clone()
        }
        _ => launch.start.program.clone(),
    }
}

fn check_program(launch: &Launch) -> Result<(), RunError> {
    if !launch.start.program.is_file() {
        return Err(RunError::ProgramNotFound);
    }
    let Some(pin) = launch.start.pin else { return Ok(()) };
    match digest_program(&launch.start.program) {
        Ok(digest) if digest == pin => Ok(()),
        Ok(_) => Err(RunError::ProgramChanged),
        Err(error) => Err(RunError::program(error)),
    }
}

/// Links are followed first: what counts is where the directory is, not how it is called. Of the policy's directories the
/// innermost in which it lies says most of what the policy wants.
fn working_directory(launch: &Launch) -> Result<Option<PathBuf>, RunError> {
    let CwdTerm::Within { dir, roots } = &launch.start.cwd else { return Ok(None) };
    let dir = fs::canonicalize(dir).map_err(|_| RunError::Cwd)?;
    let roots = roots.iter().filter_map(|root| fs::canonicalize(root).ok());
    let root = roots.filter(|root| dir.starts_with(root)).max_by_key(|root| root.components().count());
    let start = root.filter(|_| dir.is_dir()).map(|root| Start { dir, root }).ok_or(RunError::Cwd)?;
    let Sandbox { plan, terms, unseen } = &launch.sandbox;
    let led = (plan.shape != SandboxBackend::None)
        .then(|| start.leads_into(&terms.write, &unseen.control, &terms.write_control));
    led.flatten().map_or(Ok(Some(start.dir)), |control| Err(RunError::CwdInControlFile(control)))
}

/// The whole environment: nothing is inherited.
#[expect(clippy::disallowed_methods, reason = "values are delivered here: into variables and private files")]
fn environment(
    launch: &Launch,
    scratch: &Path,
    own: &Own,
) -> Result<Vec<(String, Zeroizing<String>)>, RunError> {
    let mut env: Vec<(String, Zeroizing<String>)> = Vec::new();
    let mut set = |name: &str, value: &[u8]| env.push((name.to_owned(), wire::encode_value(value)));
    set("PATH", search_path(launch).as_bytes());
    let home = match launch.start.home {
        HomeMode::Private => own.base.join("home"),
        HomeMode::User => launch.start.user_home.clone(),
    };
    set("HOME", home.as_os_str().as_bytes());
    set("TMPDIR", own.tmp.as_os_str().as_bytes());
    if !launch.materials.env.keys().any(|name| name.as_str() == "LANG") {
        set("LANG", b"C.UTF-8");
    }
    let mut paths: Vec<(String, PathBuf)> = Vec::new();
    let own_files = scratch.join(FILES);
    if !(launch.materials.files.is_empty() && launch.materials.file_secrets.is_empty()) {
        make_inside(&own_files)?;
    }
    for (index, (called, bytes)) in launch.materials.files.iter().enumerate() {
        let name_of_file = own_file(index);
        files::create_unsynced(&own_files.join(&name_of_file), bytes)
            .map_err(|error| RunError::io("write a private file", error))?;
        paths.push((called.clone(), own.base.join(FILES).join(name_of_file)));
    }
    for (index, (name, secret, value)) in launch.materials.file_secrets.iter().enumerate() {
        let name_of_file = index.to_string();
        files::create_unsynced(&own_files.join(&name_of_file), value.expose_secret())
            .map_err(|error| RunError::io("write a private file", error))?;
        let path = own.base.join(FILES).join(name_of_file);
        set(name.as_str(), path.as_os_str().as_bytes());
        paths.push((secret.to_string(), path));
    }
    for (name, secret, value) in &launch.materials.env_secrets {
        if value.expose_secret().contains(&0) {
            return Err(RunError::NulInValue(secret.clone()));
        }
        set(name.as_str(), value.expose_secret());
    }
    for (name, text) in &launch.materials.env {
        set(name.as_str(), with_files(text, &paths).as_bytes());
    }
    Ok(env)
}

/// Replaces `{file:NAME}` by the path of the file of that name.
fn with_files(text: &OsString, paths: &[(String, PathBuf)]) -> OsString {
    let Some(text) = text.to_str() else { return text.clone() };
    let replaced = paths.iter().fold(text.to_owned(), |text, (secret, path)| {
        text.replace(&format!("{{file:{secret}}}"), &path.display().to_string())
    });
    replaced.into()
}

fn search_path(launch: &Launch) -> OsString {
    let dirs = launch.start.path.iter().cloned().chain(system::path());
    let dirs: Vec<OsString> = dirs.map(PathBuf::into_os_string).collect();
    dirs.join(std::ffi::OsStr::new(":"))
}
