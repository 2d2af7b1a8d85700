//! The key that a member is given. One that is made here is never removed again: the
//! ledger may have it, whatever was heard of that, and this is the only copy.

use std::path::{Path, PathBuf};

use crypto::{PublicKey, SigningKey};
use futures::FutureExt as _;
use serde_json::json;

use super::members::call;
use crate::args::{Global, NewKey, Signed};
use crate::exit::{Exit, Failure, Outcome};
use crate::network::Network;

/// See the module.
pub(super) struct Given {
    public: PublicKey,
    /// Where a key lies that takes the place of another.
    successor: Option<Successor>,
}

/// A key that lies beside that of before until the ledger has it.
struct Successor {
    beside: PathBuf,
    place: PathBuf,
    /// The ledger has it, and the attempt that brought it there did not hear of it.
    is_held: bool,
}

impl Given {
    /// The first key of a member: one that lies in its place already, or a new one.
    pub(super) fn first(network: &Network, name: &str, asked: &NewKey) -> Outcome<Self> {
        let public = match asked.key {
            Some(public) => public,
            None => key_at(&place(network, name)?)?.public(),
        };
        Ok(Self {
            public,
            successor: None,
        })
    }

    /// The next key of a member: one that an earlier attempt has left, whose transaction
    /// may come yet, or a new one.
    pub(super) async fn next(network: &Network, name: &str, asked: &NewKey) -> Outcome<Self> {
        if let Some(public) = asked.key {
            return Ok(Self {
                public,
                successor: None,
            });
        }
        let place = place(network, name)?;
        let beside = place.with_extension("new.pem");
        let is_left = beside.exists();
        let public = key_at(&beside)?.public();
        let is_held = is_left && is_held(network, name, public, &beside).await?;
        Ok(Self {
            public,
            successor: Some(Successor {
                beside,
                place,
                is_held,
            }),
        })
    }

    pub(super) fn public(&self) -> PublicKey {
        self.public
    }

    /// Has the ledger take the key, by this function of `_members`.
    pub(super) async fn enter(
        self,
        global: &Global,
        function: &str,
        args: Vec<String>,
        signed: &Signed,
    ) -> Outcome {
        let Some(successor) = self.successor else {
            return call(global, "_members", function, args, signed).await;
        };
        if successor.is_held {
            successor.put_in_place()?;
            tell(global, &args[0], self.public, &successor.place);
            return Ok(());
        }
        match call(global, "_members", function, args, signed).await {
            // What the ledger answered is told already.
            Ok(()) => successor.put_in_place().map_err(Failure::shown),
            Err(mut failure) if failure.exit == Exit::Unknown => {
                let hint = failure.hint.take().into_iter();
                let then = "once it is committed, the same command again puts the key in its place";
                let hints: Vec<String> = hint.chain([then.to_owned()]).collect();
                Err(failure.hint(hints.join("; ")))
            }
            refused => refused,
        }
    }
}

impl Successor {
    fn put_in_place(&self) -> Outcome {
        std::fs::rename(&self.beside, &self.place).map_err(|error| {
            let beside = self.beside.display();
            Failure::failed(format!("cannot put {beside} in its place")).cause(error)
        })
    }
}

/// Tells that nothing more was to be done.
fn tell(global: &Global, name: &str, key: PublicKey, place: &Path) {
    let answer = json!({"member": name, "key": key.to_string(), "already_committed": true});
    global.output.print(&answer, |_| {
        let place = place.display();
        format!("the ledger has this key of {name} since an earlier attempt: it is {place} now")
    });
}

fn place(network: &Network, name: &str) -> Outcome<PathBuf> {
    if ledger::names::is_member_name(name) {
        return Ok(network.folder.key_file(name));
    }
    Err(Failure::usage(format!(
        "{name:?} cannot be a member's name"
    )))
}

/// The key in a file, which is made where there is none.
fn key_at(path: &Path) -> Outcome<SigningKey> {
    if path.exists() {
        return SigningKey::read_file(path).map_err(|error| {
            Failure::failed(format!("cannot read {}", path.display())).cause(error)
        });
    }
    let key = SigningKey::generate()
        .map_err(|error| Failure::failed("the system gives no randomness").cause(error))?;
    key.write_file(path).map_err(|error| {
        Failure::failed(format!("cannot write {}", path.display())).cause(error)
    })?;
    Ok(key)
}

/// Whether a key that an earlier attempt has left is this member's, as more nodes say
/// than may be faulty.
async fn is_held(network: &Network, name: &str, key: PublicKey, beside: &Path) -> Outcome<bool> {
    let asked = network.client.vouched(|node| {
        async move {
            let mut members = node.members().await?.members.into_iter();
            Ok(members.find(|member| member.key == key.to_string()))
        }
        .boxed()
    });
    let Some(holder) = asked.await? else {
        return Ok(false);
    };
    if holder.name == name && !holder.revoked {
        return Ok(true);
    }
    let whose = if holder.revoked {
        format!("was {}'s, and is revoked", holder.name)
    } else {
        format!("is {}'s", holder.name)
    };
    let message = format!("the key that an earlier attempt has left {whose}");
    Err(Failure::failed(message).hint(format!("move {} away for a new one", beside.display())))
}
