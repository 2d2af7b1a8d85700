//! The written forms of policies: as one says it, and Fabric's.
//!
//! ```text
//! policy    = both { "or" both }
//! both      = one { "and" one }
//! one       = "(" policy ")" | number "of" list | "any" | "majority" | principal
//!           | "AND" list | "OR" list | "OutOf" "(" number "," policy { "," policy } ")"
//! list      = "(" policy { "," policy } ")"
//! principal = organisation [ "." role ] | "'" organisation "." role "'"
//! ```
//!
//! Words may be in any case, quotes may be double, and a role that is left out
//! is `peer`. `any` and `majority` are of all organisations, a peer of each.

use super::{Principal, Rule};
use crate::identity::{OrgId, ParseOrgIdError, ParseRoleError, Role};

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
    /// `any` or `majority` where it is not known of whom.
    #[error("{word:?} at byte {at} of the policy: which organisations there are is not known here")]
    NoOrganisations {
        /// The word.
        word: String,
        /// Where, in bytes from the beginning.
        at: usize,
    },
    /// A number of policies that cannot be met, or is met by nobody at all.
    #[error("{count} of {rules} policies: the number must be from 1 to {rules}")]
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

impl ParsePolicyError {
    /// Where in the text the mistake is, in bytes, if it is at one spot.
    #[must_use]
    pub fn at(&self) -> Option<usize> {
        match self {
            Self::Expected { at, .. } | Self::NoOrganisations { at, .. } => Some(*at),
            _ => None,
        }
    }
}

/// Parses the whole of `text`. `any` and `majority` are of these organisations.
pub(super) fn rule(text: &str, organisations: &[OrgId]) -> Result<Rule, ParsePolicyError> {
    if text.len() > MAX_BYTES {
        return Err(ParsePolicyError::TooLong { found: text.len() });
    }
    let mut parser = Parser {
        text,
        organisations,
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
    organisations: &'a [OrgId],
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

    /// The next word, in lower case, without taking it.
    fn next_word(&mut self) -> String {
        self.skip_space();
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        rest[..length].to_ascii_lowercase()
    }

    fn rule(&mut self, depth: usize) -> Result<Rule, ParsePolicyError> {
        if depth > MAX_DEPTH {
            return Err(ParsePolicyError::TooDeep);
        }
        self.joined("or", Rule::Or, |parser| {
            parser.joined("and", Rule::And, |parser| parser.one(depth))
        })
    }

    /// One or several of what `part` takes, with `word` between them.
    fn joined(
        &mut self,
        word: &str,
        rule: fn(Vec<Rule>) -> Rule,
        part: impl Fn(&mut Self) -> Result<Rule, ParsePolicyError>,
    ) -> Result<Rule, ParsePolicyError> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.next_word() == word {
            self.at += word.len();
            parts.push(part(self)?);
        }
        match <[Rule; 1]>::try_from(parts) {
            Ok([only]) => Ok(only),
            Err(several) => Ok(rule(several)),
        }
    }

    fn one(&mut self, depth: usize) -> Result<Rule, ParsePolicyError> {
        self.skip_space();
        match self.rest().chars().next() {
            Some(quote @ ('\'' | '"')) => return self.quoted(quote),
            Some('(') => {
                self.at += 1;
                let rule = self.rule(depth + 1)?;
                self.symbol(')', ")")?;
                return Ok(rule);
            }
            _ => {}
        }
        let start = self.at;
        let word = self.next_word();
        self.at += word.len();
        let has_list = {
            self.skip_space();
            self.rest().starts_with('(')
        };
        match word.as_str() {
            "and" if has_list => self.list(depth).map(Rule::And),
            "or" if has_list => self.list(depth).map(Rule::Or),
            "outof" if has_list => self.out_of(depth),
            "any" | "majority" => self.all_organisations(&word, start),
            _ if self.next_word() == "of" && word.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.at += "of".len();
                let rules = self.list(depth)?;
                counted(&word, rules)
            }
            _ => {
                self.at = start;
                self.bare()
            }
        }
    }

    fn count_principals(&mut self, more: usize) -> Result<(), ParsePolicyError> {
        self.principals += more;
        if self.principals > MAX_PRINCIPALS {
            return Err(ParsePolicyError::TooManyPrincipals);
        }
        Ok(())
    }

    /// A peer of any, or of each of more than half of the organisations.
    fn all_organisations(&mut self, word: &str, at: usize) -> Result<Rule, ParsePolicyError> {
        let organisations = self.organisations;
        if organisations.is_empty() {
            let word = word.to_owned();
            return Err(ParsePolicyError::NoOrganisations { word, at });
        }
        self.count_principals(organisations.len())?;
        let peers = organisations.iter().map(|organisation| {
            Rule::Principal(Principal {
                organisation: organisation.clone(),
                role: Role::Peer,
            })
        });
        let peers: Vec<Rule> = peers.collect();
        if word == "any" {
            return Ok(Rule::Or(peers));
        }
        let majority = u32::try_from(peers.len() / 2 + 1).unwrap_or(u32::MAX);
        Ok(Rule::OutOf(majority, peers))
    }

    /// An organisation without quotes, with a role or as its peers.
    fn bare(&mut self) -> Result<Rule, ParsePolicyError> {
        let start = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let (organisation, role) = name.split_once('.').unwrap_or((name, "peer"));
        let (Ok(organisation), Ok(role)) = (organisation.parse(), role.parse()) else {
            self.at = start;
            return Err(self.expected("an organisation, N of (..), any, majority or ("));
        };
        self.count_principals(1)?;
        Ok(Rule::Principal(Principal { organisation, role }))
    }

    fn quoted(&mut self, quote: char) -> Result<Rule, ParsePolicyError> {
        self.count_principals(1)?;
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
        let digits = self.next_word();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(self.expected("a number"));
        }
        self.at += digits.len();
        self.symbol(',', "a comma")?;
        let rules = self.rules(depth)?;
        counted(&digits, rules)
    }

    /// Policies in parentheses, with commas between them.
    fn list(&mut self, depth: usize) -> Result<Vec<Rule>, ParsePolicyError> {
        self.symbol('(', "(")?;
        self.rules(depth)
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

/// So many of these.
fn counted(digits: &str, rules: Vec<Rule>) -> Result<Rule, ParsePolicyError> {
    // More digits than that are a number too large in any case.
    let count = digits.parse().unwrap_or(u32::MAX);
    let in_range = usize::try_from(count).is_ok_and(|count| (1..=rules.len()).contains(&count));
    if !in_range {
        let rules = rules.len();
        return Err(ParsePolicyError::BadCount { count, rules });
    }
    Ok(Rule::OutOf(count, rules))
}
