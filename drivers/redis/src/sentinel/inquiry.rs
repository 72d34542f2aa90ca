//! One round of questions, whoever asks them: which server is the primary, and whether that one says so too.

use std::time::{Duration, Instant};

use oneflight_store::StoreError;
use redis::{Client, Cmd, RedisError, Value};

use super::Sentinels;
#[cfg(feature = "blocking")]
use crate::blocking::Wire;
use crate::fault::{self, Sentinel};
use crate::times::CONNECT_TIMEOUT;

/// What a round of questions has come to.
pub(super) struct Inquiry<'a> {
    sentinels: &'a Sentinels,
    since: Instant,
    /// The number of the sentinel that is asked first.
    first: usize,
    /// How many have been asked.
    asked: usize,
    /// Who is said to be the primary, and is to be asked.
    candidate: Option<Candidate>,
    /// Where the candidates were.
    tried: Vec<(String, u16)>,
    primary: Option<Client>,
    /// Why a candidate is none.
    no_primary: Option<String>,
    refusal: Option<StoreError>,
    /// A sentinel knows no primary of this name.
    is_unknown: bool,
    /// Why others have not answered.
    silent: Vec<String>,
}

struct Candidate {
    client: Client,
    address: String,
}

/// What is to be done next.
pub(super) enum Step {
    Ask(Question),
    Done(Result<Client, StoreError>),
}

/// To be asked over a connection of its own.
pub(super) struct Question {
    client: Client,
    command: Cmd,
    /// How long all of it may take.
    time: Duration,
}

impl<'a> Inquiry<'a> {
    pub(super) fn new(sentinels: &'a Sentinels) -> Self {
        Self {
            sentinels,
            since: Instant::now(),
            first: sentinels.first(),
            asked: 0,
            candidate: None,
            tried: Vec::new(),
            primary: None,
            no_primary: None,
            refusal: None,
            is_unknown: false,
            silent: Vec::new(),
        }
    }

    /// The number of the sentinel that is asked after so many others.
    fn number(&self, asked: usize) -> usize {
        (self.first + asked) % self.sentinels.clients.len().max(1)
    }

    /// What is left, shared among those that are still to be asked: a silent one is not to take it all.
    fn time(&self, others: usize) -> Duration {
        let left = CONNECT_TIMEOUT.saturating_sub(self.since.elapsed());
        let shares = u32::try_from(others + 1).unwrap_or(u32::MAX);
        (left / shares).max(Duration::from_millis(1))
    }

    pub(super) fn step(&mut self) -> Step {
        if let Some(primary) = self.primary.take() {
            return Step::Done(Ok(primary));
        }
        let left = self.sentinels.clients.len().saturating_sub(self.asked);
        if let Some(candidate) = &self.candidate {
            return Step::Ask(Question {
                client: candidate.client.clone(),
                command: redis::cmd("ROLE"),
                time: self.time(left),
            });
        }
        match self.sentinels.clients.get(self.number(self.asked)) {
            Some(client) if left > 0 => {
                self.asked += 1;
                let mut command = redis::cmd("SENTINEL");
                command
                    .arg("GET-MASTER-ADDR-BY-NAME")
                    .arg(&self.sentinels.service);
                Step::Ask(Question {
                    client: client.clone(),
                    command,
                    time: self.time(left - 1),
                })
            }
            Some(_) | None => Step::Done(Err(self.error())),
        }
    }

    /// What the question of the last step was answered.
    pub(super) fn hear(&mut self, answer: Result<Value, RedisError>) {
        match self.candidate.take() {
            Some(candidate) => self.hear_candidate(candidate, answer),
            None => self.hear_sentinel(answer),
        }
    }

    fn hear_sentinel(&mut self, answer: Result<Value, RedisError>) {
        let number = self.number(self.asked.saturating_sub(1));
        let Some(client) = self.sentinels.clients.get(number) else {
            return;
        };
        let at = client.get_connection_info().addr();
        let place = &self.sentinels.place;
        let answer = answer.and_then(|value| Ok(redis::from_redis_value(value)?));
        let named: Option<(String, u16)> = match answer {
            Ok(named) => named,
            Err(error) => {
                match fault::of_sentinel(place, at, &error) {
                    Sentinel::Refuses(error) => self.refusal = Some(error),
                    Sentinel::Silent(why) => self.silent.push(why),
                }
                return;
            }
        };
        let Some((host, port)) = named else {
            self.is_unknown = true;
            return;
        };
        let named = (host.clone(), port);
        if self.tried.contains(&named) {
            return;
        }
        self.tried.push(named);
        let address = format!("{host}:{port}");
        match self.sentinels.at(host, port) {
            Ok(client) => self.candidate = Some(Candidate { client, address }),
            Err(error) => self.no_primary = Some(format!("{address}: {error}")),
        }
    }

    /// A sentinel that was cut off may name a server that is none, or no primary any more.
    fn hear_candidate(&mut self, candidate: Candidate, answer: Result<Value, RedisError>) {
        let Candidate { client, address } = candidate;
        let no_primary = match answer {
            Ok(Value::Array(role)) if !is_primary(&role) => "it is a replica".to_owned(),
            Err(error) if !fault::has_answered(&error) => error.to_string(),
            // What else is wrong, the connection to come will tell.
            Ok(_) | Err(_) => {
                self.sentinels
                    .ask_first(self.number(self.asked.saturating_sub(1)));
                self.primary = Some(client);
                return;
            }
        };
        self.no_primary = Some(format!("{address}: {no_primary}"));
    }

    /// Refused only if all of them have answered: who is silent may know better.
    fn error(&mut self) -> StoreError {
        let place = &self.sentinels.place;
        if let Some(why) = self.no_primary.take() {
            return StoreError::unavailable(format_args!(
                "{place}: which it is by their word is none now ({why})"
            ));
        }
        let unknown = || {
            StoreError::refused(format_args!(
                "{place}: they know no primary of this name; sentinelServiceName is to be the one that \
                 stands in their \"sentinel monitor\""
            ))
        };
        let refusal = self.refusal.take();
        let refusal = refusal.or_else(|| self.is_unknown.then(unknown));
        let silent = self.silent.join("; ");
        match refusal {
            Some(refusal) if silent.is_empty() => refusal,
            Some(StoreError::Refused(why)) => {
                StoreError::unavailable(format_args!("{why}; others do not answer ({silent})"))
            }
            Some(other) => other,
            None => {
                StoreError::unavailable(format_args!("{place}: no sentinel answers ({silent})"))
            }
        }
    }
}

fn is_primary(role: &[Value]) -> bool {
    matches!(role.first(), Some(Value::BulkString(role)) if role == b"master")
}

impl Question {
    #[cfg(feature = "tokio")]
    pub(super) async fn ask(self) -> Result<Value, RedisError> {
        let exchange = async {
            let config = redis::AsyncConnectionConfig::new()
                .set_connection_timeout(None)
                .set_response_timeout(None);
            let mut connection = self
                .client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            let answer = connection.send_packed_command(&self.command).await;
            answer.and_then(Value::extract_error)
        };
        let answer = tokio::time::timeout(self.time, exchange).await;
        answer.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    #[cfg(feature = "blocking")]
    pub(super) fn ask_blocking(self) -> Result<Value, RedisError> {
        let until = Instant::now() + self.time;
        Wire::ask_once(self.client.get_connection_info(), self.command, until)
    }
}
