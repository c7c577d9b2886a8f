//! `run_with_secrets`: one command, its progress, its cancellation.

use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonObject, ProgressToken},
    service::Peer,
};
use tokio::{sync::mpsc, task::spawn_blocking};

use crate::{
    broker::api::RunParams,
    mcp::{
        outbound, render,
        server::{Call, Server},
    },
    run::Piece,
};

const FORM: &str = "give command as a list, one element an argument: {\"command\": [\"npm\", \"test\"], \"secrets\": [\"NAME\"]}; list_allowed has examples";
/// Pieces of output that wait for a client; more are left out of the progress, never out of the result.
const WAITING_PIECES: usize = 64;

pub(in crate::mcp) async fn run_with_secrets(
    server: &Server,
    call: &Call,
    arguments: JsonObject,
) -> CallToolResult {
    let params: RunParams = match super::parse(arguments, FORM) {
        Ok(params) => params,
        Err(refusal) => return server.refuse(refusal),
    };
    let (progress, reporting) = match &call.progress {
        None => (None, None),
        Some(token) => {
            let (send, receive) = mpsc::channel(WAITING_PIECES);
            (Some(send), Some(tokio::spawn(report(call.peer.clone(), token.clone(), receive))))
        }
    };
    let done = server.broker.run_with_secrets(&call.caller, params, progress, call.cancel.clone()).await;
    if let Some(reporting) = reporting {
        // Everything that was said on the way is said before the result.
        let _ = reporting.await;
    }
    match done {
        // Masking takes as long as the output wants it to: not on the threads that serve.
        Ok(answer) => match spawn_blocking(move || outbound::answer(&answer, render::run)).await {
            Ok(result) => result,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        },
        Err(refused) => outbound::refusal(&refused),
    }
}

/// Sends each piece as it comes. A client that is gone, or doesn't listen, changes nothing.
async fn report(peer: Peer<RoleServer>, token: ProgressToken, mut pieces: mpsc::Receiver<Piece>) {
    let mut count = 0;
    while let Some(piece) = pieces.recv().await {
        count += 1;
        if peer.notify_progress(outbound::progress(token.clone(), count, &piece.text)).await.is_err() {
            return;
        }
    }
}
