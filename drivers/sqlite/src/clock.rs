//! The clock that leases and ages are judged by.
//!
//! A lease must not be stretched or cut by somebody who sets the time of day, so it is measured by
//! the time since the machine booted (suspended time included). Such a time means nothing in
//! another boot, so every moment is stored together with the boot it belongs to.

use std::io;
use std::time::Duration;

/// One reading of the clock, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the machine booted: what leases and ages of this boot are measured by.
    pub(crate) boot: i64,
    /// Since 1970, as somebody may set it: only for ages that reach over a boot.
    pub(crate) wall: i64,
}

/// Where the time comes from: the machine, or a test.
pub(crate) trait Clock: Send + Sync + 'static {
    /// What names this boot of this machine.
    fn boot_id(&self) -> io::Result<String>;
    /// What time it is.
    fn now(&self) -> Now;
}

/// The clock of this machine.
pub(crate) struct Machine;

#[cfg(target_os = "linux")]
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Clock for Machine {
    #[cfg(target_os = "linux")]
    fn boot_id(&self) -> io::Result<String> {
        let id = std::fs::read_to_string(BOOT_ID)
            .map_err(|error| io::Error::new(error.kind(), format!("{BOOT_ID}: {error}")))?;
        Ok(id.trim().to_owned())
    }

    /// Other systems do not name their boots in a way that is safe to ask for: there all time is one
    /// boot, measured by the time of day.
    #[cfg(not(target_os = "linux"))]
    fn boot_id(&self) -> io::Result<String> {
        Ok(String::new())
    }

    fn now(&self) -> Now {
        let wall = wall();
        Now {
            boot: since_boot().unwrap_or(wall),
            wall,
        }
    }
}

#[cfg(target_os = "linux")]
fn since_boot() -> Option<i64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Some(
        time.tv_sec
            .saturating_mul(1_000_000_000)
            .saturating_add(time.tv_nsec),
    )
}

#[cfg(not(target_os = "linux"))]
fn since_boot() -> Option<i64> {
    None
}

fn wall() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, nanos)
}

/// A duration as the file holds it: in nanoseconds, at most 292 years of them.
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The duration of so many nanoseconds; a negative number is none.
pub(crate) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// When something was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// The number of the boot (see [`Meta`](crate::meta::Meta)).
    pub(crate) boot: i64,
    /// The reading of the clock.
    pub(crate) at: Now,
}

impl Stamp {
    /// How long ago this was, in nanoseconds.
    ///
    /// Within one boot the boot clock knows. What was written before this boot is at least as old as
    /// the boot, and as old as the time of day says, if nobody has set it back.
    pub(crate) fn age(self, boot: i64, now: Now) -> i64 {
        if self.boot == boot {
            now.boot.saturating_sub(self.at.boot).max(0)
        } else {
            now.wall.saturating_sub(self.at.wall).max(now.boot).max(0)
        }
    }
}
