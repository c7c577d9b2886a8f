//! Secret keys in bech32 (BIP 173; BIP 350): identities of age, `nsec` of Nostr. Six symbols of a checksum stand
//! behind the data.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const CHECKSUM: usize = 6;
/// What the checksum comes to, in the first version and in the second.
const SUMS: [u32; 2] = [1, 0x2bc8_30a3];
/// What the names of secret keys have in them.
const SECRET: [&str; 3] = ["sec", "prv", "priv"];

/// The bytes of a secret key.
pub(in crate::redact::parts) fn secret(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lower = text.to_ascii_lowercase();
    if lower != text && text.to_ascii_uppercase() != text {
        return None;
    }
    let (name, symbols) = lower.rsplit_once('1')?;
    if !SECRET.iter().any(|part| name.contains(part)) || symbols.len() <= CHECKSUM {
        return None;
    }
    let value = |symbol: u8| ALPHABET.iter().zip(0u8..).find(|(known, _)| **known == symbol).map(|(_, n)| n);
    let values = Zeroizing::new(symbols.bytes().map(value).collect::<Option<Vec<u8>>>()?);
    let of_name = name.bytes().map(|byte| byte >> 5).chain([0]).chain(name.bytes().map(|byte| byte & 31));
    let sum = of_name.chain(values.iter().copied()).fold(1, step);
    SUMS.contains(&sum).then(|| bytes(&values[..values.len() - CHECKSUM]))
}

fn step(sum: u32, value: u8) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
    let chosen = GENERATOR.iter().enumerate().filter(|(bit, _)| sum >> (25 + bit) & 1 == 1);
    chosen.fold(next, |next, (_, generator)| next ^ generator)
}

/// Eight bits out of five; what is left over at the end is filling.
fn bytes(values: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(values.len()));
    let (mut held, mut bits) = (0u32, 0);
    for value in values {
        held = (held << 5 | u32::from(*value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    bytes
}
