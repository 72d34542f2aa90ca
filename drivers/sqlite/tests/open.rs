//! What may not be opened is left as it was, and the error says what to do.

use std::fs;
use std::path::{Path, PathBuf};

use oneflight_sqlite::{OpenError, SqliteStore};
use oneflight_store::blocking::Store;
use oneflight_store::{Bytes, Revision, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

/// A directory with one file in it.
struct Case {
    directory: TempDir,
    path: PathBuf,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        Self { directory, path }
    }

    fn with(bytes: &[u8]) -> Self {
        let case = Self::new();
        fs::write(&case.path, bytes).unwrap();
        case
    }

    /// A store with a few values in it, closed.
    fn store() -> Self {
        let case = Self::new();
        let store = SqliteStore::open(&case.path).unwrap();
        for key in 0..100 {
            let value = Bytes::from(vec![7; 2000]);
            store
                .put(format!("key {key}").into(), value, None, Revision::NEVER)
                .unwrap();
        }
        case
    }

    fn sql(&self, sql: &str) {
        let conn = Connection::open(&self.path).unwrap();
        conn.execute_batch(sql).unwrap();
    }

    /// Everything that lies in the directory, byte by byte.
    fn everything(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|file| file.unwrap().path())
            .map(|path| match path.is_file() {
                true => (path.clone(), fs::read(&path).unwrap()),
                // Whoever reads from a pipe waits for what is in it.
                false => (path, Vec::new()),
            })
            .collect();
        files.sort();
        files
    }

    /// The error of opening, which has changed nothing.
    #[track_caller]
    fn error(&self) -> OpenError {
        let before = self.everything();
        let error = SqliteStore::open(&self.path).unwrap_err();
        assert!(
            before == self.everything(),
            "something was touched: {error}"
        );
        let told = error.to_string();
        let name = self.path.file_name().unwrap().to_str().unwrap();
        assert!(told.contains(name), "{told}");
        error
    }
}

/// The error a caller sees is one that no repetition cures.
fn refused(error: OpenError) {
    assert!(matches!(StoreError::from(error), StoreError::Refused(_)));
}

#[test]
fn a_directory() {
    let case = Case::new();
    fs::create_dir(&case.path).unwrap();
    let error = case.error();
    assert!(matches!(error, OpenError::NotAFile { .. }), "{error}");
    refused(error);
}

#[test]
fn what_sqlite_has_not_written() {
    for bytes in [
        &b"hello"[..],
        &[0; 5000],
        &b"SQLite format 2\0 and so on".repeat(300),
        b"SQLite format 3\0",
    ] {
        let error = Case::with(bytes).error();
        assert!(matches!(error, OpenError::NotSqlite { .. }), "{error}");
        refused(error);
    }
}

#[test]
fn the_file_of_another_program() {
    for (sql, id) in [
        ("CREATE TABLE t (x); INSERT INTO t VALUES (1)", 0),
        ("PRAGMA application_id = 17; CREATE TABLE t (x)", 17),
        ("PRAGMA journal_mode = WAL; CREATE TABLE t (x)", 0),
        ("VACUUM", 0),
    ] {
        let case = Case::new();
        case.sql(sql);
        let error = case.error();
        assert!(
            matches!(error, OpenError::Foreign { application_id, .. } if application_id == id),
            "{error}"
        );
        refused(error);
    }
}

#[test]
fn the_file_of_another_program_that_is_running() {
    let case = Case::new();
    let other = Connection::open(&case.path).unwrap();
    other
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    // Its tables are in the log only, and its locks are this very process's: the file must not even
    // be read here, for closing it would drop them.
    let error = SqliteStore::open(&case.path).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    other.execute_batch("INSERT INTO t VALUES (2)").unwrap();
    // In a process of its own, another one does not find the file abandoned and clear the log away.
    let seen = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "count_in_another_process"])
        .env("ONEFLIGHT_TEST_DB", &case.path)
        .status()
        .unwrap();
    assert!(seen.success());
    assert!(case.path.with_file_name("store.db-wal").exists());
    other.execute_batch("INSERT INTO t VALUES (3)").unwrap();
}

/// The other process of the test above; nothing where it has not been started as one.
#[test]
fn count_in_another_process() {
    let Some(path) = std::env::var_os("ONEFLIGHT_TEST_DB") else {
        return;
    };
    let conn = Connection::open(path).unwrap();
    let count: i64 = conn
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 2);
}

#[test]
fn a_newer_version() {
    let case = Case::store();
    case.sql("PRAGMA user_version = 2");
    let error = case.error();
    assert!(
        matches!(error, OpenError::Newer { found: 2, .. }),
        "{error}"
    );
    refused(error);
}

#[test]
fn a_newer_version_in_use() {
    let case = Case::store();
    let _user = SqliteStore::open(&case.path).unwrap();
    let newer = Connection::open(&case.path).unwrap();
    newer
        .execute_batch("PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let error = SqliteStore::open(&case.path).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_version_that_is_still_in_the_log_counts() {
    let case = Case::store();
    let newer = Connection::open(&case.path).unwrap();
    newer.execute_batch("PRAGMA user_version = 2").unwrap();
    let error = SqliteStore::open(&case.path).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_truncated_file() {
    let case = Case::store();
    let whole = fs::read(&case.path).unwrap();
    for length in [whole.len() / 2, 4096, 700] {
        fs::write(&case.path, &whole[..length]).unwrap();
        let error = case.error();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        refused(error);
    }
}

#[test]
fn a_file_with_damaged_tables() {
    let case = Case::store();
    let whole = fs::read(&case.path).unwrap();
    // The list of tables, at the end of the first page.
    let mut bytes = whole.clone();
    bytes[100..4096].fill(0xa5);
    fs::write(&case.path, &bytes).unwrap();
    let error = case.error();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");

    // Every other page.
    let mut bytes = whole;
    bytes[4096..].fill(0xa5);
    fs::write(&case.path, &bytes).unwrap();
    let before = fs::read(&case.path).unwrap();
    let error = SqliteStore::open(&case.path).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(before == fs::read(&case.path).unwrap());
}

#[test]
fn altered_tables() {
    for sql in [
        "DROP TABLE locks",
        "ALTER TABLE entries ADD COLUMN extra TEXT",
        "DROP INDEX locks_seq",
        "DELETE FROM meta",
        "UPDATE meta SET seq = -1",
    ] {
        let case = Case::store();
        case.sql(sql);
        let before = fs::read(&case.path).unwrap();
        let error = SqliteStore::open(&case.path).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{sql}: {error}");
        assert!(before == fs::read(&case.path).unwrap(), "{sql}");
    }
}

/// Any single damaged byte of a small store leads to an answer or an error, never to a panic.
#[test]
fn no_damage_panics() {
    let case = Case::store();
    let whole = fs::read(&case.path).unwrap();
    let steps = (0..whole.len()).step_by(97).take(400);
    for position in steps.chain(0..128) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0xff;
        fs::write(&case.path, &bytes).unwrap();
        if let Ok(store) = SqliteStore::open(&case.path) {
            drop(store.read("key 1".into()));
            drop(store.list());
            drop(store.put("key 1".into(), Bytes::new(), None, Revision::new(u64::MAX)));
            drop(store.forget("key 2".into(), "lock".into()));
        }
        for suffix in ["-wal", "-shm"] {
            fs::remove_file(format!("{}{suffix}", case.path.display())).ok();
        }
    }
}

#[test]
fn an_empty_file_is_made_a_store() {
    let case = Case::with(b"");
    SqliteStore::open(&case.path).unwrap();
    SqliteStore::open(&case.path).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_store_leaves_the_file_and_the_pipe_only() {
    let case = Case::store();
    let names: Vec<_> = case
        .everything()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        names,
        [
            case.path.clone(),
            case.path.with_file_name("store.db-signal")
        ]
    );
}

#[test]
fn odd_names_are_names() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "a?b#c%41.db",
        "file:x?mode=memory",
        ":memory:",
        "spa ce\n.db",
    ] {
        let path = directory.path().join(name);
        drop(SqliteStore::open(&path).unwrap());
        let again = SqliteStore::open(&path).unwrap();
        assert!(path.exists(), "{name}");
        assert_eq!(again.path(), fs::canonicalize(&path).unwrap());
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_made_is_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/cache/store.db");
        let store = SqliteStore::open(&path).unwrap();
        store
            .put("key".into(), Bytes::new(), None, Revision::NEVER)
            .unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for suffix in ["", "-wal", "-shm", "-signal"] {
            let file = PathBuf::from(format!("{}{suffix}", path.display()));
            assert_eq!(mode(&file), 0o600, "{suffix}");
        }
    }

    #[test]
    fn what_is_made_is_shared_as_the_file_is() {
        let case = Case::with(b"");
        fs::set_permissions(&case.path, fs::Permissions::from_mode(0o660)).unwrap();
        let store = SqliteStore::open(&case.path).unwrap();
        store
            .put("key".into(), Bytes::new(), None, Revision::NEVER)
            .unwrap();
        for (path, _) in case.everything() {
            assert_eq!(
                fs::metadata(&path).unwrap().mode() & 0o777,
                0o660,
                "{path:?}"
            );
        }
    }

    #[test]
    fn a_link_leads_to_the_same_store() {
        let case = Case::store();
        let link = tempfile::tempdir().unwrap();
        let link = link.path().join("link.db");
        symlink(&case.path, &link).unwrap();
        let store = SqliteStore::open(&link).unwrap();
        assert_eq!(store.path(), fs::canonicalize(&case.path).unwrap());
    }

    /// The superuser may write everything, so the attempt is another user's, in a process of its own.
    #[test]
    fn what_may_not_be_written() {
        // (mode of the file, mode of the directory)
        for (file, directory) in [(0o644, 0o777), (0o666, 0o755), (0o600, 0o755)] {
            let case = Case::store();
            fs::set_permissions(&case.path, fs::Permissions::from_mode(file)).unwrap();
            fs::set_permissions(case.directory.path(), fs::Permissions::from_mode(directory))
                .unwrap();
            let before = case.everything();
            let Some(told) = open_as_another_user(&case.path) else {
                return;
            };
            assert!(told.contains("ReadOnly"), "{told}");
            assert!(before == case.everything(), "something was touched: {told}");
        }
        let case = Case::new();
        fs::set_permissions(case.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(told) = open_as_another_user(&case.path) {
            assert!(told.contains("ReadOnly"), "{told}");
        }
    }

    /// What the attempt comes to; `None` where one may not become another user.
    fn open_as_another_user(path: &Path) -> Option<String> {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65534;
        // The program itself may lie where others may not go.
        let program = tempfile::tempdir().unwrap();
        fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copy = program.path().join("open");
        fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        let output = std::process::Command::new(copy)
            .args(["--exact", "unix::open_in_another_process", "--nocapture"])
            .env("ONEFLIGHT_TEST_DB", path)
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY)
            .output();
        match output {
            Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => {
                eprintln!("passed over, for one must be the superuser: {error}");
                None
            }
        }
    }

    /// The other process of the function above; nothing where it has not been started as one.
    #[test]
    fn open_in_another_process() {
        if let Some(path) = std::env::var_os("ONEFLIGHT_TEST_DB") {
            println!("{:?}", SqliteStore::open(path));
        }
    }
}
