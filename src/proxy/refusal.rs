//! Why the proxy refuses: a status, a word for the audit, and a sentence for whoever reads it.

use http::StatusCode;

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
    FOREIGN_CREDENTIAL: FORBIDDEN, "foreign_credential", "a place for credentials holds something else than the placeholder of a secret of this host: leave it out, or send the placeholder";
    FOREIGN_ORIGIN: FORBIDDEN, "foreign_origin", "the request comes from a page of another site (Origin, Sec-Fetch-Site): no value goes with it";
    HEADER_NAME: BAD_REQUEST, "header_name", "a header's name has other characters than letters, digits and hyphens: servers read such names in more than one way";
    OVERRIDE: FORBIDDEN, "override", "a header, or a field of the query or of a form, makes the request one of another method, path or host";
    NOT_IN_PLACE: BAD_GATEWAY, "value_unfit", "the value can't stand there: it has characters that the place does not take";
    TOO_MANY: SERVICE_UNAVAILABLE, "too_many_connections", "the run has too many connections open";
    TOO_LARGE: PAYLOAD_TOO_LARGE, "body_too_large", "the body is larger than what the proxy signs or reads at once";
    NOT_SIGNED: FORBIDDEN, "not_signable", "this AWS request can't be signed anew: no region and service are known, or it is signed in its query or in chunks";
    NO_NAME: BAD_GATEWAY, "upstream_name", "the host's name can't be resolved";
    INSIDE: FORBIDDEN, "address_not_allowed", "the host's name stands for an address that is not reached: this machine, a private network, or a reserved range";
    NO_ANSWER: BAD_GATEWAY, "upstream_unreachable", "the host can't be connected to, or did not answer";
    UPSTREAM_PROXY: BAD_GATEWAY, "upstream_proxy", "the policy's upstream_proxy can't be connected to, or does not connect to the host";
    CERTIFICATE: BAD_GATEWAY, "upstream_certificate", "the host's certificate does not hold against the system's roots and the policy's extra_ca";
    ENCODING: BAD_GATEWAY, "answer_encoding", "the host answered in an encoding that can't be read, though it was asked for none";
    CODED: BAD_GATEWAY, "answer_coded", "the host compressed its answer though it was asked not to, and it is too large to be looked into whole, or not one of which a part can be served";
    HOLDS_VALUE: BAD_GATEWAY, "answer_holds_value", "a value stands in the host's answer, and can't be taken out without breaking it: it is binary, framed or compressed, or something vouches for its bytes";
    RANGE_MALFORMED: RANGE_NOT_SATISFIABLE, "range_malformed", "the Range header is malformed: write bytes=FIRST-LAST";
    RANGE_SEVERAL: RANGE_NOT_SATISFIABLE, "range_several", "only one range is served at a time";
    RANGE_UNSATISFIABLE: RANGE_NOT_SATISFIABLE, "range_unsatisfiable", "the answer has no such bytes";
    RANGE_LENGTH: NOT_IMPLEMENTED, "range_length_unknown", "the host does not say how long its answer is, so no part of it can be served: ask for the whole";
    ANSWER: BAD_GATEWAY, "answer_malformed", "the host's answer is not one that can be passed on";
}
