//! Carries out what the replica asks, in its order: nothing but records is
//! touched while a record before it is not durable.

use super::divergence::Divergence;
use super::pool::Asked;
use super::{Node, Process, Wake};
use crate::testing::config::Links;
use crate::testing::disk::{Mark, Write};
use crate::testing::faults::CrashPoint;
use crate::testing::invariants::Observation;
use crate::testing::network::Packet;
use crate::testing::report::Violation;
use crate::testing::trace::{Happening, Note};
use crate::testing::world::World;
use crate::{Batch, Effect, Evidence, Message, Record, ReplicaId, SequenceNumber, Verified};

impl Node {
    pub(super) fn carry_out(&mut self, world: &mut World) -> Result<(), Violation> {
        while let Some(effect) = self.next_effect() {
            self.perform(effect, world)?;
        }
        self.sync_if_needed(world);
        let settled = |process: &Process| process.effects.is_empty();
        if self.live.as_ref().is_some_and(settled) {
            world.observe(&Observation::Settles {
                node: self.id(),
                records: self.contents().record_count(),
            })?;
        }
        Ok(())
    }

    /// The next effect, if it may be carried out now.
    fn next_effect(&mut self) -> Option<Effect> {
        let process = self.live.as_mut()?;
        let durable = process.barrier <= self.disk.synced() || planted!(NoSync);
        process
            .effects
            .pop_front_if(|effect| durable || matches!(effect, Effect::Persist(_)))
    }

    fn sync_if_needed(&mut self, world: &mut World) {
        let (written, synced) = (self.disk.written(), self.disk.synced());
        let Some(process) = &mut self.live else {
            return;
        };
        if process.barrier > synced && !process.syncing {
            process.syncing = true;
            let delay = world.dice.micros(100..=2_000);
            self.wake_after(delay, Wake::Synced(written), world);
        }
    }

    pub(super) fn on_synced(&mut self, mark: Mark, world: &mut World) -> Result<(), Violation> {
        if self.meets(CrashPoint::BeforeSync, world)? {
            return Ok(());
        }
        self.disk.sync(mark.max(self.disk.synced()));
        self.note(world, Happening::Syncs);
        if let Some(process) = &mut self.live {
            process.syncing = false;
        }
        if self.meets(CrashPoint::AfterSync, world)? {
            return Ok(());
        }
        self.carry_out(world)
    }

    fn perform(&mut self, effect: Effect, world: &mut World) -> Result<(), Violation> {
        match effect {
            Effect::Persist(record) => return self.persist(record, world),
            Effect::Broadcast(message) => return self.transmit(None, message, world),
            Effect::Send { to, message } => return self.transmit(Some(to), message, world),
            Effect::CheckBatch {
                view,
                sequence,
                digest,
                batch,
                fresh,
            } => {
                let asked = (view, sequence, digest);
                self.check_batch(asked, batch, fresh, world);
            }
            Effect::Execute {
                sequence,
                timestamp_ms,
                batch,
            } => self.execute(sequence, timestamp_ms, batch, world),
            Effect::Certified(certificate) => {
                let sequence = certificate.checkpoint.sequence;
                self.note(world, Happening::Certifies { sequence });
                world.observe(&Observation::Certifies {
                    node: self.id(),
                    certificate: &certificate,
                })?;
                self.disk.write(Write::Certificate(certificate));
            }
            Effect::Truncate(certificate) => {
                self.disk.write(Write::Truncate(certificate));
            }
            Effect::ViewEntered(view) => self.enter_view(view, world),
            Effect::Contradiction(evidence) => return self.accuse(&evidence, world),
            Effect::CatchUp { through } => self.catch_up(through, world),
            Effect::SetTimer { timer, after } => {
                if let Some(process) = &mut self.live {
                    let setting = process.timers.entry(timer).or_default();
                    *setting += 1;
                    let setting = *setting;
                    let after = self.clock.real(after);
                    self.wake_after(after, Wake::Timer { timer, setting }, world);
                }
            }
            Effect::Reject { from, reason } => {
                world.summary.rejections += 1;
                let reason = reason.to_string();
                self.note(world, Happening::Rejects { from, reason });
            }
            Effect::Halt {
                sequence,
                own,
                attested,
            } => {
                let diverged = Divergence {
                    sequence,
                    own,
                    attested,
                };
                return self.halt(&diverged, world);
            }
        }
        Ok(())
    }

    /// What a new view takes over was in time when it was proposed.
    fn check_batch(&mut self, asked: Asked, batch: Batch, fresh: bool, world: &mut World) {
        let in_time = if fresh {
            self.clock.check(&batch, world)
        } else {
            Ok(())
        };
        match in_time {
            Ok(()) => self.check(asked, batch.requests, world),
            Err(reason) => self.refuse(asked, &batch.requests, reason, world),
        }
    }

    /// A replica is shown to have contradicted itself.
    fn accuse(&mut self, evidence: &Evidence, world: &mut World) -> Result<(), Violation> {
        let what = evidence.summary();
        self.note(world, Happening::Accuses { what });
        world.summary.contradictions += 1;
        let node = self.id();
        world.observe(&Observation::Accuses { node, evidence })
    }

    fn persist(&mut self, record: Record, world: &mut World) -> Result<(), Violation> {
        let Some(process) = &mut self.live else {
            return Ok(());
        };
        let wanted = match &record {
            Record::PrePrepared(proposed) => proposed.batch.requests.as_slice(),
            _ => &[],
        };
        process.pool.order(wanted);
        let ledger = &self.disk.current().ledger;
        let requests: Vec<_> = wanted
            .iter()
            .filter_map(|digest| process.pool.get(digest, ledger))
            .collect();
        let missing = wanted.len() - requests.len();
        let votes_again =
            matches!(record, Record::Listening { until } if until == SequenceNumber::GENESIS);
        world.summary.listened_out += u64::from(votes_again);
        let what = Note::of_record(&record);
        self.note(world, Happening::Writes { what });
        world.observe(&Observation::Writes {
            node: self.id(),
            record: &record,
            missing,
        })?;
        let mark = self.disk.write(Write::Record { record, requests });
        if let Some(process) = &mut self.live {
            process.barrier = mark;
        }
        Ok(())
    }

    /// A message leaves the node, for one peer or for all.
    fn transmit(
        &mut self,
        to: Option<ReplicaId>,
        message: Message,
        world: &mut World,
    ) -> Result<(), Violation> {
        let node = self.id();
        let what = Note::of_message(&message);
        self.note(world, Happening::Sends { to, what });
        if self.byzantine.is_some() {
            self.transmit_distorted(to, &message, world);
            return Ok(());
        }
        let verified = world.door.admit(message).map_err(|rejection| Violation {
            invariant: "well_formed",
            message: format!("{node} sends what nobody lets in: {rejection}"),
        })?;
        world.observe(&Observation::Sends {
            node,
            message: verified.message(),
            durable: self.disk.durable(),
        })?;
        let packet = packet_of(verified, world.links);
        let mut receivers = to.map_or_else(|| world.peers(node), |to| vec![to]);
        let doomed = to.is_none()
            && self
                .doom
                .is_some_and(|doom| doom.point == CrashPoint::AmidBroadcast);
        if doomed {
            world.dice.shuffle(&mut receivers);
            receivers.truncate(world.dice.below(receivers.len() + 1));
        }
        for receiver in receivers {
            world.send(self.place, receiver, &packet);
        }
        if doomed {
            self.meets(CrashPoint::AmidBroadcast, world)?;
        }
        Ok(())
    }

    /// What a faulty node says. What no door lets in is not even brought there,
    /// unless the doors are to be tried.
    fn transmit_distorted(&mut self, to: Option<ReplicaId>, message: &Message, world: &mut World) {
        let place = self.place;
        let Some(byzantine) = &mut self.byzantine else {
            return;
        };
        for outgoing in byzantine.distort(to, message) {
            if outgoing.message != *message || !outgoing.delay.is_zero() {
                world.summary.byzantine_actions += 1;
            }
            let packet = match (world.door.admit(outgoing.message.clone()), world.links) {
                (Ok(verified), links) => packet_of(verified, links),
                (Err(_), Links::Verified) => {
                    world.summary.messages_refused += 1;
                    continue;
                }
                (Err(_), Links::Bytes) => Packet::Bytes {
                    bytes: outgoing.message.encode().into(),
                    corrupted: true,
                },
            };
            world.send_later((place, outgoing.to), &packet, outgoing.delay);
        }
    }
}

fn packet_of(message: Verified, links: Links) -> Packet {
    match links {
        Links::Verified => Packet::Verified(message),
        Links::Bytes => Packet::Bytes {
            bytes: message.message().encode().into(),
            corrupted: false,
        },
    }
}
