//! Where one message of the Redis protocol ends and the next begins.

/// Bytes of one direction of a connection, taken apart. What is not the protocol is passed on as it is.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    buffer: Vec<u8>,
    is_foreign: bool,
}

/// A piece of a stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece {
    /// One whole message: a command, an answer or a push.
    Frame(Vec<u8>),
    /// Something else, as does everything after it.
    Foreign(Vec<u8>),
}

impl Splitter {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece, once all of it is there.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        if self.buffer.is_empty() {
            return None;
        }
        let end = if self.is_foreign {
            End::Foreign
        } else {
            walk(&self.buffer, |_, _| {})
        };
        match end {
            End::At(length) => Some(Piece::Frame(self.buffer.drain(..length).collect())),
            End::NotYet => None,
            End::Foreign => {
                self.is_foreign = true;
                Some(Piece::Foreign(std::mem::take(&mut self.buffer)))
            }
        }
    }
}

/// The strings of a message in their order: the words of a command, or of a push.
pub(crate) fn words(frame: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    walk(frame, |kind, word| {
        if matches!(kind, b'$' | b'+') {
            words.push(word);
        }
    });
    words
}

/// Where the first message of some bytes ends.
#[derive(Debug, PartialEq)]
enum End {
    At(usize),
    NotYet,
    Foreign,
}

/// Tells each part of the first message, with the byte that says what it is.
fn walk<'a>(bytes: &'a [u8], mut each: impl FnMut(u8, &'a [u8])) -> End {
    let mut at = 0;
    let mut parts_left: usize = 1;
    while parts_left > 0 {
        let Some(kind) = bytes.get(at) else {
            return End::NotYet;
        };
        if !b"+-:_,#($=!*~>%|".contains(kind) {
            return End::Foreign;
        }
        let rest = &bytes[at + 1..];
        let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else {
            return End::NotYet;
        };
        let head = &rest[..line];
        at += 1 + line + 2;
        parts_left -= 1;
        if b"+-:_,#(".contains(kind) {
            each(*kind, head);
            continue;
        }
        let number = std::str::from_utf8(head)
            .ok()
            .and_then(|it| it.parse::<i64>().ok());
        let Some(number) = number else {
            return End::Foreign;
        };
        // A negative number is the null of the older protocol.
        let Ok(number) = usize::try_from(number) else {
            continue;
        };
        match kind {
            b'$' | b'=' | b'!' => {
                let Some(body) = bytes.get(at..at + number) else {
                    return End::NotYet;
                };
                each(*kind, body);
                at += number + 2;
            }
            b'%' => parts_left += 2 * number,
            // Attributes stand before the value they belong to.
            b'|' => parts_left += 2 * number + 1,
            _ => parts_left += number,
        }
    }
    if at > bytes.len() {
        End::NotYet
    } else {
        End::At(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8], chunk: usize) -> Vec<Piece> {
        let mut splitter = Splitter::default();
        let mut pieces = Vec::new();
        for chunk in bytes.chunks(chunk) {
            splitter.feed(chunk);
            pieces.extend(std::iter::from_fn(|| splitter.next()));
        }
        pieces
    }

    #[test]
    fn messages_are_found_however_they_arrive() {
        let messages: [&[u8]; 11] = [
            b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n",
            b"+OK\r\n",
            b"-ERR no\r\n",
            b"$-1\r\n",
            b"$0\r\n\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n",
            b"%1\r\n+a\r\n*2\r\n:1\r\n_\r\n",
            b"|1\r\n+ttl\r\n:3\r\n~1\r\n#t\r\n",
            b"=7\r\ntxt:abc\r\n",
        ];
        let stream = messages.concat();
        for chunk in 1..=stream.len() {
            let pieces = split(&stream, chunk);
            let expected = messages.map(|message| Piece::Frame(message.to_vec()));
            assert_eq!(pieces, expected, "in chunks of {chunk}");
        }
    }

    #[test]
    fn what_is_foreign_passes_at_once() {
        let pieces = split(b"+OK\r\nGET / HTTP/1.1\r\n*1\r\n", 1000);
        let rest = b"GET / HTTP/1.1\r\n*1\r\n".to_vec();
        assert_eq!(
            pieces,
            [Piece::Frame(b"+OK\r\n".to_vec()), Piece::Foreign(rest)]
        );
        assert_eq!(split(b"*x\r\n", 1000), [Piece::Foreign(b"*x\r\n".to_vec())]);
    }

    #[test]
    fn the_words_of_a_command() {
        let command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n";
        assert_eq!(words(command), [&b"SET"[..], b"k", b"\r\n"]);
    }
}
