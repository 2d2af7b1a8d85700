//! The first members: every name, key and organisation of the document checked
//! against every other.

use std::collections::BTreeMap;

use consensus::{ReplicaId, ReplicaSet};
use crypto::PublicKey;
use ledger::{Identity, OrgId, Role};
use multiaddr::Multiaddr;

use crate::document::{Document, MemberDocument, ReplicaDocument};
use crate::error::{GenesisError, Problem, at, cut};

/// More than any deployment has, and few enough for every check.
const MAX_ORGANISATIONS: usize = 100;

/// A replica may be reachable in several networks, not in any number.
const MAX_ADDRESSES: usize = 16;

/// The longest address text.
const MAX_ADDRESS_BYTES: usize = 256;

/// A replica, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaEntry {
    /// Its place in the set.
    pub id: ReplicaId,
    /// Its name.
    pub name: String,
    /// The organisation that runs it.
    pub organisation: OrgId,
    /// What it signs with.
    pub consensus_key: PublicKey,
    /// What it proves itself with on a connection.
    pub transport_key: PublicKey,
    /// Where it is reached: texts that look like multiaddresses. Whether they
    /// are any is for the network to say.
    pub addresses: Vec<String>,
}

/// Everyone the document names.
pub(crate) struct Everyone {
    pub(crate) members: Vec<Identity>,
    pub(crate) replicas: Vec<ReplicaEntry>,
    pub(crate) replica_set: ReplicaSet,
}

/// What was seen so far, and where: the document names everything once.
#[derive(Default)]
struct Seen<'a> {
    organisations: BTreeMap<&'a str, (String, OrgId)>,
    names: BTreeMap<&'a str, String>,
    keys: BTreeMap<PublicKey, String>,
    addresses: BTreeMap<&'a str, String>,
}

/// Checks organisations, members and replicas.
pub(crate) fn check(document: &Document) -> Result<Everyone, GenesisError> {
    let mut seen = Seen::default();
    let mut members = Vec::new();
    let organisations = &document.organisations;
    check_count("organisations", organisations.len(), 1, MAX_ORGANISATIONS)?;
    for (i, organisation) in organisations.iter().enumerate() {
        let path = format!("organisations[{i}]");
        let id = seen.organisation(&format!("{path}.name"), &organisation.name)?;
        let lists = [
            ("admins", Role::Admin, &organisation.admins),
            ("clients", Role::Client, &organisation.clients),
        ];
        for (list, role, entries) in lists {
            for (j, member) in entries.iter().enumerate() {
                seen.member(&format!("{path}.{list}[{j}]"), member)?;
                members.push(Identity {
                    name: member.name.clone(),
                    organisation: id.clone(),
                    role,
                    key: member.key,
                });
            }
        }
    }
    let found = document.replicas.len();
    check_count("replicas", found, 1, ReplicaSet::MAX_REPLICAS)?;
    let mut replicas = Vec::new();
    for (i, replica) in document.replicas.iter().enumerate() {
        let entry = seen.replica(i, replica)?;
        members.push(Identity {
            name: entry.name.clone(),
            organisation: entry.organisation.clone(),
            role: Role::Peer,
            key: entry.consensus_key,
        });
        replicas.push(entry);
    }
    let keys = replicas
        .iter()
        .map(|replica| replica.consensus_key)
        .collect();
    let replica_set =
        ReplicaSet::new(keys).expect("the keys are distinct and their count is checked");
    Ok(Everyone {
        members,
        replicas,
        replica_set,
    })
}

/// Checks a name: one that can be the name of a file, and never be taken for
/// the number of a node.
pub(crate) fn check_name(path: &str, name: &str) -> Result<(), GenesisError> {
    if ledger::names::is_member_name(name) {
        return Ok(());
    }
    Err(at(path, Problem::BadName { found: cut(name) }))
}

/// Checks the length of a list.
pub(crate) fn check_count(
    path: &str,
    found: usize,
    min: usize,
    max: usize,
) -> Result<(), GenesisError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(at(path, Problem::WrongCount { min, max, found }))
}

impl<'a> Seen<'a> {
    fn organisation(&mut self, path: &str, name: &'a str) -> Result<OrgId, GenesisError> {
        check_name(path, name)?;
        if let Some((first, _)) = self.organisations.get(name) {
            return Err(repeated(path, "name", first));
        }
        let bad_name = |_| at(path, Problem::BadName { found: cut(name) });
        let id: OrgId = name.parse().map_err(bad_name)?;
        self.organisations
            .insert(name, (path.to_owned(), id.clone()));
        Ok(id)
    }

    fn member(&mut self, path: &str, member: &'a MemberDocument) -> Result<(), GenesisError> {
        self.name(&format!("{path}.name"), &member.name)?;
        self.key(&format!("{path}.key"), member.key)
    }

    fn replica(
        &mut self,
        index: usize,
        replica: &'a ReplicaDocument,
    ) -> Result<ReplicaEntry, GenesisError> {
        let path = format!("replicas[{index}]");
        let id = u32::try_from(index).expect("the number of replicas is checked");
        if replica.id != u64::from(id) {
            let problem = Problem::WrongId {
                expected: index,
                found: replica.id,
            };
            return Err(at(format!("{path}.id"), problem));
        }
        self.name(&format!("{path}.name"), &replica.name)?;
        let organisation = self.organisations.get(replica.organisation.as_str());
        let Some((_, organisation)) = organisation.cloned() else {
            let problem = Problem::UnknownOrganisation {
                found: cut(&replica.organisation),
            };
            return Err(at(format!("{path}.organisation"), problem));
        };
        self.key(&format!("{path}.consensus_key"), replica.consensus_key)?;
        self.key(&format!("{path}.transport_key"), replica.transport_key)?;
        let addresses = &replica.addresses;
        check_count(
            &format!("{path}.addresses"),
            addresses.len(),
            1,
            MAX_ADDRESSES,
        )?;
        for (i, address) in addresses.iter().enumerate() {
            self.address(&format!("{path}.addresses[{i}]"), address)?;
        }
        Ok(ReplicaEntry {
            id: ReplicaId(id),
            name: replica.name.clone(),
            organisation,
            consensus_key: replica.consensus_key,
            transport_key: replica.transport_key,
            addresses: addresses.clone(),
        })
    }

    fn name(&mut self, path: &str, name: &'a str) -> Result<(), GenesisError> {
        check_name(path, name)?;
        match self.names.insert(name, path.to_owned()) {
            None => Ok(()),
            Some(first) => Err(repeated(path, "name", &first)),
        }
    }

    /// One key has one holder and one purpose: keys that sign in the ledger and
    /// keys that open connections are told apart by who holds them.
    fn key(&mut self, path: &str, key: PublicKey) -> Result<(), GenesisError> {
        key.check_strong()
            .map_err(|_| at(path, Problem::WeakKey { found: key }))?;
        match self.keys.insert(key, path.to_owned()) {
            None => Ok(()),
            Some(first) => Err(repeated(path, "key", &first)),
        }
    }

    fn address(&mut self, path: &str, address: &'a str) -> Result<(), GenesisError> {
        if let Err(why) = check_address(address) {
            let found = cut(address);
            return Err(at(path, Problem::BadAddress { found, why }));
        }
        match self.addresses.insert(address, path.to_owned()) {
            None => Ok(()),
            Some(first) => Err(repeated(path, "address", &first)),
        }
    }
}

fn repeated(path: &str, what: &'static str, first: &str) -> GenesisError {
    let first = first.to_owned();
    at(path, Problem::Repeated { what, first })
}

/// Whether a text is a multiaddress that nodes can listen on or be reached at.
fn check_address(address: &str) -> Result<(), &'static str> {
    if address.len() > MAX_ADDRESS_BYTES {
        return Err("longer than 256 bytes");
    }
    if !address.chars().all(|c| c.is_ascii_graphic()) {
        return Err("only visible ASCII characters are allowed");
    }
    let Some(parts) = address.strip_prefix('/') else {
        return Err("it begins with '/'");
    };
    let mut parts = parts.split('/');
    if parts.clone().count() < 2 || parts.clone().any(str::is_empty) {
        return Err("it has a name and a value after each '/'");
    }
    if parts.any(|part| part == "p2p") {
        return Err("the peer id follows from transport_key and is not repeated here");
    }
    match address.parse::<Multiaddr>() {
        Ok(_) => Ok(()),
        Err(_) => Err("it names a protocol that there is not, or a value that is none of its"),
    }
}
