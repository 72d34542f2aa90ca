//! Hears what is told through `tracing`. The tests of all drivers use it.

#![allow(dead_code, reason = "each driver uses a part")]

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A span that has ended, or an event.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) name: String,
    pub(crate) target: String,
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<String, String>,
}

impl Told {
    fn new(metadata: &Metadata<'_>) -> Self {
        Self {
            name: metadata.name().to_owned(),
            target: metadata.target().to_owned(),
            level: *metadata.level(),
            fields: BTreeMap::new(),
        }
    }

    /// A field, which must be there.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let field = self.fields.get(name);
        field.unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }
}

impl Visit for Told {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.fields.insert(field.name().to_owned(), text);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = value.to_owned();
        self.fields.insert(field.name().to_owned(), text);
    }
}

/// Hears everything, for as long as it lives.
pub(crate) struct Ear {
    told: Arc<Mutex<Vec<Told>>>,
    _guard: Box<dyn Any>,
}

struct Hears(Arc<Mutex<Vec<Told>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Hears {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut told = Told::new(span.metadata());
        span.record(&mut told);
        context.span(id).unwrap().extensions_mut().insert(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut extensions = span.extensions_mut();
        values.record(extensions.get_mut::<Told>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut told = Told::new(event.metadata());
        event.record(&mut told);
        self.0.lock().unwrap().push(told);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let told = span.extensions_mut().remove::<Told>().unwrap();
        self.0.lock().unwrap().push(told);
    }
}

impl Ear {
    /// Of this thread.
    pub(crate) fn open() -> Self {
        let told = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Hears(Arc::clone(&told)));
        Self {
            told,
            _guard: Box::new(tracing::subscriber::set_default(subscriber)),
        }
    }

    /// Of all threads: one test at a time.
    pub(crate) fn open_wide() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        static TOLD: OnceLock<Arc<Mutex<Vec<Told>>>> = OnceLock::new();
        let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let told = TOLD.get_or_init(|| {
            let told = Arc::default();
            let subscriber = tracing_subscriber::registry().with(Hears(Arc::clone(&told)));
            tracing::subscriber::set_global_default(subscriber).unwrap();
            told
        });
        let ear = Self {
            told: Arc::clone(told),
            _guard: Box::new(guard),
        };
        drop(ear.all());
        ear
    }

    /// What was told by oneflight so far, which is then forgotten.
    pub(crate) fn all(&self) -> Vec<Told> {
        let mut told = std::mem::take(&mut *self.told.lock().unwrap());
        told.retain(|told| told.target.starts_with("oneflight::"));
        told
    }

    /// What was told so far under this name.
    pub(crate) fn named(&self, name: &str) -> Vec<Told> {
        let told = self.told.lock().unwrap();
        let named = told.iter().filter(|told| told.name == name);
        named.cloned().collect()
    }

    /// The one thing that was told under this name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Told {
        let mut named = self.named(name);
        let all = self.told.lock().unwrap();
        assert_eq!(named.len(), 1, "{name}: {all:?}");
        named.remove(0)
    }
}
