//! How the daemon's API reads requests and shapes what it answers.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use serde::{Serialize, de::DeserializeOwned};

use super::wire::Answered;

pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Option<T> {
    serde_json::from_slice(body).ok()
}

pub(super) fn line(reply: &Answered) -> Bytes {
    let mut text = serde_json::to_vec(reply).expect("replies have string keys only");
    text.push(b'\n');
    Bytes::from(text)
}

pub(super) fn json(body: &impl Serialize) -> Response {
    let text = serde_json::to_vec(body).expect("answers have string keys only");
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
