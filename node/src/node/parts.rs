//! The tasks of a node, and the first bad end among theirs.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::NodeError;
use crate::driver::DriverError;
use crate::order::OrderError;
use crate::sync::SyncError;

type Ended = (&'static str, Result<(), NodeError>);

/// The tasks of a node: all run, or all are told to stop.
pub(crate) struct Parts {
    tasks: JoinSet<Ended>,
    stop: CancellationToken,
}

impl Parts {
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            tasks: JoinSet::new(),
            stop,
        }
    }

    pub(crate) fn add<E: Into<NodeError>>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks
            .spawn(async move { (name, part.await.map_err(Into::into)) });
    }

    pub(crate) fn add_infallible(
        &mut self,
        name: &'static str,
        part: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            part.await;
            (name, Ok(()))
        });
    }

    /// Adds a part that has a thread to itself.
    pub(crate) fn add_thread<E: Into<NodeError>>(
        &mut self,
        name: &'static str,
        part: impl FnOnce() -> Result<(), E> + Send + 'static,
    ) {
        self.tasks
            .spawn_blocking(move || (name, part().map_err(Into::into)));
    }

    /// Waits until every part has ended. As soon as one does, the others are
    /// told to stop.
    ///
    /// # Errors
    ///
    /// What made the first part end, when it was not told to.
    pub(crate) async fn all_ended(mut self) -> Result<(), NodeError> {
        let mut outcome = Ok(());
        while let Some(joined) = self.tasks.join_next().await {
            // A panic was printed where it happened.
            let (name, ended) =
                joined.unwrap_or(("panicked part", Err(NodeError::Ended("part that panicked"))));
            let unasked = !self.stop.is_cancelled();
            self.stop.cancel();
            let ended = match ended {
                Ok(()) if unasked => Err(NodeError::Ended(name)),
                ended => ended,
            };
            outcome = worse(outcome, ended);
        }
        outcome
    }
}

/// Of two ends the one to be told: the first, unless it is a mere consequence.
fn worse(first: Result<(), NodeError>, second: Result<(), NodeError>) -> Result<(), NodeError> {
    match (&first, &second) {
        (Ok(()), _) => second,
        (Err(known), Err(cause)) if is_consequence(known) && !is_consequence(cause) => second,
        (Err(_), _) => first,
    }
}

/// Whether the cause lies in another part.
fn is_consequence(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Ended(_)
            | NodeError::Driver(DriverError::Gone(_))
            | NodeError::Sync(SyncError::Driver(DriverError::Gone(_)))
            | NodeError::Order(OrderError::Driver(DriverError::Gone(_)))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> (Parts, CancellationToken) {
        let stop = CancellationToken::new();
        (Parts::new(stop.clone()), stop)
    }

    #[tokio::test]
    async fn one_bad_end_ends_all_and_is_told() {
        let (mut parts, stop) = parts();
        let until = stop.clone();
        parts.add_infallible("patient part", async move { until.cancelled().await });
        parts.add("driver", async {
            Err(DriverError::BadBody("torn".to_owned()))
        });
        let told = parts.all_ended().await.unwrap_err().to_string();
        assert!(told.contains("torn"), "{told}");
        assert!(stop.is_cancelled());
    }

    #[tokio::test]
    async fn a_part_that_ends_unasked_or_panics_is_an_error() {
        let (mut unasked, _stop) = parts();
        unasked.add_infallible("ingress", async {});
        assert!(matches!(
            unasked.all_ended().await,
            Err(NodeError::Ended("ingress"))
        ));
        let (mut panicking, _stop) = parts();
        panicking.add_thread("committer", || -> Result<(), DriverError> {
            panic!("an invariant is broken")
        });
        assert!(panicking.all_ended().await.is_err());
    }

    #[tokio::test]
    async fn a_node_that_was_told_to_stop_ends_well() {
        let (mut parts, stop) = parts();
        let until = stop.clone();
        parts.add_infallible("patient part", async move { until.cancelled().await });
        stop.cancel();
        assert!(parts.all_ended().await.is_ok());
    }

    #[test]
    fn the_cause_is_told_and_not_its_consequence() {
        let gone = || Err(NodeError::Driver(DriverError::Gone("committer")));
        let cause = || Err(NodeError::Driver(DriverError::BadBody("torn".to_owned())));
        for outcome in [worse(gone(), cause()), worse(cause(), gone())] {
            let told = outcome.unwrap_err().to_string();
            assert!(told.contains("torn"), "{told}");
        }
    }
}
