//! Any client that takes the common form.

use super::{
    spec::{ClientSpec, Form},
    write::plain,
};

pub(super) const CLIENT: ClientSpec = ClientSpec {
    word: "json",
    file: None,
    form: Form::Json { key: "mcpServers", shape: plain },
    hides: &[],
    control: &[],
};
