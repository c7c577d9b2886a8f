//! What people type without choosing: sequences, walks on a keyboard, dates, and what stands there already.

/// A piece of a text that is guessed as one, and the bits that it takes.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub(super) length: usize,
    pub(super) bits: f64,
}

/// The pieces that begin at a place.
pub(super) fn steps(text: &[u8], at: usize) -> impl Iterator<Item = Step> {
    let rest = &text[at..];
    sequence(rest).into_iter().chain(walk(rest)).chain(date(rest)).chain(copy(text, at))
}

#[expect(clippy::cast_precision_loss, reason = "a length of at most a chunk")]
fn log2(length: usize) -> f64 {
    (length as f64).log2()
}

/// The shortest sequence, and the shortest repeat.
const SHORTEST: usize = 3;
/// The shortest walk.
const SHORTEST_WALK: usize = 4;

/// Letters or digits that count, up or down; behind 9 comes 0.
fn sequence(rest: &[u8]) -> Option<Step> {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    let next = |a: u8, b: u8| {
        if !a.is_ascii_alphanumeric() || !b.is_ascii_alphanumeric() {
            return 0;
        }
        let (from, to) = (lower(a), lower(b));
        match () {
            () if to == from + 1 || (a, b) == (b'9', b'0') => 1,
            () if from == to + 1 || (a, b) == (b'0', b'9') => -1,
            () => 0,
        }
    };
    let way = next(*rest.first()?, *rest.get(1)?);
    let pairs = rest.windows(2).take_while(|pair| way != 0 && next(pair[0], pair[1]) == way);
    let length = 1 + pairs.count();
    (length >= SHORTEST).then(|| Step { length, bits: 4.0 + log2(length) })
}

/// Rows, columns and zigzags of keyboards: QWERTY, QWERTZ and AZERTY.
const WALKS: &[&[u8]] = &[
    b"qwertyuiop[]",
    b"qwertzuiop",
    b"azertyuiop",
    b"asdfghjkl;'",
    b"qsdfghjklm",
    b"zxcvbnm,./",
    b"yxcvbnm",
    b"wxcvbn",
    b"1234567890-=",
    b"!@#$%^&*()_+",
    b"1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
    b"1q2w3e4r5t6y7u8i9o0p",
    b"qazwsxedcrfvtgbyhnujmikolp",
    b"zaq1xsw2cde3vfr4bgt5nhy6mju7ki8lo9p0",
    b"!qaz@wsx#edc$rfv%tgb^yhn",
    b"147258369",
    b"159753",
];

fn walk(rest: &[u8]) -> Option<Step> {
    let first = rest.first()?.to_ascii_lowercase();
    let along = |keys: &mut dyn Iterator<Item = &u8>| {
        rest.iter().zip(keys).take_while(|(byte, key)| byte.to_ascii_lowercase() == **key).count()
    };
    let starts = WALKS.iter().flat_map(|keys| {
        let places = (0..keys.len()).filter(move |at| keys[*at] == first);
        places.map(move |at| along(&mut keys[at..].iter()).max(along(&mut keys[..=at].iter().rev())))
    });
    let length = starts.max().filter(|length| *length >= SHORTEST_WALK)?;
    Some(Step { length, bits: 7.0 + log2(length) })
}

/// Bits of a day within the years that people write.
const DAY: f64 = 14.0;
const YEAR: f64 = 7.0;

/// A day, with or without marks between its parts; or a year.
fn date(rest: &[u8]) -> Option<Step> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = |from: usize, to: usize| -> u32 {
        rest[from..to].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
    };
    let (year, month, day) =
        (|n: u32| (1900..2100).contains(&n), |n: u32| (1..=12).contains(&n), |n: u32| (1..=31).contains(&n));
    let pair = |one: u32, two: u32| (month(one) && day(two)) || (day(one) && month(two));
    if digits >= 8
        && ((year(number(0, 4)) && pair(number(4, 6), number(6, 8)))
            || (pair(number(0, 2), number(2, 4)) && year(number(4, 8))))
    {
        return Some(Step { length: 8, bits: DAY });
    }
    if digits == 6 && (pair(number(2, 4), number(4, 6)) || pair(number(0, 2), number(2, 4))) {
        return Some(Step { length: 6, bits: DAY });
    }
    marked(rest).or_else(|| (digits >= 4 && year(number(0, 4))).then_some(Step { length: 4, bits: YEAR }))
}

/// `2026-11-26`, `26.11.2026`, `11/26/26`.
fn marked(rest: &[u8]) -> Option<Step> {
    let part =
        |from: usize| rest[from.min(rest.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let first = part(0);
    let mark = *rest.get(first).filter(|byte| b"-/._ ".contains(byte))?;
    let second = part(first + 1);
    if rest.get(first + 1 + second) != Some(&mark) {
        return None;
    }
    let third = part(first + second + 2);
    let fits = |length: usize| (1..=2).contains(&length) || length == 4;
    let whole = fits(first) && (1..=2).contains(&second) && fits(third);
    whole.then_some(Step { length: first + second + third + 2, bits: DAY })
}

/// What stands there a second time.
fn copy(text: &[u8], at: usize) -> Option<Step> {
    let same = |back: usize| (at..text.len()).take_while(|i| text[*i] == text[*i - back]).count();
    let all = (1..=at).map(|back| (back, same(back))).filter(|(_, length)| *length >= SHORTEST);
    let steps = all.map(|(back, length)| Step { length, bits: 1.0 + log2(back + 1) + log2(length) });
    steps.min_by(|a, b| (a.bits / log2(a.length + 1)).total_cmp(&(b.bits / log2(b.length + 1))))
}
