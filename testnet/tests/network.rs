//! Networks of real processes: they come up, break, and leave nothing behind.

mod common;

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{PATIENCE, Place, processes};
use testnet::{Mode, Process, ProcessIdentity, Stopped, Testnet, TestnetError, up};
use tokio::time::timeout;

/// Not a test: what the nodes of the other tests do.
#[test]
fn play_a_node() {
    common::play_a_node();
}

/// Not a test either: watches the network in the folder that the environment
/// names, until it is killed.
#[tokio::test]
async fn watch_a_network() {
    let Some(folder) = env::var_os("WATCHED_NETWORK") else {
        return;
    };
    let launch = testnet::Launch {
        binary: env::var_os("WATCHED_BINARY").unwrap().into(),
        mode: Mode::Foreground,
        ready_within: PATIENCE,
    };
    let _running = up(Path::new(&folder), Some(2), launch).await.unwrap();
    println!("IT IS UP");
    std::future::pending::<()>().await;
}

async fn all_end(processes: &[Process]) -> bool {
    for process in processes {
        if !process.ends_within(PATIENCE).await.unwrap() {
            return false;
        }
    }
    true
}

#[tokio::test]
async fn a_network_comes_up_shows_itself_and_goes_down_without_a_trace() {
    let place = Place::new();
    let running = place.up(Some(4)).await.unwrap();
    assert!(running.created);
    let testnet = running.testnet;
    let status = testnet.status().await.unwrap();
    assert_eq!(status.genesis_hash, testnet.folder().genesis().network_id());
    assert_eq!((status.view, status.primary), (Some(3), Some(3)));
    assert_eq!(status.nodes.len(), 4);
    for node in &status.nodes {
        assert!(node.running && !node.paused && node.pid.is_some());
        assert!(node.p2p.starts_with("/ip4/127.0.0.1/tcp/"));
        assert_eq!(node.answer.height, Some(7));
        assert_eq!(node.answer.high_watermark, Some(134));
    }
    let processes = processes(testnet.folder());
    let stopped = testnet.down(PATIENCE).await.unwrap();
    let all = (0..4).map(|id| (id, Stopped::Cleanly));
    assert_eq!(stopped, all.collect::<Vec<_>>());
    assert!(all_end(&processes).await);
    let status = testnet.status().await.unwrap();
    assert_eq!((status.view, status.primary), (None, None));
    assert!(
        status
            .nodes
            .iter()
            .all(|node| !node.running && node.pid.is_none())
    );
    testnet.wipe().unwrap();
    assert!(!place.network().exists());
}

#[tokio::test]
async fn a_stopped_network_goes_on_and_a_running_one_is_left_alone() {
    let place = Place::new();
    let first = place.up(Some(2)).await.unwrap().testnet;
    let id = first.folder().genesis().network_id();
    let again = place.up(None).await;
    assert!(matches!(again, Err(TestnetError::AlreadyRunning { .. })));
    assert_eq!(processes(first.folder()).len(), 2, "they run on");
    assert!(
        first.clone().wipe().is_err(),
        "a running network is not removed"
    );
    first.down(PATIENCE).await.unwrap();
    let other = place.up(Some(7)).await;
    assert!(matches!(
        other,
        Err(TestnetError::OtherSize {
            found: 2,
            wanted: 7,
            ..
        })
    ));
    let second = place.up(Some(2)).await.unwrap();
    assert!(!second.created);
    assert_eq!(second.testnet.folder().genesis().network_id(), id);
    second.testnet.down(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn nodes_can_be_killed_restarted_paused_and_resumed() {
    let place = Place::new();
    let testnet = place.up(Some(2)).await.unwrap().testnet;
    let node = testnet.folder().node("node1").unwrap().clone();
    let shown = async || testnet.status().await.unwrap().nodes.remove(1);
    let first = shown().await.pid;

    testnet.kill(&node).await.unwrap();
    assert!(!shown().await.running);
    let not_running = testnet.kill(&node).await.unwrap_err();
    assert!(matches!(not_running, TestnetError::NotRunning { .. }));
    assert!(testnet.pause(&node).await.is_err() && testnet.resume(&node).is_err());

    let before = testnet.restart(&node, PATIENCE, PATIENCE).await.unwrap();
    assert_eq!(before, Stopped::NotRunning);
    let second = shown().await.pid;
    assert!(second.is_some() && second != first);

    testnet.pause(&node).await.unwrap();
    let paused = shown().await;
    assert!(paused.running && paused.paused);
    assert_eq!(paused.answer.height, None, "it does not answer");
    testnet.resume(&node).unwrap();
    assert_eq!(shown().await.answer.height, Some(7));

    testnet.pause(&node).await.unwrap();
    let before = testnet.restart(&node, PATIENCE, PATIENCE).await.unwrap();
    assert_eq!(
        before,
        Stopped::Cleanly,
        "a paused node heeds the request too"
    );
    testnet.down(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_node_that_does_not_stop_when_asked_is_killed() {
    let place = Place::new();
    place.tell("stubborn");
    let testnet = place.up(Some(1)).await.unwrap().testnet;
    let processes = processes(testnet.folder());
    let stopped = testnet.down(Duration::from_millis(100)).await.unwrap();
    assert_eq!(stopped, [(0, Stopped::Killed)]);
    assert!(all_end(&processes).await);
}

#[tokio::test]
async fn a_network_that_does_not_come_up_leaves_nothing_running_and_says_why() {
    let place = Place::new();
    place.tell("fails-node1");
    let error = place.up(Some(3)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("node1 stopped before it was ready"), "{said}");
    assert!(said.contains("the address is in use"), "{said}");
    let folder = testnet::NetworkFolder::open(&place.network()).unwrap();
    assert!(processes(&folder).is_empty());
    place.untell("fails-node1");
    let running = place.up(None).await.unwrap();
    assert!(!running.created, "what was made is used");
    running.testnet.down(PATIENCE).await.unwrap();
}

/// After a crash or a reboot a pid file can name a number that belongs to
/// somebody else's process by now.
#[tokio::test]
async fn the_pid_file_of_a_dead_node_harms_no_other_process() {
    let place = Place::new();
    let testnet = place.up(Some(1)).await.unwrap().testnet;
    testnet.down(PATIENCE).await.unwrap();
    let mut bystander = Command::new("sleep").arg("600").spawn().unwrap();
    let identity = ProcessIdentity::of(bystander.id()).unwrap();
    let pid_file = place.network().join("nodes/node0/node.pid");
    identity.write_file(&pid_file).unwrap();
    let text = fs::read_to_string(&pid_file).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    // The same number, of a process that started a tick earlier.
    let started: u64 = words[1].parse().unwrap();
    fs::write(
        &pid_file,
        format!("{} {} {}", words[0], started - 1, words[2]),
    )
    .unwrap();

    let node = testnet.folder().node("node0").unwrap();
    assert!(testnet.kill(node).await.is_err());
    assert!(!testnet.status().await.unwrap().nodes[0].running);
    let down = testnet.down(PATIENCE).await.unwrap();
    assert_eq!(down, [(0, Stopped::NotRunning)]);
    let running = place.up(None).await.unwrap();
    running.testnet.down(PATIENCE).await.unwrap();
    assert!(identity.find().unwrap().is_some(), "the bystander lives");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn an_interrupted_removal_is_finished_by_the_next_up_or_down() {
    let place = Place::new();
    let testnet = place.up(Some(1)).await.unwrap().testnet;
    testnet.down(PATIENCE).await.unwrap();
    let id = testnet.folder().genesis().network_id();
    let (genesis, removing) = (
        place.network().join("genesis.json"),
        place.network().join("removing"),
    );
    // That it is not there, or not now, is no removal: the keys are the only ones.
    fs::rename(&genesis, place.network().join("away")).unwrap();
    assert!(place.up(Some(1)).await.is_err() && !Testnet::finish_wipe(&place.network()).unwrap());
    fs::rename(place.network().join("away"), &genesis).unwrap();
    assert!(Testnet::open(&place.network(), place.binary()).is_ok());
    for file in [&removing, &genesis] {
        fs::write(file, "").unwrap();
    }
    let running = place.up(Some(1)).await.unwrap();
    assert!(running.created);
    assert_ne!(running.testnet.folder().genesis().network_id(), id);
    running.testnet.down(PATIENCE).await.unwrap();
    // What commands have left there.
    let pending = running.testnet.folder().pending_file("1");
    fs::create_dir(pending.parent().unwrap()).unwrap();
    for file in [place.network().join("light.json"), pending] {
        fs::write(file, "{}").unwrap();
    }
    fs::write(&removing, "").unwrap();
    for file in ["genesis.json", "network.toml"] {
        fs::remove_file(place.network().join(file)).unwrap();
    }
    assert!(Testnet::finish_wipe(&place.network()).unwrap());
    assert!(!place.network().exists());
}

#[tokio::test]
async fn whoever_watches_a_network_sees_it_taken_down() {
    let place = Place::new();
    let launch = place.launch(Mode::Foreground);
    let running = up(&place.network(), Some(1), launch).await.unwrap();
    let other = Testnet::open(&place.network(), place.binary()).unwrap();
    let node = other.folder().node("0").unwrap();
    other.kill(node).await.unwrap();
    let second = place.up(None).await;
    assert!(matches!(second, Err(TestnetError::AlreadyRunning { .. })));
    other.down(PATIENCE).await.unwrap();
    timeout(PATIENCE, running.taken_down()).await.unwrap();
}

/// `SIGKILL` gives the watcher no chance to stop anything.
#[tokio::test]
async fn a_network_in_the_foreground_dies_with_its_watcher() {
    let place = Place::new();
    let mut watcher = Command::new(env::current_exe().unwrap())
        .args(["--exact", "watch_a_network", "--nocapture"])
        .env("WATCHED_NETWORK", place.network())
        .env("WATCHED_BINARY", place.binary())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let up = lines
        .map_while(Result::ok)
        .any(|line| line.contains("IT IS UP"));
    assert!(up, "the watcher brought the network up");
    let testnet = Testnet::open(&place.network(), place.binary()).unwrap();
    // A node that another command restarts belongs to the watcher's network too.
    let node = testnet.folder().node("node0").unwrap();
    testnet.restart(node, PATIENCE, PATIENCE).await.unwrap();
    let processes = processes(testnet.folder());
    assert_eq!(processes.len(), 2);
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    assert!(all_end(&processes).await);
    // What it left behind does not stand in the way.
    let running = place.up(None).await.unwrap();
    running.testnet.down(PATIENCE).await.unwrap();
}
