//! The accept loop: a bounded number of connections, each with a bounded time
//! for its headers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::routes;
use super::stream::ClientStream;
use crate::services::Services;

/// The longest headers, in bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// How long a stopping node lets calls under way end.
const GRACE: Duration = Duration::from_secs(5);

/// The pause after the system refused a connection, for lack of descriptors say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Somebody listens there already.
    #[error(
        "cannot serve the API on {address}: another process has that port; \
         stop it, or give this node another api_listen address"
    )]
    AddressInUse {
        /// Where.
        address: SocketAddr,
    },
    /// The system refused the address.
    #[error("cannot serve the API on {address}: {source}; check api_listen in node.toml")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// The bounds on clients.
#[derive(Clone, Copy, Debug)]
pub struct ApiLimits {
    /// How many connections are served at a time; more wait to be accepted.
    pub max_connections: usize,
    /// How many bytes a request body may have.
    pub max_body_bytes: usize,
    /// From the moment a connection is ready for a request to the end of the
    /// request's headers; when it is over, the connection is closed.
    pub header_timeout: Duration,
    /// How long a client may take for [`ApiLimits::min_taken_bytes`] of its answer, or for
    /// what is left of it; when it is over, the connection is closed.
    pub stall_timeout: Duration,
    /// See there.
    pub min_taken_bytes: usize,
    /// How many bytes large answers may have together that wait to be taken; who asks
    /// for more is refused.
    pub max_answer_bytes: usize,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            max_connections: 512,
            max_body_bytes: 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            min_taken_bytes: 128 * 1024,
            max_answer_bytes: 256 * 1024 * 1024,
        }
    }
}

/// The API's door, open and not yet served.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
}

impl Api {
    /// Takes the port.
    ///
    /// # Errors
    ///
    /// When it cannot be had.
    pub async fn bind(address: SocketAddr) -> Result<Self, ApiError> {
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener }),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(ApiError::AddressInUse { address })
            }
            Err(source) => Err(ApiError::Listen { address, source }),
        }
    }

    /// Where it listens, with the port that the system has chosen.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` is cancelled, and a little longer for calls under way.
    pub async fn serve(self, services: Services, limits: ApiLimits, stop: CancellationToken) {
        let answers = Answers::new(limits.max_answer_bytes);
        let router = routes::router(services, limits.max_body_bytes, stop.clone())
            .layer(map_response(move |answer| answers.clone().hold(answer)));
        let places = Arc::new(Semaphore::new(limits.max_connections));
        let graceful = GracefulShutdown::new();
        loop {
            let connection = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                connection = next(&self.listener, &places) => connection,
            };
            let Some((stream, place)) = connection else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let stream = ClientStream::new(stream, limits.stall_timeout, limits.min_taken_bytes);
            serve_connection(stream, place, router.clone(), &graceful, &limits);
        }
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some calls did not end in time");
        }
    }
}

/// The next connection, once there is a place for it; none if the system
/// refused one.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small answers are not to wait for more.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            None
        }
    }
}

fn serve_connection(
    stream: ClientStream,
    place: OwnedSemaphorePermit,
    router: Router,
    graceful: &GracefulShutdown,
    limits: &ApiLimits,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = place;
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a client's connection ended badly");
        }
    });
}
