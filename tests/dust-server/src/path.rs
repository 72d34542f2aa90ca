//! Paths: segments with `/` between them, in which `~1` stands for `/` and `~0` for `~`.

use serde_json::Value;

/// A path as segments and as text, which say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// As they are meant.
    pub segments: Vec<String>,
    /// Escaped, and joined.
    pub text: String,
}

impl Path {
    /// The path of a write: its `path_segments`, else its `path`.
    pub(crate) fn of(write: &Value) -> Result<Self, &'static str> {
        let segments = match (&write["path_segments"], &write["path"]) {
            (Value::Array(segments), _) => {
                let strings = segments.iter().map(|segment| segment.as_str());
                let strings = strings.map(|segment| segment.map(str::to_owned));
                strings.collect::<Option<Vec<_>>>().ok_or("missing_path")?
            }
            (_, Value::String(text)) => text.split('/').map(unescape).collect(),
            _ => return Err("missing_path"),
        };
        if segments.is_empty() {
            return Err("missing_path");
        }
        if segments.iter().any(String::is_empty) {
            return Err("empty_segment");
        }
        let escaped: Vec<_> = segments.iter().map(|segment| escape(segment)).collect();
        Ok(Self {
            segments,
            text: escaped.join("/"),
        })
    }
}

/// A segment as it stands in the text of a path.
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn segments_win_over_the_text() {
        let path = Path::of(&json!({"path": "a/b", "path_segments": ["p/q", "~1"]})).unwrap();
        assert_eq!(path.text, "p~1q/~01");
        let again = Path::of(&json!({"path": path.text})).unwrap();
        assert_eq!(again, path);
    }

    #[test]
    fn what_is_no_path_says_why() {
        let cases = [
            (json!({}), "missing_path"),
            (json!({"path": 1}), "missing_path"),
            (json!({"path_segments": [], "path": "a"}), "missing_path"),
            (json!({"path_segments": ["a", 1]}), "missing_path"),
            (json!({"path_segments": ["a", ""]}), "empty_segment"),
            (json!({"path": ""}), "empty_segment"),
            (json!({"path": "a//b"}), "empty_segment"),
        ];
        for (write, reason) in cases {
            assert_eq!(Path::of(&write), Err(reason), "{write}");
        }
    }
}
