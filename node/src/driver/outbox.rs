//! What the replica says leaves here, and where the node was told to misbehave,
//! distorted.

use std::collections::HashMap;
use std::time::Duration;

use consensus::byzantine::{Byzantine, Mode, Modes};
use consensus::{Config, Message, ReplicaId};
use crypto::{PublicKey, SigningKey};

use super::Driver;
use crate::network::{Class, NetworkHandle, PeerId};
use crate::request::Request;

/// What it takes to misbehave.
pub(super) struct Faults {
    config: Config,
    key: SigningKey,
    /// The names of clients, by which a censor is told whom to censor.
    names: HashMap<PublicKey, String>,
    byzantine: Option<Byzantine>,
}

impl Faults {
    pub(super) fn new(config: Config, key: SigningKey, names: HashMap<PublicKey, String>) -> Self {
        Self {
            config,
            key,
            names,
            byzantine: None,
        }
    }

    /// A flood is not of the driver's making: it does not wait for something to be said.
    fn set(&mut self, modes: &Modes) {
        let modes = modes.iter().filter(|mode| **mode != Mode::Flood);
        let modes: Modes = modes.cloned().collect();
        let seed = u64::from(self.config.id.0);
        self.byzantine = (!modes.is_empty())
            .then(|| Byzantine::new(&self.config, self.key.clone(), modes, seed));
    }

    /// Whether the transactions of this client are kept out of batches.
    pub(super) fn censor(&self, creator: &PublicKey) -> bool {
        let name = self.names.get(creator);
        let byzantine = self.byzantine.as_ref();
        byzantine.is_some_and(|by| name.is_some_and(|name| by.censors(name)))
    }
}

impl<R: Request> Driver<R> {
    /// The node is told to misbehave, or to behave again.
    pub(super) fn change_fault(&mut self) {
        let modes = self.wiring.fault.borrow_and_update().clone();
        self.faults.set(&modes);
    }

    /// Sends a message to one replica or to all.
    pub(super) fn say(&mut self, to: Option<ReplicaId>, message: &Message) {
        let network = &self.wiring.network;
        let Some(byzantine) = &mut self.faults.byzantine else {
            let bytes = message.encode().into();
            match to {
                None => network.broadcast(Class::Consensus, bytes),
                Some(to) => network.send(PeerId(to.0), Class::Consensus, bytes),
            }
            return;
        };
        for outgoing in byzantine.distort(to, message) {
            send_later(network, outgoing.to, &outgoing.message, outgoing.delay);
        }
    }
}

fn send_later(network: &NetworkHandle, to: ReplicaId, message: &Message, delay: Duration) {
    let bytes = message.encode().into();
    if delay.is_zero() {
        network.send(PeerId(to.0), Class::Consensus, bytes);
        return;
    }
    let network = network.clone();
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        network.send(PeerId(to.0), Class::Consensus, bytes);
    });
}
