//! One line of the client's: a message of JSON-RPC, or what is wrong with it. What can't be a message is answered,
//! as a client waits for an answer to all that it sent.

use std::fmt;

use rmcp::model::{ClientJsonRpcMessage, ClientRequest, JsonRpcMessage, RequestId};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::error::Category;

use crate::mcp::outbound::Fault;

/// Whatever a client may ask. Another method is unknown; one of these that can't be read has parameters of the
/// wrong shape.
const METHODS: [&str; 16] = [
    "ping",
    "initialize",
    "server/discover",
    "completion/complete",
    "logging/setLevel",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "tools/call",
    "tools/list",
    "tasks/get",
];
/// RFC 8259 lets a parser ignore it.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a line is, before it is read whole: reading costs many times its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Something to answer.
    Request {
        /// By this.
        id: RequestId,
        /// What is asked.
        method: String,
    },
    /// Something that is not answered.
    Other,
}

/// What stands at the top of a message.
#[derive(Default)]
struct Top {
    version: Option<Version>,
    id: Id,
    method: Option<String>,
}

#[derive(Default)]
enum Id {
    #[default]
    None,
    Good(RequestId),
    Bad,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Version {
    Text(String),
    Other(IgnoredAny),
}

/// What a client's line is; nothing where there is nothing on it.
pub(super) fn shape(line: &[u8]) -> Option<Result<Shape, Answer>> {
    let text = match text(line) {
        Ok("") => return None,
        Ok(text) => text,
        Err(fault) => return Some(Err(Answer::to_nobody(fault))),
    };
    Some(match serde_json::from_str::<Top>(text) {
        Ok(Top { id: Id::Good(id), method: Some(method), .. }) => Ok(Shape::Request { id, method }),
        Ok(Top { id: Id::Bad, method: Some(_), .. }) => Err(Answer::to_nobody(Fault::Request)),
        Ok(_) => Ok(Shape::Other),
        Err(error) if error.classify() == Category::Data => Err(Answer::to_nobody(Fault::Request)),
        Err(_) => Err(Answer::to_nobody(Fault::Parse)),
    })
}

/// Reads a line whole. Notifications that nobody knows are nothing.
pub(super) fn message(line: &[u8], shape: &Shape) -> Result<Option<ClientJsonRpcMessage>, Answer> {
    let text = text(line).map_err(Answer::to_nobody)?;
    let read = serde_json::from_str::<ClientJsonRpcMessage>(text);
    match (read, shape) {
        (Ok(JsonRpcMessage::Request(request)), Shape::Request { id, method })
            if matches!(request.request, ClientRequest::CustomRequest(_))
                && METHODS.contains(&method.as_str()) =>
        {
            Err(Answer::to(id, Fault::Parameters))
        }
        (Ok(message), _) => Ok(Some(message)),
        (Err(error), _) if error.classify() != Category::Data => Err(Answer::to_nobody(Fault::Parse)),
        (Err(_), Shape::Request { id, method })
            if METHODS.contains(&method.as_str()) && is_version_2(text) =>
        {
            Err(Answer::to(id, Fault::Parameters))
        }
        (Err(_), Shape::Request { id, .. }) => Err(Answer::to(id, Fault::Request)),
        (Err(_), Shape::Other) if is_notification(text) => Ok(None),
        (Err(_), Shape::Other) => Err(Answer::to_nobody(Fault::Request)),
    }
}

fn is_notification(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Top { id: Id::None, method: Some(_), .. }))
}

fn is_version_2(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Top { version: Some(Version::Text(version)), .. }) if version == "2.0")
}

fn text(line: &[u8]) -> Result<&str, Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::Parse)?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii())
}

/// What is answered to a line that is no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// To which request; to nobody, where that can't be known.
    pub to: Option<RequestId>,
    /// What is wrong.
    pub fault: Fault,
}

impl Answer {
    fn to_nobody(fault: Fault) -> Self {
        Self { to: None, fault }
    }

    fn to(id: &RequestId, fault: Fault) -> Self {
        Self { to: Some(id.clone()), fault }
    }
}

impl<'de> Deserialize<'de> for Top {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Top;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Top, A::Error> {
                let mut top = Top::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "jsonrpc" => top.version = Some(map.next_value()?),
                        "id" => top.id = map.next_value()?,
                        "method" => top.method = Some(map.next_value()?),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(top)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Good(RequestId),
            Bad(IgnoredAny),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Good(id) => Self::Good(id),
            Either::Bad(IgnoredAny) => Self::Bad,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: &[u8]) -> Option<(Option<RequestId>, Fault)> {
        let answer = match shape(line)? {
            Err(answer) => answer,
            Ok(shape) => message(line, &shape).err()?,
        };
        Some((answer.to, answer.fault))
    }

    #[test]
    fn what_is_no_message_is_named() {
        let id = || Some(RequestId::Number(7));
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"list_allowed","arguments":{{"a":{}1{}}}}}}}"#,
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        type Named = Option<(Option<RequestId>, Fault)>;
        let table: &[(&[u8], Named)] = &[
            (b"", None),
            (b"  \r", None),
            (b"hello", Some((None, Fault::Parse))),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,", Some((None, Fault::Parse))),
            (b"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"pi\xffng\"}", Some((None, Fault::Parse))),
            (
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\ud800"}}"#,
                Some((None, Fault::Parse)),
            ),
            (deep.as_bytes(), Some((None, Fault::Parse))),
            (b"[]", Some((None, Fault::Request))),
            (b"17", Some((None, Fault::Request))),
            (br#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#, Some((None, Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Some((None, Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Some((None, Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":[[]],"method":"ping"}"#, Some((None, Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#, Some((None, Fault::Request))),
            (br#"{"id":7,"method":"ping"}"#, Some((id(), Fault::Request))),
            (br#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#, Some((id(), Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":7,"method":5}"#, Some((None, Fault::Request))),
            (br#"{}"#, Some((None, Fault::Request))),
            (
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x","arguments":[]}}"#,
                Some((id(), Fault::Parameters)),
            ),
            (
                br#"{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"protocolVersion":5}}"#,
                Some((id(), Fault::Parameters)),
            ),
            (br#"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#, Some((id(), Fault::Parameters))),
            (
                br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":[]}"#,
                Some((id(), Fault::Parameters)),
            ),
            (br#"{"jsonrpc":[],"id":7,"method":"tools/call","params":[]}"#, Some((id(), Fault::Request))),
            (br#"{"jsonrpc":"2.0","id":7,"method":"no/such"}"#, None),
            (br#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#, None),
            (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\"}\r", None),
            (br#"{"jsonrpc":"2.0","method":"notifications/unknown"}"#, None),
            (br#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":17}"#, None),
            (br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}"#, None),
            (br#"{"jsonrpc":"2.0","id":7,"result":{}}"#, None),
        ];
        for (line, expected) in table {
            let start = String::from_utf8_lossy(&line[..line.len().min(100)]);
            assert_eq!(&fault(line), expected, "{start}");
        }
    }
}
