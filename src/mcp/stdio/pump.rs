//! From the client's lines to messages for the service, as many as there is room for.

use std::{sync::Arc, time::Duration};

use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, GetExtensions, GetMeta, JsonRpcMessage,
    ProtocolVersion, RequestId, ServerJsonRpcMessage, ServerResult,
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    flow::{Flow, Ticket, Turn, Waiting},
    line::{self, Answer, Shape},
    streams::{Input, Output},
};
use crate::mcp::outbound::{self, Fault};

/// How long calls that wait are still taken, once the client has said that nothing more will come.
const LAST_TURNS: Duration = Duration::from_secs(5);

/// Whether the service has a session. Before, the protocol's crate takes whatever is no request for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    None,
    Open,
}

/// Hands messages on.
pub(super) struct Pump {
    flow: Arc<Flow>,
    output: Output,
    handed: mpsc::Sender<ClientJsonRpcMessage>,
    session: Session,
}

/// The client, or the service, is gone.
struct Over;

impl Pump {
    pub(super) fn new(flow: Arc<Flow>, output: Output, handed: mpsc::Sender<ClientJsonRpcMessage>) -> Self {
        Self { flow, output, handed, session: Session::None }
    }

    /// Until the input's end, or the client's.
    pub(super) async fn run(mut self, mut input: mpsc::Receiver<Input>) {
        // Whatever is over, there is nobody to tell: the service sees its channel closed.
        let _ = self.take_all(&mut input).await;
    }

    async fn take_all(&mut self, input: &mut mpsc::Receiver<Input>) -> Result<(), Over> {
        loop {
            self.take_waiting().await?;
            let flow = Arc::clone(&self.flow);
            let next = tokio::select! {
                () = flow.changed.notified() => continue,
                next = input.recv(), if flow.has_room() => next,
            };
            match next {
                Some(Input::Line(line)) => self.take(line).await?,
                Some(Input::TooLong) => self.answer(Answer { to: None, fault: Fault::TooLong }).await?,
                None => break,
            }
        }
        let until = Instant::now() + LAST_TURNS;
        while self.flow.waits() {
            if timeout_at(until, self.flow.changed.notified()).await.is_err() {
                return Err(Over);
            }
            self.take_waiting().await?;
        }
        Ok(())
    }

    async fn take_waiting(&mut self) -> Result<(), Over> {
        while let Some((request, ticket)) = self.flow.next() {
            self.hand_request(request, ticket).await?;
        }
        Ok(())
    }

    async fn take(&mut self, line: Vec<u8>) -> Result<(), Over> {
        match line::shape(&line) {
            None => Ok(()),
            Some(Err(answer)) => self.answer(answer).await,
            Some(Ok(Shape::Other)) => self.hand_other(&line).await,
            Some(Ok(Shape::Request { id, method })) => {
                match self.flow.enter(Waiting { id, method, line }) {
                    Turn::Now(request, ticket) => self.hand_request(request, ticket).await,
                    Turn::Later => Ok(()),
                    // By the id of the other one, it would be taken for that one's answer.
                    Turn::Same => self.answer(Answer { to: None, fault: Fault::SameId }).await,
                    Turn::Never(id) => self.refuse(id).await,
                }
            }
        }
    }

    async fn hand_request(&mut self, request: Waiting, ticket: Ticket) -> Result<(), Over> {
        let Waiting { id, method, line } = request;
        match line::message(&line, &Shape::Request { id, method }) {
            Ok(Some(JsonRpcMessage::Request(mut request))) => {
                if opens(&request.request) {
                    self.session = Session::Open;
                }
                request.id = RequestId::Number(ticket.number());
                request.request.extensions_mut().insert(ticket);
                self.hand(JsonRpcMessage::Request(request)).await
            }
            Ok(_) => {
                self.flow.forget(&ticket);
                Ok(())
            }
            Err(answer) => {
                self.flow.forget(&ticket);
                self.answer(answer).await
            }
        }
    }

    async fn hand_other(&mut self, line: &[u8]) -> Result<(), Over> {
        let mut message = match line::message(line, &Shape::Other) {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(answer) => return self.answer(answer).await,
        };
        if let JsonRpcMessage::Notification(notification) = &mut message
            && let ClientNotification::CancelledNotification(cancelled) = &mut notification.notification
        {
            let number = cancelled.params.request_id.as_ref().and_then(|id| self.flow.cancel(id));
            let Some(number) = number else { return Ok(()) };
            cancelled.params.request_id = Some(RequestId::Number(number));
        }
        if self.session == Session::None { Ok(()) } else { self.hand(message).await }
    }

    async fn hand(&mut self, message: ClientJsonRpcMessage) -> Result<(), Over> {
        self.handed.send(message).await.map_err(|_| Over)
    }

    /// Says what is wrong with a line, and reads no further until that is written: answers to nonsense are bounded,
    /// too.
    async fn answer(&mut self, answer: Answer) -> Result<(), Over> {
        let text = outbound::fault(answer.to.as_ref(), answer.fault);
        self.output.send(text, &self.flow).await.map_err(|_| Over)
    }

    async fn refuse(&mut self, id: RequestId) -> Result<(), Over> {
        let result = ServerResult::CallToolResult(outbound::too_many_calls());
        let text = serde_json::to_vec(&ServerJsonRpcMessage::response(result, id)).map_err(|_| Over)?;
        self.output.send(text, &self.flow).await.map_err(|_| Over)
    }
}

/// Whether the service has a session once it has this: by the handshake, or as the request brings all that is needed
/// (revision 2026-07-28).
fn opens(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => {
            let meta = other.get_meta();
            let known = |version: ProtocolVersion| ProtocolVersion::KNOWN_VERSIONS.contains(&version);
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta.protocol_version().is_some_and(known)
        }
    }
}
