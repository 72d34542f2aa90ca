//! What was recorded of the real server is asked of the stand-in again, and answered the same, frame by
//! frame, by JSON and msgpack as they travel.
//!
//! The time of each lease and renewal is taken from the recorded answer (`expires_at` less `ttl_ms`).
//! The recordings of one store are replayed as they were made, one after the other on one server.
//!
//! What is not compared, and why:
//!
//! * the order of the fields of a map: it has no meaning, and the real server has none (JSON and msgpack
//!   differ);
//! * the order of frames to different connections: the recorder saw it by chance;
//! * `inserted_at` and `db_size_bytes` in the answer to `status`: of the real server's database;
//! * `CLOSE by server 1000` and `-- closed 1000`: WebSocket's answer to a client that closes;
//! * what clients did that were not recorded ([`UNRECORDED`]): it is done as its events tell, so that of
//!   these events only the form is compared. The 1302 operations of `real-msgpack` are so, of which its
//!   recording shows the first 117.

mod replaying;

use oneflight_test_dust::recordings;
use oneflight_test_dust::{Dust, Store, Token};
use replaying::World;

/// Recording, first and last `store_seq` of what was done by clients that were not recorded.
const UNRECORDED: [(&str, u64, u64); 3] = [
    ("real-msgpack", 1, 1302),
    ("real-reconnect", 1, 8),
    ("real-reconnect", 10, 12),
];

/// What came after the end of `real-msgpack`: its other operations, and that it has caught up.
const BEYOND: usize = 1302 - 117 + 1;

const BLOG: &str = "01a20a23-81d0-7567-81bb-4b7829dc9822";

fn world() -> World {
    let dust = Dust::new()
        .store(Store::new("test/blog", BLOG))
        .store(Store::new("test/other", "uuid-of-other"))
        .store(Store::new("test/integration", "uuid-of-integration"))
        .token(Token::full("dust_tok_…"))
        .token(Token::read_only("of-blog").only(&[BLOG]))
        .token(Token::full("of-other").only(&["uuid-of-other"]));
    World::new(dust)
}

#[test]
fn the_sdks_and_the_raw_client_on_one_store() {
    let mut world = world();
    world.replay("real-json", recordings::REAL_JSON);
    world.replay("raw-edge-cases", recordings::RAW_EDGE_CASES);
    world.replay("real-elixir", recordings::REAL_ELIXIR);
}

#[test]
fn a_reconnect_and_a_snapshot() {
    let mut world = world();
    world.replay("real-reconnect", recordings::REAL_RECONNECT);
    world.dust.store_mut("test/integration").compact();
    world.join("test/integration", 0);
    world.replay("real-snapshot", recordings::REAL_SNAPSHOT);
}

#[test]
fn msgpack() {
    let mut world = world();
    world.replay("real-msgpack", recordings::REAL_MSGPACK);
}

#[test]
fn no_recording_is_left_out() {
    let replayed = [
        "real-json",
        "raw-edge-cases",
        "real-elixir",
        "real-reconnect",
        "real-snapshot",
        "real-msgpack",
    ];
    assert!(
        recordings::ALL
            .iter()
            .all(|(name, _)| replayed.contains(name))
    );
    assert_eq!(recordings::ALL.len(), replayed.len());
}
