//! The published vectors of RFC 6962/9162 proofs and of SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use crypto::Digest;
use crypto::merkle::{ConsistencyProof, InclusionProof};
use serde::Deserialize;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// A hash of the vectors; `None` where it has not the length of one, which is
/// part of what must be refused.
fn digest(base64: &str) -> Option<Digest> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .unwrap();
    bytes.try_into().ok().map(Digest)
}

/// A root of the vectors. Some are placeholder texts, of which only matters
/// whether they are equal: their hash stands for them.
fn root(base64: &str) -> Digest {
    use sha2::Digest as _;
    digest(base64).unwrap_or_else(|| Digest(sha2::Sha256::digest(base64).into()))
}

fn path(proof: Option<Vec<String>>) -> Option<Vec<Digest>> {
    proof
        .unwrap_or_default()
        .iter()
        .map(|hash| digest(hash))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inclusion {
    leaf_idx: u64,
    tree_size: u64,
    root: String,
    leaf_hash: String,
    proof: Option<Vec<String>>,
    want_err: bool,
}

impl Inclusion {
    fn holds(self) -> Option<bool> {
        let proof = InclusionProof {
            index: self.leaf_idx,
            size: self.tree_size,
            path: path(self.proof)?,
        };
        Some(
            proof
                .verify(&digest(&self.leaf_hash)?, &root(&self.root))
                .is_ok(),
        )
    }
}

#[derive(Deserialize)]
struct Consistency {
    size1: u64,
    size2: u64,
    root1: String,
    root2: String,
    proof: Option<Vec<String>>,
    #[serde(rename = "wantErr")]
    want_err: bool,
}

impl Consistency {
    fn holds(self) -> Option<bool> {
        let proof = ConsistencyProof {
            old_size: self.size1,
            new_size: self.size2,
            path: path(self.proof)?,
        };
        Some(proof.verify(&root(&self.root1), &root(&self.root2)).is_ok())
    }
}

fn json_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            json_files(&path, found);
        } else if path.extension().is_some_and(|end| end == "json") {
            found.push(path);
        }
    }
}

fn each(folder: &str, judge: impl Fn(&str) -> (bool, bool)) {
    let mut files = Vec::new();
    json_files(&vectors().join("rfc6962").join(folder), &mut files);
    assert_eq!(files.len(), 98, "every published {folder} proof is run");
    for file in files {
        let (holds, wanted) = judge(&fs::read_to_string(&file).unwrap());
        assert_eq!(holds, wanted, "{}", file.display());
    }
}

#[test]
fn inclusion_proofs_hold_exactly_where_published() {
    each("inclusion", |text| {
        let vector: Inclusion = serde_json::from_str(text).unwrap();
        let wanted = !vector.want_err;
        (vector.holds().unwrap_or(false), wanted)
    });
}

#[test]
fn consistency_proofs_hold_exactly_where_published() {
    each("consistency", |text| {
        let vector: Consistency = serde_json::from_str(text).unwrap();
        let wanted = !vector.want_err;
        (vector.holds().unwrap_or(false), wanted)
    });
}

#[test]
fn sha_256_is_that_of_nist() {
    let text = fs::read_to_string(vectors().join("nist/SHA256ShortMsg.rsp")).unwrap();
    let mut bits = 0;
    let mut message = Vec::new();
    let mut checked = 0;
    for line in text.lines() {
        let Some((name, value)) = line.split_once(" = ") else {
            continue;
        };
        match name {
            "Len" => bits = value.parse::<usize>().unwrap(),
            "Msg" => message = hex::decode(value).unwrap()[..bits / 8].to_vec(),
            "MD" => {
                use sha2::Digest as _;
                let expected = hex::decode(value).unwrap();
                assert_eq!(sha2::Sha256::digest(&message).to_vec(), expected);
                checked += 1;
            }
            _ => {}
        }
    }
    assert_eq!(checked, 65);
}
