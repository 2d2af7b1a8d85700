//! A network that is stopped leaves nothing behind.

use std::net::TcpListener;
use std::time::Duration;

use node::network::{NetworkEvent, RequestError};
use tokio_util::bytes::Bytes;

use crate::common::{Setup, socket, soon};

#[tokio::test]
async fn after_a_stop_inboxes_end_the_port_is_free_and_handles_say_so() {
    let mut nodes = Setup::new(3).start_all().await;
    let mut stopped = nodes.pop().unwrap();
    let address = socket(&stopped.address());
    // A request under way does not keep it.
    let (to, asking) = (nodes[0].id, stopped.handle.clone());
    let pending = async move {
        let asked = asking.request(to, Bytes::new(), Duration::from_mins(10));
        asked.await.unwrap_err()
    };
    let pending = tokio::spawn(pending);
    let held = soon("the request came", nodes[0].requests.recv()).await;
    stopped.stop.cancel();
    soon("everything ended", &mut stopped.task).await.unwrap();
    let error = soon("the request ended", pending).await.unwrap();
    assert!(matches!(error, RequestError::Stopped), "{error}");
    drop(held);
    TcpListener::bind(address).unwrap();
    let drain = async {
        while let Some(event) = stopped.consensus.recv().await {
            assert!(!matches!(event, NetworkEvent::Frame { .. }));
        }
        assert!(stopped.transactions.recv().await.is_none());
        assert!(stopped.requests.recv().await.is_none());
    };
    soon("the inboxes ended", drain).await;
    assert!(stopped.handle.peers().iter().all(|peer| !peer.connected));
    let id = stopped.id.0;
    for node in &mut nodes {
        node.await_disconnected(id).await;
    }
}
