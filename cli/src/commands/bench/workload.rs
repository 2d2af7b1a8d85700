//! What the load consists of. What is called is random and the same in every run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Call;
use ledger::contract::KvContract;

/// A contract to put load on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Contract {
    /// `put` of random keys: no two calls conflict
    Kv,
    /// The six operations of the benchmark of that name, in equal parts
    Smallbank,
}

/// About how many bytes of values are filled with one call.
const FILLED_BYTES: usize = 32 * 1024;

/// What an account begins with, checking and savings each.
const INITIAL: &str = "10000";

/// Calls of one kind.
pub(super) struct Workload {
    contract: Contract,
    size: usize,
    /// How many keys or accounts there are.
    many: u64,
    drawn: AtomicU64,
}

impl Workload {
    /// Of two workloads with one `seed` the calls are the same.
    pub(super) fn new(contract: Contract, size: usize, many: u64, seed: u64) -> Self {
        Self {
            contract,
            size,
            many,
            drawn: AtomicU64::new(seed),
        }
    }

    /// The calls without which the others would fail.
    pub(super) fn preparation(&self) -> impl Iterator<Item = Call> {
        let accounts = match self.contract {
            Contract::Kv => 0,
            Contract::Smallbank => self.many,
        };
        (0..accounts).map(|customer| {
            let customer = customer.to_string();
            let args = [&customer, "a name", INITIAL, INITIAL].map(str::to_owned);
            Call::new("smallbank", "create_account", args)
        })
    }

    /// The calls that give every key of `kv` a value.
    pub(super) fn filling(&self) -> impl Iterator<Item = Call> {
        let keys = self.many;
        let together = (FILLED_BYTES / self.size).clamp(1, KvContract::MAX_PUT_TOGETHER);
        let begins = (0..keys).step_by(together);
        begins.map(move |begin| {
            let together = begin..keys.min(begin + together as u64);
            let value = |key: u64| Random(!key).text(self.size);
            let values: BTreeMap<String, String> =
                together.map(|key| (name(key), value(key))).collect();
            let values = serde_json::json!(values).to_string();
            Call::new("kv", "put_all", [values])
        })
    }

    pub(super) fn next(&self) -> Call {
        let mut random = Random(self.drawn.fetch_add(1, Ordering::Relaxed));
        match self.contract {
            Contract::Kv => {
                let key = name(random.below(self.many));
                Call::new("kv", "put", [key, random.text(self.size)])
            }
            Contract::Smallbank => self.banking(&mut random),
        }
    }

    fn banking(&self, random: &mut Random) -> Call {
        let from = random.below(self.many);
        // Another than the first.
        let to = (from + 1 + random.below(self.many - 1)) % self.many;
        let amount = (1 + random.below(100)).to_string();
        let [from, to] = [from, to].map(|customer| customer.to_string());
        let (function, args) = match random.below(6) {
            0 => ("transact_savings", vec![from, amount]),
            1 => ("deposit_checking", vec![from, amount]),
            2 => ("send_payment", vec![from, to, amount]),
            3 => ("write_check", vec![from, amount]),
            4 => ("amalgamate", vec![from, to]),
            _ => ("query", vec![from]),
        };
        Call::new("smallbank", function, args)
    }
}

/// A key of `kv`.
fn name(number: u64) -> String {
    format!("key/{number}")
}

/// `SplitMix64` (Steele, Lea and Flood, 2014), begun anew for each call.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Letters and digits that do not compress to nothing.
    fn text(&mut self, length: usize) -> String {
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            // Writing into a string does not fail.
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(length);
        text
    }
}
