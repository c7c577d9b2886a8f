//! WebSockets (RFC 6455): frames are read and written anew in both directions. What the host sends is scrubbed
//! message by message, across fragments; no extension is offered, so nothing is compressed.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, Version, header};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::{
    body::scrub_away,
    ledger::Entry,
    run::Shared,
    substitute::{self, Replacements, WHOLE_BODY},
};
use crate::redact::Redactor;

/// Payload bytes that are looked at together.
const CHUNK: usize = 16 << 10;
/// The longest payload of a control frame (section 5.5).
const CONTROL: usize = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The program's side of a WebSocket that it asks for.
pub(super) struct Asked {
    program: OnUpgrade,
    replacements: Replacements,
}

impl Asked {
    /// What is replaced in its text messages.
    pub(super) fn with(self, replacements: Replacements) -> Self {
        Self { replacements, ..self }
    }
}

/// Whether a request asks for a WebSocket (section 4.2.1).
pub(super) fn asked(request: &mut Request<Incoming>) -> Option<Asked> {
    let headers = request.headers();
    let upgrade = headers.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let key = headers.contains_key(header::SEC_WEBSOCKET_KEY);
    let asks = upgrade && key && request.method() == Method::GET && request.version() == Version::HTTP_11;
    asks.then(|| Asked { program: hyper::upgrade::on(request), replacements: Vec::new() })
}

/// The record of a WebSocket, completed when it ends, whatever ended it.
struct Noted {
    entry: Entry,
    tally: Arc<Tally>,
}

#[derive(Default)]
pub(super) struct Tally {
    sent: AtomicU64,
    received: AtomicU64,
    scrubs: AtomicU64,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let record = self.entry.record();
        record.sent = self.tally.sent.load(Ordering::Relaxed);
        record.received = self.tally.received.load(Ordering::Relaxed);
        record.scrubs += self.tally.scrubs.load(Ordering::Relaxed);
    }
}

/// Joins both sides, until one of them ends.
pub(super) async fn relay(run: Shared, asked: Asked, host: OnUpgrade, entry: Entry) {
    let noted = Noted { entry, tally: Arc::default() };
    let (Ok(program), Ok(host)) = tokio::join!(asked.program, host) else { return };
    let (from_program, to_program) = tokio::io::split(TokioIo::new(program));
    let (from_host, to_host) = tokio::io::split(TokioIo::new(host));
    let tally = &noted.tally;
    // A side that breaks the protocol ends it for both: there is nobody to tell but them.
    tokio::select! {
        _ = downstream(&run, from_host, to_program, tally) => {}
        _ = upstream(&run, &asked.replacements, from_program, to_host, tally) => {}
    }
}

/// The head of a frame (section 5.2).
struct Head {
    end: End,
    opcode: u8,
    mask: Option<[u8; 4]>,
    length: u64,
}

/// Whether a frame is the last of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Last,
    More,
}

/// Who sent a frame: programs mask theirs, hosts don't (section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Program,
    Host,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Head {
    async fn read(from: &mut (impl AsyncRead + Unpin), by: By, open: Option<u8>) -> io::Result<Self> {
        let [first, second] = [from.read_u8().await?, from.read_u8().await?];
        let length = match second & 0x7f {
            126 => u64::from(from.read_u16().await?),
            127 => from.read_u64().await?,
            short => u64::from(short),
        };
        let masked = second & 0x80 != 0;
        if masked != (by == By::Program) || first & 0x70 != 0 || length > i64::MAX as u64 {
            return Err(broken("a frame that is masked the wrong way, extended, or too long"));
        }
        let mut mask = [0; 4];
        if masked {
            from.read_exact(&mut mask).await?;
        }
        let end = if first & 0x80 != 0 { End::Last } else { End::More };
        let head = Self { end, opcode: first & 0x0f, mask: masked.then_some(mask), length };
        let fits = match (head.opcode, open) {
            (CONTINUATION, Some(_)) | (TEXT | BINARY, None) => true,
            (CLOSE | PING | PONG, _) => end == End::Last && length <= CONTROL as u64,
            _ => false,
        };
        if fits { Ok(head) } else { Err(broken("a frame out of order")) }
    }

    fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }
}

/// Reads the next bytes of a payload, without its mask.
async fn payload(
    from: &mut (impl AsyncRead + Unpin),
    head: &Head,
    at: u64,
) -> io::Result<Zeroizing<Vec<u8>>> {
    let left = usize::try_from(head.length - at).unwrap_or(CHUNK).min(CHUNK);
    let mut bytes = Zeroizing::new(vec![0; left]);
    from.read_exact(&mut bytes).await?;
    if let Some(mask) = head.mask {
        for (byte, offset) in bytes.iter_mut().zip(at..) {
            *byte ^= mask[(offset % 4) as usize];
        }
    }
    Ok(bytes)
}

async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    by: By,
    opcode: u8,
    end: End,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = Zeroizing::new(Vec::with_capacity(payload.len() + 14));
    frame.push(opcode | if end == End::Last { 0x80 } else { 0 });
    let masked = if by == By::Program { 0x80 } else { 0 };
    match payload.len() {
        short @ 0..=125 => frame.push(masked | short as u8),
        middle @ 126..=0xffff => {
            frame.push(masked | 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(masked | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    if by == By::Program {
        let mut mask = [0; 4];
        getrandom::fill(&mut mask)
            .map_err(|_| io::Error::other("the operating system gives no randomness"))?;
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        frame.extend_from_slice(payload);
    }
    to.write_all(&frame).await?;
    to.flush().await
}

/// From the host to the program: every message scrubbed.
pub(super) async fn downstream(
    run: &Shared,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    tally: &Tally,
) -> io::Result<()> {
    let mut message: Option<(u8, Redactor)> = None;
    loop {
        let head = Head::read(&mut from, By::Host, message.as_ref().map(|(opcode, _)| *opcode)).await?;
        if head.is_control() {
            let bytes = payload(&mut from, &head, 0).await?;
            let clean = control(run, head.opcode, &bytes, tally);
            write(&mut to, By::Host, head.opcode, End::Last, &clean).await?;
            continue;
        }
        let (mut opcode, mut redactor) =
            message.take().unwrap_or_else(|| (head.opcode, run.masks.needles.scrubber()));
        let mut at = 0;
        loop {
            let bytes = payload(&mut from, &head, at).await?;
            at += bytes.len() as u64;
            let scrubbed = scrub_away(redactor, Bytes::copy_from_slice(&bytes)).await;
            let (back, mut clean) = scrubbed.map_err(io::Error::other)?;
            redactor = back;
            let end = if at == head.length { head.end } else { End::More };
            if end == End::Last {
                redactor.finish(&mut clean);
                tally.scrubs.fetch_add(redactor.counts().total(), Ordering::Relaxed);
            }
            if end == End::Last || !clean.is_empty() {
                tally.received.fetch_add(clean.len() as u64, Ordering::Relaxed);
                write(&mut to, By::Host, opcode, end, &clean).await?;
                opcode = CONTINUATION;
            }
            if at == head.length {
                break;
            }
        }
        if head.end == End::More {
            message = Some((opcode, redactor));
        }
    }
}

/// Pings, pongs and the reason of a close are short, and scrubbed as a whole.
fn control(run: &Shared, opcode: u8, bytes: &[u8], tally: &Tally) -> Vec<u8> {
    let (code, text) = bytes.split_at(if opcode == CLOSE { bytes.len().min(2) } else { 0 });
    let mut redactor = run.masks.needles.scrubber();
    let mut clean = code.to_vec();
    redactor.push(text, &mut clean);
    redactor.finish(&mut clean);
    tally.scrubs.fetch_add(redactor.counts().total(), Ordering::Relaxed);
    clean
}

/// From the program to the host: text messages are read whole where something is replaced in them.
pub(super) async fn upstream(
    run: &Shared,
    replacements: &Replacements,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    tally: &Tally,
) -> io::Result<()> {
    let mut open: Option<u8> = None;
    let mut text: Zeroizing<Vec<u8>> = Zeroizing::default();
    loop {
        let head = Head::read(&mut from, By::Program, open).await?;
        let replaced = !replacements.is_empty() && open.unwrap_or(head.opcode) == TEXT && !head.is_control();
        let mut opcode = head.opcode;
        let mut at = 0;
        loop {
            let bytes = payload(&mut from, &head, at).await?;
            at += bytes.len() as u64;
            tally.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            let end = if at == head.length { head.end } else { End::More };
            if replaced {
                if text.len() + bytes.len() > WHOLE_BODY {
                    return Err(broken("a message that is too long to be replaced in"));
                }
                text.extend_from_slice(&bytes);
                if end == End::Last {
                    if !run.is_allowed().await {
                        return Err(broken("a message of a run that has ended"));
                    }
                    let whole = std::mem::take(&mut text);
                    write(&mut to, By::Program, TEXT, End::Last, &in_text(whole, replacements)).await?;
                }
            } else {
                write(&mut to, By::Program, opcode, end, &bytes).await?;
                opcode = if head.is_control() { opcode } else { CONTINUATION };
            }
            if at == head.length {
                break;
            }
        }
        if !head.is_control() {
            open = if head.end == End::Last { None } else { Some(open.unwrap_or(head.opcode)) };
        }
    }
}

/// Values for placeholders; inside of JSON as JSON has them.
fn in_text(text: Zeroizing<Vec<u8>>, replacements: &Replacements) -> Zeroizing<Vec<u8>> {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
    replacements.iter().fold(text, |text, (placeholder, value)| {
        let encoded = substitute::json(value).filter(|_| is_json);
        let value = encoded.as_ref().unwrap_or(value);
        substitute::replace(&text, placeholder.as_bytes(), value)
    })
}
