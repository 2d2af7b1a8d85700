//! Makes a failing simulation smaller while it still fails in the same way.
//!
//! The seed goes on driving the dice, so a smaller simulation is another one,
//! and may fail elsewhere; it is kept if the same invariant breaks.

use std::time::Duration;

use super::config::SimulationConfig;
use super::report::Failure;
use super::sim::Simulation;

/// What is left of a failing simulation.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// With which it still fails.
    pub config: SimulationConfig,
    /// How it fails now.
    pub failure: Box<Failure>,
    /// What it fails without, in words.
    pub left_out: Vec<String>,
    /// How many simulations it took to find out.
    pub tries: u32,
}

/// Something to do without.
struct Step {
    name: String,
    apply: Box<dyn Fn(&mut SimulationConfig)>,
}

impl Step {
    fn new(name: impl Into<String>, apply: impl Fn(&mut SimulationConfig) + 'static) -> Self {
        Self {
            name: name.into(),
            apply: Box::new(apply),
        }
    }
}

/// Leaves out of `config`, which fails with `failure`, one thing after the other
/// for as long as the same invariant breaks. Greedy, and bounded by `tries`.
#[must_use]
pub fn shrink(config: &SimulationConfig, failure: Box<Failure>, tries: u32) -> Shrunk {
    let mut shrunk = Shrunk {
        config: config.clone(),
        failure,
        left_out: Vec::new(),
        tries: 0,
    };
    // What could not be done without may be superfluous once other things are gone.
    while shrunk.fewer_faults(tries) | shrunk.fewer_requests(tries) {}
    shrunk
}

impl Shrunk {
    /// Tries every step once; after one that was taken, those that are left.
    fn fewer_faults(&mut self, tries: u32) -> bool {
        let before = self.left_out.len();
        let mut at = 0;
        while self.tries < tries
            && let Some(step) = steps(&self.config).into_iter().nth(at)
        {
            if !self.attempt(step) {
                at += 1;
            }
        }
        self.left_out.len() > before
    }

    fn attempt(&mut self, step: Step) -> bool {
        let mut smaller = self.config.clone();
        (step.apply)(&mut smaller);
        let fails = self.still_fails(smaller);
        if fails {
            self.left_out.push(step.name);
        }
        fails
    }

    /// Runs it, and keeps it if the same invariant breaks.
    fn still_fails(&mut self, smaller: SimulationConfig) -> bool {
        self.tries += 1;
        match Simulation::run(&smaller) {
            Err(failure) if failure.invariant == self.failure.invariant => {
                self.config = smaller;
                self.failure = failure;
                true
            }
            _ => false,
        }
    }

    /// Halves the requests, and takes away ever fewer where that is too many.
    fn fewer_requests(&mut self, tries: u32) -> bool {
        let before = self.config.requests;
        let mut cut = before / 2;
        while cut > 0 && self.tries < tries {
            let mut smaller = self.config.clone();
            smaller.requests = smaller.requests.saturating_sub(cut).max(1);
            let fewer = smaller.requests < self.config.requests;
            if !(fewer && self.still_fails(smaller)) {
                cut /= 2;
            }
        }
        let gone = before - self.config.requests;
        if gone > 0 {
            self.left_out.push(format!("{gone} of {before} requests"));
        }
        gone > 0
    }
}

/// What could be left out of this.
fn steps(config: &SimulationConfig) -> Vec<Step> {
    let mut steps = steps_of_network(config);
    steps.extend(steps_of_nodes(config));
    steps.extend(steps_of_faulty(config));
    steps
}

fn steps_of_network(config: &SimulationConfig) -> Vec<Step> {
    let faults = &config.faults;
    let mut steps = Vec::new();
    if faults.loss > 0.0 {
        steps.push(Step::new("loss", |it| it.faults.loss = 0.0));
    }
    if faults.duplication > 0.0 {
        steps.push(Step::new("duplication", |it| it.faults.duplication = 0.0));
    }
    if faults.corruption > 0.0 {
        steps.push(Step::new("corruption", |it| it.faults.corruption = 0.0));
    }
    if faults.straggling > 0.0 {
        steps.push(Step::new("stragglers", |it| it.faults.straggling = 0.0));
    }
    if faults.partitions > 0 {
        steps.push(Step::new("all partitions", |it| it.faults.partitions = 0));
    }
    if faults.partitions > 1 {
        let name = format!("one of {} partitions", faults.partitions);
        steps.push(Step::new(name, |it| it.faults.partitions -= 1));
    }
    steps
}

fn steps_of_nodes(config: &SimulationConfig) -> Vec<Step> {
    let faults = &config.faults;
    let mut steps = Vec::new();
    if faults.network_restarts > 0 {
        let none = |it: &mut SimulationConfig| it.faults.network_restarts = 0;
        steps.push(Step::new("restarts of all", none));
    }
    if faults.crashes > 0 {
        steps.push(Step::new("all crashes", |it| it.faults.crashes = 0));
    }
    if faults.crashes > 1 {
        let name = format!("one of {} crashes", faults.crashes);
        steps.push(Step::new(name, |it| it.faults.crashes -= 1));
    }
    if faults.pauses > 0 {
        steps.push(Step::new("all pauses", |it| it.faults.pauses = 0));
    }
    if faults.pauses > 1 {
        let name = format!("one of {} pauses", faults.pauses);
        steps.push(Step::new(name, |it| it.faults.pauses -= 1));
    }
    if faults.disk_losses > 0 {
        steps.push(Step::new("lost disks", |it| it.faults.disk_losses = 0));
    }
    if !faults.clock_skew.is_zero() {
        let none = |it: &mut SimulationConfig| it.faults.clock_skew = Duration::ZERO;
        steps.push(Step::new("different clocks", none));
    }
    if faults.timer_drift > 0 {
        let none = |it: &mut SimulationConfig| it.faults.timer_drift = 0;
        steps.push(Step::new("wrong timers", none));
    }
    steps
}

/// Every faulty replica, and every one of several ways in which one is.
fn steps_of_faulty(config: &SimulationConfig) -> Vec<Step> {
    let faults = &config.faults;
    let mut steps = Vec::new();
    for (id, modes) in &faults.byzantine {
        let id = *id;
        steps.push(Step::new(
            format!("replica {id} being {modes}"),
            move |it| {
                it.faults.byzantine.remove(&id);
            },
        ));
        let modes: Vec<_> = modes.iter().cloned().collect();
        for (at, mode) in modes.iter().enumerate().filter(|_| modes.len() > 1) {
            let mut others = modes.clone();
            others.remove(at);
            steps.push(Step::new(format!("replica {id} being {mode}"), move |it| {
                let others = others.iter().cloned().collect();
                it.faults.byzantine.insert(id, others);
            }));
        }
    }
    for id in faults.twins.clone() {
        steps.push(Step::new(format!("the twin of replica {id}"), move |it| {
            it.faults.twins.remove(&id);
        }));
    }
    for id in faults.states_altered.clone() {
        let name = format!("the altered state of replica {id}");
        steps.push(Step::new(name, move |it| {
            it.faults.states_altered.remove(&id);
        }));
    }
    for id in faults.wrong_clocks.clone().into_keys() {
        let name = format!("the wrong clock of replica {id}");
        steps.push(Step::new(name, move |it| {
            it.faults.wrong_clocks.remove(&id);
        }));
    }
    steps
}
