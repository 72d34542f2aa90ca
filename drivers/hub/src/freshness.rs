//! Whether a value satisfies a caller.

/// A caller's own idea of a fresh value.
pub trait Freshness<V> {
    /// Whether this value will do.
    fn is_fresh(&self, value: &V) -> bool;

    /// Whether any value will do, so that none needs to be looked at. Default: no.
    fn takes_any(&self) -> bool {
        false
    }
}

/// Every published value is fresh.
#[derive(Clone, Copy, Debug, Default)]
pub struct Always;

impl<V> Freshness<V> for Always {
    fn is_fresh(&self, _value: &V) -> bool {
        true
    }

    fn takes_any(&self) -> bool {
        true
    }
}

/// A value is fresh when the predicate says so.
#[derive(Clone, Copy, Debug)]
pub struct When<P>(pub(crate) P);

impl<V, P: Fn(&V) -> bool> Freshness<V> for When<P> {
    fn is_fresh(&self, value: &V) -> bool {
        (self.0)(value)
    }
}
