//! A relay to a TCP port whose answers come late: a slow network, where the kernel has no netem.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// Relays for as long as it lives.
pub struct Late {
    port: u16,
    _relay: JoinSet<()>,
}

impl Late {
    /// Whatever `server` sends is held back for `delay`; what is sent to it is not.
    ///
    /// # Panics
    /// When no port can be opened.
    pub async fn answers(server: SocketAddr, delay: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let mut relay = JoinSet::new();
        relay.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(relayed(client, server, delay));
            }
        });
        Self { port, _relay: relay }
    }

    /// Where it listens, on every address of this machine.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// Until either side ends.
async fn relayed(client: TcpStream, server: SocketAddr, delay: Duration) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let ((mut asks, hears), (answers, mut asked)) = (client.into_split(), server.into_split());
    tokio::select! {
        _ = copy(&mut asks, &mut asked) => {}
        () = held_back(answers, hears, delay) => {}
    }
}

async fn held_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (keep, mut kept) = unbounded_channel();
    let read = async move {
        let mut chunk = vec![0; 65536];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            if keep.send((Instant::now() + delay, chunk[..length].to_vec())).is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = kept.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}
