//! A run on a person's terminal: what of its output reaches it, and how the terminal is left.

use std::process::{Command, Stdio};

use crate::stage::Stage;

const VALUE: &str = "sk-scr-4Jt8Wn2Rk6Yb9Xe3";

/// What a terminal gets of a command that is started on one: `script` (util-linux) is the other end of it.
fn on_a_terminal(stage: &Stage, command: &str) -> String {
    let mut script = Command::new("script");
    script.args(["-qec", command, "/dev/null"]).stdin(Stdio::null());
    let like = stage.command();
    script.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    script.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("SHELL", "/bin/sh").env("TERM", "xterm");
    let done = script.output().expect("script of util-linux");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn stage(program: &str) -> (Stage, String) {
    let stage = Stage::new();
    stage.set("a/key", VALUE.as_bytes());
    let path = stage.script("program", program);
    stage.policy(&format!(
        "scope = \"s\"\n[sandbox]\nread = [\"{path}\"]\n[[allow]]\nsecrets = [\"a/key\"]\ndeliver = \"env\"\n\
         commands = [[\"{path}\"]]\n"
    ));
    let command = format!("{} run --scope s -- {path}", env!("CARGO_BIN_EXE_authy-mcp"));
    (stage, command)
}

#[test]
fn a_terminal_gets_of_a_run_what_is_known_to_be_harmless() {
    let (stage, command) = stage(
        r#"#!/bin/sh
printf 'begin \033[31mred\033[0m \033]52;c;aGVsbG8=\007'
printf '\033[21t\033[6n\033[c\033P+q544e\033\\'
printf '\033]8;;https://evil.example/\007https://github.com\033]8;;\007'
sleep 0.3
printf '\033]0;title\007\033[?1049h\033[?25l\033[?2004h' >&2
sleep 0.3
echo end
"#,
    );
    let seen = on_a_terminal(&stage, &command);
    for shown in ["begin \u{1b}[31mred\u{1b}[0m", "end", "\u{1b}]2;title\u{1b}\\", "<https://evil.example/>"]
    {
        assert!(seen.contains(shown), "{shown:?} is missing: {seen:?}");
    }
    for dropped in ["\u{1b}]52", "\u{1b}[21t", "\u{1b}[6n", "\u{1b}[c", "\u{1b}P"] {
        assert!(!seen.contains(dropped), "{dropped:?} got through: {seen:?}");
    }
    let after = &seen[seen.find("end").unwrap()..];
    for back in ["\u{1b}[?1049l", "\u{1b}[?25h", "\u{1b}[?2004l", "\u{1b}[23;0t"] {
        assert!(after.contains(back), "{back:?} was not put back: {after:?}");
    }
}

#[test]
fn a_value_in_two_halves_does_not_stand_on_the_screen() {
    let halves = "#!/bin/sh\nhead=$(printf %s \"$A_KEY\" | cut -c1-10)\ntail=$(printf %s \"$A_KEY\" | cut -c11-)\n\
                  printf '\\033[10C%s\\r%s\\n' \"$tail\" \"$head\"\necho after\n";
    let (stage, command) = stage(halves);
    let seen = on_a_terminal(&stage, &command);
    // Shown to a terminal as the program wrote it, it stands there.
    let (head, tail) = VALUE.split_at(10);
    assert!(on_screen(&format!("\u{1b}[10C{tail}\r{head}\r\n")).contains(VALUE));
    assert!(!on_screen(&seen).contains(VALUE), "{seen:?}");
    assert!(seen.contains("after"), "{seen:?}");
}

/// A program that leaves the terminal without echo is mended, whatever ended it.
#[test]
fn the_terminal_is_set_as_it_was() {
    let (stage, command) = stage("#!/bin/sh\nstty -echo raw <&0\nstty -a <&0\nkill -9 $$\n");
    let seen = on_a_terminal(&stage, &format!("stty -a; {command}; stty -a"));
    let states: Vec<bool> =
        seen.lines().filter(|line| line.contains("echo ")).map(|line| line.contains("-echo ")).collect();
    assert_eq!(states, [false, true, false], "{seen:?}");
}

fn on_screen(written: &str) -> String {
    let size = |number| std::num::NonZeroU16::new(number).unwrap();
    let mut screen = vt100::Parser::new(size(24), size(80), 0);
    screen.process(written.as_bytes());
    screen.screen().contents()
}
