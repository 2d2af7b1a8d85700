//! The written form of policies.
//!
//! ```text
//! policy    = principal | "AND" list | "OR" list | "OutOf" "(" number "," policy { "," policy } ")"
//! list      = "(" policy { "," policy } ")"
//! principal = "'" organisation "." role "'"
//! ```
//!
//! As in Fabric, the words may be in any case and the quotes may be double.

use super::{Principal, Rule};
use crate::identity::{ParseOrgIdError, ParseRoleError};

/// Longest text of a policy.
const MAX_BYTES: usize = 4096;
/// Deepest nesting of a policy.
const MAX_DEPTH: usize = 8;
/// Most principals a policy lists, repetitions counted.
const MAX_PRINCIPALS: usize = 64;

/// Why a text is not a policy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParsePolicyError {
    /// Too long a text.
    #[error("a policy of {found} bytes, and at most {MAX_BYTES} are allowed")]
    TooLong {
        /// Its length in bytes.
        found: usize,
    },
    /// Nested too deeply.
    #[error("a policy nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many principals.
    #[error("a policy of more than {MAX_PRINCIPALS} principals")]
    TooManyPrincipals,
    /// Something else than what must stand there.
    #[error("expected {expected} at byte {at} of the policy, found {found:?}")]
    Expected {
        /// What must stand there.
        expected: &'static str,
        /// Where, in bytes from the beginning.
        at: usize,
        /// What stands there, cut after 20 characters.
        found: String,
    },
    /// A number of policies that cannot be met, or is met by nobody at all.
    #[error("OutOf({count}, ..) over {rules} policies: the number must be from 1 to {rules}")]
    BadCount {
        /// The number that stands there.
        count: u32,
        /// How many policies follow it.
        rules: usize,
    },
    /// A principal of no possible organisation.
    #[error(transparent)]
    Organisation(#[from] ParseOrgIdError),
    /// A principal of no possible role.
    #[error(transparent)]
    Role(#[from] ParseRoleError),
}

/// Parses the whole of `text`.
pub(super) fn rule(text: &str) -> Result<Rule, ParsePolicyError> {
    if text.len() > MAX_BYTES {
        return Err(ParsePolicyError::TooLong { found: text.len() });
    }
    let mut parser = Parser {
        text,
        at: 0,
        principals: 0,
    };
    let rule = parser.rule(1)?;
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(rule);
    }
    Err(parser.expected("the end"))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    principals: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> ParsePolicyError {
        ParsePolicyError::Expected {
            expected,
            at: self.at,
            found: self.rest().chars().take(20).collect(),
        }
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes what follows as long as it is `part`.
    fn take_while(&mut self, part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn symbol(&mut self, symbol: char, expected: &'static str) -> Result<(), ParsePolicyError> {
        self.skip_space();
        if !self.rest().starts_with(symbol) {
            return Err(self.expected(expected));
        }
        self.at += symbol.len_utf8();
        Ok(())
    }

    fn rule(&mut self, depth: usize) -> Result<Rule, ParsePolicyError> {
        if depth > MAX_DEPTH {
            return Err(ParsePolicyError::TooDeep);
        }
        self.skip_space();
        if let Some(quote @ ('\'' | '"')) = self.rest().chars().next() {
            return self.principal(quote);
        }
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphabetic());
        match word.to_ascii_lowercase().as_str() {
            "and" => {
                self.symbol('(', "(")?;
                self.rules(depth).map(Rule::And)
            }
            "or" => {
                self.symbol('(', "(")?;
                self.rules(depth).map(Rule::Or)
            }
            "outof" => self.out_of(depth),
            _ => {
                self.at = start;
                Err(self.expected("AND, OR, OutOf or a principal in quotes"))
            }
        }
    }

    fn principal(&mut self, quote: char) -> Result<Rule, ParsePolicyError> {
        self.principals += 1;
        if self.principals > MAX_PRINCIPALS {
            return Err(ParsePolicyError::TooManyPrincipals);
        }
        self.symbol(quote, "a quote")?;
        let name = self.take_while(|c| c != quote);
        let Some((organisation, role)) = name.rsplit_once('.') else {
            self.at -= name.len();
            return Err(self.expected("organisation.role"));
        };
        let principal = Principal {
            organisation: organisation.parse()?,
            role: role.parse()?,
        };
        self.symbol(quote, "the closing quote")?;
        Ok(Rule::Principal(principal))
    }

    fn out_of(&mut self, depth: usize) -> Result<Rule, ParsePolicyError> {
        self.symbol('(', "(")?;
        self.skip_space();
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        let Ok(count) = digits.parse() else {
            self.at = start;
            return Err(self.expected("a number"));
        };
        self.symbol(',', "a comma")?;
        let rules = self.rules(depth)?;
        let in_range = usize::try_from(count).is_ok_and(|count| (1..=rules.len()).contains(&count));
        if !in_range {
            let rules = rules.len();
            return Err(ParsePolicyError::BadCount { count, rules });
        }
        Ok(Rule::OutOf(count, rules))
    }

    /// What follows an opening parenthesis, up to the closing one.
    fn rules(&mut self, depth: usize) -> Result<Vec<Rule>, ParsePolicyError> {
        let mut rules = vec![self.rule(depth + 1)?];
        loop {
            self.skip_space();
            if !self.rest().starts_with(',') {
                self.symbol(')', "a comma or )")?;
                return Ok(rules);
            }
            self.symbol(',', "a comma")?;
            rules.push(self.rule(depth + 1)?);
        }
    }
}
