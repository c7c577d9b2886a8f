//! stdio: one client, which started this process, and whose end is this process's end.

use std::sync::Arc;

use rmcp::ServiceExt;

use super::{ServeError, Server};
use crate::broker::{Caller, Service};

/// Serves the client at the other end of standard input and output, until it is gone; then ends what it
/// left running.
///
/// # Errors
/// [`ServeError::Connection`] where it never spoke MCP.
pub async fn serve_stdio(broker: Arc<dyn Service>, caller: Caller) -> Result<(), ServeError> {
    let server = Server::for_process(Arc::clone(&broker), caller);
    let served = match server.serve(rmcp::transport::stdio()).await {
        Ok(running) => {
            running.waiting().await.map(drop).map_err(|error| ServeError::Connection(error.to_string()))
        }
        Err(error) => Err(ServeError::Connection(error.to_string())),
    };
    broker.close().await;
    served
}
