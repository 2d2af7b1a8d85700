//! The requests a node holds, those it lacks, and the batches it makes of
//! them when it is the primary.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::{Node, Wake};
use crate::testing::disk::Contents;
use crate::testing::ledger::{Ledger, Request};
use crate::testing::network::Packet;
use crate::testing::report::Violation;
use crate::testing::trace::Happening;
use crate::testing::world::World;
use crate::{BatchDigest, Input, ReplicaId, RequestDigest, SequenceNumber, View};

/// How many requests are sent on at a time.
const FORWARDED: usize = 8;

/// A batch that waits for its requests.
struct Check {
    asked: Asked,
    requests: Vec<RequestDigest>,
}

/// What the replica asked about.
pub(super) type Asked = (View, SequenceNumber, BatchDigest);

/// The requests of a process.
#[derive(Default)]
pub(super) struct Pool {
    held: BTreeMap<RequestDigest, Request>,
    /// Since when each of them is held, as far as no block has it.
    since: BTreeMap<RequestDigest, Duration>,
    /// What is to be proposed, in the order of arrival.
    pending: VecDeque<RequestDigest>,
    /// What a batch of the current view names.
    ordered: BTreeSet<RequestDigest>,
    checks: Vec<Check>,
    fetching: bool,
    proposing: bool,
}

impl Pool {
    /// What a process finds on its disk.
    pub(super) fn of(contents: &Contents, now: Duration) -> Self {
        let held = contents.requests();
        let undone = |digest: &&RequestDigest| contents.ledger.applied_at(digest).is_none();
        let since = held.keys().filter(undone).map(|digest| (*digest, now));
        Self {
            since: since.collect(),
            held,
            ..Self::default()
        }
    }

    /// Since when the oldest request waits.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.since.values().min().copied()
    }

    /// What has waited longest, a few.
    pub(super) fn waiting_longest(&self) -> Vec<Request> {
        let mut waiting: Vec<_> = self.since.iter().map(|(of, since)| (since, of)).collect();
        waiting.sort_unstable();
        let digests = waiting
            .into_iter()
            .take(FORWARDED)
            .map(|(_, digest)| digest);
        digests
            .filter_map(|digest| self.held.get(digest))
            .copied()
            .collect()
    }

    /// A batch of the current view names these.
    pub(super) fn order(&mut self, requests: &[RequestDigest]) {
        self.ordered.extend(requests);
        self.pending.retain(|pending| !requests.contains(pending));
    }

    /// A new view begins: what is not being executed waits again.
    pub(super) fn begin_view(&mut self, executing: &BTreeSet<RequestDigest>) {
        self.ordered.clone_from(executing);
        let waiting = self
            .since
            .keys()
            .filter(|digest| !executing.contains(digest));
        self.pending = waiting.copied().collect();
    }

    /// A request, if it is held here or in a block.
    pub(super) fn get(&self, digest: &RequestDigest, ledger: &Ledger) -> Option<Request> {
        self.held
            .get(digest)
            .copied()
            .or_else(|| ledger.request(digest))
    }

    /// These were executed: the block has them now.
    pub(super) fn forget(&mut self, executed: &[RequestDigest]) {
        for request in executed {
            self.held.remove(request);
            self.since.remove(request);
            self.pending.retain(|pending| pending != request);
            self.ordered.remove(request);
        }
    }
}

impl Node {
    /// A client brings a request: it is kept and passed on.
    pub(super) fn submit(&mut self, request: Request, world: &mut World) {
        if self.keep(request, world) {
            for peer in world.peers(self.id()) {
                world.send(self.place, peer, &Packet::Requests(vec![request]));
            }
        }
        self.after_requests(world);
    }

    pub(super) fn receive_requests(&mut self, requests: &[Request], world: &mut World) {
        for request in requests {
            self.keep(*request, world);
        }
        self.after_requests(world);
    }

    /// Whether this is news.
    fn keep(&mut self, request: Request, world: &mut World) -> bool {
        let digest = request.digest();
        let now = world.agenda.now();
        let ledger = &self.disk.current().ledger;
        let Some(process) = &mut self.live else {
            return false;
        };
        if ledger.applied_at(&digest).is_some() {
            return false;
        }
        let pool = &mut process.pool;
        let news = pool.held.insert(digest, request).is_none();
        pool.since.entry(digest).or_insert(now);
        if !pool.pending.contains(&digest) && !pool.ordered.contains(&digest) {
            pool.pending.push_back(digest);
        }
        if news {
            let request = request.number;
            self.note(world, Happening::Holds { request });
        }
        news
    }

    fn after_requests(&mut self, world: &mut World) {
        self.settle_checks(world);
        self.work(world);
        self.consider_proposing(world);
    }

    /// The replica asks whether a batch is sound: once its requests are held.
    pub(super) fn check(&mut self, asked: Asked, requests: Vec<RequestDigest>, world: &mut World) {
        if let Some(process) = &mut self.live {
            process.pool.order(&requests);
            process.pool.checks.push(Check { asked, requests });
        }
        self.settle_checks(world);
    }

    /// The replica asks whether a batch is sound, and its time is not.
    pub(super) fn refuse(
        &mut self,
        asked: Asked,
        requests: &[RequestDigest],
        reason: String,
        world: &mut World,
    ) {
        if let Some(process) = &mut self.live {
            process.pool.order(requests);
        }
        world.summary.batches_refused += 1;
        self.answer(asked, Err(reason), world);
    }

    fn answer(&self, asked: Asked, verdict: Result<(), String>, world: &mut World) {
        let (view, sequence, digest) = asked;
        let delay = world.dice.micros(20..=500);
        let wake = Wake::Checked {
            view,
            sequence,
            digest,
            verdict,
        };
        self.wake_after(delay, wake, world);
    }

    fn settle_checks(&mut self, world: &mut World) {
        let ledger = &self.disk.current().ledger;
        let Some(process) = &mut self.live else {
            return;
        };
        let pool = &mut process.pool;
        let checks = std::mem::take(&mut pool.checks);
        let (sound, waiting): (Vec<_>, Vec<_>) = checks
            .into_iter()
            .filter(|check| check.asked.1 > ledger.tip())
            .partition(|check| {
                let mut requests = check.requests.iter();
                requests.all(|request| pool.get(request, ledger).is_some())
            });
        pool.checks = waiting;
        for Check { asked, .. } in sound {
            self.answer(asked, Ok(()), world);
        }
        self.fetch_if_needed(world);
    }

    /// What a batch that waits lacks.
    fn lacking(&self) -> Vec<RequestDigest> {
        let ledger = &self.contents().ledger;
        let Some(process) = &self.live else {
            return Vec::new();
        };
        let checked = process.pool.checks.iter().flat_map(|of| of.requests.iter());
        let lacking: BTreeSet<_> = checked
            .chain(process.committer.to_execute())
            .filter(|request| process.pool.get(request, ledger).is_none())
            .copied()
            .collect();
        lacking.into_iter().collect()
    }

    pub(super) fn fetch_if_needed(&mut self, world: &mut World) {
        let lacks = !self.lacking().is_empty();
        let Some(process) = &mut self.live else {
            return;
        };
        if lacks && !process.pool.fetching {
            process.pool.fetching = true;
            // Most of it is on its way.
            let delay = world.dice.micros(1_000..=10_000);
            self.wake_after(delay, Wake::FetchRequests, world);
        }
    }

    pub(super) fn fetch_requests(&mut self, world: &mut World) {
        let lacking = self.lacking();
        let Some(process) = &mut self.live else {
            return;
        };
        process.pool.fetching = !lacking.is_empty();
        if lacking.is_empty() {
            return;
        }
        if let Some(peer) = world.any_peer(self.id()) {
            world.send(self.place, peer, &Packet::RequestsWanted(lacking));
        }
        let pause = world.dice.micros(10_000..=40_000);
        self.wake_after(pause, Wake::FetchRequests, world);
    }

    pub(super) fn serve_requests(
        &self,
        to: ReplicaId,
        wanted: &[RequestDigest],
        world: &mut World,
    ) {
        let Some(process) = &self.live else {
            return;
        };
        let ledger = &self.contents().ledger;
        let requests: Vec<_> = wanted
            .iter()
            .filter_map(|digest| process.pool.get(digest, ledger))
            .collect();
        if !requests.is_empty() {
            world.send(self.place, to, &Packet::Requests(requests));
        }
    }

    /// Makes a batch soon, if there is something pending and room for it.
    pub(super) fn consider_proposing(&mut self, world: &mut World) {
        let Some(process) = &mut self.live else {
            return;
        };
        let pool = &mut process.pool;
        if !pool.proposing && !pool.pending.is_empty() && process.replica.room() > 0 {
            pool.proposing = true;
            let delay = world.dice.micros(0..=20_000);
            self.wake_after(delay, Wake::Propose, world);
        }
    }

    pub(super) fn propose(&mut self, world: &mut World) -> Result<(), Violation> {
        let timestamp_ms = self.clock.now_ms(world);
        let most = world.dice.below(self.config.max_batch_requests) + 1;
        // Now and then the null request.
        let most = if world.dice.chance(0.02) { 0 } else { most };
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        let pool = &mut process.pool;
        pool.proposing = false;
        if pool.pending.is_empty() || process.replica.room() == 0 {
            return Ok(());
        }
        let byzantine = self.byzantine.as_ref();
        let censored = |digest: &RequestDigest| {
            let number = pool.held.get(digest).map(|of| of.number.to_string());
            number.is_some_and(|of| byzantine.is_some_and(|by| by.censors(&of)))
        };
        let (held_back, mut free): (VecDeque<_>, VecDeque<_>) =
            pool.pending.iter().partition(|digest| censored(digest));
        let mut requests: Vec<_> = free.drain(..most.min(free.len())).collect();
        free.extend(held_back);
        pool.pending = free;
        // Now and then one that another batch has already: that it takes effect
        // once is the ledger's affair.
        let mut again = pool.ordered.iter().copied();
        let again = again.find(|digest| pool.held.contains_key(digest));
        if let Some(again) = again.filter(|again| !requests.contains(again))
            && world.dice.chance(0.05)
            && requests.len() < self.config.max_batch_requests
        {
            requests.push(again);
        }
        pool.ordered.extend(&requests);
        let input = Input::Propose {
            timestamp_ms,
            requests,
        };
        self.step(input, world)
    }
}
