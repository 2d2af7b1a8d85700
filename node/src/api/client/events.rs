//! Streams of what is committed.

use reqwest::Response;

use super::{ApiClient, ClientError, MAX_ANSWER_BYTES, TIMEOUT, with_query};
use crate::api::types::{BlockEvent, Position};

/// What somebody wants to hear of, and from where on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The first block; the next one when neither this nor `after` is given.
    pub from: Option<u64>,
    /// How far one has come already, instead of `from`.
    pub after: Option<Position>,
    /// Only what concerns this contract.
    pub contract: Option<String>,
    /// Only events of this name.
    pub event: Option<String>,
    /// Only what this member has made, `name@organisation` or a public key.
    pub creator: Option<String>,
}

impl ApiClient {
    /// Attested blocks from a number on, as they come.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the stream does not begin.
    pub async fn events(&self, from: Option<u64>) -> Result<Events, ClientError> {
        let subscription = Subscription {
            from,
            ..Subscription::default()
        };
        self.subscribe(&subscription).await
    }

    /// Attested blocks or what matches in them, as they come.
    ///
    /// # Errors
    ///
    /// [`ClientError`] when the stream does not begin.
    pub async fn subscribe(&self, subscription: &Subscription) -> Result<Events, ClientError> {
        let Subscription {
            from,
            after,
            contract,
            event,
            creator,
        } = subscription;
        let parameters = [
            ("from", from.map(|from| from.to_string())),
            ("after", after.map(|after| after.to_string())),
            ("contract", contract.clone()),
            ("event", event.clone()),
            ("creator", creator.clone()),
        ];
        let path = with_query("/v1/events", &parameters);
        let request = self.http.get(format!("{}{path}", self.base));
        let begun = tokio::time::timeout(TIMEOUT, async {
            self.success(self.send(request).await?).await
        });
        let late = |_| ClientError::Unreachable {
            node: self.base.clone(),
            reason: "the stream of events did not begin in time".to_owned(),
            sent: true,
        };
        Ok(Events {
            client: self.clone(),
            response: begun.await.map_err(late)??,
            pending: Vec::new(),
            searched: 0,
        })
    }
}

/// A stream of attested blocks.
#[derive(Debug)]
pub struct Events {
    client: ApiClient,
    response: Response,
    pending: Vec<u8>,
    /// How much of what is pending holds no end of a line.
    searched: usize,
}

impl Events {
    /// The next block; none when the node has ended the stream.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn next(&mut self) -> Result<Option<BlockEvent>, ClientError> {
        loop {
            let mut unsearched = self.pending[self.searched..].iter();
            if let Some(end) = unsearched.position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=self.searched + end).collect();
                self.searched = 0;
                return self.client.json(&line).map(Some);
            }
            self.searched = self.pending.len();
            let part = self.response.chunk().await;
            let Some(part) = part.map_err(|error| self.client.unreachable(&error))? else {
                return Ok(None);
            };
            if self.pending.len().saturating_add(part.len()) > MAX_ANSWER_BYTES {
                return Err(self.client.nonsense("an endless line".to_owned()));
            }
            self.pending.extend_from_slice(&part);
        }
    }
}
