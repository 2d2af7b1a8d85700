//! For those who look after nodes: alive, ready, and what is counted.

use axum::Json;
use axum::extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::State;
use crate::api::types::ReadyAnswer;
use crate::metrics::Measured;

/// Whether the node works at all. One that cannot write must be restarted.
#[utoipa::path(get, path = "/healthz", responses((status = 200), (status = 503)))]
pub(super) async fn alive(extract::State(state): extract::State<State>) -> Response {
    if state.services.ledger.is_poisoned() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the database has failed\n").into_response();
    }
    "ok\n".into_response()
}

/// Whether transactions can be expected to be committed through this node now.
#[utoipa::path(get, path = "/readyz",
    responses((status = 200, body = ReadyAnswer), (status = 503, body = ReadyAnswer)))]
pub(super) async fn ready(
    extract::State(state): extract::State<State>,
) -> (StatusCode, Json<ReadyAnswer>) {
    let services = &state.services;
    let consensus = *services.consensus.borrow();
    let mut reasons = Vec::new();
    if services.ledger.is_poisoned() {
        reasons.push("the database has failed".to_owned());
    }
    if consensus.catching_up {
        reasons.push("it is fetching blocks from others".to_owned());
    }
    let quorum = services.genesis.replica_set().quorum();
    let peers = services.network.peers();
    let connected = peers.iter().filter(|peer| peer.connected).count();
    // One that listens does not vote, and the others can tell as little as it can who of
    // them does.
    let (reached, itself) = if consensus.listening {
        (connected, "without itself, which does not vote yet")
    } else {
        (1 + connected, "itself included")
    };
    if reached < quorum {
        reasons.push(format!(
            "it reaches {reached} replicas, {itself}, and a quorum is {quorum}"
        ));
    }
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadyAnswer { ready, reasons }))
}

/// What is counted, for Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, body = String)))]
pub(super) async fn metrics(extract::State(state): extract::State<State>) -> impl IntoResponse {
    let services = &state.services;
    let text = services.metrics.encode(&Measured {
        height: services.ledger.tip().number,
        certified: state.progress().certified,
        view: services.consensus.borrow().view,
        pool: services.submit.pool_usage().0,
        syncs: services.ledger.syncs(),
        network: services.network.counters(),
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text)
}
