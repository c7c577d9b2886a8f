//! The room alone: a client of the protocol's crate at one end, a service that says what it is told to at the other.

mod answers;
mod calls;
mod toy;

use std::{future::pending, sync::Arc};

use parking_lot::Mutex;

use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, CallToolResult, JsonObject, ProgressNotificationParam},
    service::{NotificationContext, RunningService},
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Server;
use crate::{
    broker::{
        Answer, Call, Caller, Credential, Meanwhile, Pending, Refused, Reply, Service, Way,
        api::{LimitsEntry, ListAllowed, RunResult, TokenAnswer, TokenStatus},
        refusal::Refusal,
    },
    redact::{NeedleSet, testing::needles},
    run::Piece,
};

/// The name and the value of the one secret that may turn up.
const SECRET: (&str, &str) = ("app/key", "kX93-qPz71-vLm40");
const MASK: &str = "[redacted:app/key]";

/// What a service does with a run.
enum Run {
    /// It ends at once, with this.
    Ends(Box<RunResult>),
    /// It ends when it is cancelled.
    Goes,
}

/// A service that answers what it was given, or refuses all of it, and remembers what it was asked.
struct Fake {
    refuses: Option<Refusal>,
    run: Run,
    /// What a run writes on the way.
    writes: Vec<String>,
    /// What is masked in what goes out beside an answer.
    for_anyone: NeedleSet,
    asked: Mutex<Vec<Value>>,
    begun: Notify,
    cancelled: Notify,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            refuses: None,
            run: Run::Ends(Box::new(RunResult::of_nothing())),
            writes: Vec::new(),
            for_anyone: NeedleSet::empty(),
            asked: Mutex::default(),
            begun: Notify::new(),
            cancelled: Notify::new(),
        }
    }
}

impl Fake {
    fn refusing(refusal: Refusal) -> Self {
        Self { refuses: Some(refusal), ..Self::default() }
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().clone()
    }

    fn says<T>(&self, caller: &Caller, asked: Value, body: T) -> Result<Answer<T>, Refused> {
        let who = match &caller.credential {
            Credential::LocalScope(local) => local.scope.to_string(),
            Credential::Missing { why, .. } => format!("nobody: {why}"),
            Credential::Token(_) | Credential::Tree(_) => unreachable!("no such caller here"),
        };
        assert_eq!(caller.way, Way::Tool);
        self.asked.lock().push(json!({ "by": who, "asked": asked }));
        let needles = secret();
        match self.refuses.clone() {
            Some(body) => Err(Box::new(Answer { body, needles })),
            None => Ok(Answer { body, needles }),
        }
    }
}

fn secret() -> NeedleSet {
    needles(SECRET.0, SECRET.1)
}

fn to_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

impl Service for Fake {
    fn know<'a>(&'a self, _: &'a Caller) -> Pending<'a, Result<String, Refused>> {
        unreachable!("that is the door's")
    }

    fn check<'a>(&'a self, _: &'a Caller) -> Pending<'a, Result<(), Refused>> {
        unreachable!("that is the door's")
    }

    fn call<'a>(
        &'a self,
        caller: &'a Caller,
        call: Call,
        Meanwhile { progress, cancel }: Meanwhile,
    ) -> Pending<'a, Result<Answer<Reply>, Refused>> {
        Box::pin(async move {
            let params = match &call {
                Call::ListAllowed => return self.says(caller, json!({}), Reply::Allowed(listed())),
                Call::RequestToken(params) => {
                    return self.says(caller, to_json(params), Reply::Token(granted()));
                }
                Call::RunWithSecrets(params) => params,
            };
            for text in &self.writes {
                let piece = Piece { fd: 1, text: secret().text(text) };
                progress.as_ref().expect("the client listens").send(piece).await.unwrap();
            }
            let result = match &self.run {
                Run::Ends(result) => (**result).clone(),
                Run::Goes => {
                    self.begun.notify_one();
                    cancel.cancelled().await;
                    self.cancelled.notify_one();
                    pending().await
                }
            };
            self.says(caller, to_json(params), Reply::Ran(result))
        })
    }

    fn needles_for_anyone(&self) -> NeedleSet {
        self.for_anyone.clone()
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async {})
    }
}

/// A client that keeps what it is told on the way.
#[derive(Clone, Default)]
struct Listening(Arc<Mutex<Vec<(u32, String)>>>);

impl ClientHandler for Listening {
    async fn on_progress(&self, said: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let count = said.progress as u32;
        self.0.lock().push((count, said.message.unwrap_or_default()));
    }
}

/// A server over a service, and its client.
struct Scene {
    service: Arc<Fake>,
    client: RunningService<RoleClient, Listening>,
}

impl Scene {
    async fn over(service: Fake) -> Self {
        Self::with(service, Server::for_process).await
    }

    /// A server of this process's own caller.
    async fn with(service: Fake, server: impl FnOnce(Arc<dyn Service>, Caller) -> Server) -> Self {
        let caller = Caller {
            credential: Credential::LocalScope(crate::broker::LocalSession::new(
                crate::names::ScopeName::parse("dev").unwrap(),
                crate::broker::Bound::Process,
            )),
            environment: Arc::default(),
            way: Way::Tool,
        };
        Self::of(service, |service| server(service, caller)).await
    }

    async fn of(service: Fake, server: impl FnOnce(Arc<dyn Service>) -> Server) -> Self {
        let service = Arc::new(service);
        let server = server(Arc::clone(&service) as Arc<dyn Service>);
        let (near, far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move { server.serve(far).await.unwrap().waiting().await });
        Self { service, client: Listening::default().serve(near).await.unwrap() }
    }

    async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let arguments: JsonObject = serde_json::from_value(arguments).unwrap();
        self.client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap()
    }
}

/// Everything that a model gets: the one text, the structure, and whether it is an error.
fn parts(result: &CallToolResult) -> (String, Value, bool) {
    let [content] = result.content.as_slice() else { panic!("one text: {result:?}") };
    let text = content.as_text().expect("a text").text.clone();
    (text, result.structured_content.clone().expect("a structure"), result.is_error.unwrap_or(false))
}

/// A scope in which nothing is allowed.
fn listed() -> ListAllowed {
    ListAllowed {
        scope: "dev".to_owned(),
        expires_at: None,
        default_cwd: None,
        rules: Vec::new(),
        limits: LimitsEntry {
            timeout_seconds: 60,
            output_bytes: 4096,
            runs_per_minute: 30,
            concurrent_runs: 4,
            processes: Some(512),
            memory_bytes: Some(4 << 30),
            disk_bytes: None,
        },
        sandbox: "required".to_owned(),
    }
}

/// A narrowing of which there is no more to say.
fn granted() -> TokenAnswer {
    TokenAnswer {
        status: TokenStatus::Granted,
        grant_id: "g_1".to_owned(),
        secrets: vec!["app/key".to_owned()],
        expires_at: None,
        max_uses: None,
        token_file: None,
        token: None,
        next: "go on".to_owned(),
    }
}
