//! One round: many processes, one cold key.

use std::time::Duration;

use oneflight_test_servers::RedisServer;

use crate::Result;
use crate::clock::{nanos, now, until};
use crate::peer::Peer;
use crate::process::{BOUND, Participant, Told};
use crate::wire::{Counter, Wire};

/// The key of all rounds: the server is empty before each.
const KEY: &str = "report:7";
/// Until when all participants have been told.
const LEAD: Duration = Duration::from_millis(100);
/// A lease that nobody has to fear to outlive.
const LONG_LEASE: Duration = Duration::from_secs(30);
/// The lease of a holder that is killed.
pub(crate) const SHORT_LEASE: Duration = Duration::from_secs(2);
/// How long after its fill began a holder is killed: before anybody would renew a lease of 2 s.
const LIFE: Duration = Duration::from_millis(500);
/// How long after a kill a next fill is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What became of one round of calls.
#[derive(Default)]
pub(crate) struct Stampede {
    /// How many fills began.
    pub(crate) fills: usize,
    /// How many calls failed.
    pub(crate) failed: usize,
    /// From the end of the fill to the return of each call that got its value from another process, in
    /// nanoseconds.
    pub(crate) followers: Vec<i64>,
}

fn start(
    server: &RedisServer,
    peer: &Peer,
    processes: usize,
    lease: Duration,
) -> Result<Vec<Participant>> {
    let mut started = Vec::new();
    for number in 0..processes {
        started.push(Participant::start(
            &mut peer.command(server, number, lease)?,
        )?);
    }
    for participant in &mut started {
        participant.await_ready()?;
    }
    Ok(started)
}

/// All call at the same moment.
pub(crate) fn stampede(
    server: &RedisServer,
    peer: &Peer,
    processes: usize,
    fill: Duration,
) -> Result<Stampede> {
    empty(server)?;
    rush(server, peer, processes, fill)
}

/// The same, counting what is sent: from the first connection to the last process's orderly end.
pub(crate) fn counted(
    server: &RedisServer,
    peer: &Peer,
    processes: usize,
    fill: Duration,
) -> Result<Wire> {
    empty(server)?;
    let counter = Counter::start(server)?;
    rush(server, peer, processes, fill)?;
    counter.stop()
}

/// Deletes all keys. Scripts stay: on a server that has been running they are there.
fn empty(server: &RedisServer) -> Result<()> {
    Ok(server.command(&["FLUSHALL"])?)
}

fn rush(server: &RedisServer, peer: &Peer, processes: usize, fill: Duration) -> Result<Stampede> {
    let mut participants = start(server, peer, processes, LONG_LEASE)?;
    let at = now() + nanos(LEAD);
    for participant in &mut participants {
        participant.go(at, KEY, fill)?;
    }
    let mut told = Vec::new();
    for participant in &mut participants {
        let mut call = Told::default();
        participant.listen(&mut call, BOUND, |_| false)?;
        told.push((participant.value(), call));
    }
    Participant::end_all(participants)?;

    let mut stampede = Stampede::default();
    for (own, call) in &told {
        stampede.fills += usize::from(call.began.is_some());
        match &call.over {
            None => return Err(format!("no answer from {}", peer.name).into()),
            Some((_, Err(error))) => {
                eprintln!("{}: {error}", peer.name);
                stampede.failed += 1;
            }
            Some((at, Ok(value))) if value != own => {
                let filler = told.iter().find(|(name, _)| name == value);
                let ended = filler.and_then(|(_, call)| call.ended);
                let ended = ended.ok_or_else(|| format!("nobody filled {value:?}"))?;
                stampede.followers.push(at - ended);
            }
            Some(_) => {}
        }
    }
    Ok(stampede)
}

/// What followed the death of a holder.
pub(crate) struct Takeover {
    /// How many fills began, the killed one included.
    pub(crate) fills: usize,
    /// How many of the other calls returned within [`PATIENCE`].
    pub(crate) returned: usize,
    /// From the kill to the next fill, in nanoseconds, if there was any.
    pub(crate) after_kill: Option<i64>,
    /// From the lapse of the killed holder's lease to the next fill, in nanoseconds, if there was any.
    pub(crate) after_lapse: Option<i64>,
}

/// One fills, all others wait for it, and it is killed.
pub(crate) fn takeover(server: &RedisServer, peer: &Peer, processes: usize) -> Result<Takeover> {
    empty(server)?;
    let mut participants = start(server, peer, processes, SHORT_LEASE)?;
    let mut holder = participants.remove(0);
    holder.go(now(), KEY, BOUND)?;
    let mut first = Told::default();
    holder.listen(&mut first, BOUND, |told| told.began.is_some())?;
    let began = first.began.ok_or("the holder did not begin")?;
    let at = now() + nanos(LEAD);
    for participant in &mut participants {
        participant.go(at, KEY, LEAD)?;
    }
    std::thread::sleep(until(began + nanos(LIFE)));
    let killed = now();
    holder.kill()?;

    let patience = killed + nanos(PATIENCE);
    let mut told = Vec::new();
    for participant in &mut participants {
        let mut call = Told::default();
        participant.listen(&mut call, until(patience), |_| false)?;
        told.push(call);
    }
    let returned = |call: &&Told| matches!(call.over, Some((_, Ok(_))));
    let returned = told.iter().filter(returned).count();
    if returned == participants.len() {
        Participant::end_all(participants)?;
    }
    let next = told.iter().filter_map(|call| call.began).min();
    // Its lease was granted a moment before its fill began, and was not renewed.
    let lapse = began + nanos(SHORT_LEASE);
    Ok(Takeover {
        fills: 1 + told.iter().filter(|call| call.began.is_some()).count(),
        returned,
        after_kill: next.map(|next| next - killed),
        after_lapse: next.map(|next| next - lapse),
    })
}
