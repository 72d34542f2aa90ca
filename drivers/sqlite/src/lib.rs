#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::wildcard_enum_match_arm))]
//! A [`Store`](oneflight_store::Store) in one SQLite file, shared by all processes of a machine.
//!
//! The store to begin with: no server, no configuration but a path. Whoever opens the same file shares
//! its values and leases, and hears within a fraction of a millisecond of what the others publish.
//!
//! ```no_run
//! let store = oneflight_sqlite::SqliteStore::open("/var/lib/app/oneflight.db")?;
//! # Ok::<(), oneflight_sqlite::OpenError>(())
//! ```
//!
//! # What it promises
//!
//! The whole contract of [`oneflight_store`]: every call is one transaction, every token and every
//! revision is drawn from one counter in the file and never repeats.
//!
//! * **The death of any process** loses nothing that was answered.
//! * **A loss of power** (or a crash of the kernel) may lose the last values, up to those since SQLite
//!   last moved its log into the file; they are computed again. Tokens and revisions grow all the same:
//!   the first process to open the file after a boot takes the counter past whatever may have been
//!   lost, and writes that to the disk before anything else. This is why the store can afford
//!   `synchronous=NORMAL`, which keeps the disk out of every call but the few that move the log.
//! * **Setting the clock** neither stretches nor cuts a lease: leases and ages are measured by the time
//!   since boot, which counts suspended time as well. A lease of another boot has lapsed, for its holder
//!   is dead. The age of a value that was written before the boot goes by the time of day, but is at
//!   least the time since the boot.
//! * **A file that is deleted or replaced** while it is open makes every call
//!   [`Unavailable`](oneflight_store::StoreError::Unavailable) until the store is opened again: to go
//!   on with either file would elect two holders. To start afresh, end the processes, then delete the
//!   file. An older copy put back from a backup takes the counter back with it; delete rather than
//!   restore.
//! * **A process that forks** must open the store again in the child; there the old one only answers
//!   `Unavailable`.
//! * **A row that somebody has edited** into something else is
//!   [`Malformed`](oneflight_store::StoreError::Malformed) and left alone; remove it by hand
//!   (`DELETE FROM entries WHERE key = CAST('…' AS BLOB)`).
//!
//! A value may have up to 64 MiB, but this is a place for pointers: values go through the log, and a
//! large one holds up the writes of all others. What is forgotten, over or free is removed a day later,
//! when a process opens the store.
//!
//! # Files
//!
//! | file | what it is |
//! | --- | --- |
//! | `oneflight.db` | the store |
//! | `oneflight.db-wal`, `oneflight.db-shm` | SQLite's log and its index, while somebody has the store open, and after a crash; part of the store: never delete or copy one without the others |
//! | `oneflight.db-signal` | a named pipe, on Linux, that a byte is written to after each change, to wake the others |
//!
//! They are made for the current user alone. **To share a store between users**, make the directory
//! and an empty file first, with the permissions the store is to have; whatever comes to lie beside
//! the file gets the same:
//!
//! ```text
//! install -d -m 2770 -g app /var/lib/app
//! install -m 660 -g app /dev/null /var/lib/app/oneflight.db
//! ```
//!
//! **To share it between containers** of one machine, mount the directory (not the file alone) into
//! each. They must share the kernel: sandboxes and virtual machines with a kernel of their own are
//! other machines, and are refused when they are found out, as they enter a boot of their own. Time
//! namespaces that shift the boot clock are not supported.
//!
//! # Where it does not work
//!
//! **Network file systems** (NFS, SMB, AFS, Ceph, Lustre, …) are refused: SQLite's log needs memory
//! shared between all processes, which exists within one machine only.
//!
//! **Other systems than Linux** have no boot that can be named, and do not wake every listener of a
//! pipe. There leases are measured by the time of day, every commit waits for the disk
//! (`synchronous=FULL`), and changes are looked for every 5 ms while anybody is subscribed.
//!
//! **File systems without named pipes**, such as FAT, leave it at the same 5 ms on Linux. So does
//! anything else that has the name of the pipe: it is not opened, not followed if it is a link, and
//! left as it is.
//!
//! # How others hear of a change
//!
//! While anybody is subscribed, a thread of each open store sleeps on the pipe. Each commit that others
//! may wait for writes a byte to it; the thread then reads what has changed above its cursor, which an
//! index makes as cheap as the changes are few. It looks every 200 ms besides, should nobody have rung:
//! a process may die between its commit and the byte, and if the pipe is deleted while the store is
//! open, those before and those after have two of them. The lapse of a lease is not told: whoever waits
//! knows how long it lives.
//!
//! Nobody ever waits for the pipe, be it full or its listeners stopped, and a process that listens ends
//! as fast as any other.
//!
//! `examples/push_latency.rs` measures all this.

mod busy;
mod calls;
mod clock;
mod ear;
mod fault;
mod hub;
mod meta;
mod notifier;
mod open;
mod place;
mod prune;
mod rows;
mod schema;
mod signal;
mod step;
mod store;
#[cfg(test)]
mod tests;

pub use open::OpenError;
pub use store::SqliteStore;
