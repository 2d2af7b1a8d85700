//! A line between two nodes that can be slow, or stand still.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How many bytes pass at a time.
pub(crate) const PIECE_BYTES: usize = 16 * 1024;

/// How bytes pass, in both directions.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Flow {
    Free,
    /// With a pause after every [`PIECE_BYTES`].
    Slow(Duration),
    Stopped,
}

/// A fixed address in front of a node that may move.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    pub(crate) target: Arc<Mutex<SocketAddr>>,
    pub(crate) flow: watch::Sender<Flow>,
}

impl Relay {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(target));
        let (sender, flow) = watch::channel(Flow::Free);
        let current = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let target = *current.lock().unwrap();
                tokio::spawn(relay(near, target, flow.clone()));
            }
        });
        Self {
            address,
            target,
            flow: sender,
        }
    }
}

async fn relay(near: TcpStream, target: SocketAddr, flow: watch::Receiver<Flow>) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = copy(near_in, far_out, flow.clone()) => {}
        () = copy(far_in, near_out, flow) => {}
    }
}

async fn copy(
    from: tokio::net::tcp::OwnedReadHalf,
    to: tokio::net::tcp::OwnedWriteHalf,
    mut flow: watch::Receiver<Flow>,
) {
    let mut buffer = [0; PIECE_BYTES];
    loop {
        let flows = flow.wait_for(|flow| *flow != Flow::Stopped).await.is_ok();
        if !flows || from.readable().await.is_err() {
            return;
        }
        let now = *flow.borrow();
        match now {
            Flow::Free => {}
            Flow::Slow(pause) => tokio::time::sleep(pause).await,
            Flow::Stopped => continue,
        }
        let size = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(size) => size,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut rest = &buffer[..size];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return;
            }
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}
