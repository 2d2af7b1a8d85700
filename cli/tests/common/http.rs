//! Talking to ports byte by byte, also in ways in which no client would.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::Network;

/// Generous: the machine may be slow.
const PATIENCE: Duration = Duration::from_mins(1);

fn addresses(network: &Network, key: &str) -> Vec<String> {
    let status = network.ok(&["testnet", "status"]);
    let nodes = status["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| node[key].as_str().unwrap().to_owned())
        .collect()
}

/// The address of a node's API, and of its port for peers.
pub(crate) fn ports(network: &Network, node: usize) -> (String, String) {
    let api = addresses(network, "api")[node].replace("http://", "");
    let p2p = addresses(network, "p2p")[node].clone();
    let port = p2p.rsplit('/').next().unwrap().to_owned();
    (api, format!("127.0.0.1:{port}"))
}

/// What comes back when these bytes are sent, until the other side closes.
pub(crate) fn exchange(address: &str, bytes: &[u8], then_close: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The other side may close the connection in the middle of it.
    let _ = stream.write_all(bytes);
    if then_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Status and error code of an answer to a call with this body.
pub(crate) fn post(api: &str, path: &str, kind: &str, body: &[u8]) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {api}\r\ncontent-type: {kind}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(api, &[head.as_bytes(), body].concat(), false);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned())
}

/// Status, head and body of the answer to a plain question.
pub(crate) fn get(api: &str, path: &str, accept: &str) -> (u16, String, String) {
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {api}\r\naccept: {accept}\r\nconnection: close\r\n\r\n"
    );
    let answer = exchange(api, head.as_bytes(), false);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// Asks for a stream and reads until so many lines contain `mark`.
pub(crate) fn stream(api: &str, path: &str, accept: &str, mark: &str, count: usize) -> Vec<String> {
    let mut stream = TcpStream::connect(api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {api}\r\naccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines
        .filter(|line| line.contains(mark))
        .take(count)
        .collect()
}
