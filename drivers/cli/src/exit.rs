//! How the program ends when it has nothing to print.

use std::io;

use oneflight_store::StoreError;

/// What the program tells its caller in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(u8);

impl Code {
    /// `get` found nothing.
    pub(crate) const ABSENT: Self = Self(1);
    /// Bad arguments.
    pub(crate) const USAGE: Self = Self(2);
    /// Try again later: no store, or overtaken (`EX_TEMPFAIL`).
    pub(crate) const TRY_AGAIN: Self = Self(75);
    /// Time has run out.
    pub(crate) const TIMED_OUT: Self = Self(124);
    /// An error of the program's own.
    pub(crate) const OWN_ERROR: Self = Self(125);
    /// The command was found but cannot be executed.
    pub(crate) const NOT_EXECUTABLE: Self = Self(126);
    /// The command was not found.
    pub(crate) const NOT_FOUND: Self = Self(127);

    /// The command's own.
    pub(crate) const fn of_command(code: u8) -> Self {
        Self(code)
    }

    /// As a shell tells of a command that died by this signal.
    pub(crate) fn of_signal(number: i32) -> Self {
        Self(u8::try_from(number).map_or(u8::MAX, |number| number.saturating_add(128)))
    }
}

impl From<&StoreError> for Code {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::TRY_AGAIN,
            StoreError::Refused(_) | StoreError::Malformed { .. } | _ => Self::OWN_ERROR,
        }
    }
}

impl From<Code> for std::process::ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.0)
    }
}

/// Why there is nothing to print, for a person and for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// What to say; nothing where others have said it already.
    pub(crate) message: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: Some(message.into()),
        }
    }

    pub(crate) fn own(message: impl Into<String>) -> Self {
        Self::new(Code::OWN_ERROR, message)
    }

    pub(crate) const fn silent(code: Code) -> Self {
        Self {
            code,
            message: None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::own(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_as_shells_do() {
        assert_eq!(Code::of_signal(15), Code(143));
        assert_eq!(Code::of_signal(64), Code(192));
        assert_eq!(Code::of_signal(1000), Code(255));
    }
}
