//! The keys of a JSON text that comes in pieces, on its way to somebody who may read it as one.

/// A key is no longer than this, with its escapes. Nothing shortens one, so what is longer is none of those that are looked
/// for.
const LONGEST: usize = 512;

/// What was read so far. A quote may begin a string as well as end one: who counts them is led astray by a text that is no
/// JSON before it.
#[derive(Default)]
pub(super) struct JsonKeys {
    /// What stands behind the last quote; nothing where it is too long.
    since: Option<Vec<u8>>,
    escaped: bool,
    /// What stands between the last two quotes, as long as only blanks follow.
    string: Option<Vec<u8>>,
}

impl JsonKeys {
    /// Takes a byte in; a key that ends with it.
    pub(super) fn takes(&mut self, byte: u8) -> Option<Vec<u8>> {
        // In UTF-16 every other byte of a name is one: some tell the encoding by that (RFC 4627, section 3).
        if byte == 0 {
            return None;
        }
        let escaped = self.escaped;
        self.escaped = byte == b'\\' && !escaped;
        if byte == b'"' && !escaped {
            self.string = self.since.replace(Vec::new());
            return None;
        }
        if let Some(since) = &mut self.since {
            since.push(byte);
        }
        self.since.take_if(|since| since.len() > LONGEST);
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => None,
            b':' => self.string.take().map(|string| unescaped(&string)),
            _ => {
                self.string = None;
                None
            }
        }
    }
}

/// A string without its escapes (RFC 8259, section 7).
fn unescaped(string: &[u8]) -> Vec<u8> {
    let quoted = [b"\"", string, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or_else(|_| string.to_vec(), String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_string_before_a_colon() {
        for (text, keys) in [
            (r#"{"a":1,"b" : {"c":"d"}}"#, &["a", "b", "c"][..]),
            (r#"{"\u005fmethod":1}"#, &["_method"]),
            (r#"["a","b"]"#, &[]),
            (r#"{"a":"\"b\":\\","c":1}"#, &["a", "c"]),
            ("\"\0_\0m\0\"\0:\0", &["_m"]),
            ("it's 5\" wide\n{\"a\":1}", &["a"]),
            (r#"{"\ud800":1}"#, &["\\ud800"]),
        ] {
            let mut read = JsonKeys::default();
            let found: Vec<String> = text
                .bytes()
                .filter_map(|byte| read.takes(byte))
                .map(|k| String::from_utf8(k).unwrap())
                .collect();
            assert_eq!(found, keys, "{text}");
        }
        let mut read = JsonKeys::default();
        let long = format!("\"{}\":1,\"a\":2", "b".repeat(LONGEST + 1));
        let found: Vec<Vec<u8>> = long.bytes().filter_map(|byte| read.takes(byte)).collect();
        assert_eq!(found.last().map(Vec::as_slice), Some(&b"a"[..]), "{found:?}");
    }
}
