//! Secrets: read where an attempt needs them, never sent, and taken out of everything that an attempt says.
//!
//! What leaves the executor is a digest, keyed with a key of the environment that lies in the data folder, and texts in which every occurrence of a
//! secret stands as `(sensitive)`: as it is, line by line, escaped as JSON, Rust and URLs do it, and in base64, alone or inside something else. A
//! secret of a few bytes would be found everywhere, and its places would tell it: where an attempt reads one, nothing is said but that it went well
//! or not ([`SECRET_LEAST_BYTES`]). Deliberately absent: keeping a value longer than its attempt.

use crate::adaptors::SENSITIVE;
use crate::core::Hash;
use crate::executor::limits::{SECRET_LEAST_BYTES, SECRET_MOST_BYTES};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The key of this process's environment.
static KEY: OnceLock<[u8; KEY_BYTES]> = OnceLock::new();

/// What an attempt has read. Has no `Debug`.
#[derive(Default)]
pub(crate) struct Secrets {
    /// Everything to be found in texts, the longest first.
    forms: Vec<String>,
    /// One of them is too short to be searched for.
    withhold: bool,
    /// What its digest is of: which, and what it is, with lengths before them.
    digested: Vec<u8>,
    any: bool,
}

/// Where the key of an environment lies.
pub(super) fn key_path(folder: &Path, environment: &str) -> PathBuf {
    environment_folder(folder, environment).join("secrets.key")
}

/// The folder of one environment in a data folder. What could not be the name of a folder is one by its hash.
pub fn environment_folder(folder: &Path, environment: &str) -> PathBuf {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_plain = !environment.is_empty() && environment.len() <= 63 && environment.bytes().all(plain);
    let name = if is_plain { environment.to_owned() } else { Hash::of(&[environment.as_bytes()]).to_string() };
    folder.join("environments").join(name)
}

/// Makes the key of an environment where there is none. Only its owner may read it. It is there whole or not at all, whatever ends this process or
/// this machine: it is made beside, and is durable before it has its name. The caller holds the folder's lock.
pub(super) fn make_key(path: &Path) -> std::io::Result<()> {
    // The executors of several pools may start at once.
    static MAKING: Mutex<()> = Mutex::new(());
    let _one_by_one = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if has_key(path)? {
        return Ok(());
    }
    let key: [u8; KEY_BYTES] = rand::random();
    let beside = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(&key)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| std::fs::File::open(folder)?.sync_all())
}

/// Whether the key of an environment can be used, where there is one.
pub fn check_key(folder: &Path, environment: &str) -> Result<(), String> {
    let path = key_path(folder, environment);
    if matches!(has_key(&path), Ok(false)) { Ok(()) } else { read_key(&path).map(|_| ()) }
}

/// Nothing was ever keyed with an empty one: a crash has left it.
fn has_key(path: &Path) -> std::io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len() > 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_key(path: &Path) -> Result<[u8; KEY_BYTES], String> {
    let key =
        std::fs::read(path).map_err(|error| format!("cannot read the key for secrets {}: {error}", path.display()))?;
    key.try_into().map_err(|_| {
        format!(
            "{} is not a key of {KEY_BYTES} bytes; delete it while nothing runs, and a new one is made",
            path.display()
        )
    })
}

/// Reads the key for all attempts of this process.
pub(super) fn use_key(path: &Path) -> Result<(), String> {
    let key = read_key(path)?;
    // Only the first one counts, and a process has one.
    let _ = KEY.set(key);
    Ok(())
}

/// The value of a variable.
pub(super) fn read_variable(name: &str) -> Result<String, String> {
    match std::env::var(name) {
        Ok(value) => checked(value, &format!("environment variable {name}")),
        Err(std::env::VarError::NotPresent) => {
            Err(format!("environment variable {name} is not set where homeostat runs; set it, and deploy again"))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("environment variable {name} is not UTF-8")),
    }
}

/// The content of a file, without the line end at its end.
pub(super) fn read_file(path: &str) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| format!("the secret in {path} cannot be read: {why}");
    // A pipe that nobody writes does not trap it.
    let found = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if !found.is_file() {
        return Err(failed(&"it is not a file"));
    }
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    file.take(SECRET_MOST_BYTES as u64 + 3).read_to_end(&mut content).map_err(|error| failed(&error))?;
    let mut text = String::from_utf8(content).map_err(|_| failed(&"it is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    checked(text, path)
}

fn checked(value: String, place: &str) -> Result<String, String> {
    match value.len() {
        0 => Err(format!("the secret in {place} is empty")),
        length if length > SECRET_MOST_BYTES => {
            Err(format!("the secret in {place} has more than {SECRET_MOST_BYTES} bytes"))
        }
        _ => Ok(value),
    }
}

impl Secrets {
    /// Takes in a secret: the attribute and the name under which it is used, and its value.
    pub(crate) fn add(&mut self, attribute: &str, name: &str, value: &str) {
        self.any = true;
        for part in [attribute, name, value] {
            self.digested.extend((part.len() as u64).to_le_bytes());
            self.digested.extend(part.as_bytes());
        }
        let trimmed = value.trim();
        self.withhold |= trimmed.len() < SECRET_LEAST_BYTES;
        let lines = value.lines().map(str::trim).filter(|line| line.len() >= SECRET_LEAST_BYTES);
        let parts: Vec<&str> =
            [value, trimmed].into_iter().chain(lines).filter(|part| part.len() >= SECRET_LEAST_BYTES).collect();
        self.forms.extend(parts.into_iter().flat_map(forms));
        self.forms.sort_unstable_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        self.forms.dedup();
    }

    /// Nothing secret was read.
    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    /// What may be said of the values: which they are, to whoever has the key. `None`: there are none.
    pub(super) fn digest(&self) -> Result<Option<Hash>, String> {
        if self.is_empty() {
            return Ok(None);
        }
        let key = KEY
            .get()
            .ok_or("this executor has no key for secrets (--secret-key); without it their changes cannot be told")?;
        let mut bytes = [0; 16];
        blake3::Hasher::new_keyed(key).update(&self.digested).finalize_xof().fill(&mut bytes);
        Ok(Some(Hash(bytes)))
    }

    /// Whether a text has no secret in it, as far as that can be told.
    pub(super) fn are_not_in(&self, text: &str) -> bool {
        self.forms.iter().all(|form| !text.contains(form.as_str()))
    }

    /// Nothing may be said beside one of them: it is too short to be found.
    pub(super) fn withhold(&self) -> bool {
        self.withhold
    }

    /// A text without the secrets.
    pub(crate) fn redact(&self, text: &str) -> String {
        if (self.forms.is_empty() && !self.withhold) || text.is_empty() {
            return text.to_owned();
        }
        if self.withhold {
            return format!("{SENSITIVE}: said beside a secret of fewer than {SECRET_LEAST_BYTES} bytes, and withheld");
        }
        let whole = self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), SENSITIVE));
        self.redact_cut(&whole)
    }

    /// Where a text was cut (`…`), the beginning of a secret may come before, and the end of one follow.
    fn redact_cut(&self, text: &str) -> String {
        let longest = |part: fn(&str, &str) -> Option<usize>, piece: &str| {
            self.forms.iter().filter_map(|form| part(form, piece)).max().unwrap_or_default()
        };
        let mut kept = String::new();
        let mut pieces = text.split('…').peekable();
        let mut after_cut = false;
        while let Some(mut piece) = pieces.next() {
            if after_cut {
                kept.push('…');
                let found = longest(end_of, piece);
                kept.push_str(if found == 0 { "" } else { SENSITIVE });
                piece = piece.get(found..).unwrap_or_default();
            }
            after_cut = pieces.peek().is_some();
            let found = if after_cut { longest(beginning_of, piece) } else { 0 };
            kept.push_str(piece.get(..piece.len() - found).unwrap_or_default());
            kept.push_str(if found == 0 { "" } else { SENSITIVE });
        }
        kept
    }
}

/// The lengths of parts of a secret that are searched for beside a cut in a text, the longest first; short ones are chance.
fn parts(form: &str, text: &str) -> impl Iterator<Item = usize> {
    (SECRET_LEAST_BYTES / 2..=form.len().min(text.len())).rev()
}

/// The length of the longest beginning of `text` with which `form` ends.
fn end_of(form: &str, text: &str) -> Option<usize> {
    parts(form, text).find(|&length| text.get(..length).is_some_and(|start| form.ends_with(start)))
}

/// The length of the longest end of `text` with which `form` begins.
fn beginning_of(form: &str, text: &str) -> Option<usize> {
    parts(form, text).find(|&length| text.get(text.len() - length..).is_some_and(|end| form.starts_with(end)))
}

/// A text as it may stand in others.
fn forms(value: &str) -> Vec<String> {
    let mut forms = vec![value.to_owned()];
    let unquoted = |text: String| text.get(1..text.len().saturating_sub(1)).unwrap_or_default().to_owned();
    forms.push(unquoted(serde_json::Value::from(value).to_string()));
    forms.push(unquoted(format!("{value:?}")));
    forms.push(percent_encoded(value));
    // In base64 a text looks in three ways, by what stands before it; the characters that depend on its neighbours are left out.
    for (before, first) in [("", 0), ("x", 2), ("xx", 3)] {
        let padded = format!("{before}{value}");
        let last = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            forms.extend(encoded.get(first..last).map(ToOwned::to_owned));
        }
    }
    forms.retain(|form| form.len() >= SECRET_LEAST_BYTES);
    forms
}

/// As a part of a URL.
fn percent_encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn secrets(values: &[&str]) -> Secrets {
        let mut secrets = Secrets::default();
        for value in values {
            secrets.add("/content", "value", value);
        }
        secrets
    }

    #[test]
    fn no_form_of_a_secret_is_left_in_a_text() {
        let value = "s3cr\u{e9}t \"quoted\"\\n&more";
        let canary = secrets(&[value, "second-secret-word\nof two lines\n"]);
        let json = serde_json::Value::from(value).to_string();
        let url: String = percent_encoded(value);
        let mut texts = vec![
            format!("before {value} after {value}"),
            json,
            format!("{value:?}"),
            url,
            "+second-secret-word".to_owned(),
            "of two lines".to_owned(),
        ];
        for around in ["", "a", "ab", "abc"] {
            texts.push(STANDARD_NO_PAD.encode(format!("{around}{value}{around}")));
            texts.push(URL_SAFE_NO_PAD.encode(format!("{around}{value}")));
        }
        for text in texts {
            let redacted = canary.redact(&text);
            assert!(redacted.contains(SENSITIVE), "{text} became {redacted}");
            assert!(canary.are_not_in(&redacted), "{text} became {redacted}");
        }
        assert_eq!(canary.redact("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_part_of_a_secret_beside_a_cut_is_none_of_anybodys_business() {
        let canary = secrets(&["correct-horse-battery"]);
        assert_eq!(
            canary.redact("exited with code 1: …horse-battery staple"),
            "exited with code 1: …(sensitive) staple"
        );
        assert_eq!(canary.redact("a … b"), "a … b");
        assert_eq!(canary.redact("it is correct-ho… (9 bytes more)"), "it is (sensitive)… (9 bytes more)");
        assert_eq!(canary.redact("say correct-h…orse-battery… aloud"), "say (sensitive)…(sensitive)… aloud");
        let long = "0123456789abcdef".repeat(SECRET_MOST_BYTES / 16);
        assert_eq!(secrets(&[&long]).redact(&format!("…{} end", &long[9..])), "…(sensitive) end", "however long");
    }

    #[test]
    fn a_secret_of_a_few_bytes_withholds_everything_and_redacts_nothing_else() {
        let short = secrets(&["abc"]);
        assert!(short.redact("a cab is abc").starts_with(SENSITIVE));
        assert_eq!(short.redact(""), "");
        assert_eq!(secrets(&[]).redact("abc"), "abc");
    }

    #[test]
    fn a_digest_tells_values_and_places_apart_and_depends_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = key_path(folder.path(), "house");
        make_key(&path).unwrap();
        let key = std::fs::read(&path).unwrap();
        make_key(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), key, "a key is made once");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(path.with_extension("new"), "of a crash").unwrap();
        std::fs::write(&path, "").unwrap();
        make_key(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap().len(), KEY_BYTES, "half a key is none");
        use_key(&path).unwrap();
        let digest = |values: &[&str]| secrets(values).digest().unwrap();
        assert_eq!(digest(&[]), None);
        assert_eq!(digest(&["one-secret"]), digest(&["one-secret"]));
        assert_ne!(digest(&["one-secret"]), digest(&["other-secret"]));
        assert_ne!(digest(&["one", "two"]), digest(&["onetwo"]));
        let used = |attribute: &str, name: &str| {
            let mut secrets = Secrets::default();
            secrets.add(attribute, name, "one-secret");
            secrets.digest().unwrap()
        };
        assert_ne!(used("/content", "value"), used("/owner", "value"), "in another attribute");
        assert_ne!(used("/content", "value"), used("/content", "other"), "under another name");
        std::fs::write(&path, "short").unwrap();
        assert!(use_key(&path).unwrap_err().contains("is not a key"));
    }

    #[test]
    fn what_cannot_be_read_says_what_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(file("a"), "a secret of mine\r\n").unwrap();
        assert_eq!(read_file(&file("a")).unwrap(), "a secret of mine");
        std::fs::write(file("b"), "\n").unwrap();
        assert!(read_file(&file("b")).unwrap_err().ends_with("is empty"));
        assert!(read_file(&file("none")).unwrap_err().contains("No such file"));
        assert!(read_file(folder.path().to_str().unwrap()).unwrap_err().contains("not a file"));
        let most = "x".repeat(SECRET_MOST_BYTES);
        std::fs::write(file("c"), format!("{most}\r\n")).unwrap();
        assert_eq!(read_file(&file("c")).unwrap(), most);
        std::fs::write(file("c"), format!("{most}x")).unwrap();
        assert!(read_file(&file("c")).unwrap_err().contains("more than"));
        let missing = read_variable("HOMEOSTAT_NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(
            missing,
            "environment variable HOMEOSTAT_NO_SUCH_VARIABLE is not set where homeostat runs; set it, and deploy again"
        );
    }
}
