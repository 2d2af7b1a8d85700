//! The other end of the API: what commands and tests ask nodes with.
//!
//! A node is not believed more than it proves, and not listened to longer than
//! an honest answer can be.

mod events;
mod reads;
mod together;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use ledger::{
    AttestedHeader, Locator, ProposalResponse, Receipt, SignedProposal, StoredBlock, Transaction,
};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::types::{
    BlockAnswer, ContractsAnswer, CutBody, ErrorAnswer, ErrorBody, EvaluateAnswer, EvidenceAnswer,
    EvidenceListAnswer, FaultBody, MembersAnswer, ReadyAnswer, StatusAnswer, SubmitAnswer,
    TransactionAnswer, ViewAnswer,
};
pub use events::{Events, Subscription};
pub use reads::{StateRange, TransactionsBy};
use together::Together;

const OCTETS: &str = "application/octet-stream";

/// How long a call may take whose answer may be long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long one may take whose answer is not, besides what it is asked to wait.
const SHORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a node may take to endorse something or to take it in: a frozen one
/// is given up soon, and another one asked.
const POST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer, in bytes: more than the longest block that genesis allows.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Why a call failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer: no connection, or it broke, or the time was over.
    #[error("{node} is not reachable: {reason}")]
    Unreachable {
        /// The address of the node.
        node: String,
        /// What happened.
        reason: String,
        /// Whether the node may have heard the question all the same.
        sent: bool,
    },
    /// The node says no.
    #[error("{}", .body.message)]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its reasons.
        body: Box<ErrorBody>,
    },
    /// What came is no answer to the question.
    #[error("{node} answered with nonsense: {reason}")]
    Nonsense {
        /// The address of the node.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// The node's code, if it said no.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { body, .. } => Some(&body.code),
            Self::Unreachable { .. } | Self::Nonsense { .. } => None,
        }
    }

    /// Whether the node decided against it. It is not so of one that is unable to
    /// decide for now, or has no room: another, or the same one later, may do better.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if !matches!(status, 429 | 500..))
    }

    /// Whether the node has no room for now: the same may be asked again later.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status: 429, .. })
    }

    /// Whether the node may have done what it was asked, although it did not say so. One
    /// that stops may have passed on what it was given.
    #[must_use]
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { sent: true, .. }
                | Self::Nonsense { .. }
                | Self::Refused { status: 500.., .. }
        )
    }
}

/// Asks one node.
#[derive(Clone, Debug)]
pub struct ApiClient {
    base: String,
    http: reqwest::Client,
    proposals: Arc<Together>,
    transactions: Arc<Together>,
}

impl ApiClient {
    /// A client of the node at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    ///
    /// When the system has no means for connections.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            // A node that sends its clients elsewhere lies.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let base = base.trim_end_matches('/').to_owned();
        match http {
            Ok(http) => Ok(Self {
                base,
                http,
                proposals: Together::new("/v1/proposals"),
                transactions: Together::new("/v1/transactions"),
            }),
            Err(error) => Err(ClientError::Unreachable {
                node: base,
                reason: chain(&error),
                sent: false,
            }),
        }
    }

    /// The node's address.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.base
    }

    /// Where the node stands.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn status(&self) -> Result<StatusAnswer, ClientError> {
        self.get_json("/v1/status", Duration::ZERO).await
    }

    /// Whether the node is ready.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn ready(&self) -> Result<ReadyAnswer, ClientError> {
        let response = self.send(self.get("/readyz", Duration::ZERO)).await?;
        let bytes = self.body(response).await?;
        self.json(&bytes)
    }

    /// What the node counts, in the text form of Prometheus.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.ask(self.get_long("/metrics")).await?;
        String::from_utf8(bytes).map_err(|error| self.nonsense(error.to_string()))
    }

    /// What the node can prove against replicas, without the bytes.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn evidence(&self) -> Result<EvidenceListAnswer, ClientError> {
        self.get_json("/v1/evidence", Duration::ZERO).await
    }

    /// One piece of evidence, with its bytes.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn evidence_of(&self, id: &str) -> Result<EvidenceAnswer, ClientError> {
        let path = format!("/v1/evidence/{}", escape(id));
        self.get_json(&path, Duration::ZERO).await
    }

    /// What the node saw of the way into a view.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn view(&self, view: u64) -> Result<ViewAnswer, ClientError> {
        self.get_json(&format!("/v1/views/{view}"), Duration::ZERO)
            .await
    }

    /// Tells the node of a network for testing to misbehave.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn set_fault(&self, mode: &str) -> Result<FaultBody, ClientError> {
        let mode = mode.to_owned();
        let request = self.http.post(format!("{}/v1/testing/fault", self.base));
        let request = request.timeout(TIMEOUT).json(&FaultBody { mode });
        let bytes = self.ask(request).await?;
        self.json(&bytes)
    }

    /// Cuts the node of a network for testing off from these replicas.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn cut(&self, from: Vec<u32>) -> Result<CutBody, ClientError> {
        let request = self.http.post(format!("{}/v1/testing/cut", self.base));
        let request = request.timeout(POST_TIMEOUT).json(&CutBody { from });
        let bytes = self.ask(request).await?;
        self.json(&bytes)
    }

    /// Has a proposal endorsed. Proposals that wait for this node at the same time
    /// are sent together.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn endorse(
        &self,
        proposal: &SignedProposal,
    ) -> Result<ProposalResponse, ClientError> {
        // What could not be handed in afterwards is not worth an endorsement.
        if self.transactions.is_half_full() {
            return Err(self.too_many_wait());
        }
        let ended = self.call(&self.proposals, crypto::encode(proposal)).await;
        self.decode(&ended?)
    }

    /// Has a proposal answered without ordering it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn evaluate(&self, proposal: &SignedProposal) -> Result<EvaluateAnswer, ClientError> {
        let bytes = self.ask(self.post_octets("/v1/evaluate", crypto::encode(proposal)));
        self.json(&bytes.await?)
    }

    /// Hands in a transaction. Those that wait for this node at the same time are
    /// sent together.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn submit(&self, transaction: &Transaction) -> Result<SubmitAnswer, ClientError> {
        self.submit_within(transaction, POST_TIMEOUT).await
    }

    /// [`Self::submit`], but whose answer is waited for no longer than this.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn submit_within(
        &self,
        transaction: &Transaction,
        within: Duration,
    ) -> Result<SubmitAnswer, ClientError> {
        let bytes = crypto::encode(transaction);
        let ended = self.call_within(&self.transactions, bytes, within).await;
        self.json(&ended?)
    }

    /// A committed and attested transaction, waited for at most this long.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn transaction(
        &self,
        locator: impl Into<Locator>,
        wait: Duration,
    ) -> Result<TransactionAnswer, ClientError> {
        let locator = locator.into();
        let path = format!("/v1/transactions/{locator}?wait_ms={}", wait.as_millis());
        self.get_json(&path, wait).await
    }

    /// The receipt of a transaction, waited for at most this long; to be verified.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn receipt(
        &self,
        locator: impl Into<Locator>,
        wait: Duration,
    ) -> Result<Receipt, ClientError> {
        let locator = locator.into();
        let path = format!(
            "/v1/transactions/{locator}/receipt?wait_ms={}",
            wait.as_millis()
        );
        let bytes = self
            .ask(self.get(&path, wait).header(ACCEPT, OCTETS))
            .await?;
        Receipt::from_bytes(&bytes).map_err(|error| self.nonsense(error.to_string()))
    }

    /// A block named by number, hash or `latest`, for people.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn block(&self, block: &str) -> Result<BlockAnswer, ClientError> {
        let path = format!("/v1/blocks/{}", escape(block));
        self.get_json(&path, Duration::ZERO).await
    }

    /// A block with its certificate, waited for at most this long; to be verified.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn stored_block(
        &self,
        number: u64,
        wait: Option<Duration>,
    ) -> Result<StoredBlock, ClientError> {
        let mut path = format!("/v1/blocks/{number}");
        if let Some(wait) = wait {
            path = format!("{path}?wait_ms={}", wait.as_millis());
        }
        let request = match wait {
            Some(wait) => self.get(&path, wait),
            None => self.get_long(&path),
        };
        let bytes = self.ask(request.header(ACCEPT, OCTETS)).await?;
        self.decode(&bytes)
    }

    /// Blocks from a number on, or the newest.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn blocks(
        &self,
        from: Option<u64>,
        limit: u64,
    ) -> Result<Vec<BlockAnswer>, ClientError> {
        let mut path = format!("/v1/blocks?limit={limit}");
        if let Some(from) = from {
            path = format!("{path}&from={from}");
        }
        self.get_long_json(&path).await
    }

    /// Headers from a number on, with their certificates; believed only once
    /// followed.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn headers(&self, from: u64, limit: u64) -> Result<Vec<AttestedHeader>, ClientError> {
        let path = format!("/v1/headers?from={from}&limit={limit}");
        self.get_long_json(&path).await
    }

    /// Everybody who has or had a key.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn members(&self) -> Result<MembersAnswer, ClientError> {
        self.get_json("/v1/members", Duration::ZERO).await
    }

    /// The contracts and their policies.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn contracts(&self) -> Result<ContractsAnswer, ClientError> {
        self.get_json("/v1/contracts", Duration::ZERO).await
    }

    /// Asks for something short.
    fn get(&self, path: &str, wait: Duration) -> RequestBuilder {
        let request = self.http.get(format!("{}{path}", self.base));
        let answer = if wait.is_zero() {
            SHORT_TIMEOUT
        } else {
            POST_TIMEOUT
        };
        request.timeout(answer.saturating_add(wait))
    }

    /// Asks for something that may be long.
    fn get_long(&self, path: &str) -> RequestBuilder {
        let request = self.http.get(format!("{}{path}", self.base));
        request.timeout(TIMEOUT)
    }

    async fn get_long_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let bytes = self.ask(self.get_long(path)).await?;
        self.json(&bytes)
    }

    fn post_octets(&self, path: &str, bytes: Vec<u8>) -> RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.base));
        let request = request.header(CONTENT_TYPE, OCTETS).header(ACCEPT, OCTETS);
        request.timeout(POST_TIMEOUT).body(bytes)
    }

    async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        wait: Duration,
    ) -> Result<T, ClientError> {
        let bytes = self.ask(self.get(path, wait)).await?;
        self.json(&bytes)
    }

    /// The body of a successful answer.
    async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, ClientError> {
        let response = self.send(request).await?;
        let response = self.success(response).await?;
        self.body(response).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let sent = request.send().await;
        sent.map_err(|error| self.unreachable(&error))
    }

    async fn success(&self, response: Response) -> Result<Response, ClientError> {
        let status: StatusCode = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = self.body(response).await?;
        Err(self.refused(status, &bytes))
    }

    /// What a node says with a status that is none of success.
    fn refused(&self, status: StatusCode, bytes: &[u8]) -> ClientError {
        match serde_json::from_slice(bytes) {
            Ok(ErrorAnswer { error }) => ClientError::Refused {
                status: status.as_u16(),
                body: Box::new(error),
            },
            Err(_) => self.nonsense(format!("HTTP status {status} without a reason")),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            if bytes.len().saturating_add(part.len()) > MAX_ANSWER_BYTES {
                return Err(self.nonsense(format!("more than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    }

    fn json<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(bytes).map_err(|error| self.nonsense(error.to_string()))
    }

    fn decode<T: crypto::codec::Decode<()>>(&self, bytes: &[u8]) -> Result<T, ClientError> {
        let decoded = crypto::decode(bytes, MAX_ANSWER_BYTES);
        decoded.map_err(|error| self.nonsense(error.to_string()))
    }

    /// The error that what this node answered is no answer, for whoever can tell.
    #[must_use]
    pub fn nonsense(&self, reason: String) -> ClientError {
        ClientError::Nonsense {
            node: self.base.clone(),
            reason,
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable {
            node: self.base.clone(),
            reason: chain(error),
            sent: !error.is_connect() && !error.is_builder(),
        }
    }
}

/// An error with what led to it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// A path with those of the parameters of a query that have a value.
fn with_query(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter();
    let given = given.filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let given: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", escape(value)))
        .collect();
    if given.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", given.join("&"))
}

/// A text as one segment of a path (RFC 3986, section 2.3: what is not
/// unreserved is escaped).
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_one_segment_of_a_path_whatever_is_in_them() {
        assert_eq!(escape("deb/pike 8.0~1"), "deb%2Fpike%208.0~1");
        assert_eq!(escape("ä?#"), "%C3%A4%3F%23");
    }

    #[test]
    fn a_query_holds_what_has_a_value() {
        assert_eq!(with_query("/a", &[("b", None)]), "/a");
        let given = [
            ("b", Some("1&c=2".to_owned())),
            ("d", None),
            ("e", Some(String::new())),
        ];
        assert_eq!(with_query("/a", &given), "/a?b=1%26c%3D2&e=");
    }
}
