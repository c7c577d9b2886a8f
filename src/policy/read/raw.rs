//! The document as TOML has it: shapes only, with places. The schema comes from here.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use toml::Spanned;

use crate::policy::words::{
    DeliveryMode, ExitCodes, HomeMode, Network, OnFileHit, OutputMode, SandboxMode, Stdin,
};

/// Something and where it stands.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::policy) struct At<T>(pub Spanned<T>);

impl<T> At<T> {
    pub(in crate::policy) fn get(&self) -> &T {
        self.0.get_ref()
    }

    pub(in crate::policy) fn span(&self) -> Range<usize> {
        self.0.span()
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }
}

/// A scope's policy. What no rule allows is denied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub(in crate::policy) struct RawDocument {
    /// The scope's name: what a session is bound to.
    pub scope: At<String>,
    /// What the scope is for, for people.
    pub description: Option<String>,
    /// Whether `request_token` may put a bearer token into its answer.
    #[serde(default)]
    pub delegate: bool,
    #[serde(default)]
    pub limits: RawLimits,
    #[serde(default)]
    pub env: RawEnv,
    #[serde(default)]
    pub sandbox: RawSandbox,
    /// What is allowed; the first rule that fits decides.
    #[serde(default)]
    pub allow: Vec<At<RawRule>>,
    /// What is denied, whatever is allowed.
    #[serde(default)]
    pub deny: Vec<RawDeny>,
}

/// Limits of the scope's runs and tokens.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct RawLimits {
    /// Of one run, as `2m`: SIGTERM then, SIGKILL ten seconds later.
    pub timeout: Option<At<String>>,
    /// Of each stream, as `64KiB`: head and tail are kept.
    pub output: Option<At<String>>,
    /// Runs that begin within a minute.
    pub runs_per_minute: Option<u32>,
    /// Runs at once.
    pub concurrent_runs: Option<u32>,
    /// The longest that a token of the scope may live, as `90d`.
    pub token_ttl: Option<At<String>>,
    /// Processes and threads of one run at once; default 512 over MCP.
    pub processes: Option<At<u32>>,
    /// Memory of one run, as `4GiB` (the default over MCP); its own temporary file systems included.
    pub memory: Option<At<String>>,
    /// What one run may put into its private directories, as `10GiB` (the default over MCP).
    pub disk: Option<At<String>>,
}

/// The child's environment, which starts empty.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct RawEnv {
    /// Directories before the system's in PATH.
    #[serde(default)]
    pub path: Vec<At<String>>,
    /// Variables taken from the server's environment: `["CI"]`, or `{ NODE_ENV = "{enum:test|production}" }`.
    #[serde(default)]
    pub pass: RawVariables,
    /// Variables that a call may set, likewise: `["LOG_LEVEL"]`, or `{ DEPTH = "{int:1..9}" }`.
    #[serde(default)]
    pub agent: RawVariables,
    /// Which HOME.
    #[serde(default)]
    pub home: HomeMode,
}

/// Names, or names with their types.
#[derive(Debug, Default)]
pub(in crate::policy) struct RawVariables(pub(super) Vec<(At<String>, Option<At<String>>)>);

impl<'de> Deserialize<'de> for RawVariables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Either)
    }
}

/// By hand, since an untagged enum loses the places of what it reads.
struct Either;

impl<'de> Visitor<'de> for Either {
    type Value = RawVariables;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names, or a table of names with their types")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<RawVariables, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = all.next_element()? {
            found.push((name, None));
        }
        Ok(RawVariables(found))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<RawVariables, A::Error> {
        let mut found = Vec::new();
        while let Some((name, text)) = all.next_entry()? {
            found.push((name, Some(text)));
        }
        Ok(RawVariables(found))
    }
}

impl JsonSchema for RawVariables {
    fn schema_name() -> Cow<'static, str> {
        "Variables".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Names that are known to be harmless, or names with the type of their texts, as { DEPTH = \"{int:1..9}\" }.",
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "object", "additionalProperties": { "type": "string" } }
            ]
        })
    }

    fn inline_schema() -> bool {
        true
    }
}

/// What the child can reach.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct RawSandbox {
    /// Default `required`.
    pub mode: Option<At<SandboxMode>>,
    /// Default `none`; `proxy` if a rule is sealed.
    pub network: Option<At<Network>>,
    /// Paths to read, beside the system's; `{cwd}` is where the run starts.
    #[serde(default)]
    pub read: Vec<At<String>>,
    /// Paths to write, beside private directories; `{cwd}` is where the run starts.
    #[serde(default)]
    pub write: Vec<At<String>>,
    /// What becomes of a file that a run made under `write`, and that holds a secret.
    #[serde(default)]
    pub on_file_hit: OnFileHit,
    /// Control files under `write` that a run may write, too, relative to a project, as `.git/hooks`: what other
    /// programs run or trust unasked.
    #[serde(default)]
    pub write_control: Vec<At<String>>,
    /// Directories where runs may start; none: a private empty one.
    #[serde(default)]
    pub cwd: Vec<At<String>>,
    /// Hosts that runs with `network = "proxy"` reach beside those of sealed secrets, as plain tunnels.
    pub hosts: Option<At<Vec<String>>>,
    /// A file of certificates (PEM) that the proxy trusts beside the system's roots; it is read when the policy
    /// is applied.
    pub extra_ca: Option<At<String>>,
    /// `http://host:port` of a proxy of your network, by which the run's proxy reaches every host but this machine.
    pub upstream_proxy: Option<At<String>>,
}

/// Secrets, how they are delivered, and the commands that may have them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(in crate::policy) struct RawRule {
    /// A name for messages.
    pub id: Option<At<String>>,
    /// Globs over secret names: `*` within a segment, `**` across.
    #[serde(default)]
    pub secrets: Vec<At<String>>,
    /// How a value gets to the program.
    pub deliver: At<DeliveryMode>,
    /// What a sealed secret is for, instead of `hosts`, `inject` and `env`: `openai`, `anthropic`, `github`, `cloudflare`,
    /// `stripe`.
    pub service: Option<At<String>>,
    /// Where a sealed secret may go: `host` (port 443), `host:port`, `*.host` for its subdomains.
    pub hosts: Option<At<Vec<String>>>,
    /// What the proxy sets by itself.
    pub inject: Option<At<RawInject>>,
    /// Where a placeholder is replaced; default nowhere with `inject`, else in `header`.
    pub substitute: Option<At<Vec<RawPlace>>>,
    /// HTTP methods that a sealed secret may go with.
    pub methods: Option<At<Vec<String>>>,
    /// Paths that a sealed secret may go to: `*` within a segment, `**` across.
    pub paths: Option<At<Vec<String>>>,
    /// Whether a value that can be guessed may be sealed: a host that says again what it is sent answers guesses.
    pub guessable: Option<At<bool>>,
    /// Variable → the address of one of the hosts, for clients that know no proxy.
    #[serde(default)]
    pub base_url: BTreeMap<At<String>, At<String>>,
    /// Argv patterns, one element an argument, or `"any"`.
    pub commands: At<RawCommands>,
    /// Whether a person is asked.
    pub approval: Option<At<Approval>>,
    /// Secret → the variable it goes by.
    #[serde(default)]
    pub env: BTreeMap<At<String>, At<String>>,
    /// Variables that the rule sets; `{file:NAME}` is the path of a `file` delivery.
    #[serde(default)]
    pub set_env: BTreeMap<At<String>, String>,
    /// Refuse if the program, an interpreter that runs it, or a file that its arguments name in full has changed since
    /// the policy was applied.
    #[serde(default)]
    pub pin: bool,
    /// Whether a call over MCP may give text for standard input; default `none` in a rule with secrets.
    /// `authy-mcp run` passes the person's.
    pub stdin: Option<At<Stdin>>,
    /// Your own word that these commands can't tell a secret. It is shown as yours, and stands for the commands and
    /// programs as they are now.
    pub reviewed: Option<At<bool>>,
    /// What of the output is returned.
    #[serde(default)]
    pub output: OutputMode,
    /// For a rule without secrets, an agent's own: how much of the sandbox must stand for it.
    pub sandbox: Option<At<SandboxMode>>,
    /// What is told of exit codes: `exact`, or `reduced` to success or failure (what it is for any command).
    pub exit_code: Option<ExitCodes>,
    /// Of a run under this rule, where shorter than the scope's.
    pub timeout: Option<At<String>>,
}

impl<T: Ord> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Ord> Eq for At<T> {}

impl<T: Ord> PartialOrd for At<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> Ord for At<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.get().cmp(other.get())
    }
}

/// Patterns, or the word `any`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::policy) enum RawCommands {
    /// The word `any`.
    Word(String),
    /// Argv patterns.
    Patterns(Vec<Vec<String>>),
}

/// What the proxy sets by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Inject")]
pub(in crate::policy) enum RawInject {
    /// `Authorization: Bearer`.
    Bearer,
    /// `Authorization: Basic`, with this user.
    Basic(String),
    /// A header of this name, with the value alone.
    Header(String),
    /// An AWS signature, version 4, made anew with sealed keys.
    AwsSigv4(RawSigV4),
}

/// The secrets that sign, all of them the rule's, and what they sign for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AwsSigV4")]
pub(in crate::policy) struct RawSigV4 {
    /// The secret that is the access key's id.
    pub access_key: String,
    /// The secret that is the key itself.
    pub secret_key: String,
    /// The secret that is the session token of temporary keys.
    pub session_token: Option<String>,
    /// The region; none: the one that the program signs for.
    pub region: Option<String>,
    /// The service, as `s3`; none: the one that the program signs for.
    pub service: Option<String>,
}

/// Where a placeholder is replaced.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(in crate::policy) struct RawPlace(pub String);

impl JsonSchema for RawPlace {
    fn schema_name() -> Cow<'static, str> {
        "Place".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Where a placeholder is replaced: in headers that carry credentials, in the header of a name, in the query, in the path, in JSON, form and text bodies, in text messages of a WebSocket.",
            "type": "string",
            "pattern": "^(header|header:[A-Za-z0-9-]+|query|path|body|websocket)$"
        })
    }
}

/// Whether a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::policy) enum Approval {
    Never,
    Once,
    Always,
}

/// What is denied, whatever is allowed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Deny")]
pub(in crate::policy) struct RawDeny {
    /// Globs over secret names.
    pub secrets: Vec<At<String>>,
}

/// The JSON Schema of a policy document (draft 2020-12).
pub fn policy_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(RawDocument);
    schema.insert("$id".to_owned(), "policy.schema.json".into());
    schema.to_value()
}
