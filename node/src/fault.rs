//! A node that is told to misbehave: the switch, and who looks at it.
//!
//! The distortion itself is [`consensus::byzantine`]; nothing else of the node
//! knows of it but the places where something leaves it.

use consensus::byzantine::Modes;
use crypto::{NetworkId, SigningKey};
use ledger::{ProposalResponse, WriteValue};
use tokio::sync::watch;

use crate::fetch::Response;

/// What is wrong with this node, for all of its parts to see.
#[derive(Clone, Debug)]
pub struct FaultSwitch {
    /// Whether the network was made for this at all.
    allowed: bool,
    modes: watch::Sender<Modes>,
}

/// The network's genesis does not say that it is for testing.
#[derive(Debug, thiserror::Error)]
#[error("this network is not for testing: its genesis document does not say `testing`")]
pub struct NotForTesting;

impl FaultSwitch {
    /// A switch that is off, and stays off unless that is `allowed`.
    #[must_use]
    pub fn new(allowed: bool) -> Self {
        let (modes, _) = watch::channel(Modes::default());
        Self { allowed, modes }
    }

    /// From now on the node misbehaves in these ways; with none, it behaves.
    ///
    /// # Errors
    ///
    /// [`NotForTesting`].
    pub fn set(&self, modes: Modes) -> Result<(), NotForTesting> {
        self.check_allowed()?;
        tracing::warn!(%modes, "was told to misbehave");
        self.modes.send_replace(modes);
        Ok(())
    }

    /// Whether the network was made for tests.
    ///
    /// # Errors
    ///
    /// [`NotForTesting`].
    pub fn check_allowed(&self) -> Result<(), NotForTesting> {
        if self.allowed {
            Ok(())
        } else {
            Err(NotForTesting)
        }
    }

    /// How it misbehaves; none when it does not.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        let modes = self.modes.borrow();
        (!modes.is_empty()).then(|| modes.to_string())
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Modes> {
        self.modes.subscribe()
    }

    /// What is served to a peer instead of `response`.
    pub(crate) fn distort(&self, response: Response) -> Response {
        let lies = self.modes.borrow().lie_in_sync();
        match response {
            Response::Blocks(mut blocks) if lies => {
                for served in &mut blocks {
                    let time = &mut served.block.header.timestamp_ms;
                    *time = time.saturating_add(1);
                }
                Response::Blocks(blocks)
            }
            honest => honest,
        }
    }

    /// What is endorsed instead of what `answer` says.
    pub(crate) fn distort_endorsement(
        &self,
        answer: ProposalResponse,
        network: &NetworkId,
        key: &SigningKey,
    ) -> ProposalResponse {
        if !self.modes.borrow().lie_in_endorsing() {
            return answer;
        }
        let mut action = answer.action();
        let values = action.rwset.writes.iter_mut();
        for value in values.filter_map(|write| write.value.as_mut()) {
            match value {
                WriteValue::Bytes(bytes) => bytes.push(b'0'),
                WriteValue::Argument(_) => *value = WriteValue::Bytes(b"0".to_vec()),
            }
        }
        action.response.payload.push(b'0');
        ProposalResponse::endorse(action, network, key)
    }
}
