//! What the proxy answers by itself: a status, a word for the audit, and a sentence for whoever reads it.
//! Nothing of a request or of an upstream's answer is in it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};

use super::body::Body;

/// Why a request was not made, or its answer not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: &'static str,
}

macro_rules! refusals {
    ($($name:ident: $status:ident, $code:literal, $message:literal;)*) => {
        $(pub(super) const $name: Refusal =
            Refusal { status: StatusCode::$status, code: $code, message: $message };)*
    };
}

refusals! {
    CREDENTIAL: PROXY_AUTHENTICATION_REQUIRED, "credential", "the run's own credential for its proxy is missing or wrong: use the proxy address as the variables have it";
    CREDENTIAL_IN_PATH: NOT_FOUND, "credential", "the path does not begin as the base URL does: use the address as the variable has it";
    FORM: BAD_REQUEST, "form", "malformed proxy request";
    MALFORMED: BAD_REQUEST, "malformed", "the request can be read in more than one way";
    HOST_DIFFERS: BAD_REQUEST, "host_differs", "the Host header names another host than the connection is for";
    NAME_DIFFERS: BAD_REQUEST, "name_differs", "the TLS name is another host than the connection is for";
    ENDED: FORBIDDEN, "run_ended", "what allowed this run was taken back, so no value is sent any more";
    NOT_REACHED: FORBIDDEN, "host_not_allowed", "the policy does not let this run reach that host and port";
    PLAIN: FORBIDDEN, "plain_http", "plain http is only for a loopback host that the policy names with its port";
    NOT_COVERED: FORBIDDEN, "request_not_covered", "the policy does not cover this method and path of the host";
    WRONG_HOST: FORBIDDEN, "placeholder_wrong_host", "a placeholder stands in a request to a host that its secret may not go to";
    WRONG_PLACE: FORBIDDEN, "placeholder_wrong_place", "a placeholder stands where the policy does not let its secret go: see substitute, methods and paths of the rule";
    NOT_IN_PLACE: BAD_GATEWAY, "value_unfit", "the value can't stand there: it has characters that the place does not take";
    TOO_MANY: SERVICE_UNAVAILABLE, "too_many_connections", "the run has too many connections open";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than what the proxy signs or reads at once";
    NOT_SIGNED: FORBIDDEN, "not_signable", "this AWS request can't be signed anew: no region and service are known, or it is signed in its query or in chunks";
    NO_NAME: BAD_GATEWAY, "upstream_name", "the host's name can't be resolved";
    INSIDE: FORBIDDEN, "address_not_allowed", "the host's name stands for an address that is not reached: this machine, a private network, or a reserved range";
    NO_ANSWER: BAD_GATEWAY, "upstream_unreachable", "the host can't be connected to, or did not answer";
    CERTIFICATE: BAD_GATEWAY, "upstream_certificate", "the host's certificate does not hold against the system's roots and the policy's extra_ca";
    ENCODING: BAD_GATEWAY, "answer_encoding", "the host answered in an encoding that can't be read, though it was asked for none";
    ANSWER: BAD_GATEWAY, "answer_malformed", "the host's answer is not one that can be passed on";
}

impl Refusal {
    /// The answer.
    pub(super) fn response(self) -> Response<Body> {
        let text = format!("authy-mcp: {} ({})\n", self.message, self.code);
        let mut response =
            Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert("x-authy-mcp-refused", HeaderValue::from_static(self.code));
        if self.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            headers.insert(header::PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"authy-mcp\""));
        }
        response
    }
}
