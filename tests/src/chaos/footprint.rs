//! What a fleet takes up.

use crate::ground::Redis;
use crate::participant::Participant;
use crate::program::status;
use crate::squad::Squad;

/// What a fleet takes up while it rests.
#[derive(Clone, Debug)]
pub struct Footprint {
    /// The connections at the server.
    pub connections: usize,
    /// The resident memory, in KiB, the threads and the open files of the first two processes.
    pub veterans: Vec<[u64; 3]>,
}

impl Footprint {
    pub(super) fn of(squad: &Squad<Redis>) -> Self {
        Self {
            connections: squad.place.ground.server.clients().len(),
            veterans: squad[..2].iter().map(of_process).collect(),
        }
    }
}

fn of_process(process: &Participant) -> [u64; 3] {
    let number = |field| {
        let value = status(process.pid(), field).unwrap();
        let number = value.split(' ').next().unwrap();
        number.parse().unwrap()
    };
    let files = std::fs::read_dir(format!("/proc/{}/fd", process.pid())).unwrap();
    [number("VmRSS"), number("Threads"), files.count() as u64]
}
