//! Where results go: one JSON document or text for people, always on stdout.
//! What is said on the way goes to stderr.

use std::io::Write as _;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

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
        // Whoever read the output may have stopped reading.
        let _ = writeln!(anstream::stdout().lock(), "{line}");
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
