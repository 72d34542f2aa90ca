//! A socket, of either kind.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::time::{Duration, Instant};

use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::SockRef;

/// To be read by one thread while another one writes.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    /// The first of a host's addresses that answers, each given its share of the time.
    pub(crate) fn tcp(
        host: &str,
        port: u16,
        settings: &TcpSettings,
        until: Instant,
    ) -> io::Result<Self> {
        let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
        addresses.reverse();
        let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        while let Some(address) = addresses.last() {
            let shares = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, left(until)? / shares) {
                Ok(stream) => {
                    // Requests are small and follow one another: none is to wait for the answer to the last.
                    stream.set_nodelay(true)?;
                    if let Some(keepalive) = settings.keepalive() {
                        SockRef::from(&stream).set_tcp_keepalive(keepalive)?;
                    }
                    #[cfg(target_os = "linux")]
                    if let Some(timeout) = settings.user_timeout() {
                        SockRef::from(&stream).set_tcp_user_timeout(Some(timeout))?;
                    }
                    return Ok(Self::Tcp(stream));
                }
                Err(why) => error = why,
            }
            addresses.pop();
        }
        Err(error)
    }

    #[cfg(unix)]
    pub(crate) fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).map(Self::Unix)
    }

    pub(crate) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }

    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_write_timeout(timeout),
        }
    }

    /// Ends whatever is read or written at this moment.
    pub(crate) fn shut_down(&self) {
        // It may be closed already.
        drop(match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        });
    }
}

/// What is left until this moment: never nothing, which a socket would take for no limit at all.
pub(crate) fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

impl Read for &Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).read(bytes),
            #[cfg(unix)]
            Socket::Unix(stream) => (&*stream).read(bytes),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&*stream).write(bytes),
            #[cfg(unix)]
            Socket::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
