//! No peer but the floor: the first process fills and publishes, all others have subscribed.

use std::mem::ManuallyDrop;

use crate::Result;
use crate::clock::now;
use crate::participant;

/// One participant; the one with the number 0 fills.
pub(crate) fn run(url: &str, number: usize) -> Result<()> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    let task = participant::start()?;
    if number == 0 {
        let value = task.fill.run_blocking();
        let told = redis::cmd("PUBLISH")
            .arg(&task.key)
            .arg(&value)
            .query::<usize>(&mut connection);
        return task.fill.report(now(), told.map(|_| value));
    }
    // To unsubscribe in the end is of no use to anybody.
    let mut subscription = ManuallyDrop::new(connection.as_pubsub());
    subscription.subscribe(&task.key)?;
    let value = subscription.get_message().and_then(|message| {
        let value: String = message.get_payload()?;
        Ok(value)
    });
    task.fill.report(now(), value)
}
