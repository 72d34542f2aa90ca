//! Opens a connection.
//!
//! The WebSocket handshake is done here and not by the library, which writes the whole request, with the
//! token in its query, to the program's log.

use std::sync::{Arc, OnceLock};

use oneflight_store::StoreError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::address::Address;
use crate::secret::Secret;

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// An open connection.
pub(crate) type Socket = WebSocketStream<Box<dyn Stream>>;

/// The longest head of an answer.
const MOST_HEAD: usize = 16 << 10;
/// The longest message: a snapshot is one.
const MOST_MESSAGE: usize = 256 << 20;

/// Connects; answers the socket and the server's date in seconds since 1970, if it told one.
pub(crate) async fn dial(
    address: Arc<Address>,
    secret: Secret,
    device: String,
) -> Result<(Socket, Option<i64>), StoreError> {
    let name = address.host.trim_matches(['[', ']']);
    let at = format!("{}:{}", address.host, address.port);
    let unreachable = |error: std::io::Error| {
        StoreError::unavailable(format_args!("Dust at {at} cannot be reached: {error}"))
    };
    let stream = TcpStream::connect((name, address.port))
        .await
        .map_err(unreachable)?;
    // A lease is not to wait for the acknowledgement of what was sent before it.
    stream.set_nodelay(true).map_err(unreachable)?;
    let mut stream: Box<dyn Stream> = if address.tls {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| StoreError::refused(format_args!("{name:?} is no name of a server")))?;
        let connector = TlsConnector::from(tls()?);
        Box::new(
            connector
                .connect(server, stream)
                .await
                .map_err(unreachable)?,
        )
    } else {
        Box::new(stream)
    };
    let key = generate_key();
    let request = request(&address, &secret, &device, &key);
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(unreachable)?;
    stream.flush().await.map_err(unreachable)?;
    let (head, rest) = head(&mut stream).await.map_err(unreachable)?;
    let date = accepted(&head, &key, &at)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MOST_MESSAGE))
        .max_frame_size(Some(MOST_MESSAGE));
    let socket =
        WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(config)).await;
    Ok((socket, date))
}

fn request(address: &Address, secret: &Secret, device: &str, key: &str) -> String {
    let token = escape(secret.reveal());
    // An `Origin` would be checked against the server's own.
    format!(
        "GET /ws/sync/websocket?token={token}&device_id={device}&capver=3&vsn={} HTTP/1.1\r\n\
         Host: {}:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n",
        address.wire.vsn(),
        address.host,
        address.port,
    )
}

/// As the value of a query.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The head of the answer, and what came with it.
async fn head(stream: &mut Box<dyn Stream>) -> std::io::Result<(Vec<u8>, Vec<u8>)> {
    let mut came = Vec::new();
    loop {
        if let Some(end) = came.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = came.split_off(end + 4);
            return Ok((came, rest));
        }
        if came.len() > MOST_HEAD {
            return Err(std::io::Error::other("the answer has no end"));
        }
        if stream.read_buf(&mut came).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether the server has let us in; what it says of the time.
fn accepted(head: &[u8], key: &str, at: &str) -> Result<Option<i64>, StoreError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let no_server = |what: &str| {
        Err(StoreError::refused(format_args!(
            "what answers at {at} is no Dust server: {what}"
        )))
    };
    match (response.parse(head), response.code) {
        (Ok(_), Some(101)) => {}
        (Ok(_), Some(403)) => return Err(StoreError::refused(FORBIDDEN)),
        (Ok(_), Some(code)) if code == 408 || code == 429 || code >= 500 => {
            return Err(StoreError::unavailable(format_args!(
                "Dust at {at} answers HTTP {code}"
            )));
        }
        (Ok(_), Some(code)) => return no_server(&format!("HTTP {code}")),
        _ => return no_server("that is not HTTP"),
    }
    let header = |name: &str| {
        let found = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    if header("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
        return no_server("that is no WebSocket");
    }
    Ok(header("date").and_then(seconds))
}

/// What HTTP 403 may mean: the server does not say.
const FORBIDDEN: &str = "Dust answers HTTP 403, which it does without a reason for each of these: the \
    token is unknown, expired or revoked (check ONEFLIGHT_DUST_TOKEN); or this program speaks a version of \
    the protocol that the server does not take (capver 3); or it has named no device; or the server does \
    not know its format (vsn 2.0.0 and 3.0.0). Unless the server is much older or newer than 0.1, it is \
    the token.";

/// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970.
fn seconds(date: &str) -> Option<i64> {
    let mut fields = date.split_ascii_whitespace().skip(1);
    let day: i64 = fields.next()?.parse().ok()?;
    let name = fields.next()?;
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = months.iter().position(|month| *month == name)? as i64 + 1;
    let year: i64 = fields.next()?.parse().ok()?;
    let mut clock = fields.next()?.split(':');
    let mut number = |most: i64| -> Option<i64> {
        let number = clock.next()?.parse().ok()?;
        (0..=most).contains(&number).then_some(number)
    };
    let (hour, minute, second) = (number(23)?, number(59)?, number(60)?);
    if !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    // Days of the civil calendar, counted in years that begin in March.
    let years = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// The certificates of this machine.
fn tls() -> Result<Arc<ClientConfig>, StoreError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(StoreError::refused(
            "this machine trusts no certificate authority; install its certificates, or name a \
             file of them in SSL_CERT_FILE",
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(StoreError::refused)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::clone(CONFIG.get_or_init(|| Arc::new(config))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(
            seconds("Thu, 29 Feb 2024 00:00:00 GMT"),
            Some(1_709_164_800)
        );
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        for odd in [
            "",
            "Sun, x Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8",
            "Sun, 06 Nov 99999999999 00:00:00 GMT",
        ] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let told = |head: &str| accepted(head.as_bytes(), "key", "here").unwrap_err();
        let forbidden = told("HTTP/1.1 403 Forbidden\r\n\r\n").to_string();
        for cause in ["token", "capver", "device", "vsn"] {
            assert!(forbidden.contains(cause), "{cause} in {forbidden}");
        }
        assert!(matches!(
            told("HTTP/1.1 503 Busy\r\n\r\n"),
            StoreError::Unavailable(_)
        ));
        assert!(matches!(
            told("HTTP/1.1 404 None\r\n\r\n"),
            StoreError::Refused(_)
        ));
        assert!(matches!(told("SSH-2.0\r\n\r\n"), StoreError::Refused(_)));
        assert!(
            told("HTTP/1.1 101 X\r\n\r\n")
                .to_string()
                .contains("no WebSocket")
        );
        let accept = derive_accept_key(b"key");
        let head = format!(
            "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: {accept}\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        );
        assert_eq!(
            accepted(head.as_bytes(), "key", "here"),
            Ok(Some(784_111_777))
        );
    }

    #[test]
    fn a_token_is_escaped() {
        assert_eq!(
            escape("dust_tok_-.~ &=%é"),
            "dust_tok_-.~%20%26%3D%25%C3%A9"
        );
    }
}
