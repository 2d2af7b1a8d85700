//! A call from proposal to verified receipt.

use std::pin::Pin;
use std::time::Duration;

use crypto::SigningKey;
use ledger::ValidationCode;

use crate::client::Client;
use crate::error::{Error, Unverified};
use crate::order::Submitted;
use crate::propose::Call;

/// How long a receipt is waited for unless something else is asked for.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// Whether the verdict is that others wrote in between what the transaction had
/// read. Made anew, on the state as it is now, it may be valid.
#[must_use]
pub fn is_conflict(code: ValidationCode) -> bool {
    matches!(
        code,
        ValidationCode::MvccReadConflict | ValidationCode::PhantomReadConflict
    )
}

/// A call on its way, to be awaited. Made by [`Client::submit`].
#[derive(Debug)]
#[must_use = "nothing happens before it is awaited"]
pub struct Submit<'a> {
    client: &'a Client,
    key: &'a SigningKey,
    call: Call,
    retry_conflicts: u32,
    timeout: Duration,
}

impl Client {
    /// Proposes a call, has it endorsed, hands it in and waits for its receipt.
    ///
    /// Awaiting it gives the verdict with its proof, which may well be that the
    /// transaction did not take effect: [`Submitted::is_valid`].
    pub fn submit<'a>(&'a self, key: &'a SigningKey, call: Call) -> Submit<'a> {
        Submit {
            client: self,
            key,
            call,
            retry_conflicts: 0,
            timeout: TIMEOUT,
        }
    }
}

impl Submit<'_> {
    /// How often to propose anew when others wrote in between what was read;
    /// never unless asked for.
    pub fn retry_conflicts(self, times: u32) -> Self {
        Self {
            retry_conflicts: times,
            ..self
        }
    }

    /// How long to wait for a receipt, of each proposal anew; [`TIMEOUT`] unless
    /// asked for.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    async fn run(self) -> Result<Submitted, Error> {
        let Self { client, key, .. } = self;
        let mut left = self.retry_conflicts;
        loop {
            let signed = client.propose(key, self.call.clone()).await?;
            let transaction = match client.endorse(&signed, key).await {
                Err(Error::AlreadyCommitted { place, .. }) => {
                    return Err(Unverified::CommittedBefore { place }.into());
                }
                endorsed => endorsed?,
            };
            let submitted = client.order(transaction, self.timeout).await?;
            // The verdict is final: a new proposal cannot make the call happen twice.
            if left == 0 || !is_conflict(submitted.code()) {
                return Ok(submitted);
            }
            left -= 1;
        }
    }
}

impl<'a> IntoFuture for Submit<'a> {
    type Output = Result<Submitted, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
