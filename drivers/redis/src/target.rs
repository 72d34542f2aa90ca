//! Which server, and how it is spoken to.

use oneflight_store::StoreError;
use redis::{Client, IntoConnectionInfo, ProtocolVersion};

use crate::fault::Place;

pub(crate) fn open(url: impl IntoConnectionInfo) -> Result<Client, StoreError> {
    // The error says what is wrong with it, never what it is: there may be a password in it.
    Client::open(url).map_err(|error| {
        let error = error.to_string();
        let why = error.trim_end_matches(" - InvalidClientConfig");
        StoreError::refused(format_args!(
            "this is no address of a Redis server: {why}; one looks like redis://host:6379/0"
        ))
    })
}

/// The same server, spoken to so that it pushes.
pub(crate) fn with_push(client: Client) -> (Client, Place) {
    let info = client.get_connection_info().clone();
    let place = Place::of(&info);
    let settings = info.redis_settings().clone();
    let settings = settings.set_protocol(ProtocolVersion::RESP3);
    // Requests are small and follow one another: none is to wait for the answer to the last.
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    // INVARIANT: a client has been made of this address before.
    (Client::open(info).unwrap_or(client), place)
}
