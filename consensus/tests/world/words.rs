//! The words of a command in a play.

use consensus::{ReplicaId, SequenceNumber, View};

/// The words of a command, taken one by one.
pub(crate) struct Words<'a> {
    line: &'a str,
    pub(crate) words: Vec<&'a str>,
}

impl<'a> Words<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let mut words: Vec<_> = line.split_whitespace().collect();
        words.reverse();
        Self { line, words }
    }

    pub(crate) fn next(&mut self) -> &'a str {
        self.words
            .pop()
            .unwrap_or_else(|| panic!("a word is missing: {}", self.line))
    }

    /// Whether the next word is this one, which is then taken.
    pub(crate) fn is(&mut self, word: &str) -> bool {
        self.words.pop_if(|next| *next == word).is_some()
    }

    pub(crate) fn number(&mut self, prefix: &str) -> u64 {
        let word = self.next();
        let digits = word.strip_prefix(prefix);
        match digits {
            Some("max") => u64::MAX,
            Some(digits) => digits.parse().unwrap_or_else(|_| self.bad(word)),
            None => self.bad(word),
        }
    }

    pub(crate) fn replica(&mut self) -> ReplicaId {
        ReplicaId(u32::try_from(self.number("")).unwrap())
    }

    pub(crate) fn sequence(&mut self) -> SequenceNumber {
        SequenceNumber(self.number("n"))
    }

    pub(crate) fn view(&mut self) -> View {
        View(self.number("v"))
    }

    /// `[a b]@5`: requests and a time, the time optional.
    pub(crate) fn batch(&mut self) -> (Vec<&'a str>, u64) {
        let mut requests = Vec::new();
        loop {
            let word = self.next();
            let (word, end) = match word.split_once(']') {
                Some((word, rest)) => (word, Some(rest)),
                None => (word, None),
            };
            let word = word.trim_start_matches('[');
            if !word.is_empty() {
                requests.push(word);
            }
            if let Some(time) = end {
                let time = time.strip_prefix('@').unwrap_or("0");
                let time = if time == "max" {
                    u64::MAX
                } else {
                    time.parse().unwrap()
                };
                return (requests, time);
            }
        }
    }

    pub(crate) fn rest(&mut self) -> String {
        self.words.reverse();
        std::mem::take(&mut self.words).join(" ")
    }

    pub(crate) fn bad(&self, word: &str) -> ! {
        panic!("{word:?} is not understood in: {}", self.line)
    }
}
