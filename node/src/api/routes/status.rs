//! Where this node stands, and what the network agreed on.

use axum::Json;
use axum::extract;
use axum::http::header;
use axum::response::IntoResponse;

use super::State;
use crate::api::types::{NodeName, PeerAnswer, PoolAnswer, StatusAnswer};

/// Where this node stands.
#[utoipa::path(get, path = "/v1/status", responses((status = 200, body = StatusAnswer)))]
pub(super) async fn status(extract::State(state): extract::State<State>) -> Json<StatusAnswer> {
    let services = &state.services;
    let consensus = *services.consensus.borrow();
    let tip = services.ledger.tip();
    let (transactions, bytes) = services.submit.pool_usage();
    let name = |id: u32| {
        let replica = services.genesis.replica(consensus::ReplicaId(id));
        replica.map_or_else(String::new, |replica| replica.name.clone())
    };
    let peers = services.network.peers().into_iter();
    let own = services.id.0;
    Json(StatusAnswer {
        node: NodeName {
            id: own,
            name: name(own),
        },
        network: services.genesis.name().to_owned(),
        network_id: services.genesis.network_id().to_string(),
        view: consensus.view,
        primary: consensus.primary,
        height: tip.number,
        certified: state.progress().certified,
        block_hash: tip.hash.to_string(),
        state_digest: tip.state_digest.to_string(),
        last_executed: consensus.last_executed,
        low_watermark: consensus.low_watermark,
        high_watermark: consensus.high_watermark,
        fault: services.fault.shown(),
        listening: consensus.listening,
        catching_up: consensus.catching_up,
        changing: consensus.changing,
        suspects: consensus.suspects,
        peers: peers
            .map(|peer| PeerAnswer {
                id: peer.id.0,
                name: name(peer.id.0),
                connected: peer.connected,
            })
            .collect(),
        pool: PoolAnswer {
            transactions,
            bytes,
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
}

/// The genesis document.
#[utoipa::path(get, path = "/v1/network", responses((status = 200, body = Object)))]
pub(super) async fn network(extract::State(state): extract::State<State>) -> impl IntoResponse {
    let json = state.services.genesis.to_json();
    ([(header::CONTENT_TYPE, "application/json")], json)
}

/// This description.
#[utoipa::path(get, path = "/v1/openapi.json", responses((status = 200, body = Object)))]
pub(super) async fn describe(extract::State(state): extract::State<State>) -> impl IntoResponse {
    let document = state.document.to_string();
    ([(header::CONTENT_TYPE, "application/json")], document)
}
