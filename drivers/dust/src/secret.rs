//! What is never shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use oneflight_store::StoreError;

/// The token that opens the store. It is in nothing that can be printed.
#[derive(Clone)]
pub(crate) struct Secret(Arc<str>);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// What the environment says.
    pub(crate) fn from_env() -> Result<Self, StoreError> {
        match std::env::var("ONEFLIGHT_DUST_TOKEN") {
            Ok(text) if !text.trim().is_empty() => Ok(Self::new(&text)),
            _ => Err(StoreError::refused(
                "there is no token for the Dust store: put it into ONEFLIGHT_DUST_TOKEN, or into a \
                 file that the store's URL names (token-file=PATH)",
            )),
        }
    }

    /// Reads it from a file, which holds nothing else.
    pub(crate) fn read(path: &Path) -> Result<Self, StoreError> {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim().is_empty() => {
                let path = path.display();
                Err(StoreError::refused(format_args!(
                    "the token's file {path} is empty"
                )))
            }
            Ok(text) => Ok(Self::new(&text)),
            Err(error) => {
                let path = path.display();
                Err(StoreError::refused(format_args!(
                    "the token's file {path} cannot be read: {error}"
                )))
            }
        }
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
