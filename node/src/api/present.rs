//! What the ledger holds, in the form that the API shows.

use std::collections::BTreeMap;

use crypto::PublicKey;
use ledger::{
    Block, BlockCertificate, CommittedTransaction, Event, Identity, Ledger, LedgerError, Listing,
    Snapshot, StoredBlock, Transaction, ValidationCode,
};

use super::reason::resolve;
use super::types::{
    Attestation, BlockAnswer, BlockEvent, BlockTransaction, HeaderAnswer, ListedTransaction,
    ListingAnswer, Signers, StreamedEvent, TransactionAnswer, TransactionEvent,
};

/// Bytes as text: what is no UTF-8 is shown as replacement characters.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Names of members, looked up once each.
pub(super) struct Names<'a> {
    snapshot: Snapshot<'a>,
    known: BTreeMap<PublicKey, String>,
}

impl<'a> Names<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Result<Self, LedgerError> {
        Ok(Self {
            snapshot: ledger.snapshot()?,
            known: BTreeMap::new(),
        })
    }

    /// `alice@org1`; the key itself of one who is no member.
    pub(super) fn of(&mut self, key: &PublicKey) -> Result<String, LedgerError> {
        if let Some(name) = self.known.get(key) {
            return Ok(name.clone());
        }
        let name = match ledger::members::member(&self.snapshot, key)? {
            Some(member) => {
                let Identity {
                    name, organisation, ..
                } = member.identity;
                format!("{name}@{organisation}")
            }
            None => key.to_string(),
        };
        self.known.insert(*key, name.clone());
        Ok(name)
    }

    pub(super) fn of_endorsers(
        &mut self,
        transaction: &Transaction,
    ) -> Result<Vec<String>, LedgerError> {
        let endorsements = transaction.endorsements.iter();
        endorsements.map(|each| self.of(&each.endorser)).collect()
    }
}

/// The transactions of a block with their positions, decoded. They were when they
/// were committed.
pub(super) fn transactions(
    block: &Block,
) -> impl Iterator<Item = (u32, Transaction, ValidationCode)> + '_ {
    let pairs = (0..).zip(block.transactions.iter().zip(block.codes()));
    pairs.filter_map(|(index, (bytes, code))| {
        Some((index, crypto::decode(bytes, bytes.len()).ok()?, code))
    })
}

/// The block with this number, once it is attested. Genesis itself attests block 0.
pub(super) fn attested(ledger: &Ledger, number: u64) -> Result<Option<Block>, LedgerError> {
    let stored = ledger.stored_block(number)?;
    let attested = stored.filter(|it| it.certificate.is_some() || number == 0);
    Ok(attested.map(|it| it.block))
}

pub(super) fn block(ledger: &Ledger, stored: &StoredBlock) -> Result<BlockAnswer, LedgerError> {
    let mut names = Names::new(ledger)?;
    let StoredBlock { block, certificate } = stored;
    let shown = transactions(block)
        .map(|(_, transaction, code)| block_transaction(transaction, code, &mut names));
    let shown = shown.collect::<Result<_, LedgerError>>()?;
    let header = &block.header;
    Ok(BlockAnswer {
        hash: header.hash().to_string(),
        header: HeaderAnswer {
            number: header.number,
            previous_hash: header.previous_hash.to_string(),
            transactions_root: header.transactions_root.to_string(),
            results_root: header.results_root.to_string(),
            state_digest: header.state_digest.to_string(),
            timestamp_ms: header.timestamp_ms,
            sequence: header.sequence,
        },
        transactions: shown,
        certificate: certificate.as_ref().map(attestations).unwrap_or_default(),
    })
}

fn block_transaction(
    transaction: Transaction,
    code: ValidationCode,
    names: &mut Names<'_>,
) -> Result<BlockTransaction, LedgerError> {
    Ok(BlockTransaction {
        transaction_id: transaction.proposal.id().to_string(),
        code: code.to_string(),
        creator: names.of(&transaction.proposal.creator)?,
        endorsers: names.of_endorsers(&transaction)?,
        contract: transaction.proposal.contract,
        function: transaction.proposal.function,
        args: transaction.proposal.args,
    })
}

pub(super) fn listing(ledger: &Ledger, listing: Listing) -> Result<ListingAnswer, LedgerError> {
    let mut names = Names::new(ledger)?;
    let shown = listing.transactions.into_iter().map(|it| {
        Ok(ListedTransaction {
            block: it.location.block,
            index: it.location.index,
            transaction: block_transaction(it.transaction, it.location.code, &mut names)?,
        })
    });
    Ok(ListingAnswer {
        height: listing.height,
        block_hash: listing.block_hash.to_string(),
        transactions: shown.collect::<Result<_, LedgerError>>()?,
        next: listing.next.map(Into::into),
    })
}

fn attestations(certificate: &BlockCertificate) -> Vec<Attestation> {
    let signatures = certificate.signatures.iter();
    signatures
        .map(|(signer, signature)| Attestation {
            replica: *signer,
            signature: signature.to_string(),
        })
        .collect()
}

pub(super) fn transaction(
    ledger: &Ledger,
    found: CommittedTransaction,
) -> Result<TransactionAnswer, LedgerError> {
    let CommittedTransaction {
        location,
        reason,
        transaction,
    } = found;
    let mut names = Names::new(ledger)?;
    let reason = match reason {
        Some(reason) => {
            let place = location.place();
            Some(resolve(ledger, &mut names, place, &transaction, &reason)?)
        }
        None => None,
    };
    let signers = Signers {
        creator: names.of(&transaction.proposal.creator)?,
        endorsers: names.of_endorsers(&transaction)?,
    };
    let (place, verdict) = (location.place(), (location.code, reason));
    Ok(TransactionAnswer::of(transaction, place, verdict, signers))
}

pub(super) fn block_event(block: &Block) -> BlockEvent {
    let shown = transactions(block).map(|(_, transaction, code)| {
        let events = announced(&transaction, code);
        let events = events.map(|(_, event)| streamed(None, event)).collect();
        transaction_event(None, transaction, code, events)
    });
    block_line(block, shown.collect())
}

/// What a transaction has announced, with ordinals: nothing unless it is valid.
pub(super) fn announced(
    transaction: &Transaction,
    code: ValidationCode,
) -> impl Iterator<Item = (u32, &Event)> {
    let events = match code {
        ValidationCode::Valid => transaction.response.events.as_slice(),
        _ => &[],
    };
    (0..).zip(events)
}

/// An event as part of a line.
pub(super) fn streamed(ordinal: Option<u32>, event: &Event) -> StreamedEvent {
    StreamedEvent {
        event: ordinal,
        name: event.name.clone(),
        payload: text(&event.payload),
    }
}

/// A transaction as part of a line, with these of its events.
pub(super) fn transaction_event(
    index: Option<u32>,
    transaction: Transaction,
    code: ValidationCode,
    events: Vec<StreamedEvent>,
) -> TransactionEvent {
    TransactionEvent {
        index,
        transaction_id: transaction.proposal.id().to_string(),
        code: code.to_string(),
        contract: transaction.proposal.contract,
        function: transaction.proposal.function,
        events,
    }
}

/// A line of a stream that shows these transactions of a block.
pub(super) fn block_line(block: &Block, transactions: Vec<TransactionEvent>) -> BlockEvent {
    BlockEvent {
        block: block.header.number,
        hash: block.header.hash().to_string(),
        timestamp_ms: block.header.timestamp_ms,
        transactions,
    }
}
