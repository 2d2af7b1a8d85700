//! What of the blocks somebody wants to hear of.

use ledger::names::{is_call_name, is_namespace};
use ledger::{Block, Ledger, LedgerError, Transaction, ValidationCode};

use super::creator::Creator;
use super::error::Failure;
use super::present::{
    Names, announced, attested, block_line, streamed, transaction_event, transactions,
};
use super::types::{BlockEvent, StreamedEvent};

/// How many blocks are looked through at a time, and for how many bytes of
/// transactions: others want to read, too.
const MAX_BLOCKS: usize = 64;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What a part of a stream must have to be shown; at least one of them is set.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    contract: Option<String>,
    event: Option<String>,
    creator: Option<Creator>,
}

/// A transaction of a block and, with a number, an event of it, up to which
/// everything was had already.
pub(super) type Had = (u32, Option<u32>);

impl Filter {
    /// The filter that a call asks for; none when it wants everything.
    pub(super) fn new(
        ledger: &Ledger,
        contract: Option<String>,
        event: Option<String>,
        creator: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        if contract.as_ref().is_some_and(|name| !is_namespace(name)) {
            return Err(Failure::bad_request("that cannot be a contract's name"));
        }
        if event.as_ref().is_some_and(|name| !is_call_name(name)) {
            return Err(Failure::bad_request("that cannot be an event's name"));
        }
        let creator = creator.map(|creator| Creator::find(ledger, creator));
        let filter = Self {
            contract,
            event,
            creator: creator.transpose()?,
        };
        let Self {
            contract,
            event,
            creator,
        } = &filter;
        let is_set = contract.is_some() || event.is_some() || creator.is_some();
        Ok(is_set.then_some(filter))
    }

    /// Looks through attested blocks from `begin` on, up to the first in which
    /// something matches, at most `limit` of them. What is shown is of the last one
    /// it has looked at; nothing when the first is not there yet.
    pub(super) fn scan(
        &self,
        ledger: &Ledger,
        (begin, had): (u64, Option<Had>),
        limit: usize,
    ) -> Result<Option<BlockEvent>, LedgerError> {
        let mut names = Names::new(ledger)?;
        let (mut last, mut bytes) = (None, 0_usize);
        for number in (begin..=u64::MAX).take(limit.min(MAX_BLOCKS)) {
            let Some(block) = attested(ledger, number)? else {
                break;
            };
            let had = had.filter(|_| number == begin);
            let line = self.line(&block, had, &mut names)?;
            let matches = !line.transactions.is_empty();
            last = Some(line);
            bytes = bytes.saturating_add(block.transactions.iter().map(|it| it.len()).sum());
            if matches || bytes >= MAX_BYTES {
                break;
            }
        }
        Ok(last)
    }

    /// What matches in a block, but for what was had already.
    fn line(
        &self,
        block: &Block,
        had: Option<Had>,
        names: &mut Names<'_>,
    ) -> Result<BlockEvent, LedgerError> {
        let mut shown = Vec::new();
        for (index, transaction, code) in transactions(block) {
            let done = match had {
                Some((last, _)) if index < last => continue,
                Some((last, event)) if index == last => match event {
                    Some(event) => Some(event),
                    None => continue,
                },
                _ => None,
            };
            let events = self.events(&transaction, code, done);
            // Where events are asked for, or some were had, the rest of them counts.
            let only_events = self.event.is_some() || done.is_some();
            if (only_events && events.is_empty()) || !self.is_of(&transaction, names)? {
                continue;
            }
            shown.push(transaction_event(Some(index), transaction, code, events));
        }
        Ok(block_line(block, shown))
    }

    fn is_of(&self, transaction: &Transaction, names: &mut Names<'_>) -> Result<bool, LedgerError> {
        let proposal = &transaction.proposal;
        if self
            .contract
            .as_ref()
            .is_some_and(|it| *it != proposal.contract)
        {
            return Ok(false);
        }
        match &self.creator {
            Some(creator) => creator.has(&proposal.creator, names),
            None => Ok(true),
        }
    }

    /// The events of a transaction that match, after the one that was had last.
    fn events(
        &self,
        transaction: &Transaction,
        code: ValidationCode,
        done: Option<u32>,
    ) -> Vec<StreamedEvent> {
        let wanted = announced(transaction, code).filter(|(ordinal, event)| {
            let named = self.event.as_ref().is_none_or(|name| *name == event.name);
            named && done.is_none_or(|done| *ordinal > done)
        });
        wanted
            .map(|(ordinal, event)| streamed(Some(ordinal), event))
            .collect()
    }
}
