//! Finds and reads the files that `-f` names: in a stable order, bounded, each once.

use super::Problem;
use crate::core::limits::{MANIFEST_FILE_BYTES, MANIFEST_FILES, MANIFEST_FOLDERS_DEEP};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A text with the name that errors give it.
#[derive(Clone, Debug)]
pub struct Input {
    /// The file as the user named it.
    pub name: Arc<str>,
    /// What it holds.
    pub text: String,
}

/// Reads everything that `paths` name. Folders recursively, by name, hidden entries left out; `-` is standard input.
pub(super) fn collect(paths: &[impl AsRef<Path>], problems: &mut Vec<Problem>) -> Vec<Input> {
    let files = find(paths, problems);
    files.iter().filter_map(|file| read(file, problems)).collect()
}

/// The files that `paths` name, in the order in which they are read.
pub(super) fn find(paths: &[impl AsRef<Path>], problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let mut finder = Finder { files: Vec::new(), seen: BTreeSet::new(), problems };
    for path in paths {
        let path = path.as_ref();
        if path == Path::new("-") {
            finder.files.push(path.to_owned());
        } else if path.is_dir() {
            let before = finder.files.len();
            finder.folder(path, 0);
            if finder.files.len() == before && finder.problems.is_empty() {
                finder.problem(path, "holds no manifests (*.yaml, *.yml, *.json)");
            }
        } else {
            finder.file(path.to_owned());
        }
    }
    finder.files
}

struct Finder<'a> {
    files: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    problems: &'a mut Vec<Problem>,
}

impl Finder<'_> {
    fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.problems.push(Problem::of_file(&path.to_string_lossy(), message));
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        if depth > MANIFEST_FOLDERS_DEEP {
            return self.problem(path, format!("folders are nested more than {MANIFEST_FOLDERS_DEEP} levels deep; is there a symbolic link to a parent?"));
        }
        let entries = match std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries,
            Err(error) => return self.problem(path, format!("cannot be listed: {error}")),
        };
        let mut names: Vec<_> = entries
            .iter()
            .map(std::fs::DirEntry::file_name)
            .filter(|name| !name.to_string_lossy().starts_with('.'))
            .collect();
        names.sort();
        for name in names {
            let below = path.join(name);
            if below.is_dir() {
                self.folder(&below, depth + 1);
            } else if matches!(
                below.extension().and_then(|extension| extension.to_str()),
                Some("yaml" | "yml" | "json")
            ) {
                self.file(below);
            }
        }
    }

    /// A file that two arguments name is read once.
    fn file(&mut self, path: PathBuf) {
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        if self.files.len() >= MANIFEST_FILES {
            if self.files.len() == MANIFEST_FILES && self.seen.insert(real) {
                self.problem(
                    &path,
                    format!("there are more than {MANIFEST_FILES} files; give fewer folders at a time"),
                );
            }
        } else if self.seen.insert(real) {
            self.files.push(path);
        }
    }
}

fn read(path: &Path, problems: &mut Vec<Problem>) -> Option<Input> {
    let stdin = path == Path::new("-");
    let name = if stdin { "<stdin>".into() } else { path.to_string_lossy() };
    let bytes = if stdin { bounded(std::io::stdin().lock()) } else { std::fs::File::open(path).and_then(bounded) };
    let result = match bytes {
        Err(error) => Err(format!("cannot be read: {error}")),
        Ok(bytes) if bytes.len() > MANIFEST_FILE_BYTES => {
            Err(format!("is longer than {MANIFEST_FILE_BYTES} bytes; split it"))
        }
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|error| format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to() + 1)),
    };
    match result {
        Ok(text) => Some(Input { name: name.into(), text }),
        Err(message) => {
            problems.push(Problem::of_file(&name, message));
            None
        }
    }
}

fn bounded(file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MANIFEST_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
