//! The store keeps the contract: every row on a server of its own.

#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::thread;

use oneflight_redis::RedisStore;
use oneflight_store::conformance::Waited;
use oneflight_store::{Store, conformance};
use oneflight_test_servers::RedisServer;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// Opens a store whose connection this runtime keeps.
fn open(runtime: &Runtime, server: &RedisServer) -> Waited<RedisStore> {
    let store = RedisStore::open(server.url()).unwrap();
    runtime.handle().block_on(store.read("".into())).unwrap();
    Waited::new(store)
}

mod on_two_threads {
    use super::*;

    conformance!(|| {
        let server = RedisServer::new();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        move || open(&runtime, &server)
    });
}

/// A runtime of one thread, and that thread.
struct Current {
    runtime: tokio::runtime::Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Current {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async { drop(ended.await) });
        });
        Self {
            runtime: handle,
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        drop(self.end.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

mod on_one_thread {
    use super::*;

    conformance!(|| {
        let server = RedisServer::new();
        let current = Current::new();
        move || {
            let store = RedisStore::open(server.url()).unwrap();
            current.runtime.block_on(store.read("".into())).unwrap();
            Waited::new(store)
        }
    });
}

#[cfg(feature = "blocking")]
mod blocking {
    use super::*;

    conformance!(|| {
        let server = RedisServer::new();
        move || oneflight_redis::blocking::RedisStore::open(server.url()).unwrap()
    });
}
