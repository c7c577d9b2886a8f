//! What each dialect reads, and what is none of its escapes.

use super::*;

fn read(dialect: Dialect, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let token = (dialect.find(&rest[..1], true) == Some(0)).then(|| dialect.read(rest, true));
        match token {
            Some(Token::Escape(escape)) => {
                assert!(escape.length <= LONGEST_ESCAPE, "{:?}", String::from_utf8_lossy(rest));
                out.extend_from_slice(escape.bytes());
                rest = &rest[escape.length..];
            }
            Some(Token::Text) | None => {
                out.push(*first);
                rest = behind;
            }
            Some(Token::Unfinished) => panic!("nothing follows {:?}", String::from_utf8_lossy(rest)),
        }
    }
    out
}

#[test]
fn dialects() {
    use Dialect::{Common, Css, Decimal, HexPair, QuotedPrintable, Shell, Styled};
    for (dialect, text, expected) in [
        (Common, r#"a\n\t\r\b\f\v\a\e\0b"#, "a\n\t\r\u{8}\u{c}\u{b}\u{7}\u{1b}\0b"),
        (Common, r#"\"\'\\\/\$\-\ \d\w"#, "\"'\\/$- dw"),
        (Common, r"\x41\x4g\x{41}\x{20ac}\x{}\xg", "A\u{4}g\u{41}€x{}xg"),
        (Common, r"\101\1018\12\400", "AA8\n\u{20}0"),
        (Common, r"\u0041\u20AC\u{41}\u{1F600}\ud83d\ude00\u12g", "A€A😀😀u12g"),
        (Common, r"\U0001F600\U0041", "😀U0041"),
        (Common, "a\\\nb\\\r\nc", "abc"),
        (Common, "%41%2f%2F%u20ac%uD83D%uDE00%x41%4g%%41", "A//€😀A%4g%A"),
        (Common, "&amp;&lt;&#65;&#x41;&#X20aC;&sol;&equals;&nbsp;&auml;&yuml;&euro;", "&<AA€/= äÿ€"),
        (
            Common,
            "&amp &bogus; &; &#; &#x; &#65 &#123456789; &toolonganame;",
            "&amp &bogus; &; &#; &#x; &#65 &#123456789; &toolonganame;",
        ),
        (Common, r#"it''s ""so"" '\'' '"'"' `$`"`n"#, "it's \"so\" ' ' $\"`n"),
        (QuotedPrintable, "a=3Db=3d=C3=BC=\nc=\r\nd=9=zz=", "a=b=ücd=9=zz="),
        (Css, "\\3d \\3D\\2f \\00003d9\\g\\20ac\r\nx", "==/=9g€x"),
        (HexPair, r"\2a\28\c3\bc\5c\zz\1", r"*(ü\zz1"),
        (Decimal, r"\195\188\061\256\1", "ü=2561"),
        (Styled, "ｔｏｋ＿９／　𝐭𝓞𝖐𝟗𝚣𝛼ﬀ😀", "tok_9/　tOk9z𝛼ﬀ😀"),
        (Shell, r"'a'$'\303\274''=b'\''", "'aü=b'"),
    ] {
        assert_eq!(String::from_utf8_lossy(&read(dialect, text.as_bytes())), expected, "{dialect:?} {text}");
    }
}

#[test]
fn half_a_pair_is_read_as_what_it_would_be() {
    assert_eq!(read(Dialect::Common, br"\ud83dx\ud83d\u0041"), b"\xed\xa0\xbdx\xed\xa0\xbdA");
    assert_eq!(read(Dialect::Common, br"\U00110000\u{FFFFFFFF}"), b"U00110000u{FFFFFFFF}");
}

/// However an escape is cut, it is the same: more is waited for, and nothing is read that more would change.
#[test]
fn an_escape_that_is_cut_is_waited_for() {
    let all = [
        (
            Dialect::Common,
            r"\x{20ac}|\u20ac|\ud83d\ude00|\101|\U0001F600|%u20ac|&#x20ac;|&euro;|%4g|&bogus;|\u{41}",
        ),
        (Dialect::Common, r#"'\''|'"'"'|''|"#),
        (Dialect::QuotedPrintable, "=3D|=\r\n|=9z|"),
        (Dialect::Css, "\\3d |\\3d\r\n|"),
        (Dialect::Decimal, r"\195|\19x|"),
    ];
    for (dialect, text) in all {
        for one in text.split('|').filter(|one| !one.is_empty()) {
            let behind = format!("{one}zz");
            let whole = dialect.read(behind.as_bytes(), false);
            for cut in 1..behind.len() {
                match (dialect.read(&behind.as_bytes()[..cut], false), &whole) {
                    (Token::Unfinished, _) | (Token::Text, Token::Text) => {}
                    (Token::Escape(part), Token::Escape(whole)) => {
                        assert_eq!(
                            (part.length, part.bytes()),
                            (whole.length, whole.bytes()),
                            "{one:?} at {cut}"
                        );
                    }
                    _ => panic!("{one:?} at {cut}"),
                }
            }
            assert!(!matches!(whole, Token::Unfinished), "{one:?}");
        }
    }
}

#[test]
fn a_text_with_escapes_of_its_own_has_readings() {
    assert!(readings(b"tok_9fQ2xT7vLm4Z/kW8+hN3").is_empty());
    let text = |all: Vec<Vec<u8>>| -> Vec<String> {
        all.iter().map(|one| String::from_utf8_lossy(one).into_owned()).collect()
    };
    assert_eq!(text(readings(b"a%2Bb")), ["a+b"]);
    assert_eq!(text(readings(b"a%252Bb")), ["a%2Bb", "a+b"]);
    assert_eq!(text(readings(br"a%2B\b&amp;c")).len(), 7);
}
