//! The door of the simulated network: every message is verified once, with
//! real signatures, as it leaves its sender.

use std::collections::BTreeMap;

use crate::{CheckpointCertificate, Message, Rejection, Verified, Verifier};

/// A verifier that remembers what it let pass.
pub(crate) struct Door {
    verifier: Verifier,
    passed: BTreeMap<Vec<u8>, Verified>,
}

impl Door {
    pub(crate) fn new(verifier: Verifier) -> Self {
        Self {
            verifier,
            passed: BTreeMap::new(),
        }
    }

    /// Verifies `message`, unless it is equal to one that has passed.
    pub(crate) fn admit(&mut self, message: Message) -> Result<Verified, Rejection> {
        if matches!(message, Message::Status(_)) {
            return self.verifier.verify(message);
        }
        let bytes = message.encode();
        if let Some(verified) = self.passed.get(&bytes) {
            return Ok(verified.clone());
        }
        let verified = self.verifier.verify(message)?;
        self.passed.insert(bytes, verified.clone());
        Ok(verified)
    }

    /// Decodes and verifies what came as bytes, as a node does.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Verified, String> {
        let message = Message::decode(bytes).map_err(|error| error.to_string())?;
        self.verifier
            .verify(message)
            .map_err(|rejection| rejection.to_string())
    }

    /// Whether a certificate is a quorum's.
    pub(crate) fn believes(&mut self, certificate: &CheckpointCertificate) -> bool {
        self.admit(Message::CheckpointCertificate(certificate.clone()))
            .is_ok()
    }
}
