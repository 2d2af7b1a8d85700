//! Merkle trees as in RFC 9162, section 2.1: leaves and nodes have prefixes of
//! their own, and an odd leaf is carried up, never duplicated.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::Digest;
use crate::codec::{Decode, Encode};
use crate::digest::DIGEST_BYTES;

/// More than this many digests no path of a 64-bit tree has.
const MAX_PATH: usize = 64;

/// `MTH({d})`: the hash of one entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Digest {
    leaf_hash_of_parts(&[entry])
}

/// The hash of the entry that these parts are, one after the other.
#[must_use]
pub fn leaf_hash_of_parts(parts: &[&[u8]]) -> Digest {
    let parts = parts.iter();
    let hasher = parts.fold(Sha256::new_with_prefix([0x00]), Sha256::chain_update);
    Digest(hasher.finalize().into())
}

fn node_hash(left: &Digest, right: &Digest) -> Digest {
    // In one piece, which the hash function takes as it lies.
    let mut node = [0x01; 1 + 2 * DIGEST_BYTES];
    node[1..=DIGEST_BYTES].copy_from_slice(left.as_bytes());
    node[1 + DIGEST_BYTES..].copy_from_slice(right.as_bytes());
    Digest(Sha256::digest(node).into())
}

/// The largest power of two smaller than `size`.
///
/// # Panics
///
/// When `size < 2`: such a tree has no split.
fn split(size: usize) -> usize {
    assert!(size >= 2, "a tree of {size} leaves has no split");
    1 << (usize::BITS - 1 - (size - 1).leading_zeros())
}

/// `MTH(D)`: the root over leaf hashes. The root of nothing is `SHA-256("")`.
#[must_use]
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The root over leaf hashes with the proof of each leaf, for no more hashes than the
/// root alone takes.
#[must_use]
pub fn prove_all(leaves: &[Digest]) -> (Digest, Vec<InclusionProof>) {
    let size = leaves.len() as u64;
    let prove = |index| InclusionProof {
        index,
        size,
        path: Vec::new(),
    };
    let mut proofs: Vec<_> = (0..size).map(prove).collect();
    (root_and_paths(leaves, &mut proofs), proofs)
}

/// The root over these leaf hashes; to their proofs is added what leads to it.
fn root_and_paths(leaves: &[Digest], proofs: &mut [InclusionProof]) -> Digest {
    if leaves.len() < 2 {
        return root(leaves);
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (of_left, of_right) = proofs.split_at_mut(at);
    let left = root_and_paths(left, of_left);
    let right = root_and_paths(right, of_right);
    for proof in of_left {
        proof.path.push(right);
    }
    for proof in of_right {
        proof.path.push(left);
    }
    node_hash(&left, &right)
}

/// `PATH(m, D)`: that the leaf at `index` is in the tree of `size` leaves.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct InclusionProof {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Number of leaves of the tree.
    pub size: u64,
    /// Sibling hashes from the leaf upwards.
    pub path: Vec<Digest>,
}

/// Why a Merkle proof does not hold.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProofError {
    /// The position lies outside the tree, or the trees are in the wrong order.
    #[error("index or size {index} does not fit a tree of {size} leaves")]
    OutOfRange {
        /// The position, or the size of the smaller tree.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The path is not as long as the shape of the tree demands.
    #[error("a proof of {found} hashes does not fit the shape of the tree")]
    WrongLength {
        /// The number of hashes that came.
        found: usize,
    },
    /// The path leads to another root.
    #[error("the proof leads to root {computed}, expected {expected}")]
    WrongRoot {
        /// Where the path leads.
        computed: Digest,
        /// The root it was to prove.
        expected: Digest,
    },
}

impl InclusionProof {
    /// The proof for the leaf at `index`; `None` when there is no such leaf.
    #[must_use]
    pub fn build(leaves: &[Digest], index: usize) -> Option<Self> {
        if index >= leaves.len() {
            return None;
        }
        let mut path = Vec::new();
        let (mut rest, mut at) = (leaves, index);
        while rest.len() > 1 {
            let (left, right) = rest.split_at(split(rest.len()));
            if at < left.len() {
                path.push(root(right));
                rest = left;
            } else {
                path.push(root(left));
                at -= left.len();
                rest = right;
            }
        }
        path.reverse();
        Some(Self {
            index: index as u64,
            size: leaves.len() as u64,
            path,
        })
    }

    /// Checks that `leaf` stands at this proof's position under `root`
    /// (RFC 9162, section 2.1.3.2).
    ///
    /// # Errors
    ///
    /// [`ProofError`] when it does not.
    pub fn verify(&self, leaf: &Digest, root: &Digest) -> Result<(), ProofError> {
        expect_root(self.root(leaf)?, root)
    }

    /// The root under which this proof shows `leaf` to stand at its position.
    ///
    /// # Errors
    ///
    /// [`ProofError`] when its path is not that of a position in a tree of its size.
    pub fn root(&self, leaf: &Digest) -> Result<Digest, ProofError> {
        if self.index >= self.size {
            return Err(ProofError::OutOfRange {
                index: self.index,
                size: self.size,
            });
        }
        let wrong_length = ProofError::WrongLength {
            found: self.path.len(),
        };
        if self.path.len() > MAX_PATH {
            return Err(wrong_length);
        }
        let (mut at, mut last) = (self.index, self.size - 1);
        let mut computed = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(wrong_length);
            }
            if at & 1 == 1 || at == last {
                computed = node_hash(sibling, &computed);
                // A last leaf without a sibling rises to where it has one.
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                computed = node_hash(&computed, sibling);
            }
            at >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(wrong_length);
        }
        Ok(computed)
    }
}

/// `PROOF(m, D)`: that the tree of `old_size` leaves is a prefix of the tree of `new_size`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct ConsistencyProof {
    /// Number of leaves of the older tree.
    pub old_size: u64,
    /// Number of leaves of the newer tree.
    pub new_size: u64,
    /// The hashes that lead from one root to the other.
    pub path: Vec<Digest>,
}

impl ConsistencyProof {
    /// Checks that the tree with `old_root` is a prefix of the tree with
    /// `new_root` (RFC 9162, section 2.1.4.2).
    ///
    /// # Errors
    ///
    /// [`ProofError`] when it is not shown to be.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofError> {
        let (old_size, new_size) = (self.old_size, self.new_size);
        let wrong_length = ProofError::WrongLength {
            found: self.path.len(),
        };
        // A proof from the empty tree says nothing: it is not one.
        if old_size == 0 || old_size > new_size {
            return Err(ProofError::OutOfRange {
                index: old_size,
                size: new_size,
            });
        }
        if old_size == new_size {
            if !self.path.is_empty() {
                return Err(wrong_length);
            }
            return expect_root(*old_root, new_root);
        }
        if self.path.len() > 2 * MAX_PATH {
            return Err(wrong_length);
        }
        // Where the older tree is complete, its root is the first node itself.
        let mut nodes = self.path.iter();
        let first = if old_size.is_power_of_two() {
            *old_root
        } else {
            *nodes.next().ok_or(wrong_length)?
        };
        let (mut at, mut last) = (old_size - 1, new_size - 1);
        while at & 1 == 1 {
            at >>= 1;
            last >>= 1;
        }
        let (mut old, mut new) = (first, first);
        for node in nodes {
            if last == 0 {
                return Err(wrong_length);
            }
            if at & 1 == 1 || at == last {
                old = node_hash(node, &old);
                new = node_hash(node, &new);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, node);
            }
            at >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(wrong_length);
        }
        expect_root(old, old_root)?;
        expect_root(new, new_root)
    }
}

fn expect_root(computed: Digest, expected: &Digest) -> Result<(), ProofError> {
    if computed == *expected {
        Ok(())
    } else {
        Err(ProofError::WrongRoot {
            computed,
            expected: *expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: usize) -> Vec<Digest> {
        (0..count).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    #[test]
    fn every_leaf_of_every_small_tree_proves_itself_and_nothing_else() {
        for size in 1..=33 {
            let leaves = leaves(size);
            let root = root(&leaves);
            for index in 0..size {
                let proof = InclusionProof::build(&leaves, index).unwrap();
                for (other, leaf) in leaves.iter().enumerate() {
                    assert_eq!(proof.verify(leaf, &root).is_ok(), other == index);
                }
            }
            assert_eq!(InclusionProof::build(&leaves, size), None);
            let alone = (0..size).map(|index| InclusionProof::build(&leaves, index).unwrap());
            assert_eq!(prove_all(&leaves), (root, alone.collect()));
        }
    }

    /// CVE-2012-2459: with a duplicated last leaf, (A,B,C) and (A,B,C,C) share a root.
    #[test]
    fn repeating_the_last_leaf_changes_the_root() {
        let mut leaves = leaves(3);
        let three = root(&leaves);
        leaves.push(leaves[2]);
        assert_ne!(three, root(&leaves));
    }

    #[test]
    fn an_entry_has_one_hash_however_it_comes() {
        let whole = leaf_hash(b"an entry");
        assert_eq!(leaf_hash_of_parts(&[b"an", b"", b" entry"]), whole);
        assert_eq!(leaf_hash_of_parts(&[]), leaf_hash(b""));
    }

    #[test]
    fn the_empty_root_is_that_of_the_rfc() {
        assert_eq!(
            root(&[]).to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
