//! Many seeds on two threads: the simulations know nothing of threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use consensus::testing::{Failure, Simulation, SimulationConfig, Summary};

const THREADS: usize = 2;

/// What came of the seeds from 0 on, until one failed.
pub(crate) struct Sweep {
    /// How many seeds were run to their end, failing ones included.
    pub(crate) run: u64,
    /// The sum of those that held.
    pub(crate) summary: Summary,
    /// The failure of the lowest seed that failed.
    pub(crate) failure: Option<Box<Failure>>,
}

/// Runs `seeds` simulations, or fewer when one fails.
pub(crate) fn sweep(seeds: u64, config: impl Fn(u64) -> SimulationConfig + Sync) -> Sweep {
    let next = AtomicU64::new(0);
    let failed = AtomicBool::new(false);
    let (sender, verdicts) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let sender = sender.clone();
            scope.spawn(|| {
                let sender = sender;
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let verdict = Simulation::run(&config(seed));
                    failed.fetch_or(verdict.is_err(), Ordering::Relaxed);
                    sender.send(verdict).expect("the sweep waits for verdicts");
                }
            });
        }
    });
    drop(sender);
    let mut sweep = Sweep {
        run: 0,
        summary: Summary::default(),
        failure: None,
    };
    for verdict in verdicts {
        sweep.run += 1;
        match verdict {
            Ok(summary) => sweep.summary += summary,
            Err(failure) => {
                let lower = |known: &Failure| known.seed < failure.seed;
                if !sweep.failure.as_deref().is_some_and(lower) {
                    sweep.failure = Some(failure);
                }
            }
        }
    }
    sweep
}
