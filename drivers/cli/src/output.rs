//! What a command printed, and how it is written as JSON.
//!
//! Programs share keys with services, so the value of a key is always JSON: text is a JSON string,
//! other bytes are `{"base64":"…"}`. Whatever else a service has published is handed out as its
//! compact JSON text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The standard output of a command, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output(Vec<u8>);

impl Output {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Output {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Bytes that are not text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Binary {
    base64: String,
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Binary {
                base64: BASE64.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

/// Reads from JSON only: the text of the value is needed, not its meaning, because numbers and the
/// order of fields would not survive a detour.
impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let json = raw.get();
        if json.starts_with('"') {
            let text: String = serde_json::from_str(json).map_err(D::Error::custom)?;
            return Ok(Self(text.into_bytes()));
        }
        if let Some(bytes) = binary(json) {
            return Ok(Self(bytes));
        }
        Ok(Self(compact(json).into_bytes()))
    }
}

/// The bytes, if this is how bytes are written.
fn binary(json: &str) -> Option<Vec<u8>> {
    let binary: Binary = json
        .starts_with('{')
        .then(|| serde_json::from_str(json).ok())??;
    BASE64.decode(binary.base64).ok()
}

/// Valid JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    json.chars()
        .filter(|&c| {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
                return true;
            }
            in_string = c == '"';
            !c.is_ascii_whitespace()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> String {
        serde_json::to_string(&Output::from(bytes.to_vec())).unwrap()
    }

    fn read(json: &str) -> Vec<u8> {
        serde_json::from_str::<Output>(json).unwrap().0
    }

    #[test]
    fn text_is_a_json_string() {
        assert_eq!(written(b"line\n"), r#""line\n""#);
        assert_eq!(written(b""), r#""""#);
        assert_eq!(written("Größe".as_bytes()), "\"Größe\"");
    }

    #[test]
    fn other_bytes_are_base64() {
        assert_eq!(written(b"\xff\x00"), r#"{"base64":"/wA="}"#);
    }

    #[test]
    fn every_output_comes_back_byte_for_byte() {
        let all: Vec<u8> = (0..=255).collect();
        let looks_like_ours = br#"{"base64":"/wA="}"#;
        let outputs: [&[u8]; 6] = [b"", b"\0", b"\"\\\n", b"\xff", &all, looks_like_ours];
        for output in outputs {
            assert_eq!(read(&written(output)), output);
        }
    }

    #[test]
    fn what_a_service_published_is_its_compact_json() {
        assert_eq!(read("null"), b"null");
        assert_eq!(
            read(" 12345678901234567890.10 "),
            b"12345678901234567890.10"
        );
        assert_eq!(
            read("{ \"b\" : [ 1, 2 ],\n \"a\" : \"x \\\" y \\\\\" , \"c\":\" \" }"),
            br#"{"b":[1,2],"a":"x \" y \\","c":" "}"#
        );
    }

    #[test]
    fn only_the_exact_form_is_base64() {
        for json in [
            r#"{"base64":"not base64!"}"#,
            r#"{"base64":"/wA=","more":1}"#,
            r#"{"base64":7}"#,
            r#"[{"base64":"/wA="}]"#,
        ] {
            assert_eq!(read(json), json.as_bytes());
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        assert!(serde_json::from_str::<Output>("{").is_err());
        assert!(serde_json::from_str::<Output>(r#""\ud800""#).is_err());
    }
}
