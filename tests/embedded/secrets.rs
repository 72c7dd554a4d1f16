//! Secrets: deployed, and found nowhere but where they come from and where they go.

use crate::LOCAL;
use crate::house::{House, Ran, ran, resource};
use serde_json::json;
use std::path::Path;

const FIRST: &str = "canary-one-5eCr3t";
const SECOND: &str = "canary-two-0tH3r";
const IN_FILE: &str = "canary-in-a-file";
const IN_FILE_LATER: &str = "canary-in-a-later-file";

/// A file that takes a variable, one that takes a file, a program that says its secret aloud, and a link that cannot keep one to itself.
fn resources() -> String {
    let from = |path: &str, source: &str| format!("  attributesFrom:\n    - {{path: {path}, {source}}}\n");
    let variable = "environmentVariable: {name: TOKEN}";
    [
        resource("variable", "host.File", "{path: FOLDER/from-variable, mode: \"0600\"}", ""),
        from("/content", &format!("format: \"token={{t}}\", values: {{t: {{{variable}}}}}")),
        resource("file", "host.File", "{path: FOLDER/from-file}", ""),
        from("/content", "file: {path: FOLDER/secret}"),
        resource(
            "loud",
            "host.Command",
            "{argv: [sh, -c, 'echo \"$TOKEN\" >&2; printf %s \"$TOKEN\" | base64 >&2; exit 3'], creates: FOLDER/never}",
            "",
        ),
        from("/env/TOKEN", variable),
        resource("link", "host.Symlink", "{path: FOLDER/link}", ""),
        from("/target", variable),
    ]
    .concat()
}

/// Everything that commands have said.
#[derive(Default)]
struct Said(String);

impl Said {
    /// Runs a command with the secret in its environment, and with everything logged.
    fn run(&mut self, house: &House, token: Option<&str>, words: &str) -> Ran {
        let mut command = house.command(words);
        command.env("RUST_LOG", "homeostat=trace,debug").env_remove("TOKEN").envs(token.map(|token| ("TOKEN", token)));
        let ran = ran(&command.output().unwrap());
        self.0 += &ran.out;
        self.0 += &ran.err;
        ran
    }
}

/// Every file below a folder that holds one of these texts.
fn holding(folder: &Path, texts: &[Vec<u8>], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            holding(&path, texts, found);
        } else if kind.is_file() {
            let content = std::fs::read(&path).unwrap();
            let holds = |text: &Vec<u8>| content.windows(text.len()).any(|window| window == text);
            found.extend(texts.iter().any(holds).then(|| path.display().to_string()));
        }
    }
}

#[test]
fn secrets_reach_their_targets_and_no_history_log_or_output() {
    let house = House::patient(LOCAL, &resources());
    house.write("secret", &format!("{IN_FILE}\n"));
    let mut said = Said::default();

    let planned = said.run(&house, Some(FIRST), "dry-run -f manifests");
    assert_eq!(planned.code, 2, "{}", planned.err);
    assert!(planned.out.contains("content: (sensitive)"), "{}", planned.out);
    let deployed = said.run(&house, Some(FIRST), "deploy -f manifests");
    assert_eq!(deployed.code, 1, "{}", deployed.err);
    assert!(deployed.out.contains("exited with code 3: (sensitive)"), "{}", deployed.out);
    let found = said.run(&house, None, "history loud -o json").json();
    assert!(found["items"][0]["diff"].as_str().unwrap().starts_with("run [\"sh\""), "its arguments: {found}");
    let told = said.run(&house, None, "logs loud").out;
    assert!(told.contains("\n    | (sensitive)"), "{told}");
    assert_eq!((house.read("from-variable"), house.read("from-file")), (format!("token={FIRST}"), IN_FILE.to_owned()));
    assert_eq!(std::fs::read_link(house.path("link")).unwrap(), Path::new(FIRST));

    // Others from now on: the next verification says so, and they are deployed as any change.
    house.write("secret", IN_FILE_LATER);
    let planned = said.run(&house, Some(SECOND), "dry-run variable file link");
    assert!(planned.out.contains("update variable") && planned.out.contains("update file"), "{}", planned.out);
    said.run(&house, Some(SECOND), "repair variable file link");
    assert_eq!(
        (house.read("from-variable"), house.read("from-file")),
        (format!("token={SECOND}"), IN_FILE_LATER.to_owned())
    );
    assert_eq!(std::fs::read_link(house.path("link")).unwrap(), Path::new(SECOND));
    let attempts = said.run(&house, None, "history variable -o json").json();
    let reasons: Vec<_> = attempts["items"].as_array().unwrap().iter().map(|attempt| &attempt["reason"]).collect();
    assert_eq!(reasons, [&json!("Change"), &json!("UserRepair"), &json!("UserDeploy")]);
    assert_eq!(attempts["items"][0]["diff"], "content: (sensitive)\n");
    let link = said.run(&house, None, "history link -o json").json();
    assert_eq!(link["items"][0]["diff"], "(sensitive)\n");
    let again = said.run(&house, Some(SECOND), "repair variable file link");
    assert!(again.out.contains("0 changed"), "{}", again.out);

    let missing = said.run(&house, None, "repair variable");
    assert_eq!(missing.code, 1);
    let why = said.run(&house, None, "why variable").out;
    assert!(
        why.contains("environment variable TOKEN is not set where homeostat runs; set it, and deploy again"),
        "{why}"
    );
    for words in [
        "show variable",
        "show loud -o json",
        "show link",
        "facts -o json",
        "history loud -o json",
        "status -o wide",
        "why loud -o json",
        "logs",
        "logs -o json",
    ] {
        said.run(&house, Some(SECOND), words);
    }
    let facts = said.run(&house, None, "facts file -o json").json();
    assert_eq!(
        facts["items"][0]["facts"].get("sha256"),
        None,
        "a digest without a key would tell a secret that can be guessed"
    );
    house.write("manifests/resources.yaml", &resources().replace("token={t}", "changed={t}"));
    said.run(&house, Some(SECOND), "deploy -f manifests");
    assert_eq!(house.read("from-variable"), format!("changed={SECOND}"));
    let diff = said.run(&house, None, "diff 1 2").out;
    assert!(diff.contains("changed={t}"), "where it comes from is no secret: {diff}");

    let base64 = |text: &str| {
        let encoded = std::process::Command::new("base64").arg("-w0").arg(house.path(text)).output().unwrap().stdout;
        // Without what depends on what follows.
        encoded[..encoded.len() - 4].to_vec()
    };
    let canaries = [FIRST, SECOND, IN_FILE, IN_FILE_LATER];
    for (index, canary) in canaries.iter().enumerate() {
        house.write(&format!("canary-{index}"), canary);
    }
    let mut texts: Vec<Vec<u8>> = canaries.iter().map(|canary| canary.as_bytes().to_vec()).collect();
    texts.extend((0..canaries.len()).map(|index| base64(&format!("canary-{index}"))));
    for text in &texts {
        let text = String::from_utf8_lossy(text);
        let line = said.0.lines().find(|line| line.contains(&*text));
        assert_eq!(line, None, "{text} was said");
    }
    let (mut found, mut searched) = (Vec::new(), Vec::new());
    holding(&house.path("data"), &texts, &mut found);
    assert_eq!(found, [""; 0]);
    holding(&house.path("data"), &[b"from-variable".to_vec()], &mut searched);
    assert!(!searched.is_empty(), "what is no secret is found there");
}

/// What is always secret may only come from elsewhere. (That it reaches a real account, and is not shown there: `src/adaptors/host/machine`.)
#[test]
fn the_hash_of_a_password_is_refused_in_a_manifest_and_kept_nowhere() {
    let house = House::with(LOCAL, "");
    let user = |name: &str, more: &str| resource(name, "host.User", &format!("{{name: {name}{more}}}"), "");
    let hash = format!("$6$salt${FIRST}");
    for written in [format!("\"{hash}\""), format!("[{FIRST}]")] {
        house.write("manifests/resources.yaml", &user("homeostat-eve", &format!(", passwordHash: {written}")));
        for words in ["dry-run -f manifests", "deploy -f manifests"] {
            house.refuses(
                words,
                3,
                "
                error: manifests/resources.yaml:10:51: spec.attributes.passwordHash: is secret, and would be kept in history as it is written here; take it out, and fill it with attributesFrom, from an environmentVariable or a file
                1 problem in the manifests; nothing was done",
            );
        }
    }

    let from = "  attributesFrom:\n    - {path: /passwordHash, environmentVariable: {name: TOKEN}}\n";
    let resources =
        [user("homeostat-eve", ""), from.into(), user("homeostat-mallory", ", ensure: absent"), from.into()];
    house.write("manifests/resources.yaml", &resources.concat());
    let mut said = Said::default();
    let planned = said.run(&house, Some(&hash), "dry-run -f manifests");
    assert_eq!(planned.code, 2, "{}", planned.err);
    assert!(
        planned.out.starts_with("create homeostat-eve\n    a user\n    passwordHash: (sensitive)\n1 of 2 "),
        "{}",
        planned.out
    );
    // Nobody of that name is there: it is taken in, and nothing is changed on this machine.
    let deployed = said.run(&house, Some(&hash), "deploy -f manifests homeostat-mallory");
    assert!(deployed.out.contains("0 changed, 1 unchanged, 0 failed"), "{}{}", deployed.out, deployed.err);
    let plain = said.run(&house, Some(FIRST), "repair homeostat-mallory");
    assert_eq!(plain.code, 1, "a plain password is refused by the executor: {}", plain.out);
    let why = said.run(&house, None, "why homeostat-mallory").out;
    assert!(why.contains("passwordHash: must be a hash as crypt(5) writes it"), "{why}");
    for words in ["show homeostat-mallory", "history homeostat-mallory -o json", "diff 0 1", "logs -o json"] {
        let run = said.run(&house, Some(&hash), words);
        assert!(
            [0, 2].contains(&run.code) && run.out.contains("homeostat-mallory"),
            "{words}: {} {}",
            run.code,
            run.err
        );
    }
    assert!(!said.0.contains(FIRST), "{}", said.0);
    let (mut found, mut searched) = (Vec::new(), Vec::new());
    holding(&house.path("data"), &[FIRST.as_bytes().to_vec()], &mut found);
    assert_eq!(found, [""; 0]);
    holding(&house.path("data"), &[b"passwordHash".to_vec()], &mut searched);
    assert!(!searched.is_empty(), "what is no secret is found there");
}

/// What a manifest gives is kept as it is written, of a Secret too: it is applied from there. (Differences from a cluster: `kubernetes/difference.rs`.)
#[test]
fn no_command_prints_what_a_manifest_says_in_a_secret() {
    let secret = |token: &str| {
        let object = format!(
            "{{apiVersion: v1, kind: Secret, metadata: {{name: a, namespace: b}}, stringData: {{token: {token}}}}}"
        );
        resource("secret", "kubernetes.Manifest", &format!("{{manifest: {object}}}"), "")
    };
    let house = House::patient("{type: kubernetes, kubeconfig: FOLDER/none}", &secret(FIRST));
    let mut said = Said::default();
    assert_eq!(said.run(&house, None, "deploy -f manifests").code, 1, "there is no cluster");
    house.write("manifests/resources.yaml", &secret(SECOND));
    assert_eq!(said.run(&house, None, "deploy -f manifests").code, 1);
    for (words, part) in [
        ("show secret", "token: (sensitive)"),
        ("show secret -o json", "\"token\": \"(sensitive)\""),
        ("diff 1 2", "token: (sensitive), changed"),
        ("diff 1 2 -o yaml", "token: (sensitive)"),
        ("history secret", "secret"),
        ("logs secret", "secret"),
    ] {
        let ran = said.run(&house, None, words);
        assert!(ran.code == 0 && ran.out.contains(part), "{words}: {} {}{}", ran.code, ran.out, ran.err);
    }
    for canary in [FIRST, SECOND] {
        assert_eq!(said.0.lines().find(|line| line.contains(canary)), None);
    }
}

/// A text that says it, a link to it, and a file whose content is left as it is, become public.
#[test]
fn what_was_secret_once_is_in_no_difference_that_replaces_it() {
    let from =
        |path: &str| format!("  attributesFrom:\n    - {{path: {path}, environmentVariable: {{name: TOKEN}}}}\n");
    let file = |name: &str, content: &str| {
        resource(name, "host.File", &format!("{{path: FOLDER/{name}, mode: \"0600\"{content}}}"), "")
    };
    let link = |target: &str| resource("link", "host.Symlink", &format!("{{path: FOLDER/link{target}}}"), "");
    let secret = [file("text", ""), from("/content"), file("left", ""), from("/content"), link(""), from("/target")];
    let house = House::patient(LOCAL, &secret.concat());
    let mut said = Said::default();
    assert_eq!(said.run(&house, Some(FIRST), "deploy -f manifests").code, 0);

    let public = [file("text", ", content: public"), file("left", ""), link(", target: elsewhere")].concat();
    house.write("manifests/resources.yaml", &public);
    assert_eq!(said.run(&house, None, "dry-run -f manifests").code, 2);
    assert_eq!(said.run(&house, None, "deploy -f manifests").code, 0);
    let newest = |said: &mut Said, name: &str| {
        said.run(&house, None, &format!("history {name} -o json")).json()["items"][0]["diff"].clone()
    };
    assert_eq!((house.read("text").as_str(), house.read("left").as_str()), ("public", FIRST));
    assert_eq!(newest(&mut said, "text"), "content: (sensitive)\n");
    assert_eq!(newest(&mut said, "link"), "(sensitive)\n");

    // What was left is still there; what was replaced is public from now on.
    let later = [file("text", ", content: \"public, too\""), file("left", ", content: nothing"), link(", target: x")];
    house.write("manifests/resources.yaml", &later.concat());
    assert_eq!(said.run(&house, None, "deploy -f manifests").code, 0);
    assert_eq!(newest(&mut said, "left"), "content: (sensitive)\n");
    assert!(newest(&mut said, "text").as_str().unwrap().contains("-public\n"));
    assert_eq!(newest(&mut said, "link"), "target: elsewhere -> x\n");

    assert!(!said.0.contains(FIRST), "{}", said.0);
    let mut found = Vec::new();
    holding(&house.path("data"), &[FIRST.as_bytes().to_vec()], &mut found);
    assert_eq!(found, [""; 0]);
}

/// The adaptor says it in a panic, which would go to the log of the process.
#[test]
fn a_panic_says_no_secret() {
    let thing = resource("panics", "test.Thing", "{value: x, script: [{result: panic}, {result: fail}]}", "");
    let from = "  attributesFrom:
    - {path: /script/0/message, environmentVariable: {name: TOKEN}}
    - {path: /script/1/message, format: \"it is {t}\", values: {t: {environmentVariable: {name: TOKEN}}}}
";
    let house = House::patient("{type: file, path: FOLDER/world.json}", &(thing + from));
    let mut said = Said::default();
    assert_eq!(said.run(&house, Some(FIRST), "deploy -f manifests").code, 1);
    let shown = said.run(&house, None, "show panics").out;
    assert!(shown.contains("the adaptor panicked: (sensitive)"), "{shown}");
    assert_eq!(said.run(&house, Some(FIRST), "deploy").code, 1);
    let shown = said.run(&house, None, "show panics").out;
    assert!(shown.contains("it is (sensitive)"), "{shown}");
    assert!(!said.0.contains(FIRST), "{}", said.0);
    // Too short to be told from chance: nothing is said at all.
    assert_eq!(said.run(&house, Some("5e"), "deploy").code, 0);
    assert_eq!(said.run(&house, Some(""), "repair").code, 1);
    let shown = said.run(&house, None, "show panics").out;
    assert!(shown.contains("the secret in environment variable TOKEN is empty"), "{shown}");
}

#[test]
fn the_example_is_what_it_says() {
    let house = House::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/values");
    let planned = Said::default().run(&house, Some(FIRST), &format!("dry-run -f {example} -o json"));
    assert_eq!(planned.code, 2, "{}", planned.err);
    let results = planned.json()["results"].clone();
    assert_eq!(results["known after apply"], 1, "{results}");
}
