//! What a transaction means.
//!
//! A client's [`Proposal`] is executed by endorsers on a snapshot ([`Simulation`]),
//! their agreeing answers make a [`Transaction`], the order it stands in decides
//! what becomes of it ([`validate`]), and the chain of blocks with the state it
//! leads to is kept by the [`Ledger`].
//!
//! What deliberately does not live here: how an order comes about, who talks to
//! whom, and time. *Architecture invariant:* everything but `store` is a function
//! of its arguments, so that all nodes and every later verification agree.

#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../docs/contracts.md")]
struct WritingContracts;

pub mod block;
pub mod chain;
pub mod contents;
pub mod contract;
pub mod digest;
pub mod endorsement;
pub mod identity;
pub mod light;
mod lookup;
pub mod members;
pub mod names;
pub mod policy;
pub mod proof;
pub mod proposal;
pub mod row;
pub mod rwset;
pub mod simulate;
pub mod state;
mod store;
pub mod transaction;
pub mod validation;
pub mod verify;

pub use block::{
    Attesters, AttestersError, Block, BlockCertificate, BlockHeader, CertificateError, StoredBlock,
    TransactionResult, attested_bytes,
};
pub use chain::{
    Committed, CommittedTransaction, GenesisState, Ledger, LedgerError, Listing, ListingPart,
    OrderedBatch, Snapshot, Tip, TransactionsOf,
};
pub use contents::{CheckedBlock, ContentsError, UncheckedBlock, claimed_results};
pub use contract::{Context, Contract, ContractError, Contracts};
pub use endorsement::{EndorsedAction, Endorsement, ProposalResponse, Response};
pub use identity::{Identity, OrgId, Role};
pub use light::{AttestedHeader, LightClient, LightError};
pub use policy::{ContractDefinition, EndorsementPolicy, PolicyTree, Principal};
pub use proof::{Receipt, ReceiptError};
pub use proposal::{NO_EXPIRY, Proposal, SignedProposal, TransactionId};
pub use row::{LongValue, RowValue, StateRow, VersionedValue};
pub use rwset::{Event, KeyPolicy, RangeRead, Read, ReadWriteSet, Version, Write, WriteValue};
pub use simulate::{EndorseError, Simulation};
pub use state::{MemoryState, Overlay, StateView};
pub use store::{
    Family, HistoryEntry, HistoryPart, KeyRange, Location, RangePart, RecordRow, RecordWrites,
    RecordedBatch, StatePage, StoreError,
};
pub use transaction::{
    AssembleError, CheckedTransaction, Limits, Locator, ParseLocatorError, Refusal, Signer,
    Transaction, TransactionHash, UncheckedTransaction, UnsignedTransaction, check_each,
    check_together, check_transactions,
};
pub use validation::{Budget, Reason, Shortfall, ValidationCode, Verdict, validate};
pub use verify::{
    BlockSource, ChainProblem, ChainReport, SourceError, verify_chain, verify_folder,
};
