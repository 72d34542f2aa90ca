//! TLS over a socket that one thread reads and another one writes.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::socket::{Socket, left};

/// A session, held for as long as it takes to seal or open what is at hand, never while the socket is
/// waited for.
#[derive(Debug)]
pub(crate) struct Session(Mutex<ClientConnection>);

/// A socket whose every step is over by a moment.
struct Timed<'a>(&'a Socket, Instant);

impl Read for Timed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.set_read_timeout(Some(left(self.1)?))?;
        self.0.read(bytes)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set_write_timeout(Some(left(self.1)?))?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Trusts what this machine does.
fn config() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::other(
            "this machine trusts no certificate authority; install its certificates, or name a file of \
             them in SSL_CERT_FILE",
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

impl Session {
    /// Shakes hands.
    pub(crate) fn begin(socket: &Socket, host: &str, until: Instant) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let mut session = ClientConnection::new(config()?, name).map_err(io::Error::other)?;
        // What is sent in one go is sealed in one go.
        session.set_buffer_limit(None);
        let mut timed = Timed(socket, until);
        while session.is_handshaking() {
            session.complete_io(&mut timed)?;
        }
        Ok(Self(Mutex::new(session)))
    }

    fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is something to say that nobody has asked for.
    pub(crate) fn has_unsent(&self) -> bool {
        self.lock().wants_write()
    }

    /// What is to be written, after all that was sealed before.
    pub(crate) fn seal(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut session = self.lock();
        session.writer().write_all(bytes)?;
        let mut sealed = Vec::new();
        while session.wants_write() {
            session.write_tls(&mut sealed)?;
        }
        Ok(sealed)
    }

    /// What has been opened; `None` if more is to be read first.
    pub(crate) fn take(&self, bytes: &mut [u8]) -> io::Result<Option<usize>> {
        match self.lock().reader().read(bytes) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens some of what was read, or learns of its end; how much. All that was opened before has been
    /// taken.
    pub(crate) fn open(&self, mut read: &[u8]) -> io::Result<usize> {
        let mut session = self.lock();
        let count = session.read_tls(&mut read)?;
        session.process_new_packets().map_err(io::Error::other)?;
        Ok(count)
    }
}
