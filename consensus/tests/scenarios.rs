//! The protocol by example: every file under `tests/scenarios` is a play, in
//! blocks of commands, `----`, and the effects that followed, in their order.
//!
//! `UPDATE_SCENARIOS=1` rewrites the effects; read the difference before you
//! keep it. The commands are those of `Play::command` below.

#![allow(
    clippy::disallowed_methods,
    reason = "the plays are files, and the fence is for the library"
)]

mod world;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use consensus::message::{Checkpoint, Commit, Prepare, SlotStatus, Status, ViewChange};
use consensus::{Input, Message, ReplicaId, SequenceNumber, Timer};
use world::words::Words;
use world::{Envelope, Sizes, World, certificate, request, sign};

#[test]
fn every_play_goes_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 77, "the plays are there");
    let update = std::env::var("UPDATE_SCENARIOS").is_ok_and(|value| value == "1");
    let mut wrong = String::new();
    for file in files {
        println!("{}", file.display());
        let written = fs::read_to_string(&file).unwrap();
        let played = play(&written);
        if update && played != written {
            fs::write(&file, &played).unwrap();
        } else if played != written {
            let name = file.file_name().unwrap().to_string_lossy();
            writeln!(wrong, "== {name}\n{}", difference(&written, &played)).unwrap();
        }
    }
    assert!(wrong.is_empty(), "UPDATE_SCENARIOS=1 accepts:\n{wrong}");
}

/// The first lines in which two texts differ.
fn difference(written: &str, played: &str) -> String {
    let mut both = written.lines().zip(played.lines()).enumerate();
    let at = both.find(|(_, (a, b))| a != b).map(|(at, _)| at);
    let at = at.unwrap_or_else(|| written.lines().count().min(played.lines().count()));
    let around = |text: &str| -> String {
        let lines = text.lines().skip(at).take(4);
        lines.fold(String::new(), |all, line| all + "    " + line + "\n")
    };
    format!(
        "line {}: written\n{}  played\n{}",
        at + 1,
        around(written),
        around(played)
    )
}

/// Plays a file and returns it with the effects that followed.
fn play(text: &str) -> String {
    let mut play = Play { world: None };
    let mut result = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(result, "{line}").unwrap();
        if line == "----" {
            let log = play
                .world
                .as_mut()
                .map(|world| std::mem::take(&mut world.log));
            for line in log.unwrap_or_default() {
                writeln!(result, "{line}").unwrap();
            }
            while lines.next_if(|line| !line.is_empty()).is_some() {}
        } else if !line.is_empty() && !line.starts_with('#') {
            play.command(line);
        }
    }
    if let Some(world) = &play.world {
        assert!(world.log.is_empty(), "every command has its block:\n{text}");
        world.replay();
    }
    result
}

struct Play {
    world: Option<World>,
}

impl Play {
    fn world(&mut self) -> &mut World {
        self.world
            .as_mut()
            .expect("a play begins with its replicas")
    }

    fn command(&mut self, line: &str) {
        let mut words = Words::of(line);
        match words.next() {
            // replicas 4 interval=1 window=8 in-flight=4
            "replicas" => self.replicas(&mut words),
            // propose 0 [a b]@5
            "propose" => {
                let id = words.replica();
                let (requests, timestamp_ms) = words.batch();
                let world = self.world();
                for name in &requests {
                    world.names.learn_request(name);
                }
                let requests = requests.into_iter().map(request).collect();
                let input = Input::Propose {
                    timestamp_ms,
                    requests,
                };
                world.step(id, input);
            }
            // deliver 0->* PRE-PREPARE n1 keep
            "deliver" => {
                for envelope in self.take(&mut words) {
                    self.world().deliver(envelope);
                }
            }
            "drop" => drop(self.take(&mut words)),
            "check" => {
                let id = words.replica();
                let refused = words.is("refuse");
                let verdict = if refused { Err(words.rest()) } else { Ok(()) };
                self.world().check(id, verdict);
            }
            // execute 0 as x
            "execute" => {
                let id = words.replica();
                let other = words.is("as").then(|| words.next());
                self.world().execute(id, other);
            }
            // run quietly without 3,4
            "run" => {
                let quietly = words.is("quietly");
                let without = words.is("without").then(|| words.next());
                let ids = without.into_iter().flat_map(|ids| ids.split(','));
                let without: Vec<_> = ids.map(|id| ReplicaId(id.parse().unwrap())).collect();
                self.run(quietly, &without);
            }
            "forge" => self.forge(&mut words),
            other => self.fate(other, &mut words),
        }
        assert!(words.words.is_empty(), "too many words: {line}");
    }

    /// Commands about what befalls a single replica.
    fn fate(&mut self, command: &str, words: &mut Words<'_>) {
        let id = words.replica();
        let world = self.world();
        match command {
            "tick" => world.step(id, Input::TimerFired(Timer::Status)),
            "new-view-timeout" => world.step(id, Input::TimerFired(Timer::NewView)),
            "calm" => world.step(id, Input::TimerFired(Timer::FallBack)),
            // overdue 1: a request has waited too long there; overdue 1 no more
            "overdue" => {
                let no_more = words.is("no") && words.is("more");
                world.step(id, Input::Overdue(!no_more));
            }
            // how long a request may wait there
            "patience" => {
                let timeout = world.replica(u8::try_from(id.0).unwrap()).request_timeout();
                let timeout =
                    timeout.map_or("nobody is suspected".to_owned(), |of| format!("{of:?}"));
                world.log.push(format!("{id}: {timeout}"));
            }
            "disconnect" => world.step(id, Input::Disconnected(words.replica())),
            "connect" => world.step(id, Input::Connected(words.replica())),
            // crash 1 after 2: in its next step, after two effects
            "crash" if words.is("after") => {
                let effects = usize::try_from(words.number("")).unwrap();
                world.node(id).crash_after = Some(effects);
            }
            "crash" => world.node(id).replica = None,
            "restart" => world.start(id),
            "wipe" => world.start_empty(id),
            // caught-up 3 n5 from 0
            "caught-up" => {
                let through = words.sequence();
                assert!(words.is("from"));
                world.caught_up(id, words.replica(), through);
            }
            "show" => self.show(id),
            other => words.bad(other),
        }
    }

    fn replicas(&mut self, words: &mut Words<'_>) {
        let mut sizes = Sizes::of(u8::try_from(words.number("")).unwrap());
        while let Some(word) = words.words.pop() {
            let (name, value) = word.split_once('=').unwrap();
            let value = value.parse().unwrap();
            match name {
                "interval" => sizes.interval = value,
                "window" => sizes.window = value,
                "in-flight" => sizes.in_flight = value,
                other => words.bad(other),
            }
        }
        self.world = Some(World::new(sizes));
    }

    /// Takes the messages out of the network that match `from->to [NAME] [n1] [keep]`.
    fn take(&mut self, words: &mut Words<'_>) -> Vec<Envelope> {
        let (from, to) = words.next().split_once("->").expect("from->to");
        let mut name = None;
        let mut sequence = None;
        let mut keep = false;
        while let Some(word) = words.words.pop() {
            match word.strip_prefix('n') {
                Some(number) => sequence = Some(SequenceNumber(number.parse().unwrap())),
                None if word == "keep" => keep = true,
                None => name = Some(word),
            }
        }
        let matches = |of: &Envelope| {
            let end = |wanted: &str, id: ReplicaId| wanted == "*" || wanted == id.to_string();
            end(from, of.from)
                && end(to, of.to)
                && name.is_none_or(|name| name == of.message.name())
                && sequence.is_none_or(|wanted| sequence_of(&of.message) == Some(wanted))
        };
        let network = &mut self.world().network;
        if keep {
            return network.iter().filter(|of| matches(of)).cloned().collect();
        }
        network.extract_if(.., |of| matches(of)).collect()
    }

    fn run(&mut self, quietly: bool, without: &[ReplicaId]) {
        let world = self.world();
        let before = world.log.len();
        world.run(without);
        let loud = [
            "execute ",
            "certified ",
            "reject ",
            "halt ",
            "catch up ",
            "refused ",
            "enter ",
            "proof ",
        ];
        if quietly {
            let new = world.log.split_off(before);
            let is_loud = |line: &String| {
                let (_, what) = line.split_once(": ").unwrap();
                loud.iter().any(|word| what.starts_with(word))
            };
            world.log.extend(new.into_iter().filter(is_loud));
        }
    }

    /// `forge 2->1 COMMIT v0 n1 [b]@5 via 3`: replica 2 signs it, 3 brings it.
    fn forge(&mut self, words: &mut Words<'_>) {
        let (signer, to) = words.next().split_once("->").expect("signer->to");
        let signer = ReplicaId(signer.parse().unwrap());
        let to = ReplicaId(to.parse().unwrap());
        let message = self.forged(signer, words);
        let from = if words.is("via") {
            words.replica()
        } else {
            signer
        };
        let world = self.world();
        // So that its digests have their names.
        let _ = world.names.message(&message);
        world.deliver(Envelope { from, to, message });
    }

    fn forged(&mut self, signer: ReplicaId, words: &mut Words<'_>) -> Message {
        match words.next() {
            kind @ ("PRE-PREPARE" | "PREPARE" | "COMMIT") => {
                let view = words.view();
                let sequence = words.sequence();
                let (requests, time) = words.batch();
                let batch = self.world().batch(&requests, time);
                self.world().names.learn_batch(&batch);
                let digest = batch.digest();
                match kind {
                    "PRE-PREPARE" => {
                        Message::PrePrepare(World::proposed(signer, view, sequence, batch))
                    }
                    "PREPARE" => Message::Prepare(sign(
                        Prepare {
                            view,
                            sequence,
                            digest,
                        },
                        signer,
                    )),
                    _ => Message::Commit(sign(
                        Commit {
                            view,
                            sequence,
                            digest,
                        },
                        signer,
                    )),
                }
            }
            "CHECKPOINT" => {
                let sequence = words.sequence();
                let digest = self.world().names.outcome_of(words.next());
                Message::Checkpoint(sign(Checkpoint { sequence, digest }, signer))
            }
            "CERTIFICATE" => {
                let sequence = words.sequence();
                let digest = self.world().names.outcome_of(words.next());
                assert!(words.is("by"));
                let signers = words.next().split(',').map(|id| id.parse().unwrap());
                let signers: Vec<u32> = signers.collect();
                Message::CheckpointCertificate(certificate(sequence, digest, &signers))
            }
            "VIEW-CHANGE" => Message::ViewChange(sign(
                ViewChange {
                    view: words.view(),
                    stable: None,
                    prepared: Vec::new(),
                },
                signer,
            )),
            kind @ ("STATUS" | "STATUS?") => Message::Status(forged_status(kind, words)),
            other => words.bad(other),
        }
    }

    fn show(&mut self, id: ReplicaId) {
        let world = self.world();
        let replica = world.nodes[id.0 as usize].replica.as_ref();
        let Some(replica) = replica else {
            world.log.push(format!("{id}: is down"));
            return;
        };
        let watermarks = replica.watermarks();
        let mut line = format!(
            "{id}: {} executed {} watermarks ({}, {}] room {}",
            replica.view(),
            replica.last_executed(),
            watermarks.low,
            watermarks.high,
            replica.room()
        );
        if !replica.is_active() {
            line += " changing";
        }
        if replica.is_primary() {
            line += " primary";
        }

        if replica.is_listening() {
            line += " listening";
        }
        if replica.is_catching_up() {
            line += " catching up";
        }
        world.log.push(line);
    }
}

/// `STATUS? v0 executed n3 low n3 n4:pre-prepared uncertified n2`
fn forged_status(kind: &str, words: &mut Words<'_>) -> Status {
    let view = words.view();
    assert!(words.is("executed"));
    let last_executed = words.sequence();
    assert!(words.is("low"));
    let low = words.sequence();
    let mut status = Status {
        view,
        changing: None,
        suspects: false,
        listening: false,
        last_executed,
        low,
        asks: kind == "STATUS?",
        slots: Vec::new(),
        uncertified: Vec::new(),
    };
    if words.is("having") {
        status.slots.push(SlotStatus {
            sequence: words.sequence(),
            pre_prepared: words.is("pre-prepared"),
            prepared: words.is("prepared"),
            committed: words.is("committed"),
        });
    }
    while words.is("uncertified") {
        status.uncertified.push(words.sequence());
    }
    status
}

fn sequence_of(message: &Message) -> Option<SequenceNumber> {
    match message {
        Message::PrePrepare(of) => Some(of.pre_prepare.body.sequence),
        Message::Prepare(of) => Some(of.body.sequence),
        Message::Commit(of) => Some(of.body.sequence),
        Message::Checkpoint(of) => Some(of.body.sequence),
        Message::CheckpointCertificate(of) => Some(of.checkpoint.sequence),
        Message::Status(_) | Message::ViewChange(_) | Message::NewView(_) => None,
    }
}
