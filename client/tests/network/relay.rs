//! What stands between a client and a node, and may lie like one.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use client::{Client, Receipt, ValidationCode};
use crypto::{NetworkId, encode};
use ledger::{EndorsedAction, ProposalResponse, Transaction, TransactionId, Write};

use crate::common::{alice, deposit, replica_key};

/// More than anything in these tests is long.
const MANY_BYTES: usize = 1024 * 1024;

/// How a relay changes what goes through it.
pub(crate) enum Lie {
    /// It endorses that something else is written, as this replica.
    OtherEffects(NetworkId, u8),
    /// It endorses what the node behind it does, as this replica.
    EndorsesAs(NetworkId, u8),
    /// It says that the keys take an endorser whom there is not.
    AsksForNobody,
    /// Its endorsements do not verify.
    BadSignatures,
    /// It refuses every proposal and every transaction.
    Refuses,
    /// It passes transactions on and says that it refuses them.
    PassesOnAndRefuses,
    /// It says of every proposal that its transaction stands in the chain.
    CommittedAlready,
    /// It says that one endorsement of its own is all that any contract takes.
    OtherPolicies,
    /// It has no room for the first transaction.
    NoRoomAtFirst(AtomicBool),
    /// It says that it has a certified block of the far future.
    FarAhead,
    /// It shows blocks that much later than it has them.
    ShowsBlocksLate(Duration),
    /// It takes transactions and throws them away.
    ThrowsAway,
    /// It shows this receipt for every transaction, as if others had written in
    /// between.
    Forges(Box<Receipt>),
    /// Before it passes on the first transaction that any relay hears, it has others
    /// write what that one has read.
    Overtakes(Client, Arc<AtomicBool>),
}

pub(crate) struct Relay {
    behind: String,
    http: reqwest::Client,
    lie: Lie,
    /// The transactions that were handed in here, as they came.
    handed_in: Mutex<Vec<Vec<u8>>>,
    /// The paths that were asked for here.
    asked: Mutex<BTreeSet<String>>,
}

impl Relay {
    /// A relay before the node at `behind`, and where it is.
    pub(crate) async fn start(behind: &str, lie: Lie) -> (String, Arc<Self>) {
        let relay = Arc::new(Self {
            behind: behind.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            lie,
            handed_in: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(relay.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}"), relay)
    }

    pub(crate) fn was_asked(&self, path: &str) -> bool {
        self.asked.lock().unwrap().contains(path)
    }

    /// How many different blocks were asked for.
    pub(crate) fn blocks_asked_for(&self) -> usize {
        let asked = self.asked.lock().unwrap();
        let of_blocks = asked.iter().filter(|path| path.starts_with("/v1/blocks/"));
        of_blocks.count()
    }

    pub(crate) fn handed_in(&self) -> Vec<Vec<u8>> {
        self.handed_in.lock().unwrap().clone()
    }

    /// What the lie says in place of the node.
    async fn instead(&self, method: &Method, path: &str) -> Option<Response> {
        let is_handing_in = method == Method::POST && path == "/v1/transactions";
        let is_proposing = method == Method::POST && path == "/v1/proposals";
        match &self.lie {
            Lie::Refuses if is_handing_in || is_proposing => {
                Some(refusal(StatusCode::FORBIDDEN, "UNKNOWN_CREATOR"))
            }
            Lie::CommittedAlready if is_proposing => {
                Some(refusal(StatusCode::CONFLICT, "ALREADY_COMMITTED"))
            }
            Lie::OtherPolicies if path == "/v1/contracts" => {
                let kv = r#"{"name":"kv","version":1,"policy":"'org1.peer'"}"#;
                Some(format!("{{\"height\":9,\"contracts\":[{kv}]}}").into_response())
            }
            Lie::NoRoomAtFirst(done) if is_handing_in && !done.swap(true, Ordering::Relaxed) => {
                Some(refusal(StatusCode::TOO_MANY_REQUESTS, "POOL_FULL"))
            }
            Lie::ThrowsAway if is_handing_in => {
                let body = "{\"transaction_id\":\"\",\"committed\":null}";
                Some((StatusCode::ACCEPTED, body).into_response())
            }
            Lie::Forges(receipt) if path.ends_with("/receipt") => {
                let id = path.split('/').rev().nth(1).unwrap();
                let mut forged = receipt.clone();
                forged.transaction_id = id.parse::<TransactionId>().unwrap();
                forged.code = ValidationCode::MvccReadConflict;
                Some(forged.to_bytes().into_response())
            }
            Lie::Overtakes(client, done)
                if is_handing_in && !done.swap(true, Ordering::Relaxed) =>
            {
                let key = alice();
                let first = client.submit(&key, deposit()).retry_conflicts(20);
                assert!(first.await.unwrap().is_valid());
                None
            }
            _ => None,
        }
    }

    /// What becomes of the node's endorsement.
    fn endorsed(&self, bytes: &[u8]) -> Vec<u8> {
        let mut answer: ProposalResponse = crypto::decode(bytes, bytes.len()).unwrap();
        let mut action: EndorsedAction = answer.action();
        match &self.lie {
            Lie::OtherEffects(network, id) => {
                action.rwset.writes = vec![Write {
                    key: "a".to_owned(),
                    value: Some(b"mine".to_vec().into()),
                }];
                answer = ProposalResponse::endorse(action, network, &replica_key(*id));
            }
            Lie::EndorsesAs(network, id) => {
                answer = ProposalResponse::endorse(action, network, &replica_key(*id));
            }
            Lie::AsksForNobody => answer.key_policies.push("'org9.peer'".parse().unwrap()),
            Lie::BadSignatures => answer.endorsement.signature.signature.0[0] ^= 1,
            _ => {}
        }
        encode(&answer)
    }
}

fn refusal(status: StatusCode, code: &str) -> Response {
    let body = format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"no\"}}}}");
    (status, body).into_response()
}

async fn answer(State(relay): State<Arc<Relay>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Vec<u8> = to_bytes(body, MANY_BYTES).await.unwrap().into();
    let path = parts.uri.path();
    relay.asked.lock().unwrap().insert(path.to_owned());
    if parts.method == Method::POST && path == "/v1/transactions" {
        relay.handed_in.lock().unwrap().push(body.clone());
    }
    if let Some(answer) = relay.instead(&parts.method, path).await {
        return answer;
    }
    let url = format!("{}{}", relay.behind, parts.uri);
    let asked = relay.http.request(parts.method.clone(), url);
    let sent = asked.headers(parts.headers.clone()).body(body).send().await;
    let Ok(answered) = sent else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let status = answered.status();
    let mut bytes = answered.bytes().await.unwrap().to_vec();
    if parts.method == Method::POST
        && path == "/v1/transactions"
        && matches!(relay.lie, Lie::PassesOnAndRefuses)
    {
        return refusal(StatusCode::FORBIDDEN, "UNKNOWN_CREATOR");
    }
    if let Lie::ShowsBlocksLate(late) = relay.lie
        && path.starts_with("/v1/blocks/")
    {
        tokio::time::sleep(late).await;
    }
    if path == "/v1/proposals" && status.is_success() {
        bytes = relay.endorsed(&bytes);
    }
    if path == "/v1/status" && matches!(relay.lie, Lie::FarAhead) {
        let mut status: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        status["certified"] = 1_000_000_u64.into();
        bytes = status.to_string().into_bytes();
    }
    (status, Body::from(bytes)).into_response()
}

/// The different transactions among these bytes.
pub(crate) fn ids(handed_in: &[Vec<u8>]) -> BTreeSet<TransactionId> {
    let read = |bytes: &Vec<u8>| -> Transaction { crypto::decode(bytes, bytes.len()).unwrap() };
    handed_in.iter().map(|it| read(it).proposal.id()).collect()
}
