//! Cells of four characters, as `od -c`, `od -a` and `hexdump -c` write each byte: the last of them is the character, or
//! the last two or three what stands for it.
//!
//! ```text
//! 0000020   e   c   r   e   t  \n 303 274
//! ```

/// What `od -a` calls the characters before the space (POSIX, od, "Named Characters").
const NAMES: [&[u8; 3]; 33] = [
    b"nul", b"soh", b"stx", b"etx", b"eot", b"enq", b"ack", b"bel", b" bs", b" ht", b" nl", b" vt", b" ff",
    b" cr", b" so", b" si", b"dle", b"dc1", b"dc2", b"dc3", b"dc4", b"nak", b"syn", b"etb", b"can", b" em",
    b"sub", b"esc", b" fs", b" gs", b" rs", b" us", b" sp",
];
/// The escapes of C that a byte is written with.
const ESCAPES: &[u8; 8] = b"0abtnvfr";

/// The widths of cells: with numbers of one byte beside them, signed ones too.
const WIDTHS: [usize; 2] = [4, 5];
/// How long offsets are, in hex and in the other bases.
const OFFSETS: [usize; 2] = [6, 7];

/// The bytes of a line's cells, each with the places where its cell begins and ends.
pub(super) fn cells(line: &[u8]) -> Vec<(u8, usize, usize)> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    for width in WIDTHS {
        // Where there is no offset, there is as much space.
        let blank =
            |from: &usize| digits == 0 && line.len() > *from && (line.len() - from).is_multiple_of(width);
        let from = OFFSETS.into_iter().rev().find(blank).unwrap_or(digits);
        let cells = cells_of(line, from, width);
        if !cells.is_empty() {
            return cells;
        }
    }
    Vec::new()
}

fn cells_of(line: &[u8], from: usize, width: usize) -> Vec<(u8, usize, usize)> {
    let cells = line[from..].chunks_exact(width).map_while(|cell| {
        let (before, cell) = cell.split_at(width - 4);
        before.iter().all(|byte| *byte == b' ').then(|| byte(cell)).flatten()
    });
    let cells: Vec<_> = (from..).step_by(width).zip(cells).map(|(at, byte)| (byte, at, at + width)).collect();
    let behind = cells.last().map_or(&[][..], |(_, _, end)| &line[*end..]);
    // Cells of three digits alone are numbers of any dump.
    let any_character = cells.iter().any(|(_, _, end)| line[end - 3] == b' ' && line[end - 1] != b' ');
    let whole = behind.trim_ascii().is_empty() || behind.starts_with(b"  >");
    if any_character && whole { cells } else { Vec::new() }
}

/// The byte of a cell.
fn byte(cell: &[u8]) -> Option<u8> {
    match *cell {
        [b' ', b' ', b' ', character] => Some(character),
        [b' ', b' ', b'\\', escape] => {
            let at = ESCAPES.iter().position(|one| *one == escape)?;
            Some(if at == 0 { 0 } else { at as u8 + 6 })
        }
        [b' ', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'] => {
            Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
        }
        [b' ', ref name @ ..] if name == b"del" => Some(0x7f),
        [b' ', ref name @ ..] => NAMES.iter().position(|one| name == *one).map(|at| at as u8),
        _ => None,
    }
}
