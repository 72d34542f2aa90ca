//! The ways to a server: sockets of all kinds, and what may be at their other end.

#![cfg(all(feature = "tokio", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Opened, fill, hears, listen, watch};
use oneflight_store::{Bytes, Revision, Store, StoreError};
use oneflight_test_servers::time::until;
use oneflight_test_servers::{Config, RedisServer};

type Open = fn(&str) -> Opened;

both! {
    a_socket_of_the_file_system_is_a_way
    another_database_is_another_place
    a_server_that_is_too_old_is_refused
    a_server_that_answers_unasked_is_left
    what_is_no_server_is_unavailable
}

/// Published, pushed, listed.
fn works(store: &Opened) {
    let heard = watch(store, "key");
    let changes = listen(store);
    changes.until("the stream", |changes| (!changes.is_empty()).then_some(()));
    let revision = fill(store, "key", Revision::NEVER, "value");
    hears(&heard, revision);
    assert_eq!(store.list().unwrap().len(), 1);
    // More than is read, written or sealed in one go.
    let large = Bytes::from(vec![b'x'; 3_000_000]);
    store
        .put("large".into(), large.clone(), None, Revision::NEVER)
        .unwrap();
    let entry = store.read("large".into()).unwrap().entry.unwrap();
    assert!(entry.value == large);
}

fn a_socket_of_the_file_system_is_a_way(open: Open) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("redis.sock");
    let path = path.display();
    let _server = Config::new().line(format!("unixsocket {path}")).start();
    works(&open(&format!("unix://{path}")));
}

fn another_database_is_another_place(open: Open) {
    let server = RedisServer::new();
    let at = |database| open(&format!("redis://{}/{database}", server.address()));
    let (first, second) = (at(1), at(2));
    works(&first);
    assert_eq!(second.read("key".into()).unwrap().revision, Revision::NEVER);
    let error = at(99).read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
}

/// Answers each command of each connection with this, until the test is over.
fn says(answers: &'static [&'static str]) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut chunk = [0; 4096];
                for answer in answers {
                    if !matches!(stream.read(&mut chunk), Ok(1..)) {
                        return;
                    }
                    // Who asks may have gone.
                    stream.write_all(answer.as_bytes()).ok();
                }
                while matches!(stream.read(&mut chunk), Ok(1..)) {}
            });
        }
    });
    address
}

fn a_server_that_is_too_old_is_refused(open: Open) {
    // To all that a client may begin with, as servers of several versions say it.
    for answers in [
        &[
            "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, `sesame`, \r\n\
            -ERR unknown subcommand\r\n-ERR unknown subcommand\r\n",
        ],
        &[
            "-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'me' 'sesame' \r\n\
            -ERR unknown subcommand\r\n-ERR unknown subcommand\r\n",
        ],
    ] {
        let address = says(answers);
        let error = open(&format!("redis://me:sesame@{address}/"))
            .read("key".into())
            .unwrap_err();
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert!(error.to_string().contains("version 6 or newer"), "{error}");
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
    }
}

fn a_server_that_answers_unasked_is_left(open: Open) {
    let address = says(&["%0\r\n", "+OK\r\n+OK\r\n+OK\r\n+OK\r\n+OK\r\n"]);
    let store = open(&format!("redis://{address}/"));
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

fn what_is_no_server_is_unavailable(open: Open) {
    let address = says(&["HTTP/1.1 400 Bad Request\r\n\r\n"]);
    let store = open(&format!("redis://{address}/"));
    let error = store.read("key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

/// One connection to the server, which may cease to read what comes from the client.
struct Clogged {
    address: SocketAddr,
    reads: Arc<AtomicBool>,
}

impl Clogged {
    fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let reads = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&reads);
        thread::spawn(move || {
            let (client, _) = listener.accept().unwrap();
            drop(listener);
            let server = TcpStream::connect(server).unwrap();
            let (mut from_server, mut to_client) = (&server, &client);
            thread::scope(|scope| {
                // Both end when the client does.
                scope.spawn(move || std::io::copy(&mut from_server, &mut to_client));
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = (&client).read(&mut chunk) {
                    // The server outlives the test, or nobody asks any more.
                    (&server).write_all(&chunk[..count]).ok();
                    while !goes_on.load(Ordering::SeqCst) {
                        thread::park_timeout(Duration::from_millis(5));
                    }
                }
                server.shutdown(Shutdown::Both).ok();
            });
        });
        Self { address, reads }
    }
}

impl Drop for Clogged {
    fn drop(&mut self) {
        self.reads.store(true, Ordering::SeqCst);
    }
}

#[test]
fn who_does_not_read_keeps_nobody_waiting() {
    let server = RedisServer::new();
    let clogged = Clogged::to(server.address());
    let url = format!("redis://{}/", clogged.address);
    let store = oneflight_redis::blocking::RedisStore::open(url).unwrap();
    let opened: Opened = Arc::new(store.clone());
    let heard = watch(&opened, "key");
    let other = common::blocking(&server.url());
    let first = fill(&other, "key", Revision::NEVER, "first");
    hears(&heard, first);

    clogged.reads.store(false, Ordering::SeqCst);
    let since = Instant::now();
    let value = Bytes::from(vec![0; 16 << 20]);
    let mut big = pin!(store.put("big".into(), value, None, Revision::NEVER));
    let mut small = pin!(Store::read(&store, "key".into()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(big.as_mut().poll(&mut context).is_pending());
    assert!(small.as_mut().poll(&mut context).is_pending());
    // The write is not over, and will not be.
    let called = since.elapsed();
    assert!(called < Duration::from_secs(2), "{called:?}");
    // What is pushed is heard all the same, over the only connection there can be.
    let second = fill(&other, "key", first, "second");
    hears(&heard, second);
    let error = until("the end of patience", || {
        match big.as_mut().poll(&mut context) {
            Poll::Ready(answer) => Some(answer.unwrap_err()),
            Poll::Pending => None,
        }
    });
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

/// Else each of its calls would be an outage, and every caller on its own, for ever.
#[test]
fn without_a_runtime_the_async_store_says_which_one_to_open() {
    let store = oneflight_redis::RedisStore::open("redis://127.0.0.1:1/").unwrap();
    let mut read = oneflight_store::Store::read(&store, "key".into());
    let mut nobody = Context::from_waker(Waker::noop());
    match read.as_mut().poll(&mut nobody) {
        Poll::Ready(Err(StoreError::Refused(why))) => {
            assert!(why.contains("blocking RedisStore"), "{why}");
        }
        other => panic!("{other:?}"),
    }
}
