//! Order, filters and errors of finding files.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

fn names(paths: &[PathBuf]) -> (Vec<String>, Vec<String>) {
    let mut problems = Vec::new();
    let inputs = collect(paths, &mut problems);
    (inputs.iter().map(|input| input.name.to_string()).collect(), problems.iter().map(ToString::to_string).collect())
}

#[test]
fn folders_are_read_in_a_stable_order_and_each_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir_all(root.join("b/c")).unwrap();
    std::fs::create_dir(root.join(".hidden")).unwrap();
    for file in ["z.yaml", "a.yml", "b/c/x.json", "b/y.yaml", "notes.txt", ".hidden/h.yaml", ".h.yaml"] {
        std::fs::write(root.join(file), "a: 1\n").unwrap();
    }
    let (found, problems) = names(&[root.join("z.yaml"), root.to_owned(), root.join("b/../b/y.yaml")]);
    let expected: Vec<String> = ["z.yaml", "a.yml", "b/c/x.json", "b/y.yaml"]
        .iter()
        .map(|file| root.join(file).to_string_lossy().into_owned())
        .collect();
    assert_eq!((found, problems), (expected, vec![]));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("bad.yaml"), b"a: \xff\n").unwrap();
    std::os::unix::fs::symlink(root, root.join("loop")).unwrap();
    let (found, problems) = names(&[root.join("missing.yaml"), root.to_owned()]);
    assert!(found.is_empty(), "{found:?}");
    let all = problems.join("\n");
    for expected in [
        "missing.yaml: cannot be read: ",
        "bad.yaml: is not UTF-8 text (byte 4)",
        "folders are nested more than 16 levels deep",
    ] {
        assert!(all.contains(expected), "{all}");
    }
    let empty = tempfile::tempdir().unwrap();
    let (_, problems) = names(&[empty.path().to_owned()]);
    assert!(problems[0].ends_with("holds no manifests (*.yaml, *.yml, *.json)"), "{problems:?}");
}
