//! What clients sent to a server.
//!
//! `INFO commandstats` counts every command the server executes: those that clients sent and those that
//! scripts called. The latter cross no wire, and `MONITOR` tells them apart. What the server did not
//! know at all, such as a `CLIENT` subcommand of a later version, is in no statistics but those of errors.
//!
//! Only a command that the server rejects when a script calls it is not told apart; no peer has any.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use oneflight_test_servers::RedisServer;
use redis::Connection;

use crate::Result;

/// The name under which commands are counted that the server did not know.
const UNKNOWN: &str = "unknown";

/// The commands that clients sent, counted by name, such as `client|setinfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wire {
    commands: BTreeMap<String, u64>,
    /// How many connections were opened.
    pub(crate) connections: u64,
}

impl Wire {
    /// All of them.
    pub(crate) fn total(&self) -> u64 {
        self.commands.values().sum()
    }

    /// Those that set up connections: greeting, credentials, database, names.
    pub(crate) fn set_up(&self) -> u64 {
        let set_up = |name: &str| {
            matches!(name, "hello" | "auth" | "select" | UNKNOWN) || name.starts_with("client|")
        };
        let counts = self.commands.iter();
        counts
            .filter(|(name, _)| set_up(name))
            .map(|(_, count)| count)
            .sum()
    }

    /// In words, the most frequent first.
    pub(crate) fn words(&self) -> String {
        let mut commands: Vec<_> = self.commands.iter().collect();
        commands.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let words = commands
            .iter()
            .map(|(name, count)| format!("{count} {}", name.to_uppercase().replace('|', " ")));
        let words: Vec<String> = words.collect();
        words.join(", ")
    }
}

/// Counts what clients send between its start and [`Counter::stop`].
///
/// The server tells it of every command meanwhile, which costs the server a few microseconds each:
/// no times are taken beside it.
pub(crate) struct Counter {
    control: Connection,
    monitor: BufReader<TcpStream>,
    connections: u64,
}

/// What this counter itself sends while it counts, as the monitor shows it.
const LAST: &str = "the counter stops";

impl Counter {
    /// Starts to count.
    pub(crate) fn start(server: &RedisServer) -> Result<Self> {
        let mut control = redis::Client::open(server.url())?.get_connection()?;
        let mut monitor = BufReader::new(TcpStream::connect(server.address())?);
        monitor.get_mut().write_all(b"MONITOR\r\n")?;
        let mut answer = String::new();
        monitor.read_line(&mut answer)?;
        if answer != "+OK\r\n" {
            return Err(format!("MONITOR: {answer:?}").into());
        }
        redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut control)?;
        let connections = number(&info(&mut control, "stats")?, "total_connections_received:")?;
        Ok(Self {
            control,
            monitor,
            connections,
        })
    }

    /// What has been sent since.
    pub(crate) fn stop(mut self) -> Result<Wire> {
        let executed = info(&mut self.control, "commandstats")?;
        let stats = info(&mut self.control, "stats")?;
        redis::cmd("ECHO").arg(LAST).exec(&mut self.control)?;
        let mut commands = BTreeMap::new();
        let mut blamed = 0;
        for line in executed.lines() {
            let Some((name, fields)) = line
                .strip_prefix("cmdstat_")
                .and_then(|line| line.split_once(':'))
            else {
                continue;
            };
            let rejected = number(fields, "rejected_calls=")?;
            blamed += rejected + number(fields, "failed_calls=")?;
            // What was rejected, for want of a permission for example, was sent but not called.
            *commands.entry(name.to_owned()).or_default() += number(fields, "calls=")? + rejected;
        }
        let errors = number(&stats, "total_error_replies:")?;
        commands.insert(UNKNOWN.to_owned(), errors.saturating_sub(blamed));
        // These two are this counter's own; INFO counts itself when it has answered.
        take(&mut commands, "config|resetstat", 1);
        take(&mut commands, "info", 1);
        self.take_scripted(&mut commands)?;
        commands.retain(|_, count| *count > 0);
        Ok(Wire {
            commands,
            connections: number(&stats, "total_connections_received:")? - self.connections,
        })
    }

    /// Takes off what the monitor says was called by scripts.
    fn take_scripted(&mut self, commands: &mut BTreeMap<String, u64>) -> Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.monitor.read_line(&mut line)? == 0 {
                return Err("the server no longer tells what it does".into());
            }
            if line.contains(LAST) {
                return Ok(());
            }
            // +1700000000.123456 [0 lua] "get" "key"
            let mut parts = line.splitn(5, [' ', '"']);
            if let (Some("lua]"), Some(""), Some(rest)) = (parts.nth(2), parts.next(), parts.next())
            {
                let name = rest.split('"').next().unwrap_or_default();
                take(commands, &name.to_lowercase(), 1);
            }
        }
    }
}

fn take(commands: &mut BTreeMap<String, u64>, name: &str, count: u64) {
    if let Some(counted) = commands.get_mut(name) {
        *counted = counted.saturating_sub(count);
    }
}

fn info(control: &mut Connection, section: &str) -> Result<String> {
    Ok(redis::cmd("INFO").arg(section).query(control)?)
}

/// The number behind `name`, at the start of a line or of a field.
fn number(text: &str, name: &str) -> Result<u64> {
    let mut fields = text.split([',', '\r', '\n']);
    let found = fields.find_map(|field| field.strip_prefix(name));
    Ok(found.ok_or_else(|| format!("no {name}"))?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(act: impl FnOnce(&mut Connection)) -> Wire {
        let server = RedisServer::new();
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let counter = Counter::start(&server).unwrap();
        act(&mut connection);
        counter.stop().unwrap()
    }

    fn wire(commands: &[(&str, u64)]) -> Wire {
        let commands = commands.iter();
        Wire {
            commands: commands
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
            connections: 0,
        }
    }

    fn send(connection: &mut Connection, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query(connection)
    }

    #[test]
    fn what_a_script_calls_crosses_no_wire() {
        let script =
            "for i = 1, 5 do redis.call('SET', KEYS[1], i) end return redis.call('get', KEYS[1])";
        let counted = counted(|connection| {
            send(connection, &["EVAL", script, "1", "key"]).unwrap();
            send(connection, &["SET", "key", "[0 lua] \"get\""]).unwrap();
            send(connection, &["GET", "key"]).unwrap();
        });
        assert_eq!(counted, wire(&[("eval", 1), ("set", 1), ("get", 1)]));
    }

    #[test]
    fn what_fails_was_sent_all_the_same() {
        let counted = counted(|connection| {
            send(connection, &["CLIENT", "NOSUCHTHING"]).unwrap_err();
            send(connection, &["NOSUCHTHING"]).unwrap_err();
            send(connection, &["EVALSHA", "0000", "0"]).unwrap_err();
            // Too few words: rejected before it is called.
            send(connection, &["GET"]).unwrap_err();
            // Fails as a whole.
            send(connection, &["EVAL", "return redis.error_reply('no')", "0"]).unwrap_err();
            send(connection, &["INFO"]).unwrap();
        });
        let expected = [
            ("unknown", 2),
            ("evalsha", 1),
            ("get", 1),
            ("eval", 1),
            ("info", 1),
        ];
        assert_eq!(counted, wire(&expected));
    }

    #[test]
    fn setting_up_a_connection_is_counted_apart() {
        let counted = wire(&[
            ("hello", 1),
            ("client|setname", 2),
            ("get", 3),
            ("unknown", 4),
        ]);
        assert_eq!((counted.total(), counted.set_up()), (10, 7));
        assert_eq!(
            counted.words(),
            "4 UNKNOWN, 3 GET, 2 CLIENT SETNAME, 1 HELLO"
        );
    }
}
