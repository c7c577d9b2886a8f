//! `[sandbox]`: what a run may reach. Read here, enforced by `run`; pure, as everything in this room.

use std::path::{Path, PathBuf};

use super::{
    decision::{Deliver, Network, OnFileHit, SandboxMode, SandboxTerms},
    document::{Document, Rule, expand},
    read::Reader,
    read::raw::{At, RawDocument, RawRule},
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
}

impl Document {
    /// What a run under a rule of this document may reach; under several, what the document says.
    pub(super) fn sandbox_of(&self, rules: &[&Rule], home: &Path) -> SandboxTerms {
        let terms = self.sandbox_terms(home);
        match rules {
            [Rule { sandbox: Some(SandboxMode::Off), .. }] => {
                SandboxTerms { mode: SandboxMode::Off, network: Network::Open, ..SandboxTerms::default() }
            }
            [Rule { sandbox: Some(mode), .. }] => SandboxTerms { mode: *mode, ..terms },
            _ => terms,
        }
    }

    /// What a run under this document may reach.
    pub(super) fn sandbox_terms(&self, home: &Path) -> SandboxTerms {
        let part = &self.sandbox;
        let expanded =
            |dirs: &[String]| -> Vec<PathBuf> { dirs.iter().map(|dir| expand(dir, home)).collect() };
        SandboxTerms {
            mode: part.mode,
            network: part.network,
            read: expanded(&part.read),
            write: expanded(&part.write),
            on_file_hit: part.on_file_hit,
        }
    }
}

impl Reader<'_> {
    pub(super) fn sandbox(&mut self, raw: &RawDocument) -> SandboxPart {
        let part = &raw.sandbox;
        let mode = part.mode.as_ref().map_or(SandboxMode::Required, |mode| *mode.get());
        let sealed =
            raw.allow.iter().any(|rule| *rule.get().deliver.get() == Deliver::Sealed) || part.hosts.is_some();
        let network = match (&part.network, mode) {
            (Some(network), _) => *network.get(),
            (None, SandboxMode::Off) => Network::Open,
            (None, _) if sealed => Network::Proxy,
            (None, _) => Network::None,
        };
        self.contradictions(raw, mode, network);
        SandboxPart {
            mode,
            network,
            read: part.read.iter().filter_map(|path| self.sandbox_path(path)).collect(),
            write: part.write.iter().filter_map(|path| self.sandbox_path(path)).collect(),
            on_file_hit: part.on_file_hit,
        }
    }

    /// A program that is given no secret may be an agent, which needs what its user has. One that is given a secret
    /// is held as the document says.
    pub(super) fn rule_sandbox(&mut self, raw: &RawRule) -> Option<SandboxMode> {
        let at = raw.sandbox.as_ref()?;
        if !raw.secrets.is_empty() {
            self.error(
                at.span(),
                "a rule with secrets is contained as [sandbox] says",
                "leave sandbox out of it, or write mode under [sandbox]",
            );
        }
        Some(*at.get())
    }

    /// Without a sandbox nothing keeps a child from anything: a document that asks for both is refused.
    fn contradictions(&mut self, raw: &RawDocument, mode: SandboxMode, network: Network) {
        let part = &raw.sandbox;
        if network != Network::Proxy {
            self.without_proxy(raw, mode);
        }
        if mode != SandboxMode::Off {
            return;
        }
        if let Some(at) = part.network.as_ref().filter(|_| network != Network::Open) {
            self.refuse(
                at.span(),
                "without a sandbox nothing keeps a child from the network",
                "leave mode out, or write network = \"open\"",
            );
        }
        if let Some(at) = part.read.first().or(part.write.first()) {
            self.refuse(
                at.span(),
                "without a sandbox nothing keeps a child from other files",
                "leave mode out, or leave read and write out",
            );
        }
    }

    /// A sealed secret reaches its hosts by the proxy alone, which is reached from inside the sandbox alone.
    fn without_proxy(&mut self, raw: &RawDocument, mode: SandboxMode) {
        let way_out = match mode {
            SandboxMode::Off => "leave mode out: the proxy is reached from inside the sandbox",
            SandboxMode::Required | SandboxMode::BestEffort => {
                "write network = \"proxy\", or leave network out"
            }
        };
        let sealed = raw.allow.iter().map(At::get).find(|rule| *rule.deliver.get() == Deliver::Sealed);
        if let Some(rule) = sealed {
            self.error(rule.deliver.span(), "a sealed secret needs the sandbox and its proxy", way_out);
        }
        if let Some(hosts) = &raw.sandbox.hosts {
            self.error(hosts.span(), "hosts are reached by the proxy alone", way_out);
        }
    }

    /// A path as everywhere in a document, or one that begins with `{cwd}`.
    fn sandbox_path(&mut self, at: &At<String>) -> Option<String> {
        let text = at.get();
        let Some(rest) = text.strip_prefix(CWD) else { return self.dir(at) };
        let below = rest.is_empty() || rest.starts_with('/');
        let plain = !Path::new(rest).components().any(|part| part == std::path::Component::ParentDir);
        if below && plain && !rest.contains('\0') {
            return Some(text.clone());
        }
        self.error(at.span(), "a path below {cwd} has no ..", "write {cwd}/dist, or a whole path");
        None
    }
}
