//! A server dies with the process that started it, even if that is killed with all of its group.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use oneflight_test_servers::RedisServer;
use oneflight_test_servers::time::until;
use rustix::process::{Pid, Signal, kill_process_group};

/// Set in the process that is killed.
const VICTIM: &str = "ONEFLIGHT_TEST_VICTIM";

#[test]
fn a_server_dies_with_its_process() {
    if std::env::var_os(VICTIM).is_some() {
        let server = RedisServer::new();
        let info: String = server.command(&["INFO", "server"]).unwrap();
        println!("{info}");
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .arg("--nocapture")
        .env(VICTIM, "")
        .process_group(0)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(victim.stdout.take().unwrap()).lines();
    let port = said.find_map(|line| line.unwrap().strip_prefix("tcp_port:")?.parse().ok());
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap()));
    TcpStream::connect(server).unwrap();
    kill_process_group(Pid::from_child(&victim), Signal::TERM).unwrap();
    victim.wait().unwrap();
    until("the server's death", || TcpStream::connect(server).err());
}
