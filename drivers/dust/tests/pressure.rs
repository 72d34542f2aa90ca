//! A server that does not read on before what it says is read.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use oneflight_dust::DustStore;
use oneflight_store::{PutOutcome, Revision, Store};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const TOPIC: &str = "store:test/blog";
/// More than the sockets on both ends hold.
const PUTS: usize = 32;
const SAID: usize = 64;

type Socket = WebSocketStream<TcpStream>;

async fn hear(socket: &mut Socket, event: &str) -> Value {
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let frame: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        if frame[3] == event {
            return frame;
        }
    }
}

async fn reply(socket: &mut Socket, frame: &Value, response: Value) {
    let ok = json!({"status": "ok", "response": response});
    let reply = json!([frame[0], frame[1], TOPIC, "phx_reply", ok]);
    socket.send(Message::text(reply.to_string())).await.unwrap();
}

async fn serve(listener: TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    let join = hear(&mut socket, "phx_join").await;
    reply(&mut socket, &join, json!({"store_seq": 0})).await;
    let told = json!([join[0], null, TOPIC, "catch_up_complete", {"through_seq": 0}]);
    socket.send(Message::text(told.to_string())).await.unwrap();
    let mut write = hear(&mut socket, "write").await;
    for _ in 0..SAID {
        socket
            .send(Message::text("x".repeat(1 << 20)))
            .await
            .unwrap();
    }
    for seq in 1..=PUTS {
        reply(&mut socket, &write, json!({"store_seq": seq})).await;
        if seq < PUTS {
            write = hear(&mut socket, "write").await;
        }
    }
    // Until it leaves.
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn what_comes_is_read_while_something_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("dust+ws://{}/test/blog", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener));
    let store = DustStore::new(address.parse().unwrap(), "dust_tok");
    let value = Bytes::from("v".repeat(1 << 20));
    let puts = (0..PUTS).map(|n| {
        let key = format!("k/{n}").into();
        store.put(key, value.clone(), None, Revision::NEVER)
    });
    let puts = tokio::time::timeout(Duration::from_secs(120), join_all(puts));
    for put in puts.await.unwrap() {
        assert!(matches!(put, Ok(PutOutcome::Written(_))), "{put:?}");
    }
    drop(store);
    server.await.unwrap();
}
