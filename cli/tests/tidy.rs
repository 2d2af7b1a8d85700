//! The shape of the house, checked: who depends on whom, how long files and
//! functions are, what words stand where, and that the map is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const MAX_CODE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;

/// Which rooms each room may use; `cli` and `testnet` see what they need.
const ROOMS: [(&str, &[&str]); 8] = [
    ("crypto", &[]),
    ("consensus", &["crypto"]),
    ("ledger", &["crypto"]),
    ("genesis", &["consensus", "crypto", "ledger"]),
    ("node", &["consensus", "crypto", "genesis", "ledger"]),
    (
        "client",
        &["consensus", "crypto", "genesis", "ledger", "node"],
    ),
    ("testnet", &["consensus", "crypto", "genesis", "node"]),
    (
        "cli",
        &[
            "client",
            "consensus",
            "crypto",
            "genesis",
            "ledger",
            "node",
            "testnet",
        ],
    ),
];

/// What the rooms below the node must never hear of.
const WORLD: [&str; 10] = [
    "axum",
    "futures",
    "hyper",
    "libp2p",
    "nix",
    "reqwest",
    "rustix",
    "tokio",
    "tokio-util",
    "tracing",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// Every complaint about every file, or nothing.
#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(&root().join(room).join("Cargo.toml")).parse().unwrap();
    manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn rooms_depend_on_those_below_only() {
    let names: Vec<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap().iter();
    let members: BTreeSet<&str> = members.map(|member| member.as_str().unwrap()).collect();
    assert_eq!(
        members,
        names.iter().copied().collect(),
        "every room stands in the table"
    );
    let mut complaints = Vec::new();
    for (room, allowed) in ROOMS {
        for used in dependencies(room) {
            if names.contains(&used.as_str()) && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{room} may not use {used}"));
            }
            let is_pure = matches!(room, "crypto" | "consensus" | "ledger" | "genesis");
            if is_pure && WORLD.contains(&used.as_str()) {
                complaints.push(format!("{room} touches the world through {used}"));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn only_the_store_knows_the_database() {
    let complaints: Vec<String> = files(&root(), ".rs")
        .into_iter()
        .filter(|path| !path.starts_with(root().join("ledger/src/store")))
        .filter(|path| path.components().any(|part| part.as_os_str() == "src"))
        .filter(|path| read(path).contains("rocksdb::"))
        .map(|path| format!("{} uses RocksDB", path.display()))
        .collect();
    assert_none(&complaints);
}

/// Lines that say something, up to the unit tests.
fn code_lines(text: &str) -> usize {
    let code = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let says = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    code.lines().filter(says).count()
}

/// Functions with their lengths, in text that rustfmt has formatted.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let words = line.trim_start();
        let begins = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
        ]
        .iter()
        .chain(&[
            "pub async fn ",
            "pub(crate) async fn ",
            "pub(super) async fn ",
            "pub const fn ",
        ])
        .any(|head| words.starts_with(head));
        if !begins {
            continue;
        }
        // What a trait asks for has no body.
        let mut rest = lines[start..].iter();
        if rest
            .find(|line| line.ends_with(['{', ';']))
            .is_none_or(|line| line.ends_with(';'))
        {
            continue;
        }
        let indent = &line[..line.len() - words.len()];
        let closing = format!("{indent}}}");
        let end = lines[start..].iter().position(|line| *line == closing);
        found.push((words.to_owned(), end.unwrap_or(0) + 1));
    }
    found
}

#[test]
fn files_and_functions_are_short() {
    let mut complaints = Vec::new();
    for path in files(&root(), ".rs") {
        let text = read(&path);
        let length = code_lines(&text);
        if length > MAX_CODE_LINES {
            complaints.push(format!("{}: {length} lines of code", path.display()));
        }
        for (name, length) in functions(&text) {
            if length > MAX_FUNCTION_LINES {
                complaints.push(format!("{}: {length} lines: {name}", path.display()));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_room_forbids_unsafe_code() {
    for (room, _) in ROOMS {
        let source = root().join(room).join("src");
        let entry = [source.join("lib.rs"), source.join("main.rs")];
        let entry = entry.iter().find(|path| path.exists()).unwrap();
        assert!(read(entry).contains("#![forbid(unsafe_code)]"), "{room}");
    }
}

#[test]
fn the_words_are_those_of_a_finished_work() {
    // Spelt in halves, so that this file does not find itself.
    let words = [
        "TO\u{44}O",
        "FIX\u{4d}E",
        "XX\u{58}",
        "todo\u{21}(",
        "unimplemented\u{21}(",
        "dbg\u{21}(",
    ];
    let places = ["/ro\u{6f}t/", "/hom\u{65}/", "/wor\u{6b}/"];
    let mut complaints = Vec::new();
    for ending in [".rs", ".md", ".toml", ".py", "Makefile", "setup"] {
        for path in files(&root(), ending) {
            let text = read(&path);
            for word in words.iter().chain(&places) {
                if text.contains(word) {
                    complaints.push(format!("{}: {word}", path.display()));
                }
            }
        }
    }
    assert_none(&complaints);
}

/// The targets of links like `[text](target)` that lead to files.
fn links(text: &str) -> Vec<String> {
    let parts = text.split("](").skip(1);
    let targets = parts.filter_map(|part| part.split_once(')').map(|(target, _)| target));
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target).to_owned())
        .collect()
}

#[test]
fn links_in_documents_lead_somewhere() {
    let mut complaints = Vec::new();
    for path in files(&root(), ".md") {
        for link in links(&read(&path)) {
            if !path.parent().unwrap().join(&link).exists() {
                complaints.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_none(&complaints);
}

/// The map names every module of the first two floors of every room.
#[test]
fn the_map_shows_every_room() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let mut complaints = Vec::new();
    for (room, _) in ROOMS {
        for entry in fs::read_dir(root().join(room).join("src")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if !matches!(name, "lib" | "main") && !map.contains(&format!("`{name}`")) {
                complaints.push(format!("{room}/{name} is not on the map"));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn the_checks_can_fail() {
    let long = format!(
        "fn long() {{\n{}}}\n",
        "    step();\n".repeat(MAX_FUNCTION_LINES)
    );
    assert_eq!(
        functions(&long),
        [("fn long() {".to_owned(), MAX_FUNCTION_LINES + 2)]
    );
    assert_eq!(
        code_lines("// no\n\nlet a = 1;\n#[cfg(test)]\nmod tests {\nlet b = 2;\n"),
        1
    );
    assert_eq!(
        links("see [a](docs/a.md#b) and [c](https://c)"),
        ["docs/a.md"]
    );
}
