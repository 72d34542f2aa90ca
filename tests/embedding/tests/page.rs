//! `docs/embedding.md` shows what the examples do.

use std::fs;
use std::path::Path;

const PAGE: &str = "../../docs/embedding.md";

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Without what a block is indented by where it stands.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_start).collect()
}

#[test]
fn each_excerpt_stands_in_an_example() {
    let examples = ["threads", "smol", "poll"].map(|it| read(format!("examples/{it}.rs")));
    let page = read(PAGE);
    let excerpts: Vec<_> = page.split("```rust\n").skip(1).collect();
    assert_eq!(excerpts.len(), examples.len());
    for (excerpt, example) in excerpts.iter().zip(&examples) {
        let (excerpt, _) = excerpt.split_once("```").unwrap();
        let (excerpt, example) = (lines(excerpt), lines(example));
        let found = example.windows(excerpt.len()).any(|it| it == excerpt);
        assert!(found, "no example says:\n{}", excerpt.join("\n"));
    }
}

#[test]
fn each_example_has_fewer_than_100_lines() {
    for example in ["threads", "smol", "poll"] {
        let lines = read(format!("examples/{example}.rs")).lines().count();
        assert!(lines < 100, "{example} has {lines} lines");
    }
}

#[test]
fn the_desks_have_no_more_lines_than_the_page_says() {
    let page = read(PAGE);
    let (_, said) = page.split_once("src/lib.rs), ").unwrap();
    let (said, _) = said.split_once(" lines").unwrap();
    let lines = read("src/lib.rs").lines().count();
    assert!(
        lines <= said.parse().unwrap(),
        "the desks have {lines} lines"
    );
}
