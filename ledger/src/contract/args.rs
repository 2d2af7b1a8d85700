//! Arguments of contracts that are numbers.

use std::fmt::Display;
use std::str::FromStr;

use super::ContractError;

/// The number that an argument is, in its one spelling: `+1`, `01` and `-0` are
/// refused, so that equal calls are equal texts.
pub(super) fn number<T: FromStr + Display>(
    name: &str,
    text: &str,
    expected: &str,
) -> Result<T, ContractError> {
    let number = text.parse::<T>().ok();
    let number = number.filter(|number| number.to_string() == text);
    number.ok_or_else(|| {
        let found: String = text.chars().take(40).collect();
        ContractError::failed(format!("{name}: expected {expected}, found {found:?}"))
    })
}
