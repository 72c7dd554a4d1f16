//! `host.User` and `host.Group` with the real tools.

use super::super::tests::{delete, deploy, desired, message};
use super::machine_test;
use crate::adaptors::Adaptor;
use crate::adaptors::host::Host;
use crate::core::Change;
use serde_json::{Value, json};

const HASH: &str = "$6$salt$uwuM5eb0xKQbBPYQYQKyJPg5k9C1XvVc8RIV5jT3LNXTxxl8ANQWpmWGvOKyOVZ0yV0PYOiWgXm4Fv4mUfCTl1";
const OTHER_HASH: &str =
    "$6$pepper$0ther00xKQbBPYQYQKyJPg5k9C1XvVc8RIV5jT3LNXTxxl8ANQWpmWGvOKyOVZ0yV0PYOiWgXm4Fv4mUfCTl1";

/// The fields of a line of an account file.
fn line(file: &str, name: &str) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(file).unwrap();
    let fields = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    fields.into_iter().find(|fields| fields[0] == name)
}

machine_test!("plain", a_group_is_made_numbered_anew_and_deleted, {
    let kind = "host.Group";
    let group = |gid: Value| json!({"name": "homeostat-g", "gid": gid});
    assert_eq!(deploy(kind, group(json!(4_501))).await.unwrap(), (Change::Create, "a group\ngid: 4501\n".to_owned()));
    assert_eq!(deploy(kind, group(json!(4_502))).await.unwrap(), (Change::Update, "gid: 4501 -> 4502\n".to_owned()));
    assert_eq!(deploy(kind, json!({"name": "homeostat-g"})).await.unwrap().0, Change::None);
    assert_eq!(line("/etc/group", "homeostat-g").unwrap()[2], "4502");
    let error = message(deploy(kind, json!({"name": "homeostat-h", "gid": 4_502})).await);
    assert!(error.starts_with("groupadd --gid=4502 -- homeostat-h: exited with code 4: "), "{error}");
    assert_eq!(delete(kind, group(json!(1))).await.unwrap().1, "delete the group homeostat-g (gid 4502)\n");
    assert_eq!(line("/etc/group", "homeostat-g"), None);
});

machine_test!("plain", a_user_is_made_changed_and_deleted, {
    let kind = "host.User";
    for name in ["homeostat-g1", "homeostat-g2"] {
        deploy("host.Group", json!({"name": name, "system": true})).await.unwrap();
    }
    let user =
        json!({"name": "ada", "uid": 4_601, "groups": ["homeostat-g1"], "shell": "/bin/bash", "comment": "Ada L."});
    let created = deploy(kind, user).await.unwrap();
    let diff = "a user\nuid: 4601\ngroups: homeostat-g1\nshell: /bin/bash\ncomment: Ada L.\n";
    assert_eq!(created, (Change::Create, diff.to_owned()));
    assert!(std::path::Path::new("/home/ada/.profile").exists(), "a home folder like any other");
    let user = json!({"name": "ada", "uid": 4_602, "group": "homeostat-g2", "groups": [], "home": "/srv/ada", "shell": "/bin/sh", "comment": ""});
    let updated = deploy(kind, user.clone()).await.unwrap();
    let diff = "uid: 4601 -> 4602\ngroup: ada -> homeostat-g2\ngroups: homeostat-g1 -> none\nhome: /home/ada -> /srv/ada\nshell: /bin/bash -> /bin/sh\ncomment: Ada L. -> \n";
    assert_eq!(updated, (Change::Update, diff.to_owned()));
    assert_eq!(
        line("/etc/passwd", "ada").unwrap()[2..],
        ["4602", &line("/etc/group", "homeostat-g2").unwrap()[2], "", "/srv/ada", "/bin/sh"]
    );
    let kept = json!({"name": "ada", "groups": ["homeostat-g1"]});
    deploy(kind, kept).await.unwrap();
    let more = json!({"name": "ada", "groups": ["homeostat-g2"], "otherGroups": "keep"});
    assert_eq!(deploy(kind, more).await.unwrap().1, "groups: homeostat-g1 -> homeostat-g1, homeostat-g2\n");
    let error = message(deploy(kind, json!({"name": "ada", "group": "nowhere"})).await);
    assert!(error.contains("usermod --gid=nowhere -- ada: exited with code 6"), "{error}");
    assert_eq!(delete(kind, user).await.unwrap().1, "delete the user ada (uid 4602); the folder /srv/ada stays\n");
    assert_eq!(line("/etc/passwd", "ada"), None);
});

machine_test!("plain", a_password_is_set_over_a_pipe_and_never_shown, {
    let kind = "host.User";
    let field = || line("/etc/shadow", "eve").unwrap()[1].clone();
    let eve = |more: Value| {
        let mut user = json!({"name": "eve", "system": true});
        user.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        user
    };
    let created = deploy(kind, eve(json!({"passwordHash": HASH}))).await.unwrap();
    assert_eq!(created.1, "a user\npasswordHash: (sensitive)\n");
    assert_eq!(field(), HASH);
    let locked = deploy(kind, eve(json!({"passwordHash": HASH, "locked": true}))).await.unwrap();
    assert_eq!(locked.1, "locked: false -> true\n");
    assert_eq!(field(), format!("!{HASH}"));
    let changed = deploy(kind, eve(json!({"passwordHash": OTHER_HASH}))).await.unwrap();
    assert_eq!((changed.1.as_str(), field()), ("passwordHash: (sensitive)\n", format!("!{OTHER_HASH}")));
    let unlocked = deploy(kind, eve(json!({"passwordHash": HASH, "locked": false}))).await.unwrap();
    assert_eq!(unlocked.1, "passwordHash: (sensitive)\nlocked: true -> false\n");
    assert_eq!(field(), HASH);
    deploy(kind, eve(json!({"locked": true}))).await.unwrap();
    assert_eq!(deploy(kind, eve(json!({"locked": false}))).await.unwrap().1, "locked: true -> false\n");
    assert_eq!(field(), HASH);
    delete(kind, eve(json!({}))).await.unwrap();
    // Without a password, "unlocked" would be an open door.
    deploy(kind, eve(json!({"locked": true}))).await.unwrap();
    let error = message(deploy(kind, eve(json!({"locked": false}))).await);
    assert!(error.contains("would let everybody in"), "{error}");
});

machine_test!("plain", a_user_who_is_wanted_absent_is_deleted_and_then_of_no_interest, {
    let absent = json!({"name": "mallory", "ensure": "absent"});
    deploy("host.Group", json!({"name": "mallory"})).await.unwrap();
    deploy("host.User", json!({"name": "mallory", "createHome": false})).await.unwrap();
    assert_eq!(line("/etc/passwd", "mallory").unwrap()[3], line("/etc/group", "mallory").unwrap()[2]);
    assert_eq!(deploy("host.User", absent.clone()).await.unwrap().0, Change::Delete);
    deploy("host.User", json!({"name": "mallory"})).await.unwrap();
    let (desired, _ended) = desired("host.User", absent);
    assert_eq!(Host.difference(&desired, true).await.unwrap().difference.change, Change::None);
});
