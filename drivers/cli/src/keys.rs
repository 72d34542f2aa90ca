//! `oneflight get` and `oneflight forget`.

use std::convert::Infallible;

use oneflight_store::StoreError;
use oneflight_tokio::{Error, SingleFlight};

use crate::args::{ForgetArgs, GetArgs, RecordArgs};
use crate::exit::{Code, Failure};
use crate::human::Shown;
use crate::output::Output;
use crate::print::print;
use crate::recording;
use crate::store_url::StoreUrl;

pub(crate) async fn get(args: &GetArgs, url: &StoreUrl) -> Result<(), Failure> {
    let flights = open(url, &args.record)?;
    let key = Shown(&args.key);
    let found: Result<_, Error<Output, Infallible>> = flights.key(&args.key).get().await;
    match found {
        Ok(Some(landing)) => print(landing.value.as_bytes()),
        Ok(None) => Err(Failure::silent(Code::ABSENT)),
        Err(Error::Unavailable(error) | Error::Refused(error)) => Err(told(&args.key, &error)),
        Err(Error::Malformed { reason, .. }) => Err(Failure::own(format!(
            "{key}: the stored value cannot be read: {reason}; what oneflight wrote is removed with: oneflight forget"
        ))),
        Err(error) => Err(Failure::own(format!("{key}: {error}"))),
    }
}

pub(crate) async fn forget(args: &ForgetArgs, url: &StoreUrl) -> Result<(), Failure> {
    let flights = open(url, &args.record)?;
    let mut call = flights.key(&args.key);
    if let Some(lock) = &args.lock_key {
        call = call.lock_key(lock);
    }
    match call.forget().await {
        Ok(_) => Ok(()),
        Err(error) => Err(told(&args.key, &error)),
    }
}

fn open(url: &StoreUrl, record: &RecordArgs) -> Result<SingleFlight, Failure> {
    let recorder = recording::open(record)?;
    let store = url.open()?.map_err(|error| no_store(&error))?;
    Ok(recording::flights(store, recorder))
}

/// What to tell when there is no store to ask.
pub(crate) fn no_store(error: &StoreError) -> Failure {
    Failure::new(error.into(), error.to_string())
}

fn told(key: &str, error: &StoreError) -> Failure {
    Failure::new(error.into(), format!("{}: {error}", Shown(key)))
}
