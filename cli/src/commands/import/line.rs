//! The lines of a file of calls.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;

use client::Call;
use crypto::Domain;
use crypto::codec::Encode;
use serde::Deserialize;

use crate::exit::{Failure, Outcome};

/// The longest line, in bytes: longer than any transaction may be.
const MAX_LINE_BYTES: u64 = 4 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallDocument {
    contract: String,
    function: String,
    args: Vec<String>,
}

/// A call and its place in the file.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    /// How many equal calls stand before it.
    occurrence: u64,
    /// Under which label it is imported, if any.
    label: Option<Arc<str>>,
    /// The call, or why the line is none.
    pub(super) call: Result<Call, String>,
}

/// What a nonce follows from.
#[derive(Encode)]
struct NonceSource<'a> {
    contract: &'a str,
    function: &'a str,
    args: &'a [String],
    occurrence: u64,
    attempt: u64,
}

impl Line {
    /// The nonce of an attempt with this line. A verdict uses an attempt up.
    pub(super) fn nonce(&self, call: &Call, attempt: u64) -> [u8; 32] {
        let source = NonceSource {
            contract: &call.contract,
            function: &call.function,
            args: &call.args,
            occurrence: self.occurrence,
            attempt,
        };
        let source = match &self.label {
            None => crypto::encode(&source),
            Some(label) => crypto::encode(&(source, label)),
        };
        Domain::ImportNonce.hash(&source).0
    }
}

/// The lines of a file, read as they are needed.
pub(super) struct Lines {
    reader: BufReader<File>,
    number: u64,
    total: Option<u64>,
    label: Option<Arc<str>>,
    seen: HashMap<[u8; 32], u64>,
    /// Nothing is read after what could not be: it would be the rest of a line, or the
    /// same error for ever.
    has_failed: bool,
}

impl Lines {
    /// Opens the file, whose lines are imported under this label, and counts them: a
    /// pipe can be read but once.
    pub(super) fn open(path: &Path, label: Option<&str>) -> Outcome<Self> {
        let opened = || {
            let mut file = File::open(path)?;
            let total = file.metadata()?.is_file().then(|| count(&mut file));
            Ok((BufReader::new(file), total.transpose()?))
        };
        let (reader, total) = opened().map_err(|error: std::io::Error| {
            Failure::failed(format!("cannot read {}", path.display())).cause(error)
        })?;
        Ok(Self {
            reader,
            number: 0,
            total,
            label: label.map(Arc::from),
            seen: HashMap::new(),
            has_failed: false,
        })
    }

    /// How many there are, where that can be known before.
    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    fn read(&mut self) -> Option<Result<String, String>> {
        if self.has_failed {
            return None;
        }
        let mut text = String::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        let failed = match limited.read_line(&mut text) {
            Ok(0) => return None,
            Ok(length) if length as u64 == MAX_LINE_BYTES => {
                format!("it is longer than {MAX_LINE_BYTES} bytes, and what follows is not read")
            }
            Ok(_) => return Some(Ok(text)),
            Err(error) => format!("it cannot be read, nor what follows: {error}"),
        };
        self.has_failed = true;
        Some(Err(failed))
    }
}

/// How many lines a file has. It is read from the beginning again then.
fn count(file: &mut File) -> std::io::Result<u64> {
    let mut counting = BufReader::new(&mut *file);
    let mut lines = 0_u64;
    loop {
        let part = counting.fill_buf()?;
        if part.is_empty() {
            break;
        }
        lines += part.split(|byte| *byte == b'\n').skip(1).count() as u64;
        let length = part.len();
        counting.consume(length);
    }
    file.rewind()?;
    Ok(lines)
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        loop {
            let text = self.read()?;
            self.number += 1;
            if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                continue;
            }
            let call = text.and_then(|text| {
                let document: CallDocument =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                Ok(Call {
                    contract: document.contract,
                    function: document.function,
                    args: document.args,
                })
            });
            let mut line = Line {
                number: self.number,
                occurrence: 0,
                label: self.label.clone(),
                call,
            };
            if let Ok(call) = &line.call {
                let count = self.seen.entry(line.nonce(call, 0)).or_default();
                line.occurrence = *count;
                *count += 1;
            }
            return Some(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn labelled(text: &str, label: Option<&str>) -> Vec<Line> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Lines::open(file.path(), label).unwrap().collect()
    }

    fn lines(text: &str) -> Vec<Line> {
        labelled(text, None)
    }

    fn nonces(lines: &[Line]) -> Vec<[u8; 32]> {
        let nonce = |line: &Line| line.nonce(line.call.as_ref().unwrap(), 0);
        lines.iter().map(nonce).collect()
    }

    #[test]
    fn equal_lines_are_told_apart_by_their_count_and_always_alike() {
        let one = r#"{"contract":"kv","function":"put","args":["a","1"]}"#;
        let text = format!("{one}\n\n{one}\n");
        let (first, again) = (lines(&text), lines(&text));
        assert_eq!(first.len(), 2);
        assert_eq!(nonces(&first), nonces(&again));
        assert_ne!(nonces(&first)[0], nonces(&first)[1]);
        assert_eq!(first[1].number, 3);
    }

    /// What is to be done every day is the same line every day.
    #[test]
    fn a_line_under_another_label_is_another_transaction_and_under_the_same_the_same() {
        let one = r#"{"contract":"kv","function":"put","args":["a","1"]}"#;
        let labels = [None, Some("monday"), Some("tuesday"), Some("monday")];
        let [none, monday, tuesday, again] = labels.map(|label| nonces(&labelled(one, label)));
        assert!(none != monday && monday != tuesday && none != tuesday);
        assert_eq!(monday, again);
    }

    #[test]
    fn a_line_that_is_no_call_says_why() {
        let found = lines("{\"contract\":1}\nnothing\n");
        assert!(found.iter().all(|line| line.call.is_err()));
    }
}
