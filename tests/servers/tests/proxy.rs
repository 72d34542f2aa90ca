//! What a proxy is told to do to a connection, it does; and it counts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use oneflight_test_servers::time::{BOUND, until};
use oneflight_test_servers::{Direction, Lost, Proxy, RedisServer};
use redis::{Connection, RedisResult};

/// A server, and the way to it.
fn proxied() -> (RedisServer, Proxy) {
    let server = RedisServer::new();
    let proxy = Proxy::to(server.address());
    (server, proxy)
}

fn client(server: &RedisServer, proxy: &Proxy) -> RedisResult<Connection> {
    let client = redis::Client::open(server.url_at(proxy.address()))?;
    let connection = client.get_connection()?;
    connection.set_read_timeout(Some(BOUND))?;
    Ok(connection)
}

fn increment(connection: &mut Connection) -> RedisResult<u64> {
    redis::cmd("INCR").arg("number").query(connection)
}

/// What the number is, by another way.
fn number(server: &RedisServer) -> u64 {
    let number: Option<u64> = server.command(&["GET", "number"]).unwrap();
    number.unwrap_or_default()
}

fn is_increment(command: &[Vec<u8>]) -> bool {
    command[0] == b"INCR"
}

#[test]
fn trips_commands_and_pushes_are_counted() {
    let (server, proxy) = proxied();
    let url = server.url_at(proxy.address()) + "?protocol=resp3";
    let mut client = redis::Client::open(url).unwrap().get_connection().unwrap();
    proxy.count_anew();
    increment(&mut client).unwrap();
    let mut pipe = redis::pipe();
    let pipe = pipe.cmd("INCR").arg("number").cmd("PING");
    pipe.query::<()>(&mut client).unwrap();
    // It is answered by pushes, which are not waited for.
    client.subscribe_resp3(&["a", "b"]).unwrap();
    until("the subscriptions", || {
        (proxy.traffic().answers == 5).then_some(())
    });
    for _ in 0..2 {
        server.command::<()>(&["PUBLISH", "a", "message"]).unwrap();
    }
    until("two pushes", || (proxy.traffic().pushes == 2).then_some(()));
    let traffic = proxy.traffic();
    assert_eq!(traffic.sent(&["INCR"]), 2);
    assert_eq!(traffic.sent(&["PING", "SUBSCRIBE", "GET"]), 2);
    assert_eq!((traffic.trips, traffic.answers), (3, 5));
    assert_eq!(proxy.connections(), [traffic]);

    drop(client);
    until("the end of it", || {
        proxy.connections().is_empty().then_some(())
    });
    assert_eq!(proxy.traffic().trips, 3);
    proxy.count_anew();
    assert_eq!(proxy.traffic().trips, 0);
}

#[test]
fn a_delay_delays() {
    let (server, proxy) = proxied();
    let mut client = client(&server, &proxy).unwrap();
    proxy.delay(Direction::ToServer, Duration::from_millis(30));
    proxy.delay(Direction::ToClient, Duration::from_millis(40));
    let since = Instant::now();
    assert_eq!(increment(&mut client).unwrap(), 1);
    assert!(since.elapsed() >= Duration::from_millis(70));
}

#[test]
fn what_is_held_on_its_way_to_the_server_is_done_later() {
    let (server, proxy) = proxied();
    let mut client = client(&server, &proxy).unwrap();
    proxy.hold(Direction::ToServer);
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    assert!(increment(&mut client).unwrap_err().is_timeout());
    assert_eq!(number(&server), 0);
    proxy.heal();
    until("the command", || (number(&server) == 1).then_some(()));
}

#[test]
fn what_is_held_on_its_way_back_was_done() {
    let (server, proxy) = proxied();
    let mut client = client(&server, &proxy).unwrap();
    proxy.hold(Direction::ToClient);
    let client = std::thread::spawn(move || increment(&mut client).unwrap());
    until("the command", || (number(&server) == 1).then_some(()));
    assert!(!client.is_finished());
    proxy.heal();
    assert_eq!(client.join().unwrap(), 1);
}

#[test]
fn who_is_cut_off_may_come_back() {
    let (server, proxy) = proxied();
    let mut one = client(&server, &proxy).unwrap();
    assert_eq!(proxy.cut(), 1);
    assert_eq!(proxy.cut(), 0);
    assert!(increment(&mut one).is_err());
    increment(&mut client(&server, &proxy).unwrap()).unwrap();

    proxy.refuse();
    assert!(client(&server, &proxy).is_err());
    proxy.heal();
    increment(&mut client(&server, &proxy).unwrap()).unwrap();
    until("no client", || server.clients().is_empty().then_some(()));
}

#[test]
fn a_lost_answer_is_to_what_was_done() {
    for (lost, times_out) in [(Lost::Cut, false), (Lost::Silence, true)] {
        let (server, proxy) = proxied();
        let mut one = client(&server, &proxy).unwrap();
        proxy.lose_answer(lost, is_increment);
        redis::cmd("PING").exec(&mut one).unwrap();
        assert_eq!(proxy.lost(), 0);
        let patience = match times_out {
            true => Duration::from_millis(50),
            false => BOUND,
        };
        one.set_read_timeout(Some(patience)).unwrap();
        assert_eq!(increment(&mut one).unwrap_err().is_timeout(), times_out);
        until("the answer", || (proxy.lost() == 1).then_some(()));
        assert_eq!(number(&server), 1);
        // One and no more.
        increment(&mut client(&server, &proxy).unwrap()).unwrap();
    }
}

#[test]
fn it_leads_elsewhere() {
    let (one, two) = (RedisServer::new(), RedisServer::new());
    let proxy = Proxy::to(one.address());
    let mut before = client(&one, &proxy).unwrap();
    proxy.lead_to(two.address());
    increment(&mut before).unwrap();
    proxy.cut();
    let mut after = client(&one, &proxy).unwrap();
    increment(&mut after).unwrap();
    assert_eq!((number(&one), number(&two)), (1, 1));
}

#[test]
fn a_dead_server_is_a_closed_connection() {
    let (mut server, proxy) = proxied();
    server.kill();
    assert!(client(&server, &proxy).is_err());
}

#[test]
fn what_is_not_redis_passes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap());
    let mut client = TcpStream::connect(proxy.address()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    client.write_all(b"hello").unwrap();
    let mut came = [0; 5];
    server.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"hello");
    drop(server);
    assert_eq!(client.read(&mut came).unwrap(), 0);
}
