//! The door: the only maker of [`Verified`].
//!
//! A message that passes has the form the paper demands and signatures that
//! hold, each by the replica it names. What depends on the receiver's state
//! (its view, its watermarks, what it accepted before) is not decided here.

mod view_change;

use std::collections::BTreeSet;

use bincode::de::Decoder;
use bincode::error::DecodeError;
use crypto::codec::{Decode, Encode};
use crypto::{Claim, NetworkId, Signature, verify_batch};

use crate::certificate::{CheckpointCertificate, strictly_ascending};
use crate::message::{Body, Message, Proposed, Signed, Status};
use crate::{Rejection, ReplicaId, ReplicaSet, View};

/// A message whose form and signatures were checked. Nothing else makes one.
#[derive(Clone, Debug, PartialEq, Eq, Encode)]
pub struct Verified(Message);

impl Verified {
    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.0
    }

    /// The message, taken out.
    #[must_use]
    pub fn into_message(self) -> Message {
        self.0
    }
}

/// Whoever reads a message that was written down holds it against the door again.
impl Decode<Verifier> for Verified {
    fn decode<D: Decoder<Context = Verifier>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let message = <Message as Decode<Verifier>>::decode(decoder)?;
        let verdict = decoder.context().verify(message);
        verdict.map_err(|rejection| DecodeError::OtherString(rejection.to_string()))
    }
}

bincode::impl_borrow_decode_with_context!(Verified, Verifier);

/// Checks what replicas send.
#[derive(Clone, Debug)]
pub struct Verifier {
    replicas: ReplicaSet,
    network: NetworkId,
    max_batch_requests: usize,
    log_window: u64,
}

impl Verifier {
    /// A verifier for one network.
    #[must_use]
    pub fn new(config: &crate::Config) -> Self {
        Self {
            replicas: config.replicas.clone(),
            network: config.network,
            max_batch_requests: config.max_batch_requests,
            log_window: config.log_window,
        }
    }

    /// Checks one message.
    ///
    /// # Errors
    ///
    /// The first reason to refuse it.
    ///
    /// # Panics
    ///
    /// Never: there is one verdict per message.
    pub fn verify(&self, message: Message) -> Result<Verified, Rejection> {
        self.verify_all(vec![message])
            .pop()
            .expect("one verdict per message")
    }

    /// Checks many messages, all their signatures in one batch. One verdict per
    /// message, in their order; a bad message costs no other its verdict.
    #[must_use]
    pub fn verify_all(&self, messages: Vec<Message>) -> Vec<Result<Verified, Rejection>> {
        let mut claims = Vec::new();
        let mut verdicts: Vec<Result<(Message, usize), Rejection>> = Vec::new();
        for message in messages {
            let before = claims.len();
            let form = self.check_form(&message, &mut claims);
            if form.is_err() {
                claims.truncate(before);
            }
            verdicts.push(form.map(|()| (message, claims.len())));
        }
        let failed = verify_batch(&claims);
        let mut from = 0;
        verdicts
            .into_iter()
            .map(|verdict| {
                let (message, to) = verdict?;
                let bad = failed.iter().any(|at| (from..to).contains(at));
                from = to;
                if bad {
                    Err(bad_signature(&message))
                } else {
                    Ok(Verified(message))
                }
            })
            .collect()
    }

    /// Checks everything but the signatures, whose claims it adds to `claims`.
    fn check_form(&self, message: &Message, claims: &mut Vec<Claim>) -> Result<(), Rejection> {
        match message {
            Message::PrePrepare(proposed) => {
                self.check_proposed(proposed)?;
                claims.push(self.claim(&proposed.pre_prepare)?);
            }
            Message::Prepare(prepare) => {
                let view = prepare.body.view;
                let primary = self.replicas.primary(view);
                if prepare.signer == primary && !planted!(CountThePrimarysPrepare) {
                    return Err(Rejection::WrongRole {
                        message: "PREPARE",
                        signer: prepare.signer,
                        view,
                        primary,
                    });
                }
                claims.push(self.claim(prepare)?);
            }
            Message::Commit(commit) => claims.push(self.claim(commit)?),
            Message::Checkpoint(checkpoint) => claims.push(self.claim(checkpoint)?),
            Message::CheckpointCertificate(certificate) => {
                self.check_certificate(certificate, claims)?;
            }
            Message::Status(status) => self.check_status(status)?,
            Message::ViewChange(vote) => self.check_view_change(vote, claims)?,
            Message::NewView(new_view) => self.check_new_view(new_view, claims)?,
        }
        Ok(())
    }

    fn claim<B: Body>(&self, signed: &Signed<B>) -> Result<Claim, Rejection> {
        let key = self
            .replicas
            .key(signed.signer)
            .ok_or(Rejection::UnknownReplica(signed.signer))?;
        Ok(signed.claim(key, &self.network))
    }

    /// Only the primary of a view may say this in it; who that is.
    fn check_role(
        &self,
        message: &'static str,
        signer: ReplicaId,
        view: View,
    ) -> Result<ReplicaId, Rejection> {
        let primary = self.replicas.primary(view);
        if signer == primary {
            return Ok(primary);
        }
        Err(Rejection::WrongRole {
            message,
            signer,
            view,
            primary,
        })
    }

    fn check_proposed(&self, proposed: &Proposed) -> Result<(), Rejection> {
        let Proposed { pre_prepare, batch } = proposed;
        self.check_role("PRE-PREPARE", pre_prepare.signer, pre_prepare.body.view)?;
        if batch.requests.len() > self.max_batch_requests {
            return Err(Rejection::BatchTooLarge {
                limit: self.max_batch_requests,
                found: batch.requests.len(),
            });
        }
        let found = batch.digest();
        if found != pre_prepare.body.digest {
            return Err(Rejection::WrongBatchDigest {
                named: pre_prepare.body.digest,
                found,
            });
        }
        let distinct: BTreeSet<_> = batch.requests.iter().collect();
        if distinct.len() != batch.requests.len() {
            return Err(Rejection::RepeatedRequest);
        }
        Ok(())
    }

    fn check_certificate(
        &self,
        certificate: &CheckpointCertificate,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Rejection> {
        let signatures: &[(ReplicaId, Signature)] = &certificate.signatures;
        let (needed, found) = (self.replicas.quorum(), signatures.len());
        let sound = (needed..=self.replicas.n()).contains(&found) && strictly_ascending(signatures);
        if !sound {
            return Err(Rejection::BadCertificate { needed, found });
        }
        for (signer, signature) in signatures {
            claims.push(self.claim(&Signed {
                body: certificate.checkpoint,
                signer: *signer,
                signature: *signature,
            })?);
        }
        Ok(())
    }

    fn check_status(&self, status: &Status) -> Result<(), Rejection> {
        let slots = &status.slots;
        let ascending = slots
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence);
        let above = slots.first().is_none_or(|slot| slot.sequence > status.low);
        let uncertified = &status.uncertified;
        let executed = uncertified.windows(2).all(|pair| pair[0] < pair[1])
            && uncertified
                .last()
                .is_none_or(|last| *last <= status.last_executed);
        let changing = status.changing.as_ref();
        let changing = changing.is_none_or(|of| self.sound_list(of));
        let named = slots.len().max(uncertified.len());
        if named as u64 <= self.log_window && ascending && above && executed && changing {
            Ok(())
        } else {
            Err(Rejection::MalformedStatus { named })
        }
    }
}

fn bad_signature(message: &Message) -> Rejection {
    let signer = match message {
        Message::PrePrepare(proposed) => proposed.pre_prepare.signer,
        Message::Prepare(prepare) => prepare.signer,
        Message::Commit(commit) => commit.signer,
        Message::Checkpoint(checkpoint) => checkpoint.signer,
        Message::CheckpointCertificate(certificate) => certificate.signatures[0].0,
        Message::ViewChange(vote) => vote.signer,
        Message::NewView(new_view) => new_view.signer,
        Message::Status(_) => unreachable!("a status carries no signature"),
    };
    Rejection::BadSignature {
        message: message.name(),
        signer,
    }
}
