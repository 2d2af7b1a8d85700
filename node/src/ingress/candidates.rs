//! Verifying what ingress has let in: the signatures of many senders together, and
//! of each apart once one of theirs did not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::SharedVerifier;
use ledger::{CheckedTransaction, Refusal, UncheckedTransaction, check_each, check_together};

use super::Reply;
use crate::network::PeerId;

/// How many transactions are verified together whose senders have not sent bad
/// ones lately; and of one who has.
const MAX_VERIFIED_TOGETHER: usize = 256;
const MAX_OF_SUSPECT: usize = 64;

/// For how long what somebody sends is verified apart from what others send, after
/// a signature that did not hold.
const SUSPECTED_FOR: Duration = Duration::from_mins(1);

/// Verifies candidates, apart from this runtime's own threads.
pub(super) async fn check(
    candidates: Vec<Candidate>,
    suspects: &mut Suspects,
    verifier: &Arc<SharedVerifier>,
) -> Result<Vec<Judged>, ()> {
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let suspected = suspects.now(Instant::now());
    let verifier = verifier.clone();
    let judged = move || check_all(candidates, &suspected, &verifier);
    let judged = tokio::task::spawn_blocking(judged);
    let judged = judged.await.map_err(|_| ())?;
    suspects.note(&judged, Instant::now());
    Ok(judged)
}

/// Who waits for the verdict on a transaction.
pub(super) enum Origin {
    Client(Reply),
    Peer(PeerId),
    Fetched,
}

/// A peer, or all clients.
type Source = Option<PeerId>;

impl Origin {
    fn source(&self) -> Source {
        match self {
            Self::Client(_) | Self::Fetched => None,
            Self::Peer(peer) => Some(*peer),
        }
    }
}

/// A transaction, with room reserved where it was admitted and its origin needs room.
pub(super) struct Candidate {
    pub(super) unchecked: UncheckedTransaction,
    pub(super) origin: Origin,
}

/// A candidate's origin and length, and the verdict if it was looked at.
pub(super) type Judged = (Origin, usize, Option<Result<CheckedTransaction, Refusal>>);

/// Verifies the signatures of candidates, all of them together where their senders
/// are not `suspected`. Where that fails, those of each sender are verified apart.
fn check_all(
    candidates: Vec<Candidate>,
    suspected: &BTreeSet<Source>,
    verifier: &SharedVerifier,
) -> Vec<Judged> {
    let (apart, mut together): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|it| suspected.contains(&it.origin.source()));
    let mut judged = check_apart(apart, verifier);
    while !together.is_empty() {
        let rest = together.split_off(together.len().min(MAX_VERIFIED_TOGETHER));
        let (origins, unchecked) = split(std::mem::replace(&mut together, rest));
        match check_together(unchecked, verifier) {
            Ok(checked) => {
                let verdicts = checked.into_iter().map(|it| Some(Ok(it)));
                judged.extend(join(origins, verdicts));
            }
            Err(unchecked) => {
                let candidates = join(origins, unchecked);
                let candidates =
                    candidates.map(|(origin, _, unchecked)| Candidate { unchecked, origin });
                judged.extend(check_apart(candidates.collect(), verifier));
            }
        }
    }
    judged
}

/// Candidates without their transactions but with their lengths, and these.
fn split(candidates: Vec<Candidate>) -> (Vec<(Origin, usize)>, Vec<UncheckedTransaction>) {
    let parts = candidates.into_iter();
    parts
        .map(|it| ((it.origin, it.unchecked.bytes().len()), it.unchecked))
        .unzip()
}

fn join<T>(
    origins: Vec<(Origin, usize)>,
    of: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (Origin, usize, T)> {
    let joined = origins.into_iter().zip(of);
    joined.map(|((origin, length), of)| (origin, length, of))
}

/// Verifies the signatures of candidates, of each sender by themselves: where one
/// does not hold, all that are verified with it are verified one by one, and
/// what else that peer has sent is not looked at.
fn check_apart(candidates: Vec<Candidate>, verifier: &SharedVerifier) -> Vec<Judged> {
    let mut by_source: BTreeMap<Source, Vec<Candidate>> = BTreeMap::new();
    for candidate in candidates {
        let source = candidate.origin.source();
        by_source.entry(source).or_default().push(candidate);
    }
    let mut judged = Vec::new();
    for (source, candidates) in by_source {
        let mut rest = candidates.into_iter();
        let mut bad = false;
        while rest.len() > 0 {
            let (origins, unchecked) = split(rest.by_ref().take(MAX_OF_SUSPECT).collect());
            let verdicts: Vec<_> = if bad {
                unchecked.iter().map(|_| None).collect()
            } else {
                let checked = check_each(unchecked, verifier).into_iter();
                checked.map(Some).collect()
            };
            bad |= source.is_some() && verdicts.iter().any(|it| matches!(it, Some(Err(_))));
            judged.extend(join(origins, verdicts));
        }
    }
    judged
}

/// Who has sent a signature that does not hold, and until when that is remembered.
#[derive(Default)]
pub(super) struct Suspects(BTreeMap<Source, Instant>);

impl Suspects {
    fn now(&mut self, now: Instant) -> BTreeSet<Source> {
        self.0.retain(|_, until| *until > now);
        self.0.keys().copied().collect()
    }

    fn note(&mut self, judged: &[Judged], now: Instant) {
        for (origin, _, verdict) in judged {
            if matches!(verdict, Some(Err(_))) {
                self.0.insert(origin.source(), now + SUSPECTED_FOR);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::Transaction;

    use super::*;
    use crate::testing::{genesis, transaction};

    fn candidate(bytes: &[u8], from: u32) -> Candidate {
        let genesis = genesis();
        let network = genesis.network_id();
        let unchecked = UncheckedTransaction::decode(bytes, &network, &genesis.limits());
        Candidate {
            unchecked: unchecked.unwrap(),
            origin: Origin::Peer(PeerId(from)),
        }
    }

    /// A transaction's bytes, and the same with a signature that does not hold.
    fn sound_and_forged() -> [Vec<u8>; 2] {
        let sound = transaction(1, 0).bytes().to_vec();
        let mut forged: Transaction = crypto::decode(&sound, sound.len()).unwrap();
        forged.signature.signature.0[0] ^= 1;
        [sound, crypto::encode(&forged)]
    }

    #[test]
    fn who_sends_a_bad_signature_is_suspected_for_a_while_and_nobody_else() {
        let [sound, forged] = sound_and_forged();
        let candidates = vec![candidate(&forged, 1), candidate(&sound, 2)];
        let judged = check_all(candidates, &BTreeSet::new(), &SharedVerifier::default());
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        suspects.note(&judged, now);
        assert_eq!(suspects.now(now), BTreeSet::from([Some(PeerId(1))]));
        assert_eq!(suspects.now(now + SUSPECTED_FOR), BTreeSet::new());
    }

    #[test]
    fn a_peer_with_a_bad_signature_is_not_looked_at_further_and_others_are() {
        let [sound, forged] = sound_and_forged();
        let mut candidates = vec![candidate(&forged, 1)];
        for _ in 0..2 * MAX_OF_SUSPECT {
            candidates.push(candidate(&sound, 1));
            candidates.push(candidate(&sound, 2));
        }
        let suspected = BTreeSet::from([Some(PeerId(1))]);
        let judged = check_all(candidates, &suspected, &SharedVerifier::default());
        let count = |from: u32, which: fn(&Judged) -> bool| {
            let of_peer = |it: &&Judged| matches!(it.0, Origin::Peer(PeerId(peer)) if peer == from);
            judged.iter().filter(of_peer).filter(|it| which(it)).count()
        };
        let passed = |it: &Judged| matches!(it.2, Some(Ok(_)));
        assert_eq!(count(2, passed), 2 * MAX_OF_SUSPECT);
        assert_eq!(count(1, passed), MAX_OF_SUSPECT - 1);
        assert_eq!(count(1, |it| matches!(it.2, Some(Err(_)))), 1);
        assert_eq!(count(1, |it| it.2.is_none()), MAX_OF_SUSPECT + 1);
    }
}
