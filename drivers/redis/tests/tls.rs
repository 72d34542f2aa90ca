//! TLS, with a certificate authority of the test's own.

#![cfg(all(feature = "tokio-tls", feature = "blocking"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod common;

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use common::{Opened, fill, hears, listen, watch};
use oneflight_redis::RedisStore;
use oneflight_store::{Bytes, Revision, Store, StoreError};
use oneflight_test_servers::Config;
use oneflight_test_servers::time::until;

/// What is trusted is read from the environment, which is set for another process.
const TRUSTED: &str = "SSL_CERT_FILE";

const ADDRESS: &str = "ONEFLIGHT_TEST_TLS_ADDRESS";

fn openssl(directory: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(directory)
        .output()
        .expect("there is no openssl; install it with: apt-get install --yes openssl");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {said}");
}

/// The authority's `authority.pem`, and `server.pem` with `server.key`, for this machine.
fn certify(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        directory,
        &format!(
            "req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority"
        ),
    );
    openssl(
        directory,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"),
    );
    let names = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    std::fs::write(directory.join("names"), names).unwrap();
    openssl(
        directory,
        "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 \
         -extfile names -out server.pem",
    );
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn speaks_tls(certified: &Path, port: u16) -> Config {
    let shown = certified.display();
    Config::new()
        .line(format!("tls-port {port}"))
        .line(format!("tls-cert-file {shown}/server.pem"))
        .line(format!("tls-key-file {shown}/server.key"))
        .line("tls-auth-clients no")
}

/// This test again, with what is trusted, and the server it finds.
fn again(name: &str, trusted: &Path, port: u16) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TRUSTED, trusted)
        .env(ADDRESS, format!("localhost:{port}"))
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

#[test]
fn both_flavours_speak_tls() {
    if let Ok(address) = env::var(ADDRESS) {
        return work(&format!("rediss://{address}/"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    certify(path);
    let port = free_port();
    let _server = speaks_tls(path, port).start();
    again("both_flavours_speak_tls", &path.join("authority.pem"), port);
    // Whom nobody vouches for is not spoken to.
    let other = tempfile::tempdir().unwrap();
    certify(other.path());
    again(
        "a_stranger_is_not_trusted",
        &other.path().join("authority.pem"),
        port,
    );
}

/// A server names itself as it is to be spoken to.
#[test]
fn both_flavours_speak_tls_to_a_cluster() {
    if let Ok(address) = env::var(ADDRESS) {
        return work(&format!("rediss-cluster://{address}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    certify(path);
    // Servers listen to one another at a second one, 10,000 higher.
    let mut ports = std::iter::repeat_with(free_port);
    let port = ports.find(|port| *port < 55_536).unwrap();
    let server = speaks_tls(path, port)
        .line("cluster-enabled yes")
        .line("tls-cluster yes")
        .line(format!("tls-ca-cert-file {}/authority.pem", path.display()))
        .start();
    let all = ["CLUSTER", "ADDSLOTSRANGE", "0", "16383"];
    server.command::<()>(&all).unwrap();
    until("the cluster", || {
        let info: String = server.command(&["CLUSTER", "INFO"]).unwrap();
        info.contains("cluster_state:ok").then_some(())
    });
    let authority = path.join("authority.pem");
    again("both_flavours_speak_tls_to_a_cluster", &authority, port);
}

#[test]
fn a_stranger_is_not_trusted() {
    let Ok(address) = env::var(ADDRESS) else {
        return;
    };
    for open in [common::waited, common::blocking] {
        let store = open(&format!("rediss://{address}/"));
        let error = store.read("key".into()).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

/// One after the other.
fn work(url: &str) {
    let mut seen = Revision::NEVER;
    for open in [common::waited, common::blocking] {
        seen = works(&open(url), seen);
    }
}

/// Published, pushed, and more at once than is sealed in one go.
fn works(store: &Opened, seen: Revision) -> Revision {
    let heard = watch(store, "key");
    let changes = listen(store);
    changes.until("the stream", |changes| (!changes.is_empty()).then_some(()));
    let revision = fill(store, "key", seen, "value");
    hears(&heard, revision);
    let large = Bytes::from(vec![b'x'; 3_000_000]);
    let put = |seen| store.put("large".into(), large.clone(), None, seen);
    put(Revision::new(u64::MAX)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let entry = store.read("large".into()).unwrap().entry.unwrap();
                assert!(entry.value == large);
            });
            scope.spawn(|| put(Revision::new(u64::MAX)).unwrap());
        }
    });
    revision
}

/// What a client keeps to itself is not left out in silence.
#[test]
fn certificates_of_a_client_are_refused_by_the_flavour_that_cannot_have_them() {
    let certificates = redis::TlsCertificates {
        client_tls: None,
        root_cert: None,
    };
    let client = redis::Client::build_with_tls("rediss://localhost:1/", certificates).unwrap();
    let store = oneflight_redis::blocking::RedisStore::new(client.clone());
    let error = oneflight_store::blocking::Store::read(&store, "key".into()).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
    drop(Store::read(&RedisStore::new(client), "key".into()));
}
