//! What is ordered, as far as ordering has to know it.

use std::fmt::Display;
use std::hash::Hash;

use consensus::RequestDigest;
use crypto::PublicKey;
use ledger::{
    CheckedTransaction, Ledger, LedgerError, TransactionHash, TransactionId, UncheckedTransaction,
    check_transactions,
};

/// Something that was checked and can be ordered.
pub(crate) trait Request: Send + Sync + Sized + 'static {
    /// What it has in common with others of which only one is to be executed.
    type Id: Copy + Eq + Hash + Display + Send + Sync + 'static;

    /// Which of those it is one of.
    fn id(&self) -> Self::Id;

    /// By what a batch names it.
    fn digest(&self) -> RequestDigest;

    /// What it is sent and kept as.
    fn bytes(&self) -> &[u8];

    /// Who made it, if anybody can be told.
    fn creator(&self) -> Option<&PublicKey>;

    /// By what a batch would name these bytes, whatever they are.
    fn digest_of(bytes: &[u8]) -> RequestDigest;

    /// Checks what was kept: the disk is not believed more than a peer.
    ///
    /// # Errors
    ///
    /// What is wrong with the first that is not what was kept.
    fn read_back(
        kept: &[impl AsRef<[u8]>],
        network: &crypto::NetworkId,
        limits: &ledger::Limits,
    ) -> Result<Vec<Self>, String>;

    /// Whether it, or another of its id, stands in the chain.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    fn is_in(&self, ledger: &Ledger) -> Result<bool, LedgerError>;
}

impl Request for CheckedTransaction {
    type Id = TransactionId;

    fn id(&self) -> TransactionId {
        self.id()
    }

    fn digest(&self) -> RequestDigest {
        RequestDigest(self.hash().0)
    }

    fn bytes(&self) -> &[u8] {
        self.bytes()
    }

    fn creator(&self) -> Option<&PublicKey> {
        Some(&self.transaction().proposal.creator)
    }

    fn digest_of(bytes: &[u8]) -> RequestDigest {
        RequestDigest(TransactionHash::of_bytes(bytes).0)
    }

    fn read_back(
        kept: &[impl AsRef<[u8]>],
        network: &crypto::NetworkId,
        limits: &ledger::Limits,
    ) -> Result<Vec<Self>, String> {
        let decode = |bytes: &_| {
            let bytes = AsRef::<[u8]>::as_ref(bytes);
            UncheckedTransaction::decode(bytes, network, limits)
        };
        let unchecked = kept.iter().map(decode).collect::<Result<Vec<_>, _>>();
        let checked = check_transactions(unchecked.map_err(|refusal| refusal.to_string())?);
        let checked = checked.into_iter().collect::<Result<_, _>>();
        checked.map_err(|refusal| refusal.to_string())
    }

    fn is_in(&self, ledger: &Ledger) -> Result<bool, LedgerError> {
        Ok(ledger.location(&self.id())?.is_some())
    }
}
