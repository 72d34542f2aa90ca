//! The threads: one hears what is pushed, one looks at what is watched.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use oneflight_store::StoreError;
use redis::{Connection, PushInfo, RedisError, Value};

use super::desk::Desk;
use crate::call;
use crate::fault;
use crate::message::Push;
use crate::times::{FIRST_DELAY, LAST_DELAY, QUIET, RESPONSE_TIMEOUT};

/// How long a read lasts at most: so long after the store the thread may end.
const SLICE: Duration = Duration::from_millis(200);

/// Starts both. They end when the bell says that all is over.
pub(crate) fn start(desk: &Arc<Desk>) -> io::Result<()> {
    let ear = Arc::clone(desk);
    thread::Builder::new()
        .name("oneflight-redis".to_owned())
        .spawn(move || hear(&ear))?;
    let eye = Arc::clone(desk);
    thread::Builder::new()
        .name("oneflight-look".to_owned())
        .spawn(move || look(&eye))?;
    Ok(())
}

fn look(desk: &Desk) {
    while !desk.bell.is_over() {
        desk.bell.wait(LAST_DELAY);
        desk.hub.leave_idle(Instant::now(), drop);
        for pair in desk.hub.take_looks() {
            if desk.bell.is_over() {
                return;
            }
            let (key, lock) = &pair;
            let ticket = desk.hub.ticket(key, lock);
            match desk.ask(&call::look(key, lock)) {
                Ok((key, lock)) => desk.hub.learn(ticket, Some(key), &lock),
                Err(error) => desk.hub.look_failed(pair, &error),
            }
        }
    }
}

fn hear(desk: &Desk) {
    let mut delay = FIRST_DELAY;
    let mut lost = Instant::now();
    while !desk.bell.is_over() {
        if desk.hub.has_subscribers() {
            let number = desk.hub.next_connection();
            let since = Instant::now();
            let error = match connect(desk) {
                Ok(mut connection) => {
                    desk.hub.connected(number);
                    let error = read(desk, number, &mut connection);
                    desk.forget_idle();
                    lost = Instant::now();
                    fault::of_connection(&desk.place, &error)
                }
                Err(error) => error,
            };
            desk.hub.disconnected(number, &error);
            let refused = matches!(error, StoreError::Refused(_));
            if refused {
                desk.hub.ended(&error);
            } else {
                desk.hub.out_of_reach(lost.elapsed(), &error);
            }
            if since.elapsed() > LAST_DELAY {
                delay = FIRST_DELAY;
            }
        }
        thread::sleep(delay);
        delay = (delay * 2).min(LAST_DELAY);
    }
    let over = StoreError::unavailable(format_args!("{}: the store is closed", desk.place));
    desk.hub.ended(&over);
}

/// Connects, and subscribes to everything: at last to the changes, so that who hears of those hears of
/// all.
fn connect(desk: &Desk) -> Result<Connection, StoreError> {
    // Its reads wait for long until it is known whether all is permitted: after a read that has timed out,
    // the client takes the next error for the answer that was missed, and drops it.
    let mut connection = desk.connect()?;
    let channels = &desk.hub.channels;
    let words = [channels.patterns().to_vec(), vec![channels.changes.clone()]];
    let mut subscribe = Vec::new();
    for (name, words) in ["PSUBSCRIBE", "SUBSCRIBE"].into_iter().zip(words) {
        subscribe.extend(redis::cmd(name).arg(words).get_packed_command());
    }
    let sent = connection.send_packed_command(&subscribe);
    sent.map_err(|error| fault::of_connection(&desk.place, &error))?;
    Ok(connection)
}

/// Hears, until the connection is lost.
fn read(desk: &Desk, number: u64, connection: &mut Connection) -> RedisError {
    let mut last = Instant::now();
    let mut asked = true;
    loop {
        if desk.bell.is_over() {
            return io::Error::other("the store is closed").into();
        }
        match connection.recv_response() {
            Ok(Value::Push { kind, data }) => {
                last = Instant::now();
                asked = false;
                let push = Push::of(PushInfo { kind, data });
                if let Some(Push::Stands(name)) = &push
                    && *name == desk.hub.channels.changes
                    && let Err(error) = connection.set_read_timeout(Some(SLICE))
                {
                    return error;
                }
                match push {
                    Some(Push::Lost) | None => {}
                    Some(push) => desk.hub.pushed(number, push),
                }
            }
            Ok(Value::ServerError(error)) => {
                let error = error.into();
                let refusal = fault::of_connection(&desk.place, &error);
                if matches!(refusal, StoreError::Unavailable(_)) {
                    // It will be otherwise soon: the next connection asks again.
                    return error;
                }
                // Calls may be permitted all the same.
                desk.hub.refused_all(number, &refusal);
                if let Err(error) = connection.set_read_timeout(Some(SLICE)) {
                    return error;
                }
                last = Instant::now();
                asked = false;
            }
            Ok(_) => {}
            Err(error) if error.is_timeout() => {
                let quiet = last.elapsed();
                if asked && quiet > RESPONSE_TIMEOUT {
                    return error;
                }
                if !asked && quiet > QUIET {
                    // The confirmation is a push, as all that is read here.
                    let pulse = redis::cmd("SUBSCRIBE")
                        .arg(&desk.hub.channels.pulse)
                        .get_packed_command();
                    if let Err(error) = connection.send_packed_command(&pulse) {
                        return error;
                    }
                    last = Instant::now();
                    asked = true;
                }
            }
            Err(error) => return error,
        }
    }
}
