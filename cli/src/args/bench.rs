//! How much load, of what kind, on what.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::seconds;
use crate::commands::bench::{Contract, Pace};

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Measure this running network instead of one that is made for it
    #[arg(long, value_name = "DIR")]
    pub(crate) on: Option<PathBuf>,
    /// How many nodes the network has that is made for it
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(crate) nodes: u32,
    /// What is called
    #[arg(long, default_value = "kv")]
    pub(crate) contract: Contract,
    /// How many bytes a value of `kv` or a payload has
    #[arg(long, default_value_t = 512, value_name = "BYTES", value_parser = size)]
    pub(crate) size: usize,
    /// How many keys `kv` has
    #[arg(long, default_value_t = 100_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keys: u64,
    /// Give each key of `kv` a value before anything is measured, and let the nodes come to rest
    #[arg(long)]
    pub(crate) filled: bool,
    /// How many accounts `smallbank` has
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u64).range(2..))]
    pub(crate) accounts: u64,
    /// How many nodes endorse a transaction (1 when left out)
    #[arg(long, value_name = "N")]
    pub(crate) endorsements: Option<u32>,
    /// How many clients take turns, each with a key of its own; with `--on`, alice and bob do
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) clients: u32,
    /// Sign every transaction by itself, and not with others that the same client makes at once
    #[arg(long)]
    pub(crate) sign_alone: bool,
    /// Have opaque payloads ordered and nothing else: unsigned, not executed, no blocks
    #[arg(long, conflicts_with_all = ["on", "contract", "filled", "accounts", "endorsements", "clients", "sign_alone"])]
    pub(crate) order_only: bool,
    /// How many transactions are always under way (256 when left out, 8000 with `--order-only`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) in_flight: Option<u32>,
    /// Begin so many a second instead, whether or not others have ended
    #[arg(long, value_name = "N", conflicts_with = "in_flight", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: Option<u32>,
    /// How many seconds are measured
    #[arg(long, default_value = "20", value_name = "S", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How many seconds of load come before that
    #[arg(long, default_value = "5", value_name = "S", value_parser = seconds)]
    pub(crate) warm_up: Duration,
}

impl BenchArgs {
    /// When transactions are begun; so many are under way where nothing was said.
    pub(crate) fn pace(&self, in_flight: u32) -> Pace {
        match self.rate {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed {
                in_flight: self.in_flight.unwrap_or(in_flight),
            },
        }
    }
}

fn size(text: &str) -> Result<usize, String> {
    let size = text
        .parse()
        .ok()
        .filter(|size| (1..=128 * 1024).contains(size));
    size.ok_or_else(|| "expected 1 to 131072 bytes".to_owned())
}
