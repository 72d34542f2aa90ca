//! Keys as Dust's paths: segments with `/` between them, in which `~1` stands for `/` and `~0` for `~`.

use std::sync::Arc;

use oneflight_store::StoreError;

/// A path as text, spelt in the one way there is.
///
/// Only [`Path`]s made here are compared, so that every path has one spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Path(Arc<str>);

impl Path {
    /// The path that a key names: it is spelt as Dust's own SDKs spell it.
    pub(crate) fn of_key(key: &Arc<str>) -> Result<Self, StoreError> {
        let refuse = |why: &str| Err(StoreError::refused(format_args!("key {key:?} {why}")));
        if key.split('/').any(str::is_empty) {
            return refuse(
                "is no path of Dust: nothing may stand before, after or between its slashes",
            );
        }
        let mut rest = &**key;
        while let Some((_, after)) = rest.split_once('~') {
            if !after.starts_with(['0', '1']) {
                return refuse(
                    "is no path of Dust: a tilde is written ~0 there, and a slash within a name ~1",
                );
            }
            rest = after;
        }
        Ok(Self(Arc::clone(key)))
    }

    /// The path of these segments; `None` if they are those of none.
    pub(crate) fn of_segments<'a>(segments: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut text = String::new();
        for segment in segments {
            if segment.is_empty() {
                return None;
            }
            if !text.is_empty() {
                text.push('/');
            }
            push_escaped(&mut text, segment);
        }
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The path of a name one level down.
    pub(crate) fn join(&self, segment: &str) -> Self {
        let mut text = String::with_capacity(self.0.len() + segment.len() + 1);
        text.push_str(&self.0);
        text.push('/');
        push_escaped(&mut text, segment);
        Self(text.into())
    }

    pub(crate) fn segments(&self) -> Vec<String> {
        let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        self.0.split('/').map(unescape).collect()
    }

    pub(crate) fn text(&self) -> &Arc<str> {
        &self.0
    }

    /// What stands after `prefix/`, if it does.
    pub(crate) fn below(&self, prefix: &str) -> Option<&str> {
        self.0.strip_prefix(prefix)?.strip_prefix('/')
    }

    /// Whether it is `prefix` or lies below it.
    pub(crate) fn is_within(&self, prefix: &str) -> bool {
        &*self.0 == prefix || self.below(prefix).is_some()
    }
}

impl std::borrow::Borrow<str> for Path {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn push_escaped(text: &mut String, segment: &str) {
    for character in segment.chars() {
        match character {
            '~' => text.push_str("~0"),
            '/' => text.push_str("~1"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(key: &str) -> Result<Path, StoreError> {
        Path::of_key(&key.into())
    }

    #[test]
    fn every_path_has_one_spelling() {
        for key in ["a", "a/b c", "p~1q/z", "~0~1/~01", "鍵/\0"] {
            let path = path(key).unwrap();
            let segments = path.segments();
            let again = Path::of_segments(segments.iter().map(String::as_str));
            assert_eq!(again, Some(path), "{key}");
        }
        assert_eq!(path("p~1q/z").unwrap().segments(), ["p/q", "z"]);
        assert_eq!(path("~01").unwrap().segments(), ["~1"]);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for key in ["", "/", "/a", "a/", "a//b", "~", "a~2", "a~"] {
            let told = path(key).unwrap_err().to_string();
            assert!(told.contains(&format!("{key:?}")), "{told}");
        }
        assert_eq!(Path::of_segments([]), None);
        assert_eq!(Path::of_segments(["a", ""]), None);
    }

    #[test]
    fn what_lies_within() {
        let path = path("users/eu/1").unwrap();
        assert!(path.is_within("users") && path.is_within("users/eu/1"));
        assert!(!path.is_within("user") && !path.is_within("users/eu/1/x"));
        assert_eq!(path.below("users"), Some("eu/1"));
    }
}
