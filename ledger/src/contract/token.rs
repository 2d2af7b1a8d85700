//! `token`: a currency of one issuer, held by members.
//!
//! An account is a member's, by name and organisation, `alice@org1`: it stays the
//! same when the member gets another key. The organisation of the admin who calls
//! `initialize` issues the token; its admins mint. The supply changes by `mint`
//! and `burn` alone, and is the sum of all balances.

use serde::Serialize;

use super::args::number;
use super::{Context, Contract, ContractError, Function, json};
use crate::identity::{OrgId, Role};
use crate::names::is_member_name;

/// The token contract. Amounts are whole numbers below 2^64, the supply included.
#[derive(Clone, Copy, Debug)]
pub struct TokenContract;

const FUNCTIONS: &[Function] = &[
    Function {
        name: "initialize",
        args: &["name", "symbol", "decimals"],
    },
    Function {
        name: "mint",
        args: &["to", "amount"],
    },
    Function {
        name: "burn",
        args: &["amount"],
    },
    Function {
        name: "transfer",
        args: &["to", "amount"],
    },
    Function {
        name: "approve",
        args: &["spender", "amount"],
    },
    Function {
        name: "transfer_from",
        args: &["owner", "to", "amount"],
    },
    Function {
        name: "balance",
        args: &["account"],
    },
    Function {
        name: "allowance",
        args: &["owner", "spender"],
    },
    Function {
        name: "supply",
        args: &[],
    },
    Function {
        name: "info",
        args: &[],
    },
    Function {
        name: "account",
        args: &[],
    },
];

/// What `initialize` says, as it is kept and shown.
#[derive(serde::Deserialize, Serialize)]
struct Info {
    decimals: u8,
    issuer: OrgId,
    name: String,
    symbol: String,
}

/// What events tell.
#[derive(Serialize)]
struct Moved<'a> {
    amount: u64,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

#[derive(Serialize)]
struct Approved<'a> {
    amount: u64,
    owner: &'a str,
    spender: &'a str,
}

const INFO: &str = "info";
const SUPPLY: &str = "supply";

impl Contract for TokenContract {
    fn name(&self) -> &'static str {
        "token"
    }

    fn functions(&self) -> &'static [Function] {
        FUNCTIONS
    }

    fn invoke(
        &self,
        context: &mut Context<'_>,
        function: &str,
        args: &[String],
    ) -> Result<Vec<u8>, ContractError> {
        let caller = caller(context);
        match (function, args) {
            ("initialize", [name, symbol, decimals]) => initialize(context, name, symbol, decimals),
            ("mint", [to, amount]) => mint(context, to, positive(amount)?),
            ("burn", [amount]) => burn(context, &caller, positive(amount)?),
            ("transfer", [to, amount]) => transfer(context, &caller, to, positive(amount)?),
            ("approve", [spender, amount]) => approve(context, &caller, spender, amount),
            ("transfer_from", [owner, to, amount]) => {
                let amount = positive(amount)?;
                spend_allowance(context, owner, &caller, amount)?;
                transfer(context, owner, to, amount)
            }
            ("balance", [account]) => {
                check_account(account)?;
                shown(get(context, &balance_key(account))?)
            }
            ("allowance", [owner, spender]) => {
                shown(get(context, &allowance_key(owner, spender)?)?)
            }
            ("supply", []) => shown(get(context, SUPPLY)?),
            ("info", []) => Ok(context.get(INFO)?.ok_or_else(not_initialized)?),
            ("account", []) => Ok(caller.into_bytes()),
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

/// The account of whoever calls.
fn caller(context: &Context<'_>) -> String {
    let creator = context.creator();
    format!("{}@{}", creator.name, creator.organisation)
}

fn initialize(
    context: &mut Context<'_>,
    name: &str,
    symbol: &str,
    decimals: &str,
) -> Result<Vec<u8>, ContractError> {
    must_be_admin(context)?;
    if context.get(INFO)?.is_some() {
        return Err(ContractError::failed("the token is initialized already"));
    }
    let info = Info {
        decimals: number("decimals", decimals, "a whole number up to 255")?,
        issuer: context.creator().organisation.clone(),
        name: name.to_owned(),
        symbol: symbol.to_owned(),
    };
    context.put(INFO, json(&info))?;
    Ok(Vec::new())
}

fn mint(context: &mut Context<'_>, to: &str, amount: u64) -> Result<Vec<u8>, ContractError> {
    must_be_admin(context)?;
    let info = context.get(INFO)?.ok_or_else(not_initialized)?;
    let info: Info =
        serde_json::from_slice(&info).map_err(|error| ContractError::failed(error.to_string()))?;
    if context.creator().organisation != info.issuer {
        let issuer = info.issuer;
        return Err(ContractError::failed(format!(
            "only admins of {issuer} mint"
        )));
    }
    let supply = get(context, SUPPLY)?.checked_add(amount);
    let supply =
        supply.ok_or_else(|| ContractError::failed("the supply would not be below 2^64"))?;
    put(context, SUPPLY, supply)?;
    credit(context, to, amount)?;
    moved(context, None, Some(to), amount)
}

fn burn(context: &mut Context<'_>, from: &str, amount: u64) -> Result<Vec<u8>, ContractError> {
    debit(context, from, amount)?;
    let supply = get(context, SUPPLY)?.checked_sub(amount);
    let supply = supply.ok_or_else(|| ContractError::failed("more is burnt than there is"))?;
    put(context, SUPPLY, supply)?;
    moved(context, Some(from), None, amount)
}

fn transfer(
    context: &mut Context<'_>,
    from: &str,
    to: &str,
    amount: u64,
) -> Result<Vec<u8>, ContractError> {
    // A call does not see its own writes: of two to one balance the second would
    // undo the first.
    if from == to {
        return Err(ContractError::failed("an account transfers to another one"));
    }
    debit(context, from, amount)?;
    credit(context, to, amount)?;
    moved(context, Some(from), Some(to), amount)
}

fn approve(
    context: &mut Context<'_>,
    owner: &str,
    spender: &str,
    amount: &str,
) -> Result<Vec<u8>, ContractError> {
    let amount = number("amount", amount, "a whole number below 2^64")?;
    put(context, &allowance_key(owner, spender)?, amount)?;
    let approved = Approved {
        amount,
        owner,
        spender,
    };
    context.event("Approval", json(&approved))?;
    Ok(Vec::new())
}

fn spend_allowance(
    context: &mut Context<'_>,
    owner: &str,
    spender: &str,
    amount: u64,
) -> Result<(), ContractError> {
    let key = allowance_key(owner, spender)?;
    let allowance = get(context, &key)?;
    let left = allowance.checked_sub(amount).ok_or_else(|| {
        ContractError::failed(format!(
            "{spender} may spend {allowance} of {owner}, and not {amount}"
        ))
    })?;
    put(context, &key, left)
}

fn debit(context: &mut Context<'_>, account: &str, amount: u64) -> Result<(), ContractError> {
    check_account(account)?;
    let balance = get(context, &balance_key(account))?;
    let left = balance.checked_sub(amount).ok_or_else(|| {
        ContractError::failed(format!("{account} has {balance}, and not {amount}"))
    })?;
    put(context, &balance_key(account), left)
}

fn credit(context: &mut Context<'_>, account: &str, amount: u64) -> Result<(), ContractError> {
    check_account(account)?;
    let balance = get(context, &balance_key(account))?.checked_add(amount);
    let balance =
        balance.ok_or_else(|| ContractError::failed("the balance would not be below 2^64"))?;
    put(context, &balance_key(account), balance)
}

fn moved(
    context: &mut Context<'_>,
    from: Option<&str>,
    to: Option<&str>,
    amount: u64,
) -> Result<Vec<u8>, ContractError> {
    context.event("Transfer", json(&Moved { amount, from, to }))?;
    Ok(Vec::new())
}

fn must_be_admin(context: &Context<'_>) -> Result<(), ContractError> {
    if context.creator().role == Role::Admin {
        return Ok(());
    }
    Err(ContractError::failed(format!(
        "{} is no admin",
        caller(context)
    )))
}

/// Whatever is not `NAME@ORGANISATION` can be nobody's, and what it is given would be lost.
fn check_account(account: &str) -> Result<(), ContractError> {
    let parts = account.split_once('@');
    if parts.is_some_and(|(name, of)| is_member_name(name) && of.parse::<OrgId>().is_ok()) {
        return Ok(());
    }
    let found: String = account.chars().take(80).collect();
    Err(ContractError::failed(format!(
        "an account is NAME@ORGANISATION, and not {found:?}"
    )))
}

fn balance_key(account: &str) -> String {
    format!("balance/{account}")
}

fn allowance_key(owner: &str, spender: &str) -> Result<String, ContractError> {
    check_account(owner)?;
    check_account(spender)?;
    Ok(format!("allowance/{owner}/{spender}"))
}

/// The number under a key; 0 when there is none.
fn get(context: &mut Context<'_>, key: &str) -> Result<u64, ContractError> {
    let Some(value) = context.get(key)? else {
        return Ok(0);
    };
    let text = String::from_utf8_lossy(&value);
    number(key, &text, "a whole number below 2^64")
}

/// Keeps a number; nothing is the same as 0.
fn put(context: &mut Context<'_>, key: &str, value: u64) -> Result<(), ContractError> {
    if value == 0 {
        return context.delete(key);
    }
    context.put(key, value.to_string().into_bytes())
}

fn positive(text: &str) -> Result<u64, ContractError> {
    let expected = "a whole number from 1 to below 2^64";
    match number("amount", text, expected)? {
        0 => Err(ContractError::failed(format!(
            "amount: expected {expected}, found \"0\""
        ))),
        amount => Ok(amount),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer like the others")]
fn shown(number: u64) -> Result<Vec<u8>, ContractError> {
    Ok(number.to_string().into_bytes())
}

fn not_initialized() -> ContractError {
    ContractError::failed("the token is not initialized")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::World;
    use super::*;

    fn issued(to: &str, amount: &str) -> World<'static> {
        let mut world = World::new(&TokenContract);
        world.act_as("root", "org1", Role::Admin);
        world.submit("initialize", &["Euro", "EUR", "2"]);
        world.submit("mint", &[to, amount]);
        world
    }

    #[test]
    fn an_issuer_mints_and_members_pay_each_other() {
        let mut world = issued("alice@org1", "100");
        world.act_as("alice", "org1", Role::Client);
        assert_eq!(world.submit("account", &[]), "alice@org1");
        world.submit("transfer", &["bob@org2", "30"]);
        assert_eq!(world.submit("balance", &["alice@org1"]), "70");
        assert_eq!(world.submit("balance", &["bob@org2"]), "30");
        world.submit("burn", &["20"]);
        assert_eq!(world.submit("balance", &["alice@org1"]), "50");
        assert_eq!(world.submit("supply", &[]), "80");
        world.fails(
            "transfer",
            &["bob@org2", "51"],
            "alice@org1 has 50, and not 51",
        );
        world.fails(
            "transfer",
            &["alice@org1", "1"],
            "an account transfers to another one",
        );
        assert_eq!(
            world.submit("info", &[]),
            r#"{"decimals":2,"issuer":"org1","name":"Euro","symbol":"EUR"}"#
        );
    }

    #[test]
    fn only_admins_of_the_issuer_mint() {
        let mut world = World::new(&TokenContract);
        world.fails(
            "initialize",
            &["Euro", "EUR", "2"],
            "alice@org1 is no admin",
        );
        world.act_as("root", "org1", Role::Admin);
        world.fails("mint", &["a@org1", "1"], "the token is not initialized");
        world.submit("initialize", &["Euro", "EUR", "2"]);
        let again = "the token is initialized already";
        world.fails("initialize", &["Euro", "EUR", "2"], again);
        world.act_as("root", "org2", Role::Admin);
        world.fails("mint", &["a@org2", "1"], "only admins of org1 mint");
        world.act_as("alice", "org1", Role::Client);
        world.fails("mint", &["a@org1", "1"], "alice@org1 is no admin");
    }

    #[test]
    fn who_is_approved_spends_up_to_that() {
        let mut world = issued("alice@org1", "100");
        world.act_as("alice", "org1", Role::Client);
        world.submit("approve", &["bob@org2", "40"]);
        world.act_as("bob", "org2", Role::Client);
        world.submit("transfer_from", &["alice@org1", "carol@org3", "15"]);
        let allowance = ["alice@org1", "bob@org2"];
        assert_eq!(world.submit("allowance", &allowance), "25");
        assert_eq!(world.submit("balance", &["carol@org3"]), "15");
        world.fails(
            "transfer_from",
            &["alice@org1", "bob@org2", "26"],
            "bob@org2 may spend 25 of alice@org1, and not 26",
        );
        world.act_as("alice", "org1", Role::Client);
        world.submit("approve", &["bob@org2", "0"]);
        assert_eq!(world.submit("allowance", &allowance), "0");
    }

    #[test]
    fn amounts_and_accounts_that_cannot_be_are_refused() {
        let world = issued("alice@org1", "18446744073709551615");
        let full = "the supply would not be below 2^64";
        world.fails("mint", &["bob@org1", "1"], full);
        for wrong in ["0", "-1", "+1", "01", "1.5", "", "18446744073709551616"] {
            let message =
                format!("amount: expected a whole number from 1 to below 2^64, found {wrong:?}");
            world.fails("mint", &["bob@org1", wrong], &message);
        }
        for wrong in [
            "",
            "alice",
            "@org1",
            "alice@",
            "alice@Org1",
            "Alice@org1",
            "1@org1",
            "a/b@org1",
        ] {
            let message = format!("an account is NAME@ORGANISATION, and not {wrong:?}");
            world.fails("balance", &[wrong], &message);
        }
    }

    proptest! {
        /// Whatever is called by whomever, in any order: nothing comes from nowhere.
        #[test]
        fn the_supply_is_the_sum_of_the_balances(
            calls in prop::collection::vec((0usize..4, 0usize..3, 0usize..3, 0u64..50), 1..60)
        ) {
            let accounts = ["alice@org1", "bob@org2", "carol@org3"];
            let mut world = issued(accounts[0], "100");
            for (function, by, to, amount) in calls {
                let (name, of) = accounts[by].split_once('@').unwrap();
                world.act_as(name, of, Role::Client);
                let amount = amount.to_string();
                let other = accounts[(to + 1) % 3];
                let _refused = match function {
                    0 => world.attempt("transfer", &[accounts[to], &amount]),
                    1 => world.attempt("burn", &[&amount]),
                    2 => world.attempt("approve", &[accounts[to], &amount]),
                    _ => world.attempt("transfer_from", &[accounts[to], other, &amount]),
                };
                let balance = |account: &str| -> u64 {
                    world.evaluate("balance", &[account]).parse().unwrap()
                };
                let sum: u64 = accounts.into_iter().map(balance).sum();
                let supply = world.evaluate("supply", &[]);
                prop_assert_eq!(sum.to_string(), supply);
            }
        }
    }
}
