//! The scripts: each call of the contract is one of them.

use std::sync::LazyLock;

use redis::{Cmd, Script};

/// A script, and the digest by which a server that has seen it knows it.
pub(crate) struct Loaded(LazyLock<(String, String)>);

macro_rules! scripts {
    ($($name:ident)*) => { $(
        #[expect(non_upper_case_globals, reason = "named after their files")]
        pub(crate) static $name: Loaded = Loaded(LazyLock::new(|| {
            let text = concat!(
                include_str!("scripts/common.lua"),
                include_str!(concat!("scripts/", stringify!($name), ".lua")),
            );
            (text.to_owned(), Script::new(text).get_hash().to_owned())
        }));
    )* };
}

scripts! { claim renew publish release put read look forget describe }

impl Loaded {
    fn command(&self, how: &str, body: &str, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
        let mut command = redis::cmd(how);
        command.arg(body).arg(keys.len()).arg(keys).arg(arguments);
        command
    }

    /// Runs it, if the server knows it.
    pub(crate) fn by_digest(&self, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
        self.command("EVALSHA", &self.0.1, keys, arguments)
    }

    /// Runs it, and has the server know it from then on.
    pub(crate) fn in_full(&self, keys: &[String], arguments: &[Vec<u8>]) -> Cmd {
        self.command("EVAL", &self.0.0, keys, arguments)
    }
}
