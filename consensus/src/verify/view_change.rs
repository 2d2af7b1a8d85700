//! The form of VIEW-CHANGE and NEW-VIEW. Both prove what they say, so that a
//! receiver needs none of its own state to know whether they are sound.

use std::collections::BTreeSet;

use crypto::Claim;

use super::Verifier;
use crate::certificate::{PreparedCertificate, strictly_ascending};
use crate::message::{NewView, Prepare, Signed, ViewChange};
use crate::reproposals::Reproposals;
use crate::{Rejection, ReplicaId, SequenceNumber, View, Watermarks};

impl Verifier {
    /// `C` is a quorum's, `P` lies in the window above it, in order, and every
    /// certificate in it is of an earlier view than the one that is wanted.
    pub(super) fn check_view_change(
        &self,
        vote: &Signed<ViewChange>,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Rejection> {
        let body = &vote.body;
        let unsound = |reason| Rejection::UnsoundViewChange {
            message: "VIEW-CHANGE",
            signer: vote.signer,
            view: body.view,
            reason,
        };
        if body.view == View::default() {
            return Err(unsound("view 0 is where everybody begins"));
        }
        let low = body
            .stable
            .as_ref()
            .map_or(SequenceNumber::GENESIS, |of| of.checkpoint.sequence);
        let window = Watermarks {
            low,
            high: low.saturating_add(self.log_window),
        };
        let mut last = low;
        for certificate in &body.prepared {
            let prepared = certificate.pre_prepare.body;
            if prepared.sequence <= last || !window.contain(prepared.sequence) {
                return Err(unsound(
                    "what prepared is not in order above the checkpoint",
                ));
            }
            if prepared.view >= body.view {
                return Err(unsound("something prepared in a view that is yet to begin"));
            }
            last = prepared.sequence;
        }
        claims.push(self.claim(vote)?);
        if let Some(stable) = &body.stable {
            self.check_certificate(stable, claims)?;
        }
        for certificate in &body.prepared {
            self.check_prepared(certificate, claims)?;
        }
        Ok(())
    }

    fn check_prepared(
        &self,
        certificate: &PreparedCertificate,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Rejection> {
        let pre_prepare = &certificate.pre_prepare;
        let primary = self.check_role("PRE-PREPARE", pre_prepare.signer, pre_prepare.body.view)?;
        let prepares = &certificate.prepares;
        let (needed, found) = (self.replicas.quorum() - 1, prepares.len());
        let by_backups = prepares.iter().all(|(signer, _)| *signer != primary);
        if found != needed || !by_backups || !strictly_ascending(prepares) {
            return Err(Rejection::BadCertificate { needed, found });
        }
        claims.push(self.claim(pre_prepare)?);
        let body = Prepare {
            view: pre_prepare.body.view,
            sequence: pre_prepare.body.sequence,
            digest: pre_prepare.body.digest,
        };
        for (signer, signature) in prepares {
            claims.push(self.claim(&Signed {
                body,
                signer: *signer,
                signature: *signature,
            })?);
        }
        Ok(())
    }

    /// `V` is a quorum's, each for this view, and `O` is what follows from it,
    /// signed by the primary of the view.
    pub(super) fn check_new_view(
        &self,
        new_view: &Signed<NewView>,
        claims: &mut Vec<Claim>,
    ) -> Result<(), Rejection> {
        let body = &new_view.body;
        let signer = new_view.signer;
        let unsound = |reason| Rejection::UnsoundViewChange {
            message: "NEW-VIEW",
            signer,
            view: body.view,
            reason,
        };
        self.check_role("NEW-VIEW", signer, body.view)?;
        let signers: Vec<ReplicaId> = body.view_changes.iter().map(|vote| vote.signer).collect();
        let distinct = signers.windows(2).all(|pair| pair[0] < pair[1]);
        if signers.len() != self.replicas.quorum() || !distinct {
            return Err(unsound(
                "its VIEW-CHANGEs are not those of a quorum, in order",
            ));
        }
        if body
            .view_changes
            .iter()
            .any(|vote| vote.body.view != body.view)
        {
            return Err(unsound("it holds a VIEW-CHANGE for another view"));
        }
        claims.push(self.claim(new_view)?);
        // First, for their form is what bounds the number of re-proposals.
        for vote in &body.view_changes {
            self.check_view_change(vote, claims)?;
        }
        let expected = Reproposals::of(body.view, &body.view_changes).statements;
        let statements = body.pre_prepares.iter().map(|signed| &signed.body);
        if !statements.eq(expected.iter()) {
            return Err(unsound(
                "what it re-proposes does not follow from its VIEW-CHANGEs",
            ));
        }
        if body
            .pre_prepares
            .iter()
            .any(|signed| signed.signer != signer)
        {
            return Err(unsound("it re-proposes in another replica's name"));
        }
        for signed in &body.pre_prepares {
            claims.push(self.claim(signed)?);
        }
        Ok(())
    }

    /// Whether a status names replicas once each and in order.
    pub(super) fn sound_list(&self, replicas: &[ReplicaId]) -> bool {
        let known = replicas.iter().all(|id| self.replicas.key(*id).is_some());
        let distinct: BTreeSet<_> = replicas.iter().collect();
        known && distinct.len() == replicas.len() && replicas.is_sorted()
    }
}
