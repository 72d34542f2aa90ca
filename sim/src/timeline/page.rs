//! The HTML file: one document with its style, its script and its data inside, which loads nothing.

use super::Report;
use crate::trace::Digest;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(
    include_str!("page/scale.js"),
    include_str!("page/chart.js"),
    include_str!("page/look.js"),
    include_str!("page/page.js"),
);
const PAGE: &str = include_str!("page/page.html");

/// The document.
pub(super) fn html(report: &Report) -> String {
    let data = embedded(&serde_json::to_string(report).unwrap_or_default());
    // Only what carries this word may run: it depends on all the data, so no key name can say it.
    let nonce = format!("{:016x}", Digest::of(data.as_bytes()).0);
    let title = report.invariant.unwrap_or("clean run");
    let title = format!("{title}: {}", report.subject);
    let mut page = String::with_capacity(data.len() + STYLE.len() + SCRIPT.len() + PAGE.len());
    let mut rest = PAGE;
    while let Some((text, after)) = rest.split_once("{{") {
        page += text;
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        match name {
            "nonce" => page += &nonce,
            "title" => page += &escaped(&title),
            "style" => page += STYLE,
            "script" => page += SCRIPT,
            _ => page += &data,
        }
        rest = after;
    }
    page + rest
}

/// JSON that cannot end the element it stands in, nor begin another: key names are users' data.
fn embedded(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text += &format!("\\u{:04x}", letter as u32);
            }
            _ => text.push(letter),
        }
    }
    text
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::embedded;

    #[test]
    fn data_cannot_leave_its_element() {
        let json = "\"</script><script>alert(1)</script><!-- & \u{2028}\"";
        let text = embedded(json);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        let back: String = serde_json::from_str(&text).unwrap_or_default();
        assert_eq!(
            format!("{back:?}"),
            format!("{:?}", &json[1..json.len() - 1])
        );
    }
}
