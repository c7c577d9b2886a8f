//! Secret keys of OpenPGP (RFC 9580, section 5.5.3): the secret part of each secret key packet.

use std::ops::Range;

use super::{cursor::Cursor, number::Number, remainder::completed};

/// Packets of a secret key and of a secret subkey.
const SECRET: [usize; 2] = [5, 7];
/// A number of fields: with two bytes of bits before each (section 3.2), or of so many bytes.
#[derive(Clone, Copy)]
enum Field {
    Bits,
    Bytes(usize),
    /// What a length of one byte stands before.
    Short,
}

use Field::{Bits, Bytes, Short};

/// Algorithms (section 9.1): public fields, and the names of the private ones with how they are written.
const RSA: (&[Field], &[(&str, Field)]) = (
    &[Bits, Bits],
    &[("private exponent", Bits), ("prime 1", Bits), ("prime 2", Bits), ("coefficient", Bits)],
);

pub(super) fn private(bytes: &[u8]) -> Option<Vec<Number>> {
    let mut packets = Cursor::of(bytes);
    let mut numbers = Vec::new();
    while !packets.is_empty() {
        let (tag, content) = packet(&mut packets)?;
        if SECRET.contains(&tag) {
            numbers.extend(key(packets.inside(content))?);
        }
    }
    (!numbers.is_empty()).then_some(numbers)
}

/// A packet of either format (section 4.2), its length in one piece.
fn packet(packets: &mut Cursor<'_>) -> Option<(usize, Range<usize>)> {
    let first = packets.number(1)?;
    match first {
        0x80..0xc0 => {
            let length = [1, 2, 4].get(first & 3)?;
            Some((first >> 2 & 0xf, packets.counted(*length)?))
        }
        0xc0.. => {
            let length = match packets.number(1)? {
                short @ 0..192 => short,
                long @ 192..224 => (long - 192) * 256 + packets.number(1)? + 192,
                255 => packets.number(4)?,
                _ => return None,
            };
            Some((first & 0x3f, packets.take(length)?))
        }
        _ => None,
    }
}

fn key(mut packet: Cursor<'_>) -> Option<Vec<Number>> {
    let version = packet.number(1)?;
    matches!(version, 4 | 6).then_some(())?;
    packet.take(4)?;
    let algorithm = packet.number(1)?;
    if version == 6 {
        packet.take(4)?;
    }
    let (public, private) = fields(algorithm)?;
    for field in public {
        take(&mut packet, *field)?;
    }
    // How it is encrypted; 0 is not at all.
    if packet.number(1)? != 0 {
        return Some(Number::at("encrypted key", packet.all, packet.rest()).into_iter().collect());
    }
    let mut numbers = Vec::new();
    for (name, field) in private {
        let at = take(&mut packet, *field)?;
        numbers.extend(Number::at(name, packet.all, at));
    }
    // Of Curve25519 and its kin the older form has the bytes in the other order than everybody else.
    let turned = if algorithm == 18 { numbers.first().map(Number::turned) } else { None };
    numbers.extend(turned);
    Some(completed(numbers))
}

fn fields(algorithm: usize) -> Option<(&'static [Field], &'static [(&'static str, Field)])> {
    let one = |length: usize| match length {
        32 => &[("private number", Bytes(32))],
        56 => &[("private number", Bytes(56))],
        _ => &[("private number", Bytes(57))],
    };
    Some(match algorithm {
        1..=3 => RSA,
        16 => (&[Bits, Bits, Bits], &[("private number", Bits)]),
        17 => (&[Bits, Bits, Bits, Bits], &[("private number", Bits)]),
        18 => (&[Short, Bits, Short], &[("private number", Bits)]),
        19 | 22 => (&[Short, Bits], &[("private number", Bits)]),
        25 | 27 => (&[Bytes(32)], one(32)),
        26 => (&[Bytes(56)], one(56)),
        28 => (&[Bytes(57)], one(57)),
        _ => return None,
    })
}

fn take(packet: &mut Cursor<'_>, field: Field) -> Option<Range<usize>> {
    match field {
        Bits => {
            let bits = packet.number(2)?;
            packet.take(bits.div_ceil(8))
        }
        Bytes(length) => packet.take(length),
        Short => packet.counted(1),
    }
}
