//! Messages of the domain name system (RFC 1035, section 4), as far as a run's resolver needs them: a query of one
//! question is read, and answered from what the policy names. Nothing is asked anywhere else.

use std::net::Ipv4Addr;

const HEADER: usize = 12;
/// The longest name, with its lengths (RFC 1035, section 2.3.4).
const LONGEST_NAME: usize = 255;
/// Types and the class (RFC 1035, sections 3.2.2 to 3.2.4).
const A: u16 = 1;
const ANY: u16 = 255;
const INTERNET: u16 = 1;
/// Bits of the second half of a header's flags, and above (section 4.1.1).
const IS_ANSWER: u8 = 0x80;
const OPERATION: u8 = 0x78;
const RECURSION_DESIRED: u8 = 0x01;
const RECURSION_AVAILABLE: u8 = 0x80;
/// How long an address may be kept, in seconds: it holds as long as the run, whose processes alone ask.
const KEPT: u32 = 60;

/// What an answer says of a question (section 4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    NoError = 0,
    Malformed = 1,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// Answers a query; nothing for what is none.
pub(super) fn answer(query: &[u8], address_of: impl FnOnce(&str) -> Option<Ipv4Addr>) -> Option<Vec<u8>> {
    let header: &[u8; HEADER] = query.first_chunk()?;
    if header[2] & IS_ANSWER != 0 {
        return None;
    }
    if header[2] & OPERATION != 0 {
        return Some(without_question(header, Code::NotImplemented));
    }
    // One question, no answers; what is additional is options (RFC 6891), of which none is needed.
    let question = query.get(HEADER..).filter(|_| header[4..10] == [0, 1, 0, 0, 0, 0]).and_then(question);
    let Some(question) = question else { return Some(without_question(header, Code::Malformed)) };
    if question.class != INTERNET {
        return Some(with_question(header, &question, Code::Refused, None));
    }
    Some(match (address_of(&question.name), question.kind) {
        (None, _) => with_question(header, &question, Code::NoSuchName, None),
        (found, A | ANY) => with_question(header, &question, Code::NoError, found),
        // There is no other kind of address, and nothing that says how a host is reached better (RFC 2308, section 2.2).
        (Some(_), _) => with_question(header, &question, Code::NoError, None),
    })
}

struct Question<'a> {
    /// Lower-case, without a final dot.
    name: String,
    kind: u16,
    class: u16,
    /// As it was asked: some clients look whether letters came back as they were written.
    written: &'a [u8],
}

fn question(bytes: &[u8]) -> Option<Question<'_>> {
    let mut labels: Vec<String> = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        // Above 63 it is no label but a pointer, which leads nowhere in a question (section 4.1.4).
        match length {
            0 => break,
            1..=63 if at + length < LONGEST_NAME => {}
            _ => return None,
        }
        let label = bytes.get(at..at + length)?;
        let plain = label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        // A name that no policy can name is one that is not there.
        labels.push(if plain { String::from_utf8_lossy(label).to_ascii_lowercase() } else { String::new() });
        at += length;
    }
    let [kind, more, class, last] = *bytes.get(at..)?.first_chunk()?;
    Some(Question {
        name: labels.join("."),
        kind: u16::from_be_bytes([kind, more]),
        class: u16::from_be_bytes([class, last]),
        written: bytes.get(..at + 4)?,
    })
}

fn header_of(query: &[u8; HEADER], code: Code, questions: u8, answers: u8) -> Vec<u8> {
    let [first, second, flags, ..] = *query;
    let flags = IS_ANSWER | (flags & (OPERATION | RECURSION_DESIRED));
    vec![first, second, flags, RECURSION_AVAILABLE | code as u8, 0, questions, 0, answers, 0, 0, 0, 0]
}

fn without_question(query: &[u8; HEADER], code: Code) -> Vec<u8> {
    header_of(query, code, 0, 0)
}

fn with_question(
    query: &[u8; HEADER],
    question: &Question<'_>,
    code: Code,
    address: Option<Ipv4Addr>,
) -> Vec<u8> {
    let mut message = header_of(query, code, 1, u8::from(address.is_some()));
    message.extend_from_slice(question.written);
    if let Some(address) = address {
        // The name is the one behind the header.
        message.extend_from_slice(&[0xc0, HEADER as u8]);
        message.extend_from_slice(&A.to_be_bytes());
        message.extend_from_slice(&INTERNET.to_be_bytes());
        message.extend_from_slice(&KEPT.to_be_bytes());
        message.extend_from_slice(&4_u16.to_be_bytes());
        message.extend_from_slice(&address.octets());
    }
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(name: &str, kind: u16) -> Vec<u8> {
        let mut bytes = vec![7, 9, RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label.as_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&INTERNET.to_be_bytes());
        bytes
    }

    fn known(name: &str) -> Option<Ipv4Addr> {
        (name == "api.example.com").then_some(Ipv4Addr::new(127, 0, 1, 7))
    }

    /// The code, how many answers, and the last four bytes.
    fn told(query: &[u8]) -> (u8, u8, Vec<u8>) {
        let answer = answer(query, known).unwrap();
        assert_eq!(answer[..2], query[..2], "the same exchange");
        assert_eq!(answer[2] & IS_ANSWER, IS_ANSWER);
        (answer[3] & 0x0f, answer[7], answer[answer.len() - 4..].to_vec())
    }

    #[test]
    fn a_host_of_the_policy_has_an_address_and_nothing_else() {
        for name in ["api.example.com", "API.Example.com"] {
            let asked = query(name, A);
            assert_eq!(told(&asked), (0, 1, vec![127, 0, 1, 7]), "{name}");
            let answered = answer(&asked, known).unwrap();
            assert_eq!(answered[HEADER..asked.len()], asked[HEADER..], "the question as it was written");
        }
        for kind in [2, 5, 6, 12, 15, 16, 28, 33, 64, 65] {
            let (code, answers, _) = told(&query("api.example.com", kind));
            assert_eq!((code, answers), (0, 0), "{kind}");
        }
    }

    #[test]
    fn any_other_name_is_not_there() {
        for name in ["example.com", "api.example.com.evil", "x", "api.example\0com", "api example.com"] {
            for kind in [A, 28, 12] {
                let (code, answers, _) = told(&query(name, kind));
                assert_eq!((code, answers), (3, 0), "{name:?} {kind}");
            }
        }
    }

    #[test]
    fn what_is_no_query_of_one_question_is_refused_or_dropped() {
        let good = query("api.example.com", A);
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        assert_eq!(
            answer(&with(2, IS_ANSWER), known),
            None,
            "an answer is not answered: two would go on for ever"
        );
        assert_eq!(answer(&good[..11], known), None);
        assert_eq!(told(&with(2, 0x10)).0, 4, "another operation");
        for (at, byte) in [(5, 0), (5, 2), (7, 1), (9, 1), (12, 0xc0), (12, 64), (12, 200)] {
            assert_eq!(told(&with(at, byte)).0, 1, "{at} {byte}");
        }
        assert_eq!(told(&with(good.len() - 1, 3)).0, 5, "another class");
        assert_eq!(told(&query(&["a".repeat(63).as_str(); 5].join("."), A)).0, 1, "too long a name");
        for cut in HEADER..good.len() {
            assert_eq!(told(&good[..cut]).0, 1, "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_within_bounds(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            behind in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            // As they are, and behind a header that is good.
            let begun = [&[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], &behind[..]].concat();
            for bytes in [bytes, begun] {
                let answered = answer(&bytes, |_| Some(Ipv4Addr::LOCALHOST));
                prop_assert!(answered.is_none_or(|answer| answer.len() <= bytes.len() + 16));
            }
        }
    }
}
