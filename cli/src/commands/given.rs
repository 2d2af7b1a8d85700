//! The key that a member is given. One that is made here lies beside its place until
//! the ledger has it: whatever comes between, the only copy of a key that the ledger
//! may have is not lost.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crypto::{PublicKey, SigningKey};
use serde_json::json;

use super::members::call;
use crate::args::{Global, NewKey, Signed};
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;

/// See the module.
pub(super) enum Given {
    /// Somebody else's: whoever has the other half keeps it.
    Public(PublicKey),
    /// One of ours.
    Ours(Ours),
}

/// A key that lies beside its place until the ledger has it.
pub(super) struct Ours {
    public: PublicKey,
    beside: PathBuf,
    place: PathBuf,
    standing: Standing,
}

/// What the ledger may know of a key.
#[derive(PartialEq, Eq)]
enum Standing {
    /// It was made just now: without a transaction of this command, nothing.
    New,
    /// An attempt that was interrupted has left it, whose transaction may come yet.
    Left,
    /// The ledger has it, and the attempt that brought it there did not learn so.
    Held,
}

impl Given {
    pub(super) async fn of(network: &Network, name: &str, asked: &NewKey) -> Outcome<Self> {
        if let Some(public) = asked.key {
            return Ok(Self::Public(public));
        }
        if !ledger::names::is_member_name(name) {
            return Err(Failure::usage(format!(
                "{name:?} cannot be a member's name"
            )));
        }
        let place = network.folder.key_file(name);
        let beside = place.with_extension("new.pem");
        let (public, standing) = match SigningKey::read_file(&beside) {
            Ok(left) => {
                let public = left.public();
                (public, standing(network, name, public, &beside).await?)
            }
            Err(_) => (new_key(&beside)?.public(), Standing::New),
        };
        Ok(Self::Ours(Ours {
            public,
            beside,
            place,
            standing,
        }))
    }

    pub(super) fn public(&self) -> PublicKey {
        match self {
            Self::Public(public) => *public,
            Self::Ours(ours) => ours.public,
        }
    }

    /// Has the ledger take the key, by this function of `_members`.
    pub(super) async fn enter(
        self,
        global: &Global,
        function: &str,
        args: Vec<String>,
        signed: &Signed,
    ) -> Outcome {
        match self {
            Self::Ours(ours) if ours.standing == Standing::Held => {
                ours.put_in_place(function)?;
                ours.tell(global, &args[0]);
                Ok(())
            }
            Self::Ours(ours) => {
                let outcome = call(global, "_members", function, args, signed).await;
                ours.settle(function, outcome)
            }
            Self::Public(_) => call(global, "_members", function, args, signed).await,
        }
    }
}

/// What a quorum says of a key that an earlier attempt has left.
async fn standing(
    network: &Network,
    name: &str,
    key: PublicKey,
    beside: &Path,
) -> Outcome<Standing> {
    let members = network.client.agreed(async |node| node.members().await);
    let members = members.await?.answer.members;
    match members.iter().find(|it| it.key == key.to_string()) {
        None => Ok(Standing::Left),
        Some(holder) if holder.name == name && !holder.revoked => Ok(Standing::Held),
        Some(holder) => {
            let whose = if holder.revoked {
                format!("was {}'s, and is revoked", holder.name)
            } else {
                format!("is {}'s", holder.name)
            };
            let message = format!("the key that an earlier attempt has left {whose}");
            Err(Failure::failed(message)
                .hint(format!("move {} away for a new one", beside.display())))
        }
    }
}

impl Ours {
    /// Puts the key in its place if the ledger has it. It is removed if the ledger
    /// certainly does not: where an earlier attempt has left it, nobody knows.
    fn settle(self, function: &str, outcome: Outcome) -> Outcome {
        match outcome {
            // What the ledger answered is told already.
            Ok(()) => self.put_in_place(function).map_err(Failure::shown),
            Err(mut failure) if failure.exit == Exit::Unknown => {
                let hint = failure.hint.take().into_iter();
                let then = "once it is committed, the same command again puts the key in its place";
                let hints: Vec<String> = hint.chain([then.to_owned()]).collect();
                Err(failure.hint(hints.join("; ")))
            }
            Err(failure) if self.standing == Standing::New => {
                std::fs::remove_file(&self.beside).map_err(|error| self.stuck(&error))?;
                Err(failure)
            }
            Err(failure) => Err(failure),
        }
    }

    /// In the place of the former key, if there may be one.
    fn put_in_place(&self, function: &str) -> Outcome {
        if function == "enroll" && self.place.exists() {
            let there = self.place.display();
            return Err(self.stuck(&format!("{there} is another key")));
        }
        std::fs::rename(&self.beside, &self.place).map_err(|error| self.stuck(&error))
    }

    fn stuck(&self, why: &dyn Display) -> Failure {
        Failure::failed(format!("cannot put {} in its place", self.beside.display())).cause(why)
    }

    /// Tells that nothing more was to be done.
    fn tell(&self, global: &Global, name: &str) {
        let answer = json!({
            "member": name,
            "key": self.public.to_string(),
            "already_committed": true,
        });
        global.output.print(&answer, |_| {
            let place = self.place.display();
            format!("the ledger has this key of {name} since an earlier attempt: it is {place} now")
        });
    }
}

fn new_key(path: &Path) -> Outcome<SigningKey> {
    let key = SigningKey::generate()
        .map_err(|error| Failure::failed("the system gives no randomness").cause(error))?;
    key.write_file(path).map_err(|error| {
        Failure::failed(format!("cannot write {}", path.display())).cause(error)
    })?;
    Ok(key)
}
