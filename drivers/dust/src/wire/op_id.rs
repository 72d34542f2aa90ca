//! What a client calls its operations.

use std::fmt;

use oneflight_store::Token;

/// The `client_op_id` of one write of this process.
///
/// What a value is published with says more than who wrote it: the server tells everybody the
/// `client_op_id` of a write, but neither the token of its fence nor when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpId {
    /// Tells this process from all others, past and present.
    pub(crate) process: u64,
    pub(crate) number: u64,
    /// What a value is written with.
    pub(crate) stamp: Option<Stamp>,
}

/// What is known of a value beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The token it was published under; `None` if it was put unfenced.
    pub(crate) token: Option<Token>,
    /// When it was sent, in milliseconds since 1970 by the server's clock: not after it was written.
    pub(crate) sent: i64,
}

const SIGN: &str = "oneflight";

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SIGN}.{:016x}.{}", self.process, self.number)?;
        match self.stamp {
            Some(stamp) => {
                let token = stamp.token.map_or(0, Token::get);
                write!(f, ".{token}.{}", stamp.sent)
            }
            None => Ok(()),
        }
    }
}

impl OpId {
    /// Reads what was written here; `None` for what somebody else wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('.');
        if fields.next()? != SIGN {
            return None;
        }
        let process = u64::from_str_radix(fields.next()?, 16).ok()?;
        let number = fields.next()?.parse().ok()?;
        let stamp = match fields.next() {
            Some(token) => Some(Stamp {
                token: Token::new(token.parse().ok()?),
                sent: fields.next()?.parse().ok()?,
            }),
            None => None,
        };
        Some(Self {
            process,
            number,
            stamp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back() {
        let stamps = [
            None,
            Some((None, 0)),
            Some((Token::new(u64::MAX), 1_795_466_480_355)),
        ];
        for stamp in stamps {
            let id = OpId {
                process: 0xdead,
                number: 7,
                stamp: stamp.map(|(token, sent)| Stamp { token, sent }),
            };
            assert_eq!(OpId::parse(&id.to_string()), Some(id));
        }
    }

    #[test]
    fn what_others_write_is_no_id() {
        for text in [
            "",
            "op_yDc_ZwwLpm00VBjH",
            "oneflight",
            "oneflight.x.1",
            "oneflight.1.1.a.b",
        ] {
            assert_eq!(OpId::parse(text), None, "{text}");
        }
    }
}
