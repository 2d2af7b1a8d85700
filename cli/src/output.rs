//! Where results go: one JSON document or text for people, always on stdout.
//! What is said on the way goes to stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

/// Why the first result could not be written that could not.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Whether whoever reads the results has stopped reading them.
pub(crate) fn is_unread() -> bool {
    LOST.get()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Why a result was not written, if not because nobody wanted to read it.
pub(crate) fn lost() -> Option<&'static io::Error> {
    LOST.get().filter(|_| !is_unread())
}

/// What transactions and blocks hold is somebody's choice, and must not move the cursor
/// of a terminal, or worse.
fn without_controls(text: &str) -> Cow<'_, str> {
    let is_harmless = |c: char| !c.is_control() || c == '\n' || c == '\t';
    if text.chars().all(is_harmless) {
        return text.into();
    }
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmless(c) {
            harmless.push(c);
        } else {
            harmless.extend(c.escape_default());
        }
    }
    harmless.into()
}

/// The form of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document; of streams, one per line.
    Json,
}

impl Format {
    /// Prints a result: `value` as JSON, or what `text` makes of it.
    pub(crate) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) {
        let line = match self {
            Self::Json => serde_json::to_string(value).unwrap_or_default(),
            Self::Text => text(value),
        };
        let line = line.trim_end();
        let mut stdout = std::io::stdout().lock();
        let written = if self == Self::Text && stdout.is_terminal() {
            writeln!(stdout, "{}", without_controls(line))
        } else {
            writeln!(stdout, "{line}")
        };
        if let Err(error) = written {
            let _ = LOST.set(error);
        }
    }

    /// Says what is going on, to people only.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if self == Self::Text {
            let _ = writeln!(anstream::stderr().lock(), "{}", text.as_ref());
        }
    }
}

/// Whether stderr is for eyes that want colours and bars: `NO_COLOR` says no.
pub(crate) fn is_colourful() -> bool {
    anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never
}

/// A table without lines, so that it can be read by people and by `awk`.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first digits of a digest: enough to compare by eye.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_transaction_holds_moves_no_cursor() {
        let harmless = "a\tb\nc é ☃";
        assert_eq!(without_controls(harmless), harmless);
        assert_eq!(
            without_controls("\x1b[2Jgone\x07\r\u{9b}1m"),
            "\\u{1b}[2Jgone\\u{7}\\r\\u{9b}1m"
        );
    }
}
