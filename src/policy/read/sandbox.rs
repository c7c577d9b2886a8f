//! `[sandbox]` from the document's keys, and what of it contradicts itself.

use std::path::Path;

use super::{
    raw::{At, RawDocument, RawRule},
    reader::Reader,
};
use crate::policy::{
    sandbox::{CWD, SandboxPart},
    words::{DeliveryMode, Network, SandboxMode},
};

impl Reader<'_> {
    pub(super) fn sandbox(&mut self, raw: &RawDocument) -> SandboxPart {
        let part = &raw.sandbox;
        let mode = part.mode.as_ref().map_or(SandboxMode::Required, |mode| *mode.get());
        let sealed = raw.allow.iter().any(|rule| *rule.get().deliver.get() == DeliveryMode::Sealed)
            || part.hosts.is_some();
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
            write_control: self.write_control(raw),
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

    /// Control files are named as they lie in a project, wherever under `write` that is.
    fn write_control(&mut self, raw: &RawDocument) -> Vec<String> {
        let part = &raw.sandbox;
        if let Some(at) = part.write_control.first().filter(|_| part.write.is_empty()) {
            self.error(
                at.span(),
                "without write there is nothing that write_control could open",
                "leave write_control out, or name places under write",
            );
        }
        part.write_control.iter().filter_map(|path| self.control_path(path)).collect()
    }

    fn control_path(&mut self, at: &At<String>) -> Option<String> {
        let text = at.get();
        let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
        let whole = !text.is_empty() && !text.starts_with('~') && !text.contains(['\0', '*', '?', '{']);
        if whole && Path::new(text).components().all(plain) {
            return Some(text.trim_end_matches('/').to_owned());
        }
        self.error(
            at.span(),
            "a control file is named relative to its project, without .. and without a glob",
            "write .git/hooks",
        );
        None
    }

    /// A sealed secret reaches its hosts by the proxy alone, which is reached from inside the sandbox alone.
    fn without_proxy(&mut self, raw: &RawDocument, mode: SandboxMode) {
        let way_out = match mode {
            SandboxMode::Off => "leave mode out: the proxy is reached from inside the sandbox",
            SandboxMode::Required | SandboxMode::BestEffort => {
                "write network = \"proxy\", or leave network out"
            }
        };
        let sealed = raw.allow.iter().map(At::get).find(|rule| *rule.deliver.get() == DeliveryMode::Sealed);
        if let Some(rule) = sealed {
            self.error(rule.deliver.span(), "a sealed secret needs the sandbox and its proxy", way_out);
        }
        if let Some(hosts) = &raw.sandbox.hosts {
            self.error(hosts.span(), "hosts are reached by the proxy alone", way_out);
        }
        if let Some(upstream) = &raw.sandbox.upstream_proxy {
            self.error(upstream.span(), "an upstream_proxy is used by the proxy alone", way_out);
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
