//! Calls to one node that are made at the same time go together: while some are
//! under way others gather, and are the next to go. A call that is alone goes at
//! once, by itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::oneshot;

use super::{ApiClient, ClientError, POST_TIMEOUT};
use crate::api::types::{Answer, ErrorBody, MAX_BYTES_TOGETHER, MAX_CALLS_TOGETHER};

/// How many requests of one kind are under way at a time; what comes meanwhile waits.
const UNDER_WAY: usize = 2;

/// How many calls of one kind wait here at most. More are refused at once, as a node
/// would that has no room: they would wait for longer than their callers.
const MAX_WAITING: usize = 8 * MAX_CALLS_TOGETHER;

/// What a call ends with: the body of a successful answer.
type Ended = Result<Vec<u8>, ClientError>;

#[derive(Debug)]
struct Call {
    bytes: Vec<u8>,
    reply: oneshot::Sender<Ended>,
}

#[derive(Debug, Default)]
struct Waiting {
    calls: VecDeque<Call>,
    under_way: usize,
}

/// Calls of one kind.
#[derive(Debug)]
pub(super) struct Together {
    /// Where a call goes by itself; many go to `together` below it.
    path: &'static str,
    waiting: Mutex<Waiting>,
}

impl Together {
    pub(super) fn new(path: &'static str) -> Arc<Self> {
        Arc::new(Self {
            path,
            waiting: Mutex::default(),
        })
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether half of those wait that may.
    pub(super) fn is_half_full(&self) -> bool {
        self.waiting().calls.len() >= MAX_WAITING / 2
    }

    /// Adds a call, if there is room; whether somebody has to set out with it.
    fn add(&self, call: Call) -> Option<bool> {
        let mut waiting = self.waiting();
        if waiting.calls.len() >= MAX_WAITING {
            return None;
        }
        waiting.calls.push_back(call);
        let sets_out = waiting.under_way < UNDER_WAY;
        waiting.under_way += usize::from(sets_out);
        Some(sets_out)
    }

    /// The next to go; when there are none, one request less is under way.
    fn next(&self) -> Option<Vec<Call>> {
        let mut waiting = self.waiting();
        let (mut calls, mut bytes) = (Vec::new(), 0);
        while let Some(call) = waiting.calls.pop_front_if(|call| {
            bytes += call.bytes.len();
            calls.is_empty() || bytes <= MAX_BYTES_TOGETHER && calls.len() < MAX_CALLS_TOGETHER
        }) {
            calls.push(call);
        }
        if calls.is_empty() {
            waiting.under_way -= 1;
            return None;
        }
        Some(calls)
    }
}

/// Carries calls until there are none. However it ends, with its runtime say,
/// another may set out then.
struct Carrier {
    kind: Arc<Together>,
    is_home: bool,
}

impl Carrier {
    fn next(&mut self) -> Option<Vec<Call>> {
        let calls = self.kind.next();
        self.is_home = calls.is_none();
        calls
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        if !self.is_home {
            self.kind.waiting().under_way -= 1;
        }
    }
}

impl ApiClient {
    /// Makes a call, with others that are made at the same time.
    pub(super) async fn call(&self, kind: &Arc<Together>, bytes: Vec<u8>) -> Ended {
        self.call_within(kind, bytes, POST_TIMEOUT).await
    }

    /// The same, whose answer is waited for no longer than this either.
    pub(super) async fn call_within(
        &self,
        kind: &Arc<Together>,
        bytes: Vec<u8>,
        within: Duration,
    ) -> Ended {
        let (reply, ended) = oneshot::channel();
        let sets_out = kind.add(Call { bytes, reply });
        if sets_out.ok_or_else(|| self.too_many_wait())? {
            // Of its own, so that it goes on when this caller loses patience.
            let client = self.clone();
            let mut carrier = Carrier {
                kind: kind.clone(),
                is_home: false,
            };
            tokio::spawn(async move {
                while let Some(calls) = carrier.next() {
                    client.carry(carrier.kind.path, calls).await;
                }
            });
        }
        let in_time = tokio::time::timeout(within.min(POST_TIMEOUT), ended).await;
        let Ok(Ok(ended)) = in_time else {
            return Err(ClientError::Unreachable {
                node: self.base.clone(),
                reason: "no answer in time".to_owned(),
                sent: true,
            });
        };
        ended
    }

    pub(super) fn too_many_wait(&self) -> ClientError {
        let body = ErrorBody {
            code: "BUSY".to_owned(),
            message: format!("too many calls wait for {} already", self.base),
            cause: None,
            hint: Some("try again shortly".to_owned()),
            committed: None,
        };
        ClientError::Refused {
            status: StatusCode::TOO_MANY_REQUESTS.as_u16(),
            body: Box::new(body),
        }
    }

    async fn carry(&self, path: &str, mut calls: Vec<Call>) {
        // Whoever has lost patience meanwhile is not told.
        calls.retain(|call| !call.reply.is_closed());
        if calls.len() <= 1 {
            let Some(Call { bytes, reply }) = calls.pop() else {
                return;
            };
            let _ = reply.send(self.ask(self.post_octets(path, bytes)).await);
            return;
        }
        let (bytes, replies): (Vec<Vec<u8>>, Vec<_>) =
            calls.into_iter().map(|it| (it.bytes, it.reply)).unzip();
        let path = format!("{path}/together");
        let answers = self.ask(self.post_octets(&path, crypto::encode(&bytes)));
        let answers = answers.await.and_then(|answers| {
            let answers: Vec<Answer> = self.decode(&answers)?;
            if answers.len() == replies.len() {
                return Ok(answers);
            }
            let (found, expected) = (answers.len(), replies.len());
            Err(self.nonsense(format!("{found} answers to {expected} calls")))
        });
        match answers {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(self.part(answer));
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// One of several answers, as it would have been alone.
    fn part(&self, answer: Answer) -> Ended {
        match StatusCode::from_u16(answer.status) {
            Ok(status) if status.is_success() => Ok(answer.body),
            Ok(status) => Err(self.refused(status, &answer.body)),
            Err(_) => Err(self.nonsense(format!("HTTP status {}", answer.status))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn call(length: usize) -> Call {
        Call {
            bytes: vec![0; length],
            reply: oneshot::channel().0,
        }
    }

    fn lengths(kind: &Together) -> Option<Vec<usize>> {
        let calls = kind.next()?;
        Some(calls.iter().map(|call| call.bytes.len()).collect())
    }

    #[test]
    fn what_waits_goes_together_in_its_order_within_bounds() {
        let kind = Together::new("/v1/proposals");
        assert_eq!(kind.add(call(1)), Some(true), "two may set out");
        assert_eq!(kind.add(call(2)), Some(true));
        assert_eq!(kind.add(call(3)), Some(false), "and the third waits");
        assert_eq!(lengths(&kind), Some(vec![1, 2, 3]));
        let most = MAX_BYTES_TOGETHER;
        for length in [most + 1, 4, most - 4, 5] {
            assert_eq!(kind.add(call(length)), Some(false));
        }
        assert_eq!(lengths(&kind), Some(vec![most + 1]), "alone");
        assert_eq!(lengths(&kind), Some(vec![4, most - 4]));
        for _ in 0..MAX_CALLS_TOGETHER {
            kind.add(call(0));
        }
        assert_eq!(lengths(&kind).unwrap().len(), MAX_CALLS_TOGETHER);
        assert_eq!(lengths(&kind), Some(vec![0]));
        assert_eq!(lengths(&kind), None);
        assert_eq!(
            kind.add(call(6)),
            Some(true),
            "one came home, and another sets out"
        );
    }

    #[tokio::test]
    async fn where_too_many_wait_already_a_call_is_refused_at_once() {
        let client = ApiClient::new("http://127.0.0.1:9").unwrap();
        let kind = Together::new("/v1/proposals");
        for _ in 0..MAX_WAITING {
            kind.add(call(1));
        }
        let refused = client.call(&kind, vec![1]).await.unwrap_err();
        assert!(refused.is_busy() && kind.is_half_full(), "{refused}");
        assert_eq!(lengths(&kind).map(|it| it.len()), Some(MAX_CALLS_TOGETHER));
        kind.add(call(2));
        assert_eq!(kind.waiting().calls.back().unwrap().bytes.len(), 2);
    }

    /// A client may outlive the runtimes that it is used in.
    #[test]
    fn calls_whose_runtime_has_ended_do_not_keep_later_ones_from_setting_out() {
        let node = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = node.local_addr().unwrap();
        let client = ApiClient::new(&format!("http://{address}")).unwrap();
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all();
        node.set_nonblocking(true).unwrap();
        let asked = async || {
            while node.accept().is_err() {
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..UNDER_WAY {
            builder.build().unwrap().block_on(async {
                tokio::select! {
                    answer = client.call(&client.proposals, vec![1]) => panic!("{answer:?}"),
                    () = asked() => {}
                }
            });
        }
        node.set_nonblocking(false).unwrap();
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = node.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK";
            stream.write_all(answer).unwrap();
            stream
        });
        let runtime = builder.build().unwrap();
        let answer = runtime.block_on(client.call(&client.proposals, vec![2]));
        assert_eq!(answer.unwrap(), b"OK");
        drop(answering.join());
    }
}
