//! What the proxy answers by itself. Nothing of a request or of a host's answer is in it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};

use super::{body::Body, refusal::Refusal};

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
