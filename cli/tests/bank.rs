//! Money, while replicas fail: what the chain says is what the calls do one after
//! the other, and none is made or lost. `BANK_OPERATIONS` says how many calls,
//! `BANK_CLIENTS` how many clients make them.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Child;

use common::Network;
use ledger::{Proposal, Transaction, ValidationCode};
use node::api::ApiClient;
use serde_json::{Value, json};
use testnet::NetworkFolder;

const INITIAL: i64 = 1000;

/// What `alice@org1` and `bob@org2` have of the token each.
const MINTED: u64 = 1_000_000;

fn asked(name: &str, usual: usize) -> usize {
    let asked = std::env::var(name).ok();
    asked.map_or(usual, |asked| asked.parse().expect("a number"))
}

fn operations() -> usize {
    asked("BANK_OPERATIONS", 1600)
}

fn clients() -> usize {
    asked("BANK_CLIENTS", 4)
}

fn accounts() -> usize {
    (operations() / 20).max(20)
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    /// A customer: one of a few in three of four cases.
    fn customer(&mut self) -> String {
        let hot = self.below(4) > 0;
        let customer = self.below(if hot { 8 } else { accounts() });
        customer.to_string()
    }
}

/// Who calls as the client of this number, and to whom it transfers of the token.
fn parties(client: usize) -> [&'static str; 2] {
    let mut parties = ["alice@org1", "bob@org2"];
    parties.rotate_left(client % 2);
    parties
}

fn operation(numbers: &mut Numbers, client: usize) -> Value {
    let (from, to) = (numbers.customer(), numbers.customer());
    let amount = numbers.below(60).to_string();
    if numbers.below(8) == 0 {
        let args = [parties(client)[1], &(1 + numbers.below(60)).to_string()];
        return json!({"contract": "token", "function": "transfer", "args": args});
    }
    let (function, args) = match numbers.below(6) {
        0 => (
            "transact_savings",
            vec![from, format!("-{}", 1 + numbers.below(50))],
        ),
        1 => ("deposit_checking", vec![from, amount]),
        2 | 3 => ("send_payment", vec![from, to, amount]),
        4 => ("write_check", vec![from, amount]),
        _ => ("amalgamate", vec![from, to]),
    };
    json!({"contract": "smallbank", "function": function, "args": args})
}

fn write(path: &Path, lines: impl Iterator<Item = Value>) {
    let lines: Vec<String> = lines.map(|line| line.to_string()).collect();
    std::fs::write(path, lines.join("\n")).unwrap();
}

/// What the calls do, one after the other.
#[derive(Default)]
struct Serial {
    /// Checking and savings.
    accounts: BTreeMap<String, (i64, i64)>,
    /// What has come in, less what has gone out.
    paid_in: i64,
    /// The token, by account.
    balances: BTreeMap<String, u64>,
}

impl Serial {
    /// A call of the token by this account.
    fn token(&mut self, caller: &str, proposal: &Proposal) {
        let args: Vec<&str> = proposal.args.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        match (proposal.function.as_str(), &args[..]) {
            ("initialize", _) => {}
            ("mint", [to, amount]) => {
                *self.balances.entry((*to).to_owned()).or_default() += number(amount);
            }
            ("transfer", [to, amount]) => {
                let from = self.balances.get_mut(caller).expect("an account");
                *from = from.checked_sub(number(amount)).expect("it is covered");
                *self.balances.get_mut(*to).expect("an account") += number(amount);
            }
            other => panic!("{other:?} has taken effect"),
        }
    }

    /// The answer of a call that takes effect.
    fn call(&mut self, proposal: &Proposal) -> String {
        let args: Vec<&str> = proposal.args.iter().map(String::as_str).collect();
        let number = |text: &str| text.parse::<i64>().unwrap();
        match (proposal.function.as_str(), &args[..]) {
            ("create_account", [customer, _, checking, savings]) => {
                let (checking, savings) = (number(checking), number(savings));
                let before = self
                    .accounts
                    .insert((*customer).to_owned(), (checking, savings));
                assert!(before.is_none(), "one account per customer");
                self.paid_in += checking + savings;
                String::new()
            }
            ("transact_savings", [customer, amount]) => {
                let savings = &mut self.of(customer).1;
                *savings += number(amount);
                assert!(*savings >= 0, "savings cover what is taken out");
                let answer = savings.to_string();
                self.paid_in += number(amount);
                answer
            }
            ("deposit_checking", [customer, amount]) => {
                self.paid_in += number(amount);
                self.add(customer, number(amount))
            }
            ("send_payment", [from, to, amount]) => {
                assert!(self.of(from).0 >= number(amount), "payments are covered");
                self.add(to, number(amount));
                self.add(from, -number(amount))
            }
            ("write_check", [customer, amount]) => {
                let (checking, savings) = *self.of(customer);
                let penalty = i64::from(checking + savings < number(amount));
                self.paid_in -= number(amount) + penalty;
                self.add(customer, -number(amount) - penalty)
            }
            ("amalgamate", [from, to]) => {
                let (checking, savings) = std::mem::take(self.of(from));
                self.add(to, checking + savings)
            }
            other => panic!("{other:?} has taken effect"),
        }
    }

    fn of(&mut self, customer: &str) -> &mut (i64, i64) {
        self.accounts.get_mut(customer).expect("an account")
    }

    fn add(&mut self, customer: &str, amount: i64) -> String {
        let checking = &mut self.of(customer).0;
        *checking += amount;
        checking.to_string()
    }
}

fn import(network: &Network, file: &Path, name: &str) -> Child {
    let file = file.to_str().unwrap();
    network.begin(&["tx", "import", file, "--as", name, "--in-flight", "8"])
}

/// Whatever became of each line, all of them were brought to an end.
fn ended(import: Child) {
    let output = import.wait_with_output().unwrap();
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(summary["valid"].as_u64() > Some(0), "{summary}");
}

#[tokio::test]
async fn money_is_neither_made_nor_lost_whatever_replicas_do() {
    let network = Network::up();
    let opened = network.file("accounts.jsonl");
    let account = |customer: usize| {
        let initial = INITIAL.to_string();
        let args = [&customer.to_string(), "a name", &initial, &initial];
        json!({"contract": "smallbank", "function": "create_account", "args": args})
    };
    write(&opened, (0..accounts()).map(account));
    ended(import(&network, &opened, "alice"));
    let token = |args: &[&str]| {
        network.ok(&[&["tx", "submit", "token"], args, &["--as", "org1-admin"]].concat())
    };
    token(&["initialize", "Euro", "EUR", "2"]);
    for account in parties(0) {
        token(&["mint", account, &MINTED.to_string()]);
    }

    let mut imports = Vec::new();
    for client in 0..clients() {
        let mut numbers = Numbers(client as u64);
        let file = network.file(&format!("{client}.jsonl"));
        let count = operations() / clients();
        write(&file, (0..count).map(|_| operation(&mut numbers, client)));
        imports.push(import(&network, &file, ["alice", "bob"][client % 2]));
    }
    trouble(&network);
    for import in imports {
        ended(import);
    }
    network.await_one_state();

    check_money(&network).await;
    for node in ["node0", "node3"] {
        assert_eq!(network.ok(&["verify", "chain", "--node", node])["ok"], true);
    }
}

/// Executes the chain one call after the other, and compares.
async fn check_money(network: &Network) {
    let folder = NetworkFolder::open(&network.path()).unwrap();
    let genesis = folder.genesis().clone();
    let client = ApiClient::new(&folder.nodes()[1].api).unwrap();
    let mut serial = Serial::default();
    let (mut effective, mut transfers) = (0, 0);
    let height = client.status().await.unwrap().certified;
    for number in 1..=height {
        let block = client.stored_block(number, None).await.unwrap().block;
        for (bytes, code) in block.transactions.iter().zip(block.codes()) {
            let transaction: Transaction = crypto::decode(bytes, bytes.len()).unwrap();
            let id = transaction.proposal.id();
            if code == ValidationCode::Valid {
                if transaction.proposal.contract == "token" {
                    let members = genesis.members().iter();
                    let mut callers = members.filter(|it| it.key == transaction.proposal.creator);
                    let caller = callers.next().unwrap();
                    let account = format!("{}@{}", caller.name, caller.organisation);
                    serial.token(&account, &transaction.proposal);
                    transfers += 1;
                } else {
                    effective += 1;
                    let answer = serial.call(&transaction.proposal);
                    let said = String::from_utf8(transaction.response.payload.clone()).unwrap();
                    assert_eq!(said, answer, "transaction {id} in block {number}");
                }
                let receipt = client
                    .receipt(&id, std::time::Duration::ZERO)
                    .await
                    .unwrap();
                let holds = receipt.verify(&genesis.network_id(), &genesis.attesters());
                assert!(holds.is_ok() && receipt.code == code, "{holds:?}");
                assert_eq!(receipt.response, Some(transaction.response));
            }
        }
    }
    assert!(
        effective > operations() / 4,
        "{effective} calls took effect"
    );
    assert!(transfers > operations() / 64, "{transfers} transfers");
    let supply: u64 = serial.balances.values().sum();
    assert_eq!(supply, 2 * MINTED);
    let kept = client.state("token", "supply").await.unwrap();
    assert_eq!(kept.value, supply.to_string());
    for (account, balance) in &serial.balances {
        let key = format!("balance/{account}");
        let kept = client.state("token", &key).await.unwrap();
        assert_eq!(kept.value, balance.to_string());
    }
    let sum: i64 = serial
        .accounts
        .values()
        .map(|(checking, savings)| checking + savings)
        .sum();
    assert_eq!(sum, serial.paid_in);
    for (customer, (checking, savings)) in &serial.accounts {
        for (kind, expected) in [("checking", checking), ("savings", savings)] {
            let key = format!("{kind}/{customer}");
            let found = client.state("smallbank", &key).await.unwrap();
            assert_eq!(found.value, expected.to_string(), "{key}");
        }
    }
}

/// A backup is killed and comes back; then the primary falls silent for a while.
fn trouble(network: &Network) {
    let wait = |condition: &str, node: &str| {
        let wait = [
            "wait",
            "--for",
            condition,
            "--timeout",
            "120",
            "--node",
            node,
        ];
        network.ok(&wait);
    };
    let height = network.ok(&["block", "get", "latest"])["header"]["number"].as_u64();
    let after = |blocks: u64| format!("height={}", height.unwrap() + blocks);
    wait(&after(3), "node1");
    network.ok(&["testnet", "kill", "3"]);
    wait(&after(8), "node1");
    network.ok(&["testnet", "restart", "3"]);
    wait(&after(10), "node1");
    network.ok(&["testnet", "fault", "0", "silent"]);
    wait("view>0", "node1");
    network.ok(&["testnet", "fault", "0", "none"]);
}

#[test]
fn what_is_spent_twice_at_once_is_spent_once() {
    let network = Network::up();
    let token = |args: &[&str], name: &str| {
        network.ok(&[&["tx", "submit", "token"], args, &["--as", name]].concat())
    };
    token(&["initialize", "Euro", "EUR", "2"], "org1-admin");
    token(&["mint", "alice@org1", "100"], "org1-admin");
    let mut sends = Vec::new();
    for to in ["bob@org2", "carol@org3"] {
        let (proposal, transaction) = (network.file(to), network.file(&format!("{to}.tx")));
        let (proposal, transaction) = (proposal.to_str().unwrap(), transaction.to_str().unwrap());
        let transfer = [
            "tx", "propose", "token", "transfer", to, "100", "--out", proposal,
        ];
        network.ok(&transfer);
        network.ok(&["tx", "endorse", proposal, "--out", transaction]);
        sends.push(transaction.to_owned());
    }
    let sends = sends
        .iter()
        .map(|file| network.begin(&["tx", "send", file]));
    let sends: Vec<Child> = sends.collect();
    let mut codes: Vec<Value> = Vec::new();
    for send in sends {
        let output = send.wait_with_output().unwrap();
        let sent: Value = serde_json::from_slice(&output.stdout).unwrap();
        codes.push(sent["code"].clone());
    }
    codes.sort_by_key(Value::to_string);
    assert_eq!(codes, ["MVCC_READ_CONFLICT", "VALID"]);
    let query = |args: &[&str]| {
        let query = [&["query", "token"], args, &["--consistency", "quorum"]].concat();
        network.ok(&query)["response"].as_str().unwrap().to_owned()
    };
    assert_eq!(query(&["supply"]), "100");
    let balances = ["alice@org1", "bob@org2", "carol@org3"].map(|of| query(&["balance", of]));
    assert_eq!(balances[0], "0");
    assert!(balances.contains(&"100".to_owned()), "{balances:?}");
}
