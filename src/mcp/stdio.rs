//! stdio: one client, which started this process, and whose end is this process's end.
//!
//! The client's lines are read here, not by the protocol's crate: what can't be read is answered, a request whose id
//! is taken is refused, no more is read than is answered, and a signal, or a client that reads no more, ends all of it.

mod flow;
mod line;
mod pump;
mod streams;

use std::{io, pin::pin, sync::Arc, time::Duration};

use rmcp::{
    RoleServer, ServiceExt,
    model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage},
    transport::Transport,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use self::{flow::Flow, pump::Pump, streams::Output};
use super::{ServeError, Server};
use crate::broker::{Caller, Service};

/// Messages that the service has not taken yet.
const HANDED: usize = 16;
/// How long a client may take to read what became of its calls, once a signal has ended them.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves the client at the other end of standard input and output, until it is gone or `stop` is cancelled; then
/// ends what it left running, and says so to a client that is still there.
///
/// # Errors
/// [`ServeError::Connection`] where it never spoke MCP.
pub(crate) async fn serve_stdio(
    broker: Arc<dyn Service>,
    caller: Caller,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (gone, quit) = (CancellationToken::new(), CancellationToken::new());
    let transport = Stdio::start(gone.clone()).map_err(|error| ServeError::Connection(error.to_string()))?;
    let server = Server::for_process(Arc::clone(&broker), caller);
    let mut serving = pin!(serve(server, transport, quit.clone()));
    let over = tokio::select! {
        served = &mut serving => Some(served),
        () = stop.cancelled() => None,
        () = gone.cancelled() => None,
    };
    // Before the client is told: what it is told has been put on record.
    broker.close().await;
    if over.is_none() && !gone.is_cancelled() {
        quit.cancel();
        // A client that reads nothing is not waited for.
        let _ = timeout(LAST_WORDS, serving).await;
    }
    over.unwrap_or(Ok(()))
}

async fn serve(server: Server, transport: Stdio, quit: CancellationToken) -> Result<(), ServeError> {
    let failed = |error: String| ServeError::Connection(error);
    let running = server.serve_with_ct(transport, quit).await.map_err(|error| failed(error.to_string()))?;
    running.waiting().await.map(drop).map_err(|error| failed(error.to_string()))
}

/// Standard input and output, as the protocol's crate has them.
struct Stdio {
    flow: Arc<Flow>,
    messages: mpsc::Receiver<ClientJsonRpcMessage>,
    output: Output,
}

impl Stdio {
    fn start(gone: CancellationToken) -> io::Result<Self> {
        let flow = Arc::new(Flow::default());
        let output = streams::output(Arc::clone(&flow), gone)?;
        let (handed, messages) = mpsc::channel(HANDED);
        let pump = Pump::new(Arc::clone(&flow), output.clone(), handed);
        tokio::spawn(pump.run(streams::input()?));
        Ok(Self { flow, messages, output })
    }

    /// The message by the client's own id; nothing where it wants no answer any more.
    fn to_client(&self, mut message: ServerJsonRpcMessage) -> Option<ServerJsonRpcMessage> {
        match &mut message {
            JsonRpcMessage::Response(response) => response.id = self.flow.is_answered(&response.id)?,
            JsonRpcMessage::Error(error) => {
                error.id = match &error.id {
                    Some(id) => Some(self.flow.is_answered(id)?),
                    None => None,
                };
            }
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => {}
        }
        Some(message)
    }
}

impl Transport<RoleServer> for Stdio {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let text = self.to_client(message).map(|message| serde_json::to_vec(&message));
        let sent = text.transpose().map(|text| text.map(|text| self.output.send(text, &self.flow)));
        async move {
            match sent? {
                Some(written) => written.await,
                None => Ok(()),
            }
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        self.messages.recv().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.messages.close();
        Ok(())
    }
}
