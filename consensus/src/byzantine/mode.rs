//! The ways in which a replica can be faulty, and their names.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::ReplicaId;

/// One way of being faulty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Says nothing.
    Silent,
    /// Says everything so much later.
    Delay(Duration),
    /// Says nothing to these.
    Drop(BTreeSet<ReplicaId>),
    /// Loses so many of a hundred messages: on every node, a bad network.
    Lose(u64),
    /// Tells one half of the others this and the other half that.
    Equivocate,
    /// Names another batch or outcome than the one it means.
    WrongDigest,
    /// As primary, keeps the requests of this client out of its batches.
    Censor(String),
    /// Spoils its signatures.
    CorruptSignatures,
    /// Says again what it said before.
    Replay,
    /// Conceals what prepared, wants views without reason, begins views with
    /// something else than what follows.
    LieViewChange,
    /// Conceals what prepared, and tells of it views later.
    KeepBack,
    /// Says that it is further than it is, and hands out altered blocks.
    LieSync,
    /// Endorses other effects and another answer than those of the call.
    LieEndorsement,
    /// As primary, assigns the highest sequence number that it may.
    SkipSequences,
    /// As primary, gives batches times that go back or are far ahead.
    WrongTimes,
    /// As primary, names requests in batches that nobody has.
    InventRequests,
    /// Sends junk without end beside what it says.
    Flood,
    /// For every message any of the lies, or none.
    Chaotic,
}

/// Several ways at once; none of them is how a correct replica is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes(Vec<Mode>);

/// Why a text names no modes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModeError {
    /// There is no such mode.
    #[error(
        "no fault is called {found:?}: expected one of {}, or several joined by +",
        Mode::NAMES
    )]
    Unknown {
        /// What was given.
        found: String,
    },
    /// The part after the equals sign is not what the mode needs.
    #[error("{mode} needs {expected}, found {found:?}")]
    BadArgument {
        /// Which mode.
        mode: &'static str,
        /// What it needs.
        expected: &'static str,
        /// What was given.
        found: String,
    },
}

impl Mode {
    /// All modes as they are written.
    pub const NAMES: &'static str = "none, silent, delay=MS, drop=NODES, lose=PERCENT, equivocate, wrong-digest, \
         censor=CLIENT, corrupt-signatures, replay, lie-view-change, keep-back, lie-sync, \
         lie-endorsement, skip-sequences, wrong-times, invent-requests, flood, chaotic";

    /// The longest delay, in milliseconds.
    const MAX_DELAY_MS: u64 = 60_000;
}

impl Modes {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether blocks that are handed to others are altered.
    #[must_use]
    pub fn lie_in_sync(&self) -> bool {
        let lies = |mode: &Mode| matches!(mode, Mode::LieSync | Mode::Chaotic);
        self.iter().any(lies)
    }

    /// Whether something else is endorsed than what calls do.
    #[must_use]
    pub fn lie_in_endorsing(&self) -> bool {
        self.iter().any(|mode| *mode == Mode::LieEndorsement)
    }

    /// Whether junk is sent without end.
    #[must_use]
    pub fn flood(&self) -> bool {
        self.iter().any(|mode| *mode == Mode::Flood)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mode> {
        self.0.iter()
    }
}

impl From<Mode> for Modes {
    fn from(mode: Mode) -> Self {
        Self(vec![mode])
    }
}

impl FromIterator<Mode> for Modes {
    fn from_iter<I: IntoIterator<Item = Mode>>(modes: I) -> Self {
        Self(modes.into_iter().collect())
    }
}

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        let (name, argument) = text.split_once('=').unwrap_or((text, ""));
        let bad = |mode, expected| ModeError::BadArgument {
            mode,
            expected,
            found: argument.to_owned(),
        };
        match name {
            "delay" => {
                let expected = "a number of milliseconds up to 60000, as in delay=900";
                let ms: u64 = argument.parse().map_err(|_| bad("delay", expected))?;
                if ms > Self::MAX_DELAY_MS {
                    return Err(bad("delay", expected));
                }
                return Ok(Self::Delay(Duration::from_millis(ms)));
            }
            "drop" => {
                let nodes = argument.split(',').map(|id| id.parse().map(ReplicaId));
                let nodes: Result<BTreeSet<_>, _> = nodes.collect();
                let nodes = nodes.map_err(|_| bad("drop", "node numbers, as in drop=1,2"))?;
                return Ok(Self::Drop(nodes));
            }
            "lose" => {
                let expected = "a percentage, as in lose=20";
                let percent: u64 = argument.parse().map_err(|_| bad("lose", expected))?;
                if percent > 100 {
                    return Err(bad("lose", expected));
                }
                return Ok(Self::Lose(percent));
            }
            "censor" if !argument.is_empty() => return Ok(Self::Censor(argument.to_owned())),
            "censor" => return Err(bad("censor", "a client, as in censor=alice")),
            _ => {}
        }
        Ok(match text {
            "silent" => Self::Silent,
            "equivocate" => Self::Equivocate,
            "wrong-digest" => Self::WrongDigest,
            "corrupt-signatures" => Self::CorruptSignatures,
            "replay" => Self::Replay,
            "lie-view-change" => Self::LieViewChange,
            "keep-back" => Self::KeepBack,
            "lie-sync" => Self::LieSync,
            "lie-endorsement" => Self::LieEndorsement,
            "skip-sequences" => Self::SkipSequences,
            "wrong-times" => Self::WrongTimes,
            "invent-requests" => Self::InventRequests,
            "flood" => Self::Flood,
            "chaotic" => Self::Chaotic,
            _ => {
                let found = text.to_owned();
                return Err(ModeError::Unknown { found });
            }
        })
    }
}

impl FromStr for Modes {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, ModeError> {
        if text == "none" {
            return Ok(Self::default());
        }
        text.split('+')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("silent"),
            Self::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Self::Drop(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(ToString::to_string).collect();
                write!(f, "drop={}", nodes.join(","))
            }
            Self::Lose(percent) => write!(f, "lose={percent}"),
            Self::Equivocate => f.write_str("equivocate"),
            Self::WrongDigest => f.write_str("wrong-digest"),
            Self::Censor(client) => write!(f, "censor={client}"),
            Self::CorruptSignatures => f.write_str("corrupt-signatures"),
            Self::Replay => f.write_str("replay"),
            Self::LieViewChange => f.write_str("lie-view-change"),
            Self::KeepBack => f.write_str("keep-back"),
            Self::LieSync => f.write_str("lie-sync"),
            Self::LieEndorsement => f.write_str("lie-endorsement"),
            Self::SkipSequences => f.write_str("skip-sequences"),
            Self::WrongTimes => f.write_str("wrong-times"),
            Self::InventRequests => f.write_str("invent-requests"),
            Self::Flood => f.write_str("flood"),
            Self::Chaotic => f.write_str("chaotic"),
        }
    }
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let modes: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&modes.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_as_they_are_written() {
        for text in [
            "none",
            "silent",
            "delay=900",
            "drop=1,2",
            "lose=20",
            "equivocate+replay",
            "silent+flood",
            "censor=alice",
            "lie-view-change+keep-back+lie-sync+lie-endorsement+chaotic",
            "wrong-digest+corrupt-signatures+skip-sequences+wrong-times+invent-requests",
        ] {
            assert_eq!(text.parse::<Modes>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "delay",
            "delay=x",
            "delay=99999999",
            "drop=a",
            "lose=101",
            "censor=",
            "mute",
        ] {
            assert!(text.parse::<Modes>().is_err(), "{text}");
        }
    }
}
