//! The run's resolver: a socket in the run's network, answered from here.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{sleep, timeout},
};

use super::{
    dns,
    run::{ASKS_WITHIN, Shared},
};

/// The longest query that is read from a datagram: more than a name of any length and its options take
/// (RFC 1035, section 4.2.1).
const LONGEST: usize = 512;

pub(super) async fn serve_datagrams(run: Shared, socket: UdpSocket) {
    let mut query = [0; LONGEST];
    loop {
        match socket.recv_from(&mut query).await {
            Ok((length, from)) => {
                if let Some(answer) = answer(&run, &query[..length]) {
                    // Who asked may be gone, or ask again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Queries with their length in front (RFC 1035, section 4.2.2), as many as a client asks.
pub(super) async fn serve_stream(run: &Shared, mut stream: TcpStream) {
    while let Ok(Some(answer)) = timeout(ASKS_WITHIN, next(run, &mut stream)).await {
        let length = u16::try_from(answer.len()).unwrap_or_default().to_be_bytes();
        if stream.write_all(&[&length, &answer[..]].concat()).await.is_err() {
            return;
        }
    }
}

async fn next(run: &Shared, stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut query = vec![0; length.into()];
    stream.read_exact(&mut query).await.ok()?;
    answer(run, &query)
}

fn answer(run: &Shared, query: &[u8]) -> Option<Vec<u8>> {
    dns::answer(query, |name| run.names.address_of(name))
}
