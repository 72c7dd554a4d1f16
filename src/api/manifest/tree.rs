//! Manifests that are read again and again, because they may change under a process that runs on.
//!
//! A [`Stamp`] tells cheaply whether any file has changed; a [`Reading`] says what can be made of the files, environment by environment: an error in
//! an object of one environment is none of the others' business.
//! Deliberately absent: watching and waiting; whoever owns a tree asks when it likes.

use super::{EnvironmentManifests, Problem, Problems, assembled, files};
use crate::api::Checker;
use crate::core::{Hash, Name};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// What `-f` names.
#[derive(Clone, Debug)]
pub struct Tree {
    paths: Vec<PathBuf>,
}

/// Which files there are, and what the file system says of each: differs after any change that it notices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    files: Vec<(PathBuf, Option<Marks>)>,
}

/// Size, inode, and the times of the last change of content and of the file itself.
type Marks = (u64, u64, i64, i64, i64, i64);

/// What the files of a tree say at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Depends on every byte, and on every name.
    pub digest: Hash,
    /// The environments in which nothing is wrong, by name.
    pub environments: Vec<EnvironmentManifests>,
    /// What is wrong; empty where nothing is.
    pub problems: Problems,
    /// The environments in whose objects something is wrong, where that can be told of every problem; `None`: it may concern any.
    pub concerned: Option<BTreeSet<Name>>,
}

impl Tree {
    /// These files and folders.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }

    /// Looks at the files, without reading them.
    pub fn stamp(&self) -> Stamp {
        let found = files::find(&self.paths, &mut Vec::new());
        let marks = |path: &PathBuf| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.size(), data.ino(), data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()))
        };
        Stamp { files: found.into_iter().map(|path| (path.clone(), marks(&path))).collect() }
    }

    /// Reads and checks them.
    pub fn read(&self, checker: &Checker) -> Reading {
        let mut problems = Vec::new();
        let inputs = files::collect(&self.paths, &mut problems);
        let unread: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let texts = inputs.iter().flat_map(|input| [input.name.as_bytes(), input.text.as_bytes()]);
        let digest = Hash::of(&texts.chain(unread.iter().map(String::as_bytes)).collect::<Vec<_>>());
        let (manifests, problems) = assembled(&inputs, checker, problems);
        let concerned: Option<BTreeSet<Name>> =
            problems.0.iter().map(|Problem { environment, .. }| environment.clone()).collect();
        let mut environments = manifests.environments;
        match &concerned {
            Some(concerned) => environments.retain(|environment| !concerned.contains(&environment.name)),
            None => environments.clear(),
        }
        Reading { digest, environments, problems, concerned }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::api::Types;

    fn environment(name: &str) -> String {
        format!("apiVersion: homeostat.dev/v1alpha1\nkind: Environment\nmetadata: {{name: {name}}}\nspec: {{}}\n---\n")
    }

    fn resource(name: &str, environment: &str) -> String {
        format!(
            "apiVersion: homeostat.dev/v1alpha1\nkind: Resource\nmetadata: {{name: {name}}}\nspec: {{environmentRef: {{name: {environment}}}, targetRef: {{name: none}}, type: a.B}}\n---\n"
        )
    }

    #[test]
    fn what_is_wrong_in_one_environment_is_none_of_the_others_business() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: String| std::fs::write(folder.path().join("all.yaml"), text).unwrap();
        let tree = Tree::new(vec![folder.path().to_owned()]);
        let read = || tree.read(&Checker::new(Types::new([]).unwrap()).unwrap());
        let names = |reading: &Reading| -> Vec<String> {
            reading.environments.iter().map(|environment| environment.name.to_string()).collect()
        };

        write(environment("a") + &environment("b"));
        let well = read();
        assert_eq!((names(&well), well.problems.0.len()), (vec!["a".into(), "b".into()], 0));

        write(environment("a") + &environment("b") + &resource("lost", "b"));
        let wrong = read();
        assert_eq!((names(&wrong), &wrong.concerned), (vec!["a".into()], &Some(BTreeSet::from(["b".into()]))));
        assert!(!wrong.problems.0.is_empty() && wrong.digest != well.digest);
        assert_eq!(wrong.digest, read().digest, "nothing has changed");

        write(environment("a") + "{");
        let anything = read();
        assert_eq!((names(&anything), &anything.concerned), (vec![], &None), "who knows what that was to be");
    }

    #[test]
    fn a_stamp_differs_after_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        let tree = Tree::new(vec![folder.path().to_owned()]);
        std::fs::write(&file, "a").unwrap();
        let before = tree.stamp();
        assert_eq!(tree.stamp(), before);
        std::fs::write(folder.path().join("ignored.txt"), "a").unwrap();
        assert_eq!(tree.stamp(), before);
        std::fs::write(&file, "ab").unwrap();
        let changed = tree.stamp();
        assert_ne!(changed, before);
        std::fs::remove_file(&file).unwrap();
        assert_ne!(tree.stamp(), changed);
    }
}
