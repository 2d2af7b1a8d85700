//! Who must endorse the transactions of a contract.
//!
//! One writes `2 of (org1, org2, org3)`, `org1 and (org2 or org3)`, `majority`,
//! or as in Fabric `AND('org1.peer', OR('org2.peer', 'org3.admin'))`. A policy is
//! stored as text in the one canonical spelling, which is Fabric's.

mod meet;
mod parse;
mod tree;

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use bincode::de::Decoder;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use crypto::codec::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::{Identity, OrgId, Role};
pub(crate) use meet::Effort;
pub use parse::ParsePolicyError;
pub use tree::PolicyTree;

/// Members of one role of one organisation, any of whom will do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Principal {
    /// Whose member.
    pub organisation: OrgId,
    /// In which role.
    pub role: Role,
}

impl Principal {
    /// The principal that a member stands for.
    #[must_use]
    pub fn of(member: &Identity) -> Self {
        Self {
            organisation: member.organisation.clone(),
            role: member.role,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}.{}'", self.organisation, self.role)
    }
}

/// An expression over principals. Bounded in size and depth, since it can only
/// come out of the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Principal(Principal),
    And(Vec<Rule>),
    Or(Vec<Rule>),
    OutOf(u32, Vec<Rule>),
}

impl Rule {
    fn collect<'a>(&'a self, principals: &mut Vec<&'a Principal>) {
        match self {
            Self::Principal(principal) => principals.push(principal),
            Self::And(rules) | Self::Or(rules) | Self::OutOf(_, rules) => {
                for rule in rules {
                    rule.collect(principals);
                }
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = match self {
            Self::Principal(principal) => return principal.fmt(f),
            Self::And(rules) => {
                f.write_str("AND(")?;
                rules
            }
            Self::Or(rules) => {
                f.write_str("OR(")?;
                rules
            }
            Self::OutOf(count, rules) => {
                write!(f, "OutOf({count}, ")?;
                rules
            }
        };
        for (position, rule) in rules.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{rule}")?;
        }
        f.write_str(")")
    }
}

/// Who must endorse the transactions of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsementPolicy {
    rule: Rule,
}

impl EndorsementPolicy {
    /// Whether these members together meet the policy. A member counts once,
    /// however often it is listed, and for one principal of the expression.
    ///
    /// `AND('org1.peer', 'org1.peer')` therefore takes two peers of the organisation.
    #[must_use]
    pub fn satisfied_by<'a>(&self, endorsers: impl IntoIterator<Item = &'a Identity>) -> bool {
        let mut of_no_block = usize::MAX;
        self.satisfied_within(endorsers, &mut Effort::within(&mut of_no_block))
    }

    /// The same of one of several policies, for which there is one effort.
    pub(crate) fn satisfied_within<'a>(
        &self,
        endorsers: impl IntoIterator<Item = &'a Identity>,
        effort: &mut Effort<'_>,
    ) -> bool {
        meet::meets(&self.rule, endorsers, effort)
    }

    /// As many of its principals (by position, from left to right) as these
    /// endorsers meet, each with the number of the one that does.
    #[must_use]
    pub fn assign(&self, endorsers: &[(u8, Identity)]) -> Vec<(u8, u8)> {
        tree::assign(&self.rule, endorsers)
    }

    /// The policy as a tree, when these of its principals are met.
    #[must_use]
    pub fn tree(&self, met: &[(u8, u8)]) -> PolicyTree {
        PolicyTree::new(&self.rule, met)
    }

    /// The policy that `text` is in a network of these organisations, of which
    /// `any` and `majority` speak.
    ///
    /// # Errors
    ///
    /// [`ParsePolicyError`], with the spot where it knows one.
    pub fn parse(text: &str, organisations: &[OrgId]) -> Result<Self, ParsePolicyError> {
        let policy = parse::rule(text, organisations).map(|rule| Self { rule })?;
        // It is stored in its one spelling, which may be longer and deeper, and must
        // be read again.
        parse::rule(&policy.to_string(), &[])?;
        Ok(policy)
    }

    /// Every principal the policy names, each once, in order.
    #[must_use]
    pub fn principals(&self) -> Vec<&Principal> {
        let mut principals = Vec::new();
        self.rule.collect(&mut principals);
        let distinct: BTreeSet<_> = principals.into_iter().collect();
        distinct.into_iter().collect()
    }
}

impl FromStr for EndorsementPolicy {
    type Err = ParsePolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, &[])
    }
}

impl fmt::Display for EndorsementPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rule.fmt(f)
    }
}

impl Encode for EndorsementPolicy {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.to_string().encode(encoder)
    }
}

impl<Context> Decode<Context> for EndorsementPolicy {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let text = String::decode(decoder)?;
        let policy = parse::rule(&text, &[])
            .map(|rule| Self { rule })
            .map_err(|error| DecodeError::OtherString(error.to_string()))?;
        if policy.to_string() != text {
            let what = format!("the policy is not in its canonical spelling, {policy}");
            return Err(DecodeError::OtherString(what));
        }
        Ok(policy)
    }
}

bincode::impl_borrow_decode!(EndorsementPolicy);

impl Serialize for EndorsementPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndorsementPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A contract, as the ledger knows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDefinition {
    /// Its name, which is also the namespace of its keys.
    pub name: String,
    /// The version of it that transactions must have been executed by.
    pub version: u32,
    /// Who must endorse its transactions.
    pub policy: EndorsementPolicy,
}

#[cfg(test)]
mod tests;
