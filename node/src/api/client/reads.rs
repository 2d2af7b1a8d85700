//! Reading what contracts hold, and what was done.

use super::{ApiClient, ClientError, escape, with_query};
use crate::api::types::{
    HistoryAnswer, ListingAnswer, StateAnswer, StateRangeAnswer, VersionAnswer,
};

/// How many answers a history is put together of.
const MAX_HISTORY_ANSWERS: usize = 16;

/// Which keys of a contract are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateRange {
    /// The first key; not together with a prefix.
    pub start: Option<String>,
    /// The first key beyond; not together with a prefix.
    pub end: Option<String>,
    /// What the keys begin with.
    pub prefix: Option<String>,
    /// Only keys after this one.
    pub after: Option<String>,
}

/// Whose transactions are asked for: of a creator, of a contract, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionsBy {
    /// Who made them, `name@organisation` or a public key.
    pub creator: Option<String>,
    /// The contract they call.
    pub contract: Option<String>,
}

impl ApiClient {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn state(&self, contract: &str, key: &str) -> Result<StateAnswer, ClientError> {
        let path = format!("/v1/state/{}/{}", escape(contract), escape(key));
        self.get_long_json(&path).await
    }

    /// A page of the keys of a contract, of at most so many rows.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn state_range(
        &self,
        contract: &str,
        range: &StateRange,
        limit: usize,
    ) -> Result<StateRangeAnswer, ClientError> {
        let StateRange {
            start,
            end,
            prefix,
            after,
        } = range.clone();
        let parameters = [
            ("start", start),
            ("end", end),
            ("prefix", prefix),
            ("after", after),
            ("limit", Some(limit.to_string())),
        ];
        let path = with_query(&format!("/v1/state/{}", escape(contract)), &parameters);
        let page: StateRangeAnswer = self.get_long_json(&path).await?;
        // Or whoever asks on would ask for ever.
        if page.next.is_some() && page.next <= range.after {
            return Err(self.nonsense("a page that does not go on".to_owned()));
        }
        Ok(page)
    }

    /// Transactions, the newest first, from a place downwards.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn transactions(
        &self,
        by: &TransactionsBy,
        from: Option<VersionAnswer>,
        limit: usize,
    ) -> Result<ListingAnswer, ClientError> {
        let parameters = [
            ("creator", by.creator.clone()),
            ("contract", by.contract.clone()),
            ("from_block", from.map(|from| from.block.to_string())),
            ("from_index", from.map(|from| from.index.to_string())),
            ("limit", Some(limit.to_string())),
        ];
        let path = with_query("/v1/transactions", &parameters);
        let page: ListingAnswer = self.get_long_json(&path).await?;
        let place = |at: VersionAnswer| (at.block, at.index);
        if let (Some(next), Some(from)) = (page.next, from)
            && place(next) >= place(from)
        {
            return Err(self.nonsense("a list that does not go back".to_owned()));
        }
        Ok(page)
    }

    /// What was written to a key: everything, unless that is very much; then
    /// the answer says where it ends.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn history(&self, contract: &str, key: &str) -> Result<HistoryAnswer, ClientError> {
        let path = format!("/v1/history/{}/{}", escape(contract), escape(key));
        let mut all: HistoryAnswer = self.get_long_json(&path).await?;
        for _ in 1..MAX_HISTORY_ANSWERS {
            let Some(VersionAnswer { block, index }) = all.next else {
                break;
            };
            let part = format!("{path}?from_block={block}&from_index={index}");
            let more: HistoryAnswer = self.get_long_json(&part).await?;
            all.entries.extend(more.entries);
            all.next = more.next;
        }
        Ok(all)
    }
}
