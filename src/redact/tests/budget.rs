//! What a hostile stream costs, counted in bytes and not in time, and what it is not looked into for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

use super::{
    super::{Redactor, views::Budget},
    set,
};

const VALUE: &[u8] = b"sk-live/9fQ2xT7vLm4Z+kW8";

/// What a stream leaves: its output, and its redactor.
fn through(stream: impl Iterator<Item = Vec<u8>>) -> (Vec<u8>, Redactor) {
    let mut redactor = set(&[VALUE]).redactor();
    let mut out = Vec::new();
    for chunk in stream {
        redactor.push(&chunk, &mut out);
        let spent = redactor.budget();
        // What is under way when the budget ends is finished: a batch of each try.
        let most = Budget::ONCE + Budget::A_BYTE * spent.read + (64 << 10);
        assert!(spent.cost() <= most && most == spent.most(), "{spent:?}");
        // Eight heads at a time look at each byte once, and one that takes the place of another at its own beginning:
        // at each byte that is read, and at each that was unpacked and is looked through.
        assert!(spent.judged <= 9 * (spent.read + spent.spent), "{spent:?}");
    }
    redactor.finish(&mut out);
    (out, redactor)
}

fn over_and_over(piece: &[u8], bytes: usize) -> impl Iterator<Item = Vec<u8>> {
    let chunk = piece.repeat((64 << 10) / piece.len() + 1);
    let chunks = bytes / chunk.len() + 1;
    std::iter::repeat_n(chunk, chunks)
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut all = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    all.extend(compress_to_vec(data, 6));
    all.extend([0; 8]);
    all
}

/// Documents with the value somewhere in them, as compressors see them every day.
fn document() -> Vec<u8> {
    let mut text: Vec<u8> =
        (0..200).flat_map(|n| format!("line {n} of a document, {}\n", n * 7919).into_bytes()).collect();
    text.extend_from_slice(VALUE);
    text
}

#[test]
fn a_stream_of_beginnings_costs_what_any_stream_does() {
    for piece in [
        b"x\x9c".as_slice(),
        b"x\x01",
        b"x\xda",
        b"H4sI",
        b"H4sI\n",
        b"eJw ",
        b"789c ",
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\x08aaaaaaaaaaaaaaaa",
        b"x\x01\x00\xff\xff\x00\x00",
        b"x\x9c\x03\x00 ",
        b"x\x9cKLJ ",
    ] {
        let (out, redactor) = through(over_and_over(piece, 256 << 10));
        assert_eq!(redactor.counts().total(), 0, "{piece:?}");
        assert!(out.len() >= 256 << 10, "nothing of it is held back or lost: {piece:?}");
    }
}

/// What takes megabytes that have to be cleared is set up for one in so many bytes, whatever a program writes.
#[test]
fn a_stream_of_beginnings_clears_little_memory() {
    for piece in [b"BZh91AY&SY ".as_slice(), b"BZh11AY&SY", b"\x28\xb5\x2f\xfd\x04\x00\x01\0\0"] {
        let (_, redactor) = through(over_and_over(piece, 1 << 20));
        let budget = redactor.budget();
        assert!(budget.tries <= 128 + budget.read / 4096 + 1, "{budget:?}");
        assert!(!redactor.not_looked_into().is_empty(), "{piece:?}");
    }
}

/// A header whose name, comment or extra field doesn't end, behind decoys that are as long.
#[test]
fn each_head_looks_at_each_byte_once() {
    let flags = [0x04, 0x08, 0x10, 0x18, 0x1a, 0x1e];
    let headers = flags.map(|flags| [b"\x1f\x8b\x08".as_slice(), &[flags, 1, 1, 1, 1, 1, 1]].concat());
    for header in headers {
        for behind in [b"".as_slice(), b"a", &[b'n'; 900], &[b'n'; 5000]] {
            let plain = [&header, behind].concat();
            let base64 = format!("{}\n", STANDARD.encode(&plain)).into_bytes();
            for piece in [plain, base64] {
                let (_, redactor) = through(over_and_over(&piece, 64 << 10));
                assert_eq!(redactor.counts().total(), 0);
            }
        }
    }
}

/// What a program can put into the header of real data takes nothing from it.
#[test]
fn data_is_looked_into_behind_any_header() {
    let body = compress_to_vec(&document(), 6);
    let name = [b"a-name".as_slice(), b"\0"].concat();
    let longest = [vec![b'n'; 1000], vec![0]].concat();
    let extra = [b"\x10\x27".as_slice(), &[b'e'; 10_000]].concat();
    let no_extra = b"\0\0".to_vec();
    let check = b"\x12\x34".to_vec();
    for (flags, fields) in [
        (0x00, vec![]),
        (0x02, vec![&check]),
        (0x04, vec![&extra]),
        (0x04, vec![&no_extra]),
        (0x08, vec![&name]),
        (0x10, vec![&longest]),
        (0x18, vec![&longest, &name]),
        (0x1e, vec![&extra, &name, &longest, &check]),
        (0x1e, vec![&no_extra, &name, &name, &check]),
    ] {
        let mut data = vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        fields.iter().for_each(|field| data.extend_from_slice(field));
        data.extend_from_slice(&body);
        data.extend([0; 8]);
        let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [data.clone(), STANDARD.encode(&data).into_bytes(), hex.into_bytes()] {
            for size in [1, 7, 1 << 20] {
                let (out, redactor) = through(text.chunks(size).map(<[u8]>::to_vec));
                assert_eq!(redactor.counts().total(), 1, "flags {flags:#x}, chunks of {size}");
                assert!(out.len() < text.len() / 2, "flags {flags:#x}, chunks of {size}");
            }
        }
    }
}

#[test]
fn what_inflates_without_end_is_given_up_and_said() {
    let zeros = compress_to_vec_zlib(&vec![0; 900_000], 9);
    let (out, redactor) = through(over_and_over(&zeros, 128 << 10));
    assert!(out.len() >= 128 << 10);
    let given_up = redactor.not_looked_into();
    assert!(given_up["zlib"] > 0 && given_up.len() == 1, "{given_up:?}");
    let in_base64 = format!("{}\n", STANDARD.encode(gzip(&vec![b'a'; 900_000])));
    let (_, redactor) = through(over_and_over(in_base64.as_bytes(), 128 << 10));
    assert!(redactor.not_looked_into()["gzip"] > 0);
    let bomb = compress_to_vec_zlib(&vec![0; 30_000_000], 9);
    let (_, redactor) = through(std::iter::once(bomb));
    assert!(redactor.not_looked_into()["zlib"] > 0, "more than 1 MiB is not inflated");
}

/// Whatever a program puts before data, or around it, so that it is not followed is said.
#[test]
fn what_is_not_followed_is_said() {
    let long = |length: usize| [vec![b'n'; length], vec![0]].concat();
    let header = |flags: u8| vec![0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    let body = [compress_to_vec(&document(), 6), vec![0; 8]].concat();
    let zip = |method: u8, name: usize| {
        let lengths = [(name as u16).to_le_bytes(), [0, 0]].concat();
        let fixed = [b"PK\x03\x04\x14\0\0\0".as_slice(), &[method, 0], &[0; 16], &lengths].concat();
        [fixed, vec![b'n'; name], compress_to_vec(&document(), 6)].concat()
    };
    let within = |data: Vec<u8>, layers: usize| (0..layers).fold(data, |data, _| gzip(&data));
    let tiny = within([compress_to_vec_zlib(VALUE, 1), vec![b'\n'; 40]].concat(), 6);
    for (kind, data) in [
        ("gzip", [header(0x08), long(1100), body.clone()].concat()),
        ("gzip", [header(0x10), long(70_000), body.clone()].concat()),
        ("gzip", [header(0x18), long(3), long(1100), body].concat()),
        ("zip", zip(8, 5000)),
        ("zip", zip(7, 3)),
        ("zip", zip(97, 3)),
        ("zlib", tiny),
    ] {
        for text in [data.clone(), STANDARD.encode(&data).into_bytes(), hex::encode(&data).into_bytes()] {
            for size in [7, 1 << 20] {
                let (_, redactor) = through(text.chunks(size).map(<[u8]>::to_vec));
                let said = redactor.not_looked_into();
                assert!(redactor.counts().total() > 0 || said.contains_key(kind), "{kind}: {said:?}");
            }
        }
    }
    let nameless = zip(8, 0);
    let (_, redactor) = through(std::iter::once(nameless));
    assert_eq!((redactor.counts().total(), redactor.not_looked_into().len()), (1, 0));
}

/// Pieces that are over make place for others: each kind is said, and all of its bytes.
#[test]
fn however_many_pieces_are_not_looked_into_each_kind_is_said() {
    let xz = STANDARD.encode(b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46 and so on, and on.");
    let seven = STANDARD.encode(b"7z\xbc\xaf\x27\x1c\0\x04 and so o");
    let text = format!("{}{seven}\n", format!("{xz}\n").repeat(9));
    for size in [7, 1 << 20] {
        let (_, redactor) = through(text.as_bytes().chunks(size).map(<[u8]>::to_vec));
        let said = redactor.not_looked_into();
        let bytes = xz.trim_end_matches('=').len() as u64;
        assert_eq!((said["xz"], said["7z"]), (9 * bytes, seven.trim_end_matches('=').len() as u64));
    }
}

#[test]
fn what_is_looked_into_is_not_said() {
    let variants = [
        document(),
        gzip(&document()),
        compress_to_vec_zlib(&document(), 9),
        STANDARD.encode(gzip(&document())).into_bytes(),
    ];
    for text in variants {
        let (out, redactor) = through(text.chunks(100).map(<[u8]>::to_vec));
        assert!(redactor.not_looked_into().is_empty() && redactor.counts().total() == 1, "{redactor:?}");
        assert!(!out.windows(VALUE.len()).any(|window| window == VALUE));
    }
}

/// Pieces that stay alive without being anything take no place from data: the ninth is looked into, too.
#[test]
fn decoys_take_no_place() {
    let stored = b"x\x01\x01\xff\xff\x00\x00".as_slice();
    let header = b"\x1f\x8b\x08\x08a-name-that-does-not-end".as_slice();
    let in_base64 = format!("\n@@{}@@\n", STANDARD.encode(gzip(&document())));
    for decoy in [stored, header] {
        for count in [1, 8, 40] {
            for data in
                [gzip(&document()), compress_to_vec_zlib(&document(), 6), in_base64.clone().into_bytes()]
            {
                let text = [decoy.repeat(count), data.clone(), b" behind ".repeat(10)].concat();
                for size in [5, 1 << 20] {
                    let (out, redactor) = through(text.chunks(size).map(<[u8]>::to_vec));
                    let left = out.windows(data.len()).any(|window| window == data);
                    assert!(!left && redactor.counts().total() > 0, "{count} of {decoy:?}");
                }
            }
        }
    }
}

/// A small generator, the same numbers at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ z >> 31) as usize % limit
    }
}

/// The beginnings of every view, which a grammar draws from.
const BEGINNINGS: [&[u8]; 24] = [
    b"x\x9c",
    b"x\x01",
    b"x\xda",
    b"\x1f\x8b\x08",
    b"\x1f\x8b\x08\x00\0\0\0\0\0\x03",
    b"H4sI",
    b"eJw",
    b"eNq",
    b"1f8b08",
    b"789c",
    b"7801",
    b"\x01\xff\xff\x00\x00",
    b"\x03\x00",
    b"00000010: ",
    b"0000020   ",
    b"12\t",
    b"://u:",
    b"://",
    b"@",
    b"\x1b[31m",
    b"\x1b]8;;",
    b"sk-live/9fQ2xT7v",
    b"sk-live",
    b"\n",
];

#[test]
fn no_grammar_of_beginnings_costs_more() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let pieces: Vec<&[u8]> =
            (0..1 + random.below(4)).map(|_| BEGINNINGS[random.below(BEGINNINGS.len())]).collect();
        let text: Vec<u8> = std::iter::repeat_with(|| pieces[random.below(pieces.len())])
            .take(2000)
            .flatten()
            .copied()
            .collect();
        let (out, redactor) = through(text.chunks(16 << 10).map(<[u8]>::to_vec));
        assert!(out.len() + 64 >= text.len() || redactor.counts().total() > 0, "{pieces:?}");
    }
}
