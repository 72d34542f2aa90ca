//! The docs say what the code says.

#![cfg(all(feature = "tokio", feature = "sqlite", feature = "redis"))]
use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "dust")]
use oneflight::store::{Loss, Profile};
#[cfg(feature = "dust")]
use oneflight::{MemoryStore, RedisStore, SqliteStore, Store};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The code blocks of a page, without the lines that a doc test hides.
fn code(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for (number, part) in page.split("```").enumerate() {
        if number % 2 == 1 {
            let shown = part.lines().filter(|line| !line.starts_with("# "));
            blocks.push(shown.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

#[test]
fn the_example_of_the_readme_is_the_one_that_is_tested() {
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    let shown = code(&readme);
    for block in code(include_str!("../README.md")) {
        assert!(
            shown.contains(&block),
            "not in the README as it is tested:\n{block}"
        );
    }
}

#[cfg(feature = "dust")]
/// One row per promise, one column per store.
fn table(profiles: &[&Profile]) -> String {
    let yes = |holds: bool| if holds { "yes" } else { "no" }.to_string();
    type Row = (&'static str, fn(&Profile) -> bool);
    let rows: [Row; 9] = [
        ("claim is one atomic step", |it| it.atomic_claim),
        ("publish and release are one atomic step", |it| {
            it.atomic_publish
        }),
        ("a repeated claim is the same claim", |it| {
            it.idempotent_claim
        }),
        ("waiters are pushed what changes", |it| it.push),
        ("the store judges when a lease lapses", |it| {
            it.store_side_lapse
        }),
        ("a lapsed lease that nobody took may still publish", |it| {
            it.lapsed_holder_may_publish
        }),
        ("every key is taken", |it| it.any_key),
        ("every value is taken, not only UTF-8", |it| it.any_bytes),
        ("values can be kept for a time only", |it| it.retains),
    ];
    let mut lines = vec![String::from("| |"), String::from("| --- |")];
    for profile in profiles {
        lines[0] += &format!(" {} |", profile.name);
        lines[1] += " --- |";
    }
    for (promise, holds) in &rows {
        let cells = profiles
            .iter()
            .map(|profile| format!(" {} |", yes(holds(profile))));
        lines.push(format!("| {promise} |{}", cells.collect::<String>()));
    }
    let sizes = profiles
        .iter()
        .map(|it| format!(" {} MiB |", it.max_value >> 20));
    lines.push(format!("| largest value |{}", sizes.collect::<String>()));
    let losses = profiles.iter().map(|profile| {
        let loses = match profile.loses {
            Loss::DiesWithItsCallers => "everything, with its callers",
            Loss::LastWrites => "the last writes before a loss of power",
            Loss::LastWritesAndLeases => "the last writes, and leases with them",
            Loss::Nothing => "nothing",
            _ => "see its docs",
        };
        format!(" {loses} |")
    });
    lines.push(format!(
        "| a failure of the store may lose |{}",
        losses.collect::<String>()
    ));
    lines.join("\n")
}

#[cfg(feature = "dust")]
#[test]
fn the_table_of_guarantees_is_what_the_stores_say() {
    let dir = std::env::temp_dir().join(format!("oneflight-docs-{}", std::process::id()));
    let sqlite = SqliteStore::open(dir.join("flights.db")).unwrap();
    let memory = MemoryStore::new();
    let redis = RedisStore::open("redis://localhost").unwrap();
    let address = "dust+wss://dust.example/acme/flights".parse().unwrap();
    let dust = oneflight::DustStore::new(address, "");
    let table = table(&[
        Store::profile(&memory),
        Store::profile(&sqlite),
        Store::profile(&redis),
        Store::profile(&dust),
    ]);
    drop(sqlite);
    fs::remove_dir_all(dir).unwrap();
    let design = fs::read_to_string(repository().join("docs/design.md")).unwrap();
    assert!(
        design.contains(&table),
        "docs/design.md should have this table:\n{table}"
    );
}
