//! The thread of the server: it listens, and ends all connections when it is killed.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::http::header::ORIGIN;

use super::link;
use super::state::Shared;

/// Where clients connect.
pub(super) const PATH: &str = "/ws/sync/websocket";

pub(super) fn spawn(shared: Arc<Shared>) -> JoinHandle<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.unwrap();
    let run = move || runtime.block_on(run(&shared));
    std::thread::Builder::new()
        .name("dust".to_owned())
        .spawn(run)
        .unwrap()
}

async fn run(shared: &Arc<Shared>) {
    let mut changes = shared.changes();
    loop {
        let listener = {
            let mut state = shared.lock();
            if state.ended {
                return;
            }
            state.listener.take()
        };
        if let Some(listener) = listener {
            listen(shared, TcpListener::from_std(listener).unwrap()).await;
            shared.lock().listening = false;
        } else {
            // The sender is shared, too.
            changes.changed().await.ok();
        }
    }
}

/// Until it is killed.
async fn listen(shared: &Arc<Shared>, listener: TcpListener) {
    let mut changes = shared.changes();
    let mut connections = JoinSet::new();
    loop {
        let paused = {
            let state = shared.lock();
            if state.killed || state.ended {
                break;
            }
            state.paused
        };
        tokio::select! {
            changed = changes.changed() => changed.unwrap(),
            accepted = listener.accept(), if !paused => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(Arc::clone(shared), stream));
                }
            }
            Some(ended) = connections.join_next() => ended.unwrap(),
        }
    }
    drop(listener);
    connections.shutdown().await;
}

#[expect(clippy::result_large_err, reason = "so wants the library")]
async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    stream.set_nodelay(true).ok();
    let mut connected = None;
    let shake = |request: &Request, response: Response| {
        let refuse = |status| {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = status;
            refusal
        };
        if request.uri().path() != PATH {
            return Err(refuse(StatusCode::NOT_FOUND));
        }
        // Phoenix lets in only the origins that it knows: SDKs have none.
        if request.headers().contains_key(ORIGIN) {
            return Err(refuse(StatusCode::FORBIDDEN));
        }
        let query = request.uri().query().unwrap_or_default();
        let (id, parcels) = shared
            .lock()
            .connect(query)
            .ok_or_else(|| refuse(StatusCode::FORBIDDEN))?;
        connected = Some((link::Guard::new(Arc::clone(&shared), id), parcels));
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, shake).await;
    if let (Ok(socket), Some((guard, parcels))) = (socket, connected) {
        link::run(guard, socket, parcels).await;
    }
}
