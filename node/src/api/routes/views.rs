//! Why a view came about, as this node saw it.

use axum::Json;
use axum::extract;

use super::State;
use super::extract::Named;
use crate::api::types::{ErrorAnswer, NodeName, ViewAnswer, ViewEventAnswer};

/// What this node recorded of the way into a view, in the order of its clock.
#[utoipa::path(get, path = "/v1/views/{view}", params(("view" = u64, Path)),
    responses((status = 200, body = ViewAnswer), (status = 400, body = ErrorAnswer)))]
pub(super) async fn view(
    extract::State(state): extract::State<State>,
    Named(view): Named<u64>,
) -> Json<ViewAnswer> {
    let services = &state.services;
    let replica = services.genesis.replica(services.id);
    let events = services.chronicle.of_view(view).into_iter();
    Json(ViewAnswer {
        view,
        node: NodeName {
            id: services.id.0,
            name: replica.map_or_else(String::new, |replica| replica.name.clone()),
        },
        events: events
            .map(|event| ViewEventAnswer {
                at_ms: event.at_ms,
                kind: event.kind.to_owned(),
                replica: event.replica,
                text: event.text,
                message: event.message.map(hex::encode),
            })
            .collect(),
    })
}
