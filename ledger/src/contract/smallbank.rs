//! `smallbank`: the operations of the benchmark of that name (Alomari et al.,
//! "The Cost of Serializability on Platforms That Use Snapshot Isolation", ICDE
//! 2008), and `create_account` to begin with.
//!
//! A customer has a checking and a savings account. Amounts are whole numbers.
//! What goes in is `create_account` and `deposit_checking`, what goes in or out
//! `transact_savings`, what goes out `write_check`: everything else moves money
//! and neither makes nor loses any.

use serde::Serialize;

use super::args::number;
use super::{Context, Contract, ContractError, Function, json};

/// The smallbank contract.
#[derive(Clone, Copy, Debug)]
pub struct SmallbankContract;

/// What a check costs beyond its amount that is not covered.
const PENALTY: i64 = 1;

const FUNCTIONS: &[Function] = &[
    Function {
        name: "create_account",
        args: &["customer", "name", "checking", "savings"],
    },
    Function {
        name: "transact_savings",
        args: &["customer", "amount"],
    },
    Function {
        name: "deposit_checking",
        args: &["customer", "amount"],
    },
    Function {
        name: "send_payment",
        args: &["from", "to", "amount"],
    },
    Function {
        name: "write_check",
        args: &["customer", "amount"],
    },
    Function {
        name: "amalgamate",
        args: &["from", "to"],
    },
    Function {
        name: "query",
        args: &["customer"],
    },
];

/// What a call answers: the balances after it, in the order of the alphabet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Balances {
    checking: i64,
    customer: String,
    savings: i64,
}

impl Contract for SmallbankContract {
    fn name(&self) -> &'static str {
        "smallbank"
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
        match (function, args) {
            ("create_account", [customer, name, checking, savings]) => {
                let (checking, savings) = (deposit(checking)?, deposit(savings)?);
                create(context, customer, name, checking, savings)
            }
            ("transact_savings", [customer, amount]) => {
                transact_savings(context, customer, amount_of(amount)?)
            }
            ("deposit_checking", [customer, amount]) => {
                let amount = deposit(amount)?;
                let balance = sum(checking(context, customer)?, amount)?;
                set(context, &checking_key(customer), balance)?;
                shown(balance)
            }
            ("send_payment", [from, to, amount]) => {
                send_payment(context, from, to, deposit(amount)?)
            }
            ("write_check", [customer, amount]) => write_check(context, customer, deposit(amount)?),
            ("amalgamate", [from, to]) => amalgamate(context, from, to),
            ("query", [customer]) => {
                let balances = Balances {
                    checking: checking(context, customer)?,
                    savings: savings(context, customer)?,
                    customer: customer.clone(),
                };
                Ok(json(&balances))
            }
            _ => unreachable!("calls are checked against the functions"),
        }
    }
}

fn create(
    context: &mut Context<'_>,
    customer: &str,
    name: &str,
    checking: i64,
    savings: i64,
) -> Result<Vec<u8>, ContractError> {
    let account = format!("account/{customer}");
    if context.get(&account)?.is_some() {
        return Err(ContractError::failed(format!(
            "customer {customer} has accounts already"
        )));
    }
    context.put(&account, name.to_owned().into_bytes())?;
    set(context, &checking_key(customer), checking)?;
    set(context, &savings_key(customer), savings)?;
    Ok(Vec::new())
}

fn transact_savings(
    context: &mut Context<'_>,
    customer: &str,
    amount: i64,
) -> Result<Vec<u8>, ContractError> {
    let balance = sum(savings(context, customer)?, amount)?;
    if balance < 0 {
        return Err(ContractError::failed(format!(
            "the savings of {customer} do not cover it"
        )));
    }
    set(context, &savings_key(customer), balance)?;
    shown(balance)
}

fn send_payment(
    context: &mut Context<'_>,
    from: &str,
    to: &str,
    amount: i64,
) -> Result<Vec<u8>, ContractError> {
    distinct(from, to)?;
    let (there, here) = (checking(context, from)?, checking(context, to)?);
    if there < amount {
        return Err(ContractError::failed(format!(
            "the checking of {from} does not cover it"
        )));
    }
    let left = there - amount;
    set(context, &checking_key(from), left)?;
    set(context, &checking_key(to), sum(here, amount)?)?;
    shown(left)
}

fn write_check(
    context: &mut Context<'_>,
    customer: &str,
    amount: i64,
) -> Result<Vec<u8>, ContractError> {
    let (checking, savings) = (checking(context, customer)?, savings(context, customer)?);
    let covered = checking.saturating_add(savings) >= amount;
    let cost = if covered {
        amount
    } else {
        sum(amount, PENALTY)?
    };
    let left = checking.checked_sub(cost).ok_or_else(too_large)?;
    set(context, &checking_key(customer), left)?;
    shown(left)
}

/// Everything that `from` has goes to the checking account of `to`.
fn amalgamate(context: &mut Context<'_>, from: &str, to: &str) -> Result<Vec<u8>, ContractError> {
    distinct(from, to)?;
    let all = sum(checking(context, from)?, savings(context, from)?)?;
    let balance = sum(checking(context, to)?, all)?;
    set(context, &checking_key(from), 0)?;
    set(context, &savings_key(from), 0)?;
    set(context, &checking_key(to), balance)?;
    shown(balance)
}

/// A call does not see its own writes: of two to one account the second would
/// undo the first, and make money.
fn distinct(from: &str, to: &str) -> Result<(), ContractError> {
    if from == to {
        return Err(ContractError::failed("two different customers are needed"));
    }
    Ok(())
}

fn checking_key(customer: &str) -> String {
    format!("checking/{customer}")
}

fn savings_key(customer: &str) -> String {
    format!("savings/{customer}")
}

fn checking(context: &mut Context<'_>, customer: &str) -> Result<i64, ContractError> {
    get(context, &checking_key(customer), customer)
}

fn savings(context: &mut Context<'_>, customer: &str) -> Result<i64, ContractError> {
    get(context, &savings_key(customer), customer)
}

fn get(context: &mut Context<'_>, key: &str, customer: &str) -> Result<i64, ContractError> {
    let found = context.get(key)?;
    let found = found
        .ok_or_else(|| ContractError::failed(format!("customer {customer} has no accounts")))?;
    number(key, &String::from_utf8_lossy(&found), "a balance")
}

fn set(context: &mut Context<'_>, key: &str, balance: i64) -> Result<(), ContractError> {
    context.put(key, balance.to_string().into_bytes())
}

fn amount_of(text: &str) -> Result<i64, ContractError> {
    number("amount", text, "a whole number of 63 bits")
}

fn deposit(text: &str) -> Result<i64, ContractError> {
    let amount = amount_of(text)?;
    if amount < 0 {
        return Err(ContractError::failed(format!(
            "an amount of {amount} is negative"
        )));
    }
    Ok(amount)
}

fn sum(a: i64, b: i64) -> Result<i64, ContractError> {
    a.checked_add(b).ok_or_else(too_large)
}

fn too_large() -> ContractError {
    ContractError::failed("the balance would not fit in 63 bits")
}

#[expect(clippy::unnecessary_wraps, reason = "an answer like the others")]
fn shown(balance: i64) -> Result<Vec<u8>, ContractError> {
    Ok(balance.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::World;
    use super::*;

    fn bank() -> World<'static> {
        let mut world = World::new(&SmallbankContract);
        for customer in ["1", "2", "3"] {
            world.submit("create_account", &[customer, "a name", "100", "50"]);
        }
        world
    }

    fn balances(world: &World, customer: &str) -> (i64, i64) {
        let shown = world.evaluate("query", &[customer]);
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let of = |name: &str| shown[name].as_i64().unwrap();
        (of("checking"), of("savings"))
    }

    #[test]
    fn each_operation_does_what_the_benchmark_says() {
        let mut world = bank();
        assert_eq!(world.submit("transact_savings", &["1", "-20"]), "30");
        assert_eq!(world.submit("deposit_checking", &["1", "5"]), "105");
        assert_eq!(world.submit("send_payment", &["1", "2", "10"]), "95");
        assert_eq!(world.submit("write_check", &["1", "95"]), "0");
        assert_eq!(
            world.submit("write_check", &["1", "31"]),
            "-32",
            "a penalty"
        );
        assert_eq!(world.submit("amalgamate", &["2", "3"]), "260");
        let all = ["1", "2", "3"].map(|customer| balances(&world, customer));
        assert_eq!(all, [(-32, 30), (0, 0), (260, 50)]);
        assert_eq!(
            world.submit("query", &["1"]),
            r#"{"checking":-32,"customer":"1","savings":30}"#
        );
    }

    #[test]
    fn what_would_make_money_is_refused() {
        let world = bank();
        let two = "two different customers are needed";
        world.fails("send_payment", &["1", "1", "10"], two);
        world.fails("amalgamate", &["1", "1"], two);
        let negative = "an amount of -1 is negative";
        world.fails("send_payment", &["1", "2", "-1"], negative);
        world.fails("deposit_checking", &["1", "-1"], negative);
        world.fails("write_check", &["1", "-1"], negative);
        let wrong = "amount: expected a whole number of 63 bits, found \"ten\"";
        world.fails("send_payment", &["1", "2", "ten"], wrong);
        let uncovered = "the checking of 1 does not cover it";
        world.fails("send_payment", &["1", "2", "101"], uncovered);
        let uncovered = "the savings of 1 do not cover it";
        world.fails("transact_savings", &["1", "-51"], uncovered);
        let large = "the balance would not fit in 63 bits";
        world.fails("deposit_checking", &["1", "9223372036854775807"], large);
        world.fails("query", &["4"], "customer 4 has no accounts");
        let again = "customer 1 has accounts already";
        world.fails("create_account", &["1", "n", "0", "0"], again);
    }

    proptest! {
        #[test]
        fn moving_money_neither_makes_nor_loses_any(
            calls in prop::collection::vec((any::<bool>(), 1u8..4, 1u8..4, -10i64..200), 1..60)
        ) {
            let mut world = bank();
            for (all, from, to, amount) in calls {
                let (from, to) = (from.to_string(), to.to_string());
                let _refused = if all {
                    world.attempt("amalgamate", &[&from, &to])
                } else {
                    world.attempt("send_payment", &[&from, &to, &amount.to_string()])
                };
                let sum: i64 = ["1", "2", "3"]
                    .map(|customer| balances(&world, customer))
                    .iter()
                    .map(|(checking, savings)| checking + savings)
                    .sum();
                prop_assert_eq!(sum, 450);
            }
        }
    }
}
