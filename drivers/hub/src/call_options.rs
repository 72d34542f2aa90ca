//! The options of a call, written once for all drivers.

/// The options of a call, for the `impl<'a, P> Call<'a, P>` of a driver whose `Call` is a tuple struct
/// around [`Call`](crate::Call).
#[macro_export]
macro_rules! call_options {
    () => {
        /// How long the lease lives unless renewed: the time after which a dead holder is replaced.
        /// Default 30 s, at least 1 ms. It is renewed at a third of this for as long as the fill takes.
        pub fn lease_ttl(mut self, ttl: ::std::time::Duration) -> Self {
            self.0.options.lease_ttl = Some(ttl);
            self
        }

        /// How long to wait for somebody else's fill. Default `lease_ttl` + 5 s. Zero asks once and never
        /// waits. The call's own fill may take longer.
        pub fn wait_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.0.options.wait_timeout = Some(timeout);
            self
        }

        /// How long the store may take to answer before it counts as unreachable. Default 5 s. An answer that
        /// takes more than a minute is not waited for in any case.
        pub fn store_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.0.options.store_timeout = Some(timeout);
            self
        }

        /// How long the call's own fill may hold the lease. After that the fill is warned
        /// (see [`Lease`]) and the lease lapses, so that another can take over. Default: no limit.
        pub fn fill_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.0.options.fill_timeout = Some(timeout);
            self
        }

        /// Accept a value that was published no longer than this before the call began, by the store's
        /// clock. Default: however old. Zero shares only fills that end while the call waits.
        pub fn fresh_for(mut self, age: ::std::time::Duration) -> Self {
            self.0.options.max_age = Some(age);
            self
        }

        /// Accept a value if the predicate says so; together with [`Call::fresh_for`] if both do.
        ///
        /// A value whose fill began after this call did is accepted whatever the predicate says: filling
        /// again would give nothing fresher. The predicate runs where the caller does.
        pub fn fresh<V, Q: Fn(&V) -> bool>(self, predicate: Q) -> Call<'a, $crate::When<Q>> {
            Call(self.0.fresh(predicate))
        }

        /// Serve this process's copy of a value for no longer than this without asking the store.
        /// Default: for as long as the store tells of no change.
        pub fn local_max_age(mut self, age: ::std::time::Duration) -> Self {
            self.0.options.local_max_age = Some(age);
            self
        }

        /// How long the store keeps the published value. Default: for good.
        pub fn retain(mut self, retain: ::std::time::Duration) -> Self {
            self.0.options.retain = Some(retain);
            self
        }

        /// The lock key. Default `_dust:sf/` and the key. All callers of a key must name the same: two locks
        /// do not exclude one another.
        pub fn lock_key(mut self, lock: &str) -> Self {
            self.0.options.lock = Some(lock.into());
            self
        }

        /// What to do when the store cannot be reached. Default: run the fill without it.
        pub fn on_unavailable(mut self, choice: $crate::OnUnavailable) -> Self {
            self.0.options.on_unavailable = choice;
            self
        }

        /// What to do when the fill was overtaken. Default: ride the newer value.
        pub fn on_fenced(mut self, choice: $crate::OnFenced) -> Self {
            self.0.options.on_fenced = choice;
            self
        }

        /// What to do when the fill of another caller in this process fails. Default: share its error.
        pub fn on_abort(mut self, choice: $crate::OnAbort) -> Self {
            self.0.options.on_abort = choice;
            self
        }

        /// Treat a value that does not decode as absent, and fill again. Default: an error.
        pub fn malformed_as_absent(mut self) -> Self {
            self.0.options.malformed_is_absent = true;
            self
        }
    };
}
