//! The replica: one state, inputs in, ordered effects out.

use crypto::SigningKey;

use crate::{Config, Effect, Input, Start, View, Watermarks};

/// One replica of PBFT.
pub struct Replica {
    config: Config,
    key: SigningKey,
}

impl Replica {
    /// A replica and the effects with which it begins.
    #[must_use]
    pub fn start(config: Config, key: SigningKey, start: Start) -> (Self, Vec<Effect>) {
        let _ = start;
        config.assert_sound();
        (Self { config, key }, Vec::new())
    }

    /// Takes in what happened and says what is to be done, in this order.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let _ = (input, &self.config, &self.key);
        Vec::new()
    }
}
