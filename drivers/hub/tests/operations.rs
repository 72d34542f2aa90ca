//! `docs/operations.md` names what there is in the code, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

type Words = BTreeSet<String>;

/// The rows of the table below this header, as their cells.
fn table(header: &str) -> Vec<Vec<String>> {
    let page = read("docs/operations.md");
    let rows = page.lines().skip_while(|line| !line.starts_with(header));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let rows: Vec<_> = rows
        .map(|row| row.replace("\\|", "or"))
        .map(|row| row.split('|').map(|it| it.trim().to_owned()).collect())
        .collect();
    assert!(!rows.is_empty(), "the page has no table {header}");
    rows
}

/// What stands between marks.
fn marked(text: &str, begin: &str, end: &str) -> Words {
    let parts = text.split(begin).skip(1);
    let marked = parts.filter_map(|part| Some(part.split_once(end)?.0.to_owned()));
    marked.collect()
}

/// What stands in quotes.
fn strings(text: &str) -> Words {
    let parts = text.split('"').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

fn code(text: &str) -> Words {
    let parts = text.split('`').skip(1).step_by(2);
    parts.map(str::to_owned).collect()
}

/// The words in code of one column.
fn column(header: &str, number: usize) -> Words {
    let rows = table(header);
    rows.iter().flat_map(|row| code(&row[number])).collect()
}

/// The variants of an enum, by the attribute that each has.
fn variants(path: &str, name: &str) -> Words {
    let source = read(path);
    let (_, body) = source.split_once(&format!("pub enum {name}")).unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(char::is_uppercase));
    let names = names.filter_map(|line| line.split(['(', ',', ' ']).next());
    names.map(str::to_owned).collect()
}

/// The quoted words of a part of a source file.
fn quoted(path: &str, begin: &str, end: &str) -> Words {
    let source = read(path);
    let (_, part) = source.split_once(begin).unwrap();
    let (part, _) = part.split_once(end).unwrap();
    strings(part)
}

const WORDS: &str = "drivers/hub/src/observe/words.rs";

#[test]
fn every_metric_stands_in_the_page_as_it_is() {
    let source = read("drivers/hub/src/observe/names.rs");
    let (_, listed) = source.split_once("\nmetrics! {").unwrap();
    let rows = table("| series |");
    let mut named = Words::new();
    for metric in listed.split(';').filter(|it| it.contains(" = \"")) {
        let (_, metric) = metric.split_once(" = \"").unwrap();
        let (name, metric) = metric.split_once("\", ").unwrap();
        let (kind, metric) = metric.split_once(", ").unwrap();
        let (_, labels) = metric.split_once('[').unwrap();
        let (labels, _) = labels.split_once(']').unwrap();
        let row = rows.iter().find(|row| row[1] == format!("`{name}`"));
        let row = row.unwrap_or_else(|| panic!("the page does not tell of {name}"));
        assert_eq!(row[2], kind.to_lowercase(), "{name}");
        assert_eq!(code(&row[3]), strings(labels), "{name}");
        assert!(row[5].contains(name), "a panel for {name}");
        named.insert(name.to_owned());
    }
    assert_eq!(column("| series |", 1), named);
    // Nor does any expression name what is not there.
    let page = read("docs/operations.md");
    let mentioned = page.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for word in mentioned.filter(|word| word.starts_with("oneflight_")) {
        let name = ["_bucket", "_count"]
            .iter()
            .fold(word, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(
            name == "oneflight_" || named.contains(name),
            "there is no {word}"
        );
    }
}

#[test]
fn every_word_of_a_label_stands_in_the_page() {
    let rows = table("| label |");
    let told = |label: &str| {
        let row = rows.iter().find(|row| row[1] == format!("`{label}`"));
        code(&row.unwrap_or_else(|| panic!("no label {label}"))[2])
    };
    let source = read(WORDS);
    let (_, endings) = source.split_once("\nendings! {").unwrap();
    let (endings, _) = endings.split_once("\n}").unwrap();
    let pairs = endings.lines().filter(|line| line.contains("=>"));
    let pairs: Vec<Vec<_>> = pairs.map(|line| line.split('"').collect()).collect();
    let words = |number: usize| {
        pairs
            .iter()
            .map(|it| it[number].to_owned())
            .collect::<Words>()
    };
    assert_eq!(told("source"), words(1));
    let mut outcomes = told("outcome");
    assert!(outcomes.remove("get"), "who says absent");
    assert_eq!(outcomes, words(3));
    assert_eq!(told("fault"), quoted(WORDS, "    Fault {", "\n}"));
    assert_eq!(told("call"), quoted(WORDS, "    StoreCall {", "\n}"));
    let replies = "drivers/hub/src/observe/reply.rs";
    let mut answers = quoted(replies, "\nreplies! {", "\n}");
    answers.extend(quoted(replies, "const FAILURES", ";"));
    answers.extend(quoted(replies, "const UNANSWERED", ";"));
    assert_eq!(told("answer"), answers);
    let journey = "drivers/hub/src/observe/journey.rs";
    let mut results = quoted(journey, "match result {", "})");
    results.insert("left".to_owned());
    assert_eq!(told("result"), results);
}

#[test]
fn every_span_and_event_stands_in_the_page_as_it_is() {
    let source = read("drivers/hub/src/observe/sighting.rs");
    let rows = table("| event |");
    let mut named = Words::new();
    // INVARIANT of the source: each begins with its level, target and name, and fields follow as `a = b`.
    for event in source.split("tell!(").skip(1) {
        let (head, rest) = event.split_once('{').unwrap();
        let level = head.split(',').next().unwrap().trim();
        let [target, name] = &head.split('"').skip(1).step_by(2).collect::<Vec<_>>()[..] else {
            panic!("{head}");
        };
        let row = rows.iter().find(|row| row[1] == format!("`{name}`"));
        let row = row.unwrap_or_else(|| panic!("the page does not tell of {name}"));
        assert_eq!(
            (row[2].as_str(), row[3].as_str()),
            (format!("`{target}`").as_str(), level)
        );
        let (fields, _) = rest.split_once("})").unwrap();
        for field in fields
            .lines()
            .filter_map(|line| line.trim().split_once(" = "))
        {
            let told = field.0 == "key" || code(&row[4]).contains(field.0);
            assert!(told, "the page does not tell of {} of {name}", field.0);
        }
        named.insert((*name).to_owned());
    }
    assert_eq!(column("| event |", 1), named);
    let span = &table("| span |")[0];
    let journey = read("drivers/hub/src/observe/journey.rs");
    let (_, fields) = journey.split_once("info_span!(").unwrap();
    let (fields, _) = fields.split_once(");").unwrap();
    let mut fields: Words = fields
        .lines()
        .map(|line| line.trim().trim_end_matches(','))
        .filter(|line| !line.is_empty() && !line.contains(['"', ':']))
        .map(|line| line.replace(" = Empty", ""))
        .collect();
    assert_eq!(code(&span[4]), fields);
    // A hit has some of these.
    let (_, hit) = journey.split_once("trace_span!(").unwrap();
    let (hit, _) = hit.split_once("));").unwrap();
    for field in hit.lines().filter_map(|line| line.trim().split_once(" = ")) {
        assert!(fields.remove(field.0), "{}", field.0);
    }
    assert_eq!(journey.matches("\"oneflight::call\"").count(), 2);
}

#[test]
fn every_error_and_every_exit_code_stands_in_the_page() {
    let of = |name: &str, variants: Words| -> Words {
        variants.iter().map(|it| format!("{name}::{it}")).collect()
    };
    let mut errors = of("Error", variants("drivers/hub/src/error.rs", "Error"));
    assert_eq!(errors.len(), 8, "the test reads the enum as it is");
    assert_eq!(column("| error | `outcome`", 1), errors);
    let store = of(
        "StoreError",
        variants("drivers/store/src/error.rs", "StoreError"),
    );
    assert_eq!(store.len(), 3, "the test reads the enum as it is");
    assert_eq!(column("| error | it means", 1), store);
    errors.extend(store);

    let exits = read("drivers/cli/src/exit.rs");
    let mut codes = marked(&exits, ": Self = Self(", ")");
    codes.extend(["0", "*n*", "129, 130, 143"].map(str::to_owned));
    let told: Words = table("| code |").iter().map(|row| row[1].clone()).collect();
    assert_eq!(told, codes);
}
