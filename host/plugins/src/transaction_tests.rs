//! Transactions on real directories.

use super::super::lock::Entry;
use super::*;

fn lock(files: &[(&str, &str)]) -> Lock {
    let sha256 = files.iter().map(|(file, text)| ((*file).to_owned(), sha256(text.as_bytes()))).collect();
    let (name, version, file, origin) = ("x".into(), "1.0.0".into(), "libx.so".into(), "/o".into());
    Lock { plugins: vec![Entry { name, version, file, origin, sha256 }] }
}

/// All files with their content, except for the two that always exist.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                todo.push(path);
            } else if name != GUARD && name != super::super::lock::LOCK_FILE {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn expected(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

const FIRST: [(&str, &str); 3] = [("libx.so", "one"), ("pins/go.mod", "one"), ("x.toml", "one")];
const SECOND: [(&str, &str); 3] = [("libx.so", "two"), ("x.toml", "two"), ("zz/go.mod", "two")];

fn install(dir: &Path, files: &[(&str, &str)]) {
    let mut directory = Directory::open(dir).unwrap();
    let mut transaction = directory.begin().unwrap();
    files.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
    transaction.commit(lock(files)).unwrap();
}

#[test]
fn an_unfinished_transaction_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut directory = Directory::open(dir.path()).unwrap();
    let mut transaction = directory.begin().unwrap();
    transaction.stage("pins/go.mod", b"text").unwrap();
    transaction.scratch().unwrap();
    drop(transaction);
    assert_eq!(files(dir.path()), expected(&[]));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "only the guard is left");
    // A file exists where a directory is needed: the files before it are rolled back.
    fs::write(dir.path().join("zz"), "an obstacle").unwrap();
    let mut transaction = directory.begin().unwrap();
    let files_of_it = [("libx.so", "one"), ("pins/go.mod", "one"), ("zz/go.mod", "one")];
    files_of_it.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
    assert!(transaction.commit(lock(&files_of_it)).is_err());
    assert_eq!(files(dir.path()), expected(&[("zz", "an obstacle")]));
    assert_eq!(directory.lock, Lock::default());
}

#[test]
fn a_transaction_killed_at_any_step_is_rolled_back_by_the_next_process() {
    for steps in 0..=SECOND.len() {
        let dir = tempfile::tempdir().unwrap();
        install(dir.path(), &FIRST);
        assert_eq!(files(dir.path()), expected(&FIRST));
        let mut directory = Directory::open(dir.path()).unwrap();
        let mut transaction = directory.begin().unwrap();
        SECOND.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
        transaction.write_journal().unwrap();
        transaction.move_in(steps).unwrap();
        // As after SIGKILL: no destructor runs, but the kernel releases the guard.
        std::mem::forget(transaction);
        drop(directory);
        let next = Directory::open(dir.path()).unwrap();
        assert_eq!(files(dir.path()), expected(&FIRST), "killed after {steps} files");
        assert_eq!(next.lock, lock(&FIRST));
        assert!(!dir.path().join("zz").exists());
    }
}

#[test]
fn a_transaction_killed_after_its_commit_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    install(dir.path(), &FIRST);
    let mut directory = Directory::open(dir.path()).unwrap();
    let mut transaction = directory.begin().unwrap();
    SECOND.iter().for_each(|(file, text)| drop(transaction.stage(file, text.as_bytes()).unwrap()));
    transaction.write_journal().unwrap();
    transaction.move_in(usize::MAX).unwrap();
    lock(&SECOND).write(dir.path()).unwrap();
    std::mem::forget(transaction);
    drop(directory);
    let next = Directory::open(dir.path()).unwrap();
    assert_eq!(next.lock, lock(&SECOND));
    next.sweep(lock(&FIRST).plugins[0].sha256.keys()).unwrap();
    assert_eq!(files(dir.path()), expected(&SECOND));
    assert!(!dir.path().join("pins").exists());
}

#[test]
fn concurrent_transactions_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let path = dir.path();
            scope.spawn(move || {
                let mut directory = Directory::open(path).unwrap();
                let mut lock = directory.lock.clone();
                let mut transaction = directory.begin().unwrap();
                let (name, file) = (format!("p{number}"), format!("p{number}.toml"));
                let hash = transaction.stage(&file, b"text").unwrap();
                let sha256 = [(file.clone(), hash)].into();
                lock.plugins.push(Entry { name, version: String::new(), file, origin: String::new(), sha256 });
                transaction.commit(lock).unwrap();
            });
        }
    });
    let lock = Lock::read(dir.path()).unwrap().unwrap();
    assert_eq!(lock.plugins.len(), 8);
    assert_eq!(files(dir.path()).len(), 8);
}
