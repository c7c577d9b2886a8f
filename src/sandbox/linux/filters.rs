//! What a program gives up before it becomes what was decided: capabilities, reach (Landlock), system calls
//! (seccomp). None of it can be taken back, and all of it holds for whatever the program starts.

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::{
    fs::FileType,
    thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets},
};

use super::{
    super::{Containment, INSIDE, SandboxBackend, Seen},
    At, Failed, Step, open_place, open_without_links, syscalls,
};
use crate::{policy::Network, system};

/// Takes every filter on, for this process and whatever it becomes; the number of the step that failed.
pub(crate) fn contain_program(contained: &Containment) -> Result<(), i32> {
    take_on(contained).map_err(|Failed(number)| number)
}

fn take_on(contained: &Containment) -> Result<(), Failed> {
    // Capabilities first, while the securebits that keep them from coming back can be set. Seccomp last: its filter need
    // not allow what the steps before it do. Without a capability it takes no_new_privs (seccomp(2)).
    drop_capabilities().at(Step::Capabilities)?;
    if contained.landlock {
        restrict_reach(contained).at(Step::Landlock)?;
    }
    rustix::thread::set_no_new_privs(true).at(Step::Seccomp)?;
    let filter = syscalls::filter(contained, landlock_abi()).at(Step::Seccomp)?;
    seccompiler::apply_filter(&filter).map_err(io::Error::other).at(Step::Seccomp)
}

/// No capability is left, and none comes back: not by being root in a namespace (securebits), not by a file's.
fn drop_capabilities() -> io::Result<()> {
    let held = rustix::thread::capabilities(None)?;
    if held.permitted.is_empty() {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        rustix::thread::set_capabilities_secure_bits(bits)?;
    }
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    Ok(rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?)
}

/// The ABI of this kernel's Landlock as far as it is known here; 0 where there is none.
pub(crate) fn landlock_abi() -> u32 {
    static FOUND: OnceLock<u32> = OnceLock::new();
    const KNOWN: [(u32, ABI); 7] =
        [(7, ABI::V7), (6, ABI::V6), (5, ABI::V5), (4, ABI::V4), (3, ABI::V3), (2, ABI::V2), (1, ABI::V1)];
    let stands = |abi: ABI| {
        let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let files = ruleset.handle_access(AccessFs::from_all(abi));
        let scoped = files.and_then(|ruleset| match Scope::from_all(abi) {
            none if none.is_empty() => Ok(ruleset),
            scope => ruleset.scope(scope),
        });
        scoped.and_then(Ruleset::create).is_ok()
    };
    *FOUND.get_or_init(|| KNOWN.into_iter().find(|(_, abi)| stands(*abi)).map_or(0, |(number, _)| number))
}

/// Landlock: what may be read, written and run, and that signals and abstract sockets stay inside. Under
/// namespaces the view holds already, and this is a second wall; without them it is the only one.
fn restrict_reach(contained: &Containment) -> io::Result<()> {
    let abi = ABI::V7;
    let all = AccessFs::from_all(abi);
    let read = AccessFs::from_read(abi);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .map_err(io::Error::other)?;
    let mut rules = LandlockRules { ruleset: Some(ruleset) };
    let namespaces = contained.shape == SandboxBackend::Namespaces;
    if namespaces {
        rules.add(&open_without_links(Path::new("/"))?, read)?;
        for dir in [INSIDE, "/tmp", "/dev"] {
            rules.add(&open_without_links(Path::new(dir))?, all)?;
        }
    } else {
        rules.alone(contained, read, all)?;
    }
    for place in contained.written() {
        let opened = if namespaces { open_without_links(&place.path)? } else { open_place(place)? };
        rules.add(&opened, all)?;
    }
    rules.enforce()
}

/// What a run without a view of its own reads of the system: as much as one that has it is shown.
fn read_of_the_system(network: Network) -> impl Iterator<Item = &'static str> {
    let resolver = system::RESOLVER.into_iter().filter(move |_| network == Network::Open);
    system::READ.into_iter().chain(resolver)
}

struct LandlockRules {
    ruleset: Option<landlock::RulesetCreated>,
}

impl LandlockRules {
    /// What a run without a view of its own reaches, but for what it may write.
    fn alone(
        &mut self,
        contained: &Containment,
        read: BitFlags<AccessFs>,
        all: BitFlags<AccessFs>,
    ) -> io::Result<()> {
        let hidden = contained.places.iter().filter(|place| place.seen == Seen::Hidden);
        let hidden: Vec<PathBuf> = hidden.map(|place| place.path.clone()).collect();
        for dir in read_of_the_system(contained.network).filter_map(|dir| fs::canonicalize(dir).ok()) {
            self.around(&dir, &hidden, read)?;
        }
        for device in system::DEVICES {
            if let Ok(device) = open_without_links(&Path::new("/dev").join(device)) {
                self.add(&device, read | AccessFs::WriteFile)?;
            }
        }
        self.add(&open_without_links(&fs::canonicalize(&contained.scratch)?)?, all)?;
        let shown = contained.places.iter().filter(|place| place.seen == Seen::Read);
        shown.into_iter().try_for_each(|place| self.around(&place.path, &hidden, read))
    }

    /// Allows a place but for what is hidden in it. A rule holds for all that is below, so where something is, each
    /// part gets a rule of its own. Whoever may list a directory may list those below: where a hidden one is among
    /// them, this one isn't listed either.
    fn around(&mut self, path: &Path, hidden: &[PathBuf], access: BitFlags<AccessFs>) -> io::Result<()> {
        let mut below = hidden.iter().filter(|hidden| hidden.starts_with(path)).peekable();
        // What is gone, or is a link now, needs no rule.
        let Ok(opened) = open_without_links(path) else { return Ok(()) };
        if below.peek().is_none() {
            return self.add(&opened, access);
        }
        let mut directories = below.filter(|path| path.is_dir()).peekable();
        if hidden.iter().any(|hidden| hidden == path) {
            return Ok(());
        }
        if directories.peek().is_none() {
            self.add(&opened, AccessFs::ReadDir.into())?;
        }
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_ok_and(|kind| !kind.is_symlink()));
        entries.into_iter().try_for_each(|entry| self.around(&entry.path(), hidden, access))
    }

    /// A rule on a file knows only of what files have.
    fn add(&mut self, opened: &OwnedFd, access: BitFlags<AccessFs>) -> io::Result<()> {
        let found = FileType::from_raw_mode(rustix::fs::fstat(opened)?.st_mode);
        let access = if found.is_dir() { access } else { access & AccessFs::from_file(ABI::V7) };
        let ruleset = self.ruleset.take().ok_or(io::ErrorKind::InvalidInput)?;
        let ruleset = ruleset.add_rule(PathBeneath::new(opened, access)).map_err(io::Error::other)?;
        self.ruleset = Some(ruleset);
        Ok(())
    }

    fn enforce(self) -> io::Result<()> {
        let ruleset = self.ruleset.ok_or(io::ErrorKind::InvalidInput)?;
        let status = ruleset.restrict_self().map_err(io::Error::other)?;
        if status.ruleset == RulesetStatus::NotEnforced {
            Err(io::ErrorKind::Unsupported.into())
        } else {
            Ok(())
        }
    }
}
