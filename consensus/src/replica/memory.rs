//! What a replica remembers between steps, for whoever compares its states.

use std::hash::{Hash, Hasher};

use super::Replica;

/// Replicas of equal configuration and key that hash alike do alike from then on.
impl Hash for Replica {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Named one by one, so that nothing is forgotten that is added later.
        let Self {
            config: _,
            signer: _,
            view,
            log,
            checkpoints,
            stable,
            last_executed,
            last_timestamp_ms,
            execution_asked,
            executing,
            suspicion,
            view_changes,
            catch_up,
            listening,
            statuses_heard,
            halted,
            effects,
        } = self;
        assert!(effects.is_empty(), "states are those between steps");
        (view, log, checkpoints, stable).hash(hasher);
        (last_executed, last_timestamp_ms, execution_asked, executing).hash(hasher);
        (suspicion, view_changes, catch_up, listening).hash(hasher);
        (statuses_heard, halted).hash(hasher);
    }
}
