//! The MCP surface: three tools over stdio and over HTTP.
//!
//! Words come in as JSON and go to the broker parsed; what goes out passes `outbound`, the one door,
//! which takes nothing but what is redacted. `rmcp` stands in this room only. Nothing here decides.

pub(crate) mod client;
mod door;
mod http;
mod outbound;
mod render;
mod server;
mod sessions;
mod stdio;
mod tools;

pub(crate) use http::{Exposure, HttpSettings, serve_http};
pub(crate) use server::Server;
pub(crate) use stdio::serve_stdio;
pub use tools::schemas;

/// Why a server ended, or never began.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The peer never spoke MCP, or stopped doing so.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The address can't be listened on.
    #[error("can't listen on {addr}")]
    Listen {
        /// Which.
        addr: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a loopback address, and nobody insisted.
    #[error("{0} can be reached by others")]
    Exposed(std::net::SocketAddr),
}

#[cfg(test)]
mod tests;
