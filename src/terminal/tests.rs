use proptest::prelude::*;

use super::*;
use crate::redact::testing::needles;

const VALUE: &str = "sk-term-9fQ2xLw7Vb4NcT8m";

fn shown(written: &str) -> String {
    let terminal = Terminal::new(NeedleSet::empty());
    String::from_utf8(terminal.stream().pass(written.as_bytes(), Window::USUAL)).unwrap()
}

#[test]
fn what_is_known_to_be_harmless_is_shown() {
    for same in [
        "plain\ttext\r\nand Schlüssel 鍵 💥\n",
        "\u{1b}[31;1mred\u{1b}[0m \u{1b}[38;5;12mblue\u{1b}[48:2:1:2:3mground\u{1b}[0m",
        "\u{1b}[2J\u{1b}[1;1H\u{1b}[10;20Hthere\u{1b}[3A\u{1b}[2K\u{1b}[5X\u{1b}[2P\u{1b}[3@\u{1b}[4L\u{1b}[1M",
        "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?1000;1006h\u{1b}[?2004h\u{1b}[?25h\u{1b}[?1049l",
        "\u{1b}7\u{1b}8\u{1b}D\u{1b}E\u{1b}M\u{1b}=\u{1b}>\u{1b}(0lqk\u{1b}(B\u{e}\u{f}",
        "\u{1b}[5;10r\u{1b}[2 q\u{1b}[!p\u{1b}[3S\u{1b}[2T\u{7}\u{8}",
    ] {
        assert_eq!(shown(same), same, "{same:?}");
    }
}

#[test]
fn everything_else_is_dropped() {
    for dropped in [
        // The clipboard, read and written.
        "\u{1b}]52;c;aGk=\u{7}",
        "\u{1b}]52;c;?\u{1b}\\",
        "\u{9d}52;c;aGk=\u{9c}",
        // What a terminal answers by typing.
        "\u{1b}[c\u{1b}[>c\u{1b}[=c\u{1b}[6n\u{1b}[?6n\u{1b}[5n\u{5}\u{1b}Z",
        "\u{1b}[21t\u{1b}[18t\u{1b}[20t\u{1b}[22;0t\u{1b}[23;0t",
        "\u{1b}[?2026$p\u{1b}[>q\u{1b}[?u\u{1b}[>1u\u{1b}[>4;2m\u{1b}[?4m\u{1b}[x",
        "\u{1b}P+q544e\u{1b}\\\u{1b}P$qm\u{1b}\\\u{1b}Pq#0;2;0;0;0\u{1b}\\",
        "\u{1b}]4;1;?\u{7}\u{1b}]10;?\u{7}\u{1b}]11;?\u{1b}\\",
        // Strings that are for programs in between.
        "\u{1b}_Gf=24;AAAA\u{1b}\\\u{1b}^private\u{1b}\\\u{1b}Xstring\u{1b}\\",
        // Directories, notifications, files, marks of prompts.
        "\u{1b}]7;file:///x\u{7}\u{1b}]9;hi\u{7}\u{1b}]777;notify;a;b\u{7}\u{1b}]1337;File=:AAAA\u{7}\u{1b}]133;A\u{7}",
        // The window, tab stops, a full reset, modes that nobody asked for.
        "\u{1b}[8;5;5t\u{1b}[1t\u{1b}[3g\u{1b}Hx\u{8}\u{1b}c\u{1b}[?3h\u{1b}[?69h\u{1b}[20h\u{1b}#8",
        // C1 as characters.
        "\u{9b}31m",
    ] {
        let shown = shown(dropped);
        assert!(
            !shown.contains(['\u{1b}', '\u{5}', '\u{9b}', '\u{9d}', '\u{9c}', '\u{90}']),
            "{dropped:?}: {shown:?}"
        );
    }
    // A list of modes loses those that are not known.
    assert_eq!(shown("\u{1b}[?25;69;2004h"), "\u{1b}[?25;2004h");
}

#[test]
fn a_title_is_set_and_never_asked_for() {
    let terminal = Terminal::new(NeedleSet::empty());
    let mut stream = terminal.stream();
    let mut pass = |text: &str| String::from_utf8(stream.pass(text.as_bytes(), Window::USUAL)).unwrap();
    assert_eq!(pass("\u{1b}]0;a;b\u{7}"), "\u{1b}[22;0t\u{1b}]2;a;b\u{1b}\\", "the old one is kept");
    assert_eq!(pass("\u{1b}]2;c\u{1b}\\"), "\u{1b}]2;c\u{1b}\\");
    assert_eq!(pass("\u{1b}[21t"), "");
    assert_eq!(terminal.put_back(), b"\x1b[23;0t");
    assert_eq!(terminal.put_back(), b"", "once");
}

#[test]
fn a_link_says_where_it_leads() {
    let link =
        |target: &str, text: &str| shown(&format!("\u{1b}]8;id=1;{target}\u{7}{text}\u{1b}]8;;\u{7}."));
    assert_eq!(
        link("https://evil.example/x", "https://github.com"),
        "https://github.com <https://evil.example/x>."
    );
    // What says so can be erased, and then nothing leads there.
    let erased = "\u{1b}]8;;https://evil.example/x\u{7}https://github.com\u{1b}]8;;\u{7}\u{1b}[27D\u{1b}[K.";
    assert!(!shown(erased).contains("\u{1b}]"));
    assert_eq!(link("https://a.example/", "https://a.example/"), "https://a.example/.");
    for dropped in ["file:///etc/passwd", "ssh://x", "javascript:x", "https://a\u{202e}b", "HTTP://x", "x"] {
        assert_eq!(link(dropped, "text"), "text.", "{dropped}");
    }
    // What the parser has cut would lead elsewhere.
    assert_eq!(link(&format!("https://a.example/{}", "x".repeat(2000)), "text"), "text.");
    let other =
        shown("\u{1b}]8;;https://a.example\u{7}one\u{1b}]8;;https://b.example\u{7}two\u{1b}]8;;\u{7}");
    assert_eq!(other, "one <https://a.example>two <https://b.example>");
}

#[test]
fn what_was_changed_is_put_back() {
    let put_back = |written: &str| {
        let terminal = Terminal::new(NeedleSet::empty());
        let _ = terminal.stream().pass(written.as_bytes(), Window::USUAL);
        String::from_utf8(terminal.put_back()).unwrap()
    };
    assert_eq!(put_back("text\n"), "");
    assert_eq!(put_back("\u{1b}[?25l\u{1b}[?25h"), "", "it did so itself");
    assert_eq!(put_back("\u{1b}[1m"), "\u{1b}[0m");
    let all =
        put_back("\u{1b}[?1049;1;1003;1006;2004h\u{1b}[?25;7l\u{1b}[4h\u{1b}=\u{1b}(0\u{1b}[3;4r\u{1b}[5 q");
    for back in [
        "[?1049l",
        "[?1l",
        "[?1003l",
        "[?1006l",
        "[?2004l",
        "[?25h",
        "[?7h",
        "[4l",
        ">",
        "(B",
        "7\u{1b}[r\u{1b}8",
        "[0 q",
    ] {
        assert!(all.contains(&format!("\u{1b}{back}")), "{back}: {all:?}");
    }
}

#[test]
fn a_sequence_in_pieces_is_one_and_an_unfinished_one_is_never_shown() {
    let terminal = Terminal::new(NeedleSet::empty());
    let mut stream = terminal.stream();
    let mut all = Vec::new();
    for byte in "a\u{1b}[3".bytes() {
        all.extend(stream.pass(&[byte], Window::USUAL));
    }
    assert_eq!(all, b"a");
    all.extend(stream.pass("1mé\u{1b}]52;c;".as_bytes(), Window::USUAL));
    assert_eq!(all, "a\u{1b}[31mé".as_bytes());
    assert_eq!(terminal.put_back(), b"\x1b[0m");
    // Characters in pieces, with others right behind them.
    for cut in 0..=9 {
        let (first, rest) = "éa鍵b💥".as_bytes().split_at(cut);
        let mut stream = Terminal::new(NeedleSet::empty()).stream();
        let all = [stream.pass(first, Window::USUAL), stream.pass(rest, Window::USUAL)].concat();
        assert_eq!(all, "éa鍵b💥".as_bytes(), "cut at {cut}");
    }
    // Bytes that are no text are shown as that.
    assert_eq!(shown_once(b"\xff\xfe"), "\u{fffd}\u{fffd}".as_bytes());
    // C1 in a single byte, which a terminal of eight bits acts on.
    assert_eq!(shown_once(b"\x9b31m"), b"31m");
}

/// The halves of a value with the cursor moved between: in no stream in one piece, and whole on the screen.
#[test]
fn a_value_does_not_come_together_on_the_screen() {
    let (one, two) = VALUE.split_at(10);
    let ways = [
        vec![format!("\u{1b}[2J\u{1b}[1;11H{two}"), format!("\r{one}\n")],
        vec![format!("{}{two}\r{one}\n", "\u{1b}[10C")],
        vec![format!("{one}xxx\u{1b}[3D{two}\n")],
        vec![format!("{one}\u{1b}7\n\n\u{1b}8{two}")],
        vec![format!("\u{1b}[5;1H{one}\u{1b}[9;1Hnothing\u{1b}[5;11H{two}")],
        vec![format!("\u{1b}[?1049h\u{1b}[3;11H{two}"), format!("\u{1b}[3;1H{one}")],
        vec![format!("{one}junk"), format!("\u{8}\u{8}\u{8}\u{8}{two}")],
    ];
    for way in ways {
        let terminal = Terminal::new(needles("a/key", VALUE));
        let mut stream = terminal.stream();
        let mut screen = empty_screen();
        for chunk in &way {
            screen.process(&stream.pass(chunk.as_bytes(), Window::USUAL));
        }
        assert!(!screen.screen().contents().contains(VALUE), "{way:?}: {}", screen.screen().contents());
        // What else is written goes on.
        screen.process(&stream.pass(b"\r\nafterwards", Window::USUAL));
        assert!(screen.screen().contents().contains("afterwards"), "{way:?}");
        // Without a value nothing is changed.
        let unknown = Terminal::new(NeedleSet::empty());
        let (mut stream, mut screen) = (unknown.stream(), empty_screen());
        for chunk in &way {
            let text = chunk.replace('\n', "\r\n");
            screen.process(&stream.pass(text.as_bytes(), Window::USUAL));
        }
        assert!(screen.screen().contents().contains(VALUE), "{way:?} shows nothing anyway");
    }
}

#[test]
fn both_streams_are_one_screen() {
    let (one, two) = VALUE.split_at(10);
    let terminal = Terminal::new(needles("a/key", VALUE));
    let (mut out, mut err, mut screen) = (terminal.stream(), terminal.stream(), empty_screen());
    screen.process(&out.pass(one.as_bytes(), Window::USUAL));
    screen.process(&err.pass(two.as_bytes(), Window::USUAL));
    assert!(!screen.screen().contents().contains(VALUE), "{}", screen.screen().contents());
}

fn empty_screen() -> vt100::Parser {
    let size = |number| std::num::NonZeroU16::new(number).unwrap();
    vt100::Parser::new(size(24), size(80), 0)
}

/// Sees what a terminal would: every sequence that is left must be one of the list.
#[derive(Default)]
struct Seen(Vec<String>);

impl Perform for Seen {
    fn execute(&mut self, byte: u8) {
        if !matches!(byte, 7..=15) {
            self.0.push(format!("control {byte:#x}"));
        }
    }

    fn hook(&mut self, _: &Params, _: &[u8], _: bool, action: char) {
        self.0.push(format!("DCS {action}"));
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        if !matches!(params.first(), Some(&b"2")) {
            self.0.push(format!("OSC {params:?}"));
        }
    }

    fn csi_dispatch(&mut self, _: &Params, intermediates: &[u8], _: bool, action: char) {
        let answered = "cnqtx".contains(action) && (intermediates, action) != (b" ", 'q');
        // The title is kept and given back on the terminal's own stack.
        if (answered && action != 't') || matches!(intermediates, b">" | b"=" | b"<" | b"$") {
            self.0.push(format!("CSI {intermediates:?} {action}"));
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        if !b"78DEM=>0AB\\".contains(&byte) {
            self.0.push(format!("ESC {intermediates:?} {byte}"));
        }
    }
}

proptest! {
    /// Whatever is written, in whatever pieces: what comes out is of the list, the same for each cut, and putting back
    /// leaves nothing to be put back.
    #[test]
    fn nothing_but_the_list_is_shown(
        parts in proptest::collection::vec(
            prop_oneof![
                "[ -~]{0,6}",
                Just("\u{1b}".to_owned()), Just("\u{1b}[".to_owned()), Just("\u{1b}]".to_owned()),
                Just("\u{1b}P".to_owned()), Just("\u{9b}".to_owned()), Just("\u{1b}\\".to_owned()),
                "[?>=<!$ ]", "[0-9;:]{0,9}", "[@-~]", "\\PC{0,3}", "[\\x00-\\x1f\\x7f-\\u{9f}]{1,3}",
                Just("8;;https://a.example".to_owned()),
            ],
            0..24,
        ),
        cut in 0usize..200,
        rows in 0u16..4,
        columns in 0u16..4,
    ) {
        let written = parts.concat();
        let window = Window { rows, columns, line_feed: LineFeed::Falls };
        let terminal = Terminal::new(needles("a/key", VALUE));
        let mut stream = terminal.stream();
        let bytes = written.as_bytes();
        let (first, rest) = bytes.split_at(cut.min(bytes.len()));
        let mut out = stream.pass(first, window);
        out.extend(stream.pass(rest, window));
        let whole = Terminal::new(needles("a/key", VALUE));
        prop_assert_eq!(&out, &whole.stream().pass(bytes, window));
        out.extend(terminal.put_back());
        let mut seen = Seen::default();
        Parser::<1024>::default().advance(&mut seen, &out);
        prop_assert!(seen.0.is_empty(), "{written:?}: {:?} of {:?}", seen.0, String::from_utf8_lossy(&out));
        prop_assert!(terminal.put_back().is_empty());
    }
}
