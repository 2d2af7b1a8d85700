//! A small network to make chains of: three attesters who also endorse, one
//! client, and a contract `kv` that any one of them may endorse.

#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::merkle::{InclusionProof, prove_all};
use crypto::{Digest, Domain, NetworkId, SharedSignature, SharedVerifier, SigningKey, encode};
use ledger::{
    Attesters, Block, BlockCertificate, CheckedBlock, CheckedTransaction, Committed, ContentsError,
    ContractDefinition, EndorsedAction, Event, GenesisState, HistoryPart, Identity, KeyPolicy,
    Ledger, LedgerError, Limits, OrderedBatch, OrgId, Proposal, ProposalResponse, Read,
    ReadWriteSet, Refusal, Response, Role, Transaction, UncheckedBlock, UncheckedTransaction,
    Version, Write, attested_bytes, check_together, check_transactions,
};

/// What makes no proof of that of the third of five leaves.
pub(crate) const SPOILT_PROOFS: [fn(&mut InclusionProof); 9] = [
    |proof| proof.index = 3,
    |proof| proof.index = 5,
    |proof| proof.index = u64::MAX,
    |proof| proof.size = 4,
    |proof| proof.size = 0,
    |proof| proof.size = u64::MAX,
    |proof| proof.path[0].0[0] ^= 1,
    |proof| proof.path.clear(),
    |proof| proof.path.push(Digest::ZERO),
];

/// Everything that signs in the small network.
pub(crate) struct Network {
    pub(crate) genesis: GenesisState,
    pub(crate) attesters: Vec<SigningKey>,
    pub(crate) client: SigningKey,
}

impl Network {
    pub(crate) fn new() -> Self {
        Self::named(1)
    }

    /// Another `name` makes another network of the same members.
    pub(crate) fn named(name: u8) -> Self {
        let attesters: Vec<_> = (1..=3).map(|i| SigningKey::from_seed(&[i; 32])).collect();
        let client = SigningKey::from_seed(&[9; 32]);
        let organisation: OrgId = "org1".parse().unwrap();
        let identity = |name: String, role, key: &SigningKey| Identity {
            name,
            organisation: organisation.clone(),
            role,
            key: key.public(),
        };
        let mut members: Vec<_> = (0..)
            .zip(&attesters)
            .map(|(i, key)| identity(format!("node{i}"), Role::Peer, key))
            .collect();
        members.push(identity("alice".to_owned(), Role::Client, &client));
        // So long that the row of the contract has a long value.
        let policy = format!("OutOf(1, {})", ["'org1.peer'"; 30].join(", "));
        let kv = ContractDefinition {
            name: "kv".to_owned(),
            version: 1,
            policy: policy.parse().unwrap(),
        };
        let keys = attesters.iter().map(SigningKey::public).collect();
        let genesis = GenesisState::new(
            Digest([name; 32]),
            Attesters::new(keys, 2).unwrap(),
            Limits::default(),
            &members,
            &[kv],
        );
        Self {
            genesis,
            attesters,
            client,
        }
    }

    pub(crate) fn id(&self) -> NetworkId {
        *self.genesis.network()
    }

    pub(crate) fn open(&self, path: &Path) -> Ledger {
        Ledger::open(path, &self.genesis).unwrap()
    }

    /// A transaction of `kv` by `client` with these effects.
    pub(crate) fn transaction_by(
        &self,
        client: &SigningKey,
        nonce: u8,
        reads: Vec<Read>,
        writes: Vec<Write>,
    ) -> Transaction {
        let rwset = ReadWriteSet {
            reads,
            writes,
            ..ReadWriteSet::default()
        };
        self.transaction_with(client, nonce, rwset)
    }

    /// A transaction with these effects.
    pub(crate) fn transaction_with(
        &self,
        client: &SigningKey,
        nonce: u8,
        rwset: ReadWriteSet,
    ) -> Transaction {
        let proposal = Proposal {
            network: self.id(),
            contract: "kv".to_owned(),
            function: "put".to_owned(),
            args: vec![],
            creator: client.public(),
            nonce: [nonce; 32],
            valid_until_block: u64::MAX,
        };
        let response = Response {
            payload: b"done".to_vec(),
            events: vec![Event {
                name: "put".to_owned(),
                payload: vec![nonce],
            }],
        };
        let endorser = &self.attesters[usize::from(nonce) % 3];
        let action = EndorsedAction {
            transaction_id: proposal.id(),
            contract_version: 1,
            rwset,
            response,
        };
        let answer = ProposalResponse::endorse(action, &self.id(), endorser);
        Transaction::from_responses(proposal, vec![answer], client).unwrap()
    }

    /// A transaction that puts one key.
    pub(crate) fn put(&self, nonce: u8, key: &str, value: &[u8]) -> Transaction {
        self.transaction_by(&self.client, nonce, vec![], vec![write(key, Some(value))])
    }

    /// A transaction that puts one key, if it still has this version.
    pub(crate) fn put_after(&self, nonce: u8, key: &str, version: Option<Version>) -> Transaction {
        let read = Read {
            key: key.to_owned(),
            version,
        };
        let write = write(key, Some(b"after"));
        self.transaction_by(&self.client, nonce, vec![read], vec![write])
    }

    /// A transaction that deletes one key.
    pub(crate) fn delete(&self, nonce: u8, key: &str) -> Transaction {
        self.transaction_by(&self.client, nonce, vec![], vec![write(key, None)])
    }

    pub(crate) fn unchecked(&self, transaction: &Transaction) -> UncheckedTransaction {
        let bytes = encode(transaction);
        UncheckedTransaction::decode(&bytes, &self.id(), &Limits::default()).unwrap()
    }

    pub(crate) fn check(&self, transaction: &Transaction) -> Result<CheckedTransaction, Refusal> {
        check_transactions(vec![self.unchecked(transaction)]).remove(0)
    }

    pub(crate) fn checked(&self, transaction: &Transaction) -> Arc<CheckedTransaction> {
        Arc::new(self.check(transaction).unwrap())
    }

    /// A signature on what has this leaf and on so much else that there are `size` leaves,
    /// whether or not so many may be signed at once.
    pub(crate) fn signed_among(
        &self,
        size: usize,
        leaf: Digest,
        domain: Domain,
        key: &SigningKey,
    ) -> SharedSignature {
        let mut leaves = vec![Digest::ZERO; size];
        leaves[0] = leaf;
        let (root, mut proofs) = prove_all(&leaves);
        let body = [&root.0[..], &(size as u64).to_le_bytes()].concat();
        let signature = key.sign(domain, &self.id(), &body);
        let proof = proofs.swap_remove(0);
        SharedSignature { signature, proof }
    }

    /// Asserts that of five transactions the second and the fourth are not sound and the
    /// others are, however they come together.
    pub(crate) fn assert_second_and_fourth_unsound(&self, five: &[Transaction]) {
        let together = |positions: &[usize]| -> Vec<_> {
            let transactions = positions.iter().map(|at| &five[*at]);
            transactions.map(|it| self.unchecked(it)).collect()
        };
        // It remembers what it has seen to hold.
        let verifier = SharedVerifier::default();
        assert!(check_together(together(&[0, 2, 4]), &verifier).is_ok());
        for pair in [[0, 1], [1, 2], [2, 3], [3, 4]] {
            assert!(check_together(together(&pair), &verifier).is_err());
        }
        let verdicts = check_transactions(together(&[0, 1, 2, 3, 4]));
        let sound: Vec<bool> = verdicts.iter().map(Result::is_ok).collect();
        assert_eq!(sound, [true, false, true, false, true]);
    }

    /// Commits these as the next block.
    pub(crate) fn commit(&self, ledger: &Ledger, transactions: &[Transaction]) -> Committed {
        let tip = ledger.tip();
        let batch = OrderedBatch {
            sequence: tip.number + 1,
            name: crypto::Digest::ZERO,
            timestamp_ms: 1_000 * (tip.number + 1),
            transactions: transactions.iter().map(|each| self.checked(each)).collect(),
        };
        ledger.commit(batch).unwrap()
    }

    /// A block of another node, if its transactions are ones.
    pub(crate) fn checked_block(&self, block: &Block) -> Result<CheckedBlock, ContentsError> {
        UncheckedBlock::new(block.clone(), &self.id(), &Limits::default())
            .and_then(UncheckedBlock::check)
    }

    /// Commits a block of another node.
    pub(crate) fn receive(&self, ledger: &Ledger, block: &Block) -> Result<Committed, LedgerError> {
        ledger.commit_received(&self.checked_block(block).unwrap())
    }

    /// Commits these as the next block, and certifies it.
    pub(crate) fn commit_certified(
        &self,
        ledger: &Ledger,
        transactions: &[Transaction],
    ) -> Committed {
        let committed = self.commit(ledger, transactions);
        let number = committed.block.header.number;
        let certificate = self.certificate(&[0, 2], number, &committed.hash);
        ledger.put_certificate(number, &certificate).unwrap();
        committed
    }

    pub(crate) fn certificate(
        &self,
        signers: &[u32],
        number: u64,
        hash: &Digest,
    ) -> BlockCertificate {
        let body = attested_bytes(number, hash);
        let sign = |signer: &u32| {
            let key = &self.attesters[usize::try_from(*signer).unwrap()];
            (*signer, key.sign(Domain::Checkpoint, &self.id(), &body))
        };
        BlockCertificate {
            signatures: signers.iter().map(sign).collect(),
        }
    }

    /// A chain of four blocks with something of everything: writes, an
    /// overwrite, a deletion, a refusal, a replay, an empty block, and a long value
    /// whose key is given a policy.
    pub(crate) fn small_chain(&self, ledger: &Ledger) {
        let stranger = SigningKey::from_seed(&[77; 32]);
        self.commit_certified(ledger, &[self.put(1, "a", b"1"), self.put(2, "b", b"2")]);
        self.commit_certified(
            ledger,
            &[
                self.put_after(3, "a", Some(Version { block: 1, index: 0 })),
                self.put_after(4, "a", Some(Version { block: 1, index: 0 })),
                self.put(1, "a", b"1"),
                self.transaction_by(&stranger, 5, vec![], vec![write("c", Some(b"3"))]),
            ],
        );
        self.commit_certified(ledger, &[]);
        self.commit_certified(
            ledger,
            &[
                self.delete(6, "b"),
                self.put(7, "d", &[4; 260]),
                self.transaction_with(&self.client, 8, guards("d")),
            ],
        );
    }
}

/// The first entries of a history.
pub(crate) fn part(max_entries: usize) -> HistoryPart {
    HistoryPart {
        from: Version { block: 0, index: 0 },
        max_entries,
        max_bytes: usize::MAX,
    }
}

/// The effect of giving a key a policy, and no more.
pub(crate) fn guards(key: &str) -> ReadWriteSet {
    let policy = KeyPolicy {
        key: key.to_owned(),
        policy: Some("org1".parse().unwrap()),
    };
    ReadWriteSet {
        policies: vec![policy],
        ..ReadWriteSet::default()
    }
}

pub(crate) fn write(key: &str, value: Option<&[u8]>) -> Write {
    Write {
        key: key.to_owned(),
        value: value.map(|value| value.to_vec().into()),
    }
}

/// All rows of all families of a closed ledger, for comparison.
pub(crate) fn rows(path: &Path) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let database = raw(path);
    let mut rows = Vec::new();
    for family in FAMILIES {
        let handle = database.cf_handle(family).unwrap();
        for row in database.iterator_cf(handle, rocksdb::IteratorMode::Start) {
            let (key, value) = row.unwrap();
            rows.push((family.to_owned(), key.into_vec(), value.into_vec()));
        }
    }
    rows
}

/// The families that the ledger itself fills.
pub(crate) const FAMILIES: [&str; 9] = [
    "blocks",
    "batches",
    "certificates",
    "transactions",
    "hashes",
    "state",
    "history",
    "index",
    "meta",
];

/// The database of a closed ledger, opened past the ledger.
pub(crate) fn raw(path: &Path) -> rocksdb::DB {
    let mut options = rocksdb::Options::default();
    options.set_atomic_flush(true);
    // Files must not come and go under someone who only looks on.
    options.set_disable_auto_compactions(true);
    let families = FAMILIES.iter().chain(&["records"]);
    let families = families.map(|family| (family, options.clone()));
    rocksdb::DB::open_cf_with_opts(&options, path.join("rocksdb"), families).unwrap()
}

/// A copy of a folder, with everything in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files of a folder and what is in them, in order.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let contents = std::fs::read(&path).unwrap();
            found.push((path, contents));
        }
    }
    found.sort();
    found
}
