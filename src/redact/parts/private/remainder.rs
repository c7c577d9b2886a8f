//! What follows of an RSA key: formats of SSH and PGP leave out what PKCS#1 and JWK have, and tools work it out.

use zeroize::Zeroizing;

use super::number::Number;

/// The largest prime that is worked with: of a key of 16,384 bits.
const LONGEST: usize = 1024;

/// A key with everything that follows from it.
pub(super) fn completed(mut numbers: Vec<Number>) -> Vec<Number> {
    let more = exponents(&numbers);
    numbers.extend(more);
    numbers
}

/// The exponents of both primes: d mod (p - 1), d mod (q - 1). With one of them anybody factors the modulus.
fn exponents(numbers: &[Number]) -> Vec<Number> {
    let named = |name: &str| numbers.iter().find(|number| number.name == name);
    let Some(d) = named("private exponent") else { return Vec::new() };
    let exponents = [("exponent 1", named("prime 1")), ("exponent 2", named("prime 2"))];
    let worked_out = exponents.into_iter().filter_map(|(name, prime)| {
        let prime = &prime?.bytes;
        let fits = prime.len() <= LONGEST && d.bytes.len() <= 2 * LONGEST;
        fits.then(|| Number::worked_out(name, remainder(&d.bytes, &less_one(prime))))?
    });
    worked_out.collect()
}

/// One less than an odd number.
fn less_one(number: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut less = Zeroizing::new(number.to_vec());
    if let Some(last) = less.last_mut() {
        *last &= 0xfe;
    }
    less
}

/// The rest of a division, bit by bit; big-endian. The divisor does not begin with zero.
fn remainder(number: &[u8], divisor: &[u8]) -> Zeroizing<Vec<u8>> {
    // One byte more: a rest that was doubled.
    let mut rest = Zeroizing::new(vec![0u8; divisor.len() + 1]);
    let mut divisor = Zeroizing::new(divisor.to_vec());
    divisor.insert(0, 0);
    for bit in number.iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1)) {
        double(&mut rest, bit);
        if *rest >= *divisor {
            subtract(&mut rest, &divisor);
        }
    }
    rest
}

fn double(number: &mut [u8], mut carry: u8) {
    for byte in number.iter_mut().rev() {
        let over = *byte >> 7;
        *byte = *byte << 1 | carry;
        carry = over;
    }
}

fn subtract(number: &mut [u8], other: &[u8]) {
    let mut borrow = false;
    for (byte, other) in number.iter_mut().zip(other).rev() {
        let (less, first) = byte.overflowing_sub(*other);
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        *byte = less;
        borrow = first || second;
    }
}
