//! `[limits]` from the document's keys, and quantities wherever they stand.

use std::time::Duration;

use super::{
    quantities::{parse_bytes, parse_duration, parse_size},
    raw::{At, RawDocument, RawLimits},
    reader::Reader,
};
use crate::policy::{
    document::Limits,
    limits::{RunLimits, Shares},
};

/// Less memory is too little for what starts a program and watches over it.
const LEAST_MEMORY: u64 = 16 << 20;
/// With less disk hardly a program starts.
const LEAST_DISK: u64 = 1 << 20;

impl Reader<'_> {
    pub(super) fn limits(&mut self, raw: &RawDocument) -> Limits {
        let default = Limits::default();
        let limits = &raw.limits;
        Limits {
            timeout: self.duration(limits.timeout.as_ref()).unwrap_or(default.timeout),
            output: self.size(limits.output.as_ref()).unwrap_or(default.output),
            runs_per_minute: limits.runs_per_minute.unwrap_or(default.runs_per_minute),
            concurrent_runs: limits.concurrent_runs.unwrap_or(default.concurrent_runs),
            token_ttl: self.duration(limits.token_ttl.as_ref()).unwrap_or(default.token_ttl),
            run: self.run_limits(limits),
        }
    }

    fn run_limits(&mut self, raw: &RawLimits) -> RunLimits {
        RunLimits {
            processes: self.processes(raw.processes.as_ref()),
            memory: self.bytes(raw.memory.as_ref(), LEAST_MEMORY, "write 512MiB or 4GiB, at least 16MiB"),
            disk: self.bytes(raw.disk.as_ref(), LEAST_DISK, "write 512MiB or 10GiB, at least 1MiB"),
            shares: Shares::All,
        }
    }

    fn processes(&mut self, at: Option<&At<u32>>) -> Option<u32> {
        let at = at?;
        if *at.get() == 0 {
            self.error(
                at.span(),
                "with no process nothing runs",
                "write processes = 512, or runs_per_minute = 0 to allow no run",
            );
        }
        Some(*at.get())
    }

    fn bytes(&mut self, at: Option<&At<String>>, least: u64, hint: &str) -> Option<u64> {
        let at = at?;
        let parsed = parse_bytes(at.get()).filter(|bytes| *bytes >= least);
        if parsed.is_none() {
            self.error(at.span(), format!("invalid size {:?}", at.get()), hint);
        }
        parsed
    }

    pub(super) fn duration(&mut self, at: Option<&At<String>>) -> Option<Duration> {
        let at = at?;
        let parsed = parse_duration(at.get());
        if parsed.is_none() {
            self.error(at.span(), format!("invalid duration {:?}", at.get()), "write 30s, 2m, 8h or 90d");
        }
        parsed
    }

    fn size(&mut self, at: Option<&At<String>>) -> Option<usize> {
        let at = at?;
        let parsed = parse_size(at.get());
        if parsed.is_none() {
            self.error(
                at.span(),
                format!("invalid size {:?}", at.get()),
                "write 64KiB or 1MiB, at most 16MiB",
            );
        }
        parsed
    }
}
