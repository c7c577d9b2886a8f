//! The log's files: one that is written to, and those that are closed.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use super::AuditError;

/// The segment that is written to; closed ones have their number in their name. The first version's
/// whole log has this name, too, and is the first segment.
pub(super) const CURRENT: &str = "log.jsonl";
/// Is there while a sync of the segment that is written to has failed. The kernel forgets such a failure
/// once it was told, and calls pages clean that never reached the disk: another sync of the same file
/// would succeed and mean nothing.
pub(super) const UNSYNCED: &str = "unsynced";
/// A segment is closed behind the event with which it gets so long.
pub(super) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The longest line that is read. The first version wrote lines as long as a call was.
const LONGEST: u64 = 32 * 1024 * 1024;

/// A closed segment's name.
pub(super) fn name(number: u64) -> String {
    format!("log.{number:06}.jsonl")
}

/// The closed segments that are here, by number.
pub(super) fn closed(dir: &Path) -> Result<BTreeMap<u64, PathBuf>, AuditError> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(AuditError::io("list its directory", error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| AuditError::io("list its directory", error))?;
        if let Some(number) = entry.file_name().to_str().and_then(number) {
            found.insert(number, entry.path());
        }
    }
    Ok(found)
}

fn number(file: &str) -> Option<u64> {
    let digits = file.strip_prefix("log.")?.strip_suffix(".jsonl")?;
    let number = digits.parse().ok().filter(|number| *number > 0)?;
    (name(number) == file).then_some(number)
}

/// Where a segment is, and whether it is closed.
pub(super) fn path_of(dir: &Path, number: u64) -> (PathBuf, bool) {
    let closed = dir.join(name(number));
    if closed.exists() { (closed, true) } else { (dir.join(CURRENT), false) }
}

/// Opens a segment; nothing where there is no such file.
pub(super) fn open(path: &Path) -> Result<Option<File>, AuditError> {
    match crate::files::open_regular(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(AuditError::damaged(0, format!("{} can't be read: {error}", path.display())))
        }
        Err(error) => Err(AuditError::io("open it", error)),
    }
}

/// Segments that are neither among these, which ascend, nor archived.
pub(super) fn missing(numbers: impl Iterator<Item = u64>, archived: u64) -> Vec<String> {
    let mut missing = Vec::new();
    let mut next = None;
    for number in numbers {
        let expected = next.unwrap_or_else(|| number.min(archived.saturating_add(1)));
        match number.saturating_sub(expected) {
            0 => {}
            1 => missing.push(format!("{} is missing, and was not archived", name(expected))),
            _ => missing.push(format!(
                "{} to {} are missing, and were not archived",
                name(expected),
                name(number - 1)
            )),
        }
        next = Some(number + 1);
    }
    missing
}

/// How much of a file is whole lines.
pub(super) fn whole_lines(file: &File) -> io::Result<u64> {
    let mut file = file;
    let mut end = file.metadata()?.len();
    let mut block = [0; 4096];
    while end > 0 {
        let from = end.saturating_sub(block.len() as u64);
        let length = usize::try_from(end - from).unwrap_or(block.len());
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut block[..length])?;
        if let Some(last) = memchr::memrchr(b'\n', &block[..length]) {
            return Ok(from + last as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

/// What a file goes on with.
pub(super) enum Next<'a> {
    /// A line, without its line feed.
    Line(&'a [u8]),
    /// A line longer than any event.
    TooLong,
    /// So many bytes of a line that was never finished.
    Unfinished(u64),
    /// Nothing more.
    End,
}

/// A file's lines, one in memory at a time.
pub(super) struct Lines {
    file: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    /// Reads from an offset on.
    pub(super) fn from(mut file: File, offset: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file: BufReader::with_capacity(64 * 1024, file), line: Vec::new() })
    }

    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        let read = (&mut self.file).take(LONGEST).read_until(b'\n', &mut self.line)? as u64;
        match self.line.last() {
            None => Ok(Next::End),
            Some(b'\n') => Ok(Next::Line(&self.line[..self.line.len() - 1])),
            Some(_) => {
                let more = skip_line(&mut self.file)?;
                Ok(more.map_or(Next::TooLong, |rest| Next::Unfinished(read + rest)))
            }
        }
    }
}

/// Skips the rest of a line; how long it was, if nothing ends it.
fn skip_line(file: &mut BufReader<File>) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(Some(skipped));
        }
        let end = memchr::memchr(b'\n', bytes);
        let length = end.map_or(bytes.len(), |end| end + 1);
        file.consume(length);
        skipped += length as u64;
        if end.is_some() {
            return Ok(None);
        }
    }
}

/// A file's lines from an offset backwards, one in memory at a time.
pub(super) struct Backwards {
    file: File,
    /// Where `bytes` begin in the file.
    from: u64,
    bytes: Vec<u8>,
    block: u64,
    started: bool,
}

impl Backwards {
    /// Before an offset, where a line must have ended.
    pub(super) fn from(file: File, offset: u64) -> Self {
        Self { file, from: offset, bytes: Vec::new(), block: 16 * 1024, started: false }
    }

    /// The line before, without its line feed; nothing at the file's beginning.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if !self.started && !self.bytes.is_empty() {
                // The line feed of the last line.
                self.bytes.pop();
                self.started = true;
            }
            if self.started
                && let Some(end) = memchr::memrchr(b'\n', &self.bytes)
            {
                let line = self.bytes.split_off(end + 1);
                self.bytes.truncate(end);
                return Ok(Some(line));
            }
            if self.from == 0 {
                return Ok((self.started).then(|| {
                    self.started = false;
                    std::mem::take(&mut self.bytes)
                }));
            }
            if self.bytes.len() as u64 > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than any event"));
            }
            self.read_before()?;
        }
    }

    fn read_before(&mut self) -> io::Result<()> {
        let length = self.block.min(self.from);
        self.from -= length;
        // A long line is not read again for each block of it.
        self.block = if self.bytes.len() as u64 >= self.block { self.block * 2 } else { self.block };
        let mut before = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.file.seek(SeekFrom::Start(self.from))?;
        self.file.read_exact(&mut before)?;
        before.append(&mut self.bytes);
        self.bytes = before;
        Ok(())
    }
}
