//! The whole run.

use std::time::Duration;

use oneflight_test_servers::RedisServer;

use crate::Result;
use crate::peer::{PEERS, Part, Peer};
use crate::round::{self, Stampede, Takeover};
use crate::table;
use crate::wire::Wire;

/// A crowd of processes that call at the same moment.
pub(crate) struct Crowd {
    pub(crate) processes: usize,
    pub(crate) fill: Duration,
    /// How many rounds times are taken in.
    rounds: usize,
    /// How many more rounds commands are counted in.
    counted: usize,
}

/// The crowds.
const CROWDS: [Crowd; 3] = [
    Crowd {
        processes: 50,
        fill: Duration::from_millis(200),
        rounds: 3,
        counted: 2,
    },
    Crowd {
        processes: 2,
        fill: Duration::from_millis(200),
        rounds: 25,
        counted: 1,
    },
    Crowd {
        processes: 50,
        fill: Duration::from_secs(2),
        rounds: 1,
        counted: 1,
    },
];

/// How many holders of each peer are killed, and among how many processes.
const KILLED: usize = 10;
pub(crate) const BESIDE_THE_KILLED: usize = 10;

/// What a peer did in the rounds of one crowd.
#[derive(Default)]
pub(crate) struct InCrowd {
    pub(crate) rounds: Vec<Stampede>,
    pub(crate) wires: Vec<Wire>,
}

/// What is known of a peer in the end.
pub(crate) struct Measured {
    pub(crate) peer: &'static Peer,
    /// One for each of the crowds.
    pub(crate) crowds: Vec<InCrowd>,
    pub(crate) takeovers: Vec<Takeover>,
}

/// Measures these peers, by name; all of them if none is named.
pub(crate) fn run(chosen: &[&str]) -> Result<()> {
    if let Some(name) = chosen
        .iter()
        .find(|name| PEERS.iter().all(|peer| peer.name != **name))
    {
        let names: Vec<&str> = PEERS.iter().map(|peer| peer.name).collect();
        return Err(format!("no such peer: {name}; there are {}", names.join(", ")).into());
    }
    let mut measured: Vec<Measured> = PEERS
        .iter()
        .filter(|peer| chosen.is_empty() || chosen.contains(&peer.name))
        .map(|peer| Measured {
            peer,
            crowds: CROWDS.iter().map(|_| InCrowd::default()).collect(),
            takeovers: Vec::new(),
        })
        .collect();

    let server = RedisServer::new();
    let load = load()?;
    for one in &measured {
        // Loads the scripts, and the programs into memory.
        round::stampede(&server, one.peer, 2, Duration::from_millis(10))?;
    }
    for (number, crowd) in CROWDS.iter().enumerate() {
        stampedes(&server, crowd, number, &mut measured)?;
    }
    for round in 0..KILLED {
        for one in &mut measured {
            // Once in vain is enough.
            let in_vain = one
                .takeovers
                .iter()
                .any(|takeover| takeover.after_kill.is_none());
            if one.peer.part != Part::Stampedes && !in_vain {
                eprintln!("holder killed, round {round}: {}", one.peer.name);
                let takeover = round::takeover(&server, one.peer, BESIDE_THE_KILLED)?;
                one.takeovers.push(takeover);
            }
        }
    }
    table::print(&CROWDS, &measured);
    println!(
        "\nLoad average of the last minute: {load} at the start, {} at the end.",
        self::load()?
    );
    Ok(())
}

fn stampedes(
    server: &RedisServer,
    crowd: &Crowd,
    number: usize,
    measured: &mut [Measured],
) -> Result<()> {
    for round in 0..crowd.rounds + crowd.counted {
        for one in &mut *measured {
            if one.peer.part == Part::Takeover {
                continue;
            }
            eprintln!(
                "{} processes, {:?}, round {round}: {}",
                crowd.processes, crowd.fill, one.peer.name
            );
            let so_far = &mut one.crowds[number];
            if round < crowd.rounds {
                let stampede = round::stampede(server, one.peer, crowd.processes, crowd.fill)?;
                so_far.rounds.push(stampede);
            } else {
                let wire = round::counted(server, one.peer, crowd.processes, crowd.fill)?;
                so_far.wires.push(wire);
            }
        }
    }
    Ok(())
}

/// The load average of the last minute.
fn load() -> Result<String> {
    let loads = std::fs::read_to_string("/proc/loadavg")?;
    Ok(loads.split(' ').next().unwrap_or_default().to_owned())
}
