//! Key files: PKCS#8 v1 PEM, created with mode 0600, refused when others can read them.
//!
//! Version 1, without the public half, because OpenSSL 3.0 cannot read version 2.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use zeroize::Zeroizing;

use crate::SigningKey;

/// A key file is a few hundred bytes; what is longer is not one.
const MAX_KEY_FILE_BYTES: u64 = 4096;

/// Why a key file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file could not be opened, read or created.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Somebody else on the machine may read the key.
    #[error("key file {path} has mode {mode:04o}: others can read it; run `chmod 600 {path}`")]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a PKCS#8 PEM file with an Ed25519 key.
    #[error("key file {path} holds no Ed25519 key in PKCS#8 PEM form: {reason}")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
}

impl SigningKey {
    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// When the file exists already or cannot be written.
    pub fn write_file(&self, path: &Path) -> Result<(), KeyFileError> {
        let io_error = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = KeypairBytes {
            secret_key: *self.seed(),
            public_key: None,
        };
        let pem = bytes
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|error| KeyFileError::NotAKey {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io_error)?;
        file.write_all(pem.as_bytes()).map_err(io_error)?;
        file.sync_all().map_err(io_error)
    }

    /// Reads a key that [`SigningKey::write_file`] or `openssl genpkey` wrote.
    ///
    /// # Errors
    ///
    /// When the file is missing, open to others, or holds no Ed25519 key.
    pub fn read_file(path: &Path) -> Result<Self, KeyFileError> {
        let io_error = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let file = fs::File::open(path).map_err(io_error)?;
        // The permissions of the opened file, not of whatever bears its name later.
        let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyFileError::ReadableByOthers {
                path: path.to_owned(),
                mode,
            });
        }
        let mut pem = Zeroizing::new(String::new());
        file.take(MAX_KEY_FILE_BYTES)
            .read_to_string(&mut pem)
            .map_err(io_error)?;
        ed25519_dalek::SigningKey::from_pkcs8_pem(&pem)
            .map(Self)
            .map_err(|error| KeyFileError::NotAKey {
                path: path.to_owned(),
                reason: error.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_key_is_private_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alice.pem");
        let key = SigningKey::from_seed(&[9; 32]);
        key.write_file(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        assert_eq!(SigningKey::read_file(&path).unwrap().public(), key.public());
        assert!(matches!(
            key.write_file(&path),
            Err(KeyFileError::Io { .. })
        ));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alice.pem");
        SigningKey::from_seed(&[9; 32]).write_file(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = SigningKey::read_file(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("junk.pem");
        fs::write(&path, "junk").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            SigningKey::read_file(&path),
            Err(KeyFileError::NotAKey { .. })
        ));
        assert!(matches!(
            SigningKey::read_file(&folder.path().join("absent.pem")),
            Err(KeyFileError::Io { .. })
        ));
    }
}
