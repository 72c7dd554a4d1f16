//! Objects as a cluster hands them over: no files, only paths.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::needless_pass_by_value)]

use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

static CHECKER: LazyLock<Checker> = LazyLock::new(|| Checker::new(Types::built_in().unwrap()).unwrap());

fn object(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "web-1", "namespace": "prod", "resourceVersion": "7"}, "spec": spec})
}

fn resource_spec() -> Value {
    json!({
        "environmentRef": {"name": "web"}, "type": "host.File", "targetRef": {"name": "here"}, "requires": ["b", "a"],
        "attributes": {"path": "/srv/x", "mode": "0644", "content": "x"}, "policy": {"mode": "Observe", "deadline": "90s"},
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    object
}

fn said<T>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
    result.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

#[test]
fn a_resource_becomes_an_intent() {
    let parsed = CHECKER.resource(&object("Resource", resource_spec())).unwrap();
    let intent = &parsed.intent;
    assert_eq!(
        (&*parsed.environment, &*intent.name, &*intent.kind, &*intent.target),
        ("web", "web-1", "host.File", "here")
    );
    assert_eq!(&*intent.attributes, r#"{"content":"x","mode":"0644","path":"/srv/x"}"#);
    assert_eq!(&*intent.identity, r#"{"/path":"/srv/x"}"#);
    assert_eq!(intent.requires.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        intent.policy,
        core::Policy {
            mode: core::Mode::Observe,
            deletion_policy: core::DeletionPolicy::Delete,
            protected: false,
            replace: core::Replace::DeleteFirst,
            deadline_ms: 90_000,
            notify: core::Notify::default()
        }
    );
}

#[test]
fn defaults_are_those_of_core() {
    let parsed = CHECKER.environment(&object("Environment", json!({}))).unwrap();
    assert_eq!(parsed.settings, core::Settings::default());
    assert_eq!((parsed.settle, parsed.source, &*parsed.pool), (Settle::default(), Source::Objects, "default"));
    let resource = with(object("Resource", resource_spec()), "/spec/policy", json!({}));
    assert_eq!(CHECKER.resource(&resource).unwrap().intent.policy, core::Policy::default());
    let target = object("Target", json!({"environmentRef": {"name": "web"}, "connection": {"type": "local"}}));
    let target = CHECKER.target(&target).unwrap().with_default_pool(&parsed.pool);
    let expected = core::Target {
        name: "web-1".into(),
        pool: "default".into(),
        connection: r#"{"type":"local"}"#.into(),
        concurrency: 1,
        suspend: false,
        windows: core::Windows::default(),
        rate_limit: None,
    };
    assert_eq!(target, expected);
    let executor = object(
        "Executor",
        json!({"environmentRef": {"name": "web"}, "adaptors": ["host"], "serviceAccountName": "runner"}),
    );
    let pool = core::Pool { name: "web-1".into(), min: 0, max: 1, idle_timeout_ms: 60_000 };
    assert_eq!(CHECKER.executor(&executor).unwrap().pool, pool);
}

#[test]
fn an_environment_says_all_it_can_say() {
    let spec = json!({
        "source": "Push", "suspend": true, "deploy": {"settle": {"quiet": "100ms"}, "maxInFlight": 3, "onChange": "Manual"}, "executor": "pods",
        "repair": {"schedule": "0 3 * * 1-5", "jitter": "10m", "action": "Report"},
        "retry": {"baseDelay": "1s", "maxDelay": "1m", "factor": 3, "jitterPercent": 50},
        "history": {"versions": 5, "attempts": "48h"},
    });
    let parsed = CHECKER.environment(&object("Environment", spec)).unwrap();
    let repair = core::Repair {
        schedule: core::RepairSchedule::Cron("0 3 * * 1-5".into()),
        jitter_ms: Some(600_000),
        action: core::RepairAction::Report,
    };
    let retry = core::Retry { base_delay_ms: 1_000, max_delay_ms: 60_000, factor: 3.0, jitter: 0.5 };
    let on_change = core::OnChange::Manual;
    let retention = core::Retention { versions: 5, attempts_ms: 48 * 3_600_000 };
    let settings = core::Settings { suspend: true, retry, repair, max_in_flight: Some(3), on_change, retention };
    assert_eq!(parsed.settings, settings);
    assert_eq!((parsed.settle.quiet.as_ms(), parsed.settle.max.as_ms(), parsed.source), (100, 10_000, Source::Push));
}

#[test]
fn a_target_says_when_and_how_often_it_may_be_worked_on() {
    let spec = |start: &str, zone: &str| {
        json!({
            "environmentRef": {"name": "web"}, "connection": {"type": "local"},
            "windows": {"deploy": [{"start": start, "duration": "2h", "timeZone": zone}]},
            "rateLimit": {"attempts": 10, "period": "1m"},
        })
    };
    let target = CHECKER.target(&object("Target", spec("0 22 * * *", "Europe/Brussels"))).unwrap();
    let target = target.with_default_pool(&"pool".into());
    let window =
        core::Window { start: "0 22 * * *".into(), duration_ms: 7_200_000, time_zone: Some("Europe/Brussels".into()) };
    assert_eq!(target.windows, core::Windows { deploy: vec![window], repair: vec![] });
    assert_eq!(target.rate_limit, Some(core::RateLimit { attempts: 10, period_ms: 60_000 }));
    let errors = CHECKER.target(&object("Target", spec("0 25 * * *", "Europe/Brussel"))).unwrap_err();
    let paths: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["spec.windows.deploy[0].start", "spec.windows.deploy[0].timeZone"]);
}

#[test]
fn attributes_are_filled_from_facts_and_what_they_are_facts_of_is_required() {
    let fact = |name: &str| json!({"name": name, "fact": "address"});
    let from = json!([
        {"path": "/owner", "factRef": fact("c")},
        {"path": "/content", "format": "{x} {{}}\n", "values": {"x": {"factRef": fact("a")}}},
    ]);
    let spec = with(object("Resource", resource_spec()), "/spec/attributes", json!({"path": "/srv/x"}));
    let intent = CHECKER.resource(&with(spec, "/spec/attributesFrom", from)).unwrap().intent;
    assert_eq!(intent.requires.iter().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(&*intent.attributes, r#"{"path":"/srv/x"}"#);
    let paths: Vec<&str> = intent.inputs.iter().map(|input| &*input.path).collect();
    assert_eq!(paths, ["/content", "/owner"]);
    assert_eq!(intent.facts_taken().map(|of| &*of.name).collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn what_is_wrong_with_attributes_from_is_said_all_at_once_with_its_place() {
    let fact = json!({"name": "a", "fact": "size"});
    let from = json!([
        {"path": "/path", "factRef": fact},
        {"path": "/contnet", "factRef": fact},
        {"path": "/mode", "factRef": fact},
        {"path": "/owner", "format": "{x} {z}", "values": {"x": {"factRef": fact}, "y": {"factRef": fact}}},
        {"path": "/group", "format": "{x", "values": {"x": {"factRef": {"name": "a", "fact": "a b"}}}},
        {"path": "/owner/name", "factRef": fact},
    ]);
    let attributes = json!({"path": "/srv/x", "mode": "0644"});
    let spec = with(object("Resource", resource_spec()), "/spec/attributes", attributes);
    let errors = said(CHECKER.resource(&with(spec.clone(), "/spec/attributesFrom", from)));
    assert_eq!(
        errors,
        [
            "spec.attributesFrom[0].path: /path is given in attributes too; give it once",
            "spec.attributesFrom[0].path: /path is part of what makes the resource the same thing: it must be given in attributes",
            "spec.attributesFrom[1].path: unknown field; did you mean `content`?",
            "spec.attributesFrom[2].path: /mode is given in attributes too; give it once",
            "spec.attributesFrom[3].format: values has no \"z\"",
            "spec.attributesFrom[3].values.y: is not used: format has no {y}",
            "spec.attributesFrom[4].format: has a `{` without its other half; write `{{` for the character itself",
            "spec.attributesFrom[4].values.x.factRef.fact: must be the name of a fact: letters and digits, beginning with a letter",
            "spec.attributesFrom[5].path: /owner is filled by an earlier entry",
        ]
    );
    let table = [
        (json!([{"path": "content", "factRef": fact}]), "spec.attributesFrom[0].path: must be a JSON pointer"),
        (
            json!([{"path": "/content"}]),
            "spec.attributesFrom[0]: exactly one of factRef, environmentVariable, file and format must be set",
        ),
        (
            json!([{"path": "/content", "secretKeyRef": {"name": "x"}}]),
            "spec.attributesFrom[0].secretKeyRef: unknown field; secretKeyRef is not built yet",
        ),
        (
            json!([{"path": "/content", "factRef": fact, "values": {"x": {"factRef": fact}}}]),
            "spec.attributesFrom[0].values: is required with format, and belongs to it only",
        ),
        (json!(vec![json!({"path": "/content", "factRef": fact}); 65]), "spec.attributesFrom: must have at most 64"),
        (json!({}), "spec.attributesFrom: must be a list"),
    ];
    for (from, expected) in table {
        let errors = said(CHECKER.resource(&with(spec.clone(), "/spec/attributesFrom", from)));
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:?}");
    }
}

#[test]
fn what_is_required_may_be_filled_and_the_rest_is_checked_all_the_same() {
    let fact = json!({"name": "a", "fact": "size"});
    let spec = json!({
        "environmentRef": {"name": "web"}, "type": "host.Command", "targetRef": {"name": "here"},
        "attributes": {"creates": "relative"}, "attributesFrom": [{"path": "/env/A~1B", "factRef": fact}],
    });
    let errors = said(CHECKER.resource(&object("Resource", spec.clone())));
    assert!(errors.iter().any(|error| error.starts_with("spec.attributes.argv: is required")), "{errors:?}");
    let spec = with(object("Resource", spec), "/spec/attributes", json!({"creates": "/a", "argv": ["/bin/true"]}));
    assert_eq!(said(CHECKER.resource(&spec)), [""; 0]);
}

/// Going back from any bad spec to the good one recovers: nothing is remembered.
#[test]
fn hostile_resources_are_refused_with_their_path() {
    let good = object("Resource", resource_spec());
    let depth = (0..100).fold(json!(1), |value, _| json!([value]));
    let table = [
        ("/metadata/name", json!("a..b"), "metadata.name: must be a DNS-1123 name"),
        ("/metadata/name", json!("--flag"), "metadata.name: must be a DNS-1123 name"),
        ("/metadata/name", json!("a\0"), "metadata.name: contains NUL"),
        ("/metadata/name", json!("a\u{202e}b"), "metadata.name: must be a DNS-1123 name"),
        ("/metadata/name", json!("x".repeat(254)), "metadata.name: must have between 1 and 253 characters"),
        ("/metadata/name", json!("'; drop table"), "metadata.name: must be a DNS-1123 name"),
        ("/metadata/labels", json!({"a": 1}), "metadata.labels.a: must be a string"),
        ("/spec/targetRef", json!({"name": "../../etc"}), "spec.targetRef.name: must be a DNS-1123 name"),
        ("/spec/targetRef", json!({"name": "a", "namespace": "other"}), "spec.targetRef.namespace: unknown field"),
        ("/spec/requires", json!(vec!["a"; 1_025]), "spec.requires: must have at most 1024 items, has 1025"),
        ("/spec/requires", json!(["a", "a"]), "spec.requires[1]: \"a\" is listed twice"),
        ("/spec/requires", json!("a"), "spec.requires: must be a list"),
        ("/spec/type", json!("host.Fil"), "spec.type: unknown type \"host.Fil\"; did you mean `host.File`?"),
        ("/spec/type", json!("file"), "spec.type: must be <adaptor>.<Type>, such as host.File"),
        ("/spec/policy", json!({"deadline": "-1s"}), "spec.policy.deadline: must be a duration such as"),
        ("/spec/policy", json!({"deadline": "1e999h"}), "spec.policy.deadline: must be a duration such as"),
        ("/spec/policy", json!({"deadline": "999999999h"}), "spec.policy.deadline: must be between 1s and 24h"),
        (
            "/spec/policy",
            json!({"deadline": 30}),
            "spec.policy.deadline: must be a string, is the number 30; write \"30\", in quotes",
        ),
        ("/spec/policy", json!({"protected": "yes"}), "spec.policy.protected: must be a boolean"),
        ("/spec/attributes", json!({"path": "/a", "content": "x".repeat(1_048_577)}), "spec.attributes"),
        (
            "/spec/attributes",
            json!({"path": "/a", "content": depth}),
            "spec.attributes.content: must be a string, is a list",
        ),
        (
            "/spec/attributes",
            json!({"path": "/a", "contents": "x"}),
            "spec.attributes.contents: unknown field; did you mean `content`?",
        ),
        ("/spec/attributes", json!([]), "spec.attributes: must be an object, is a list"),
        (
            "/apiVersion",
            json!("homeostat.dev/v1"),
            "apiVersion: must be homeostat.dev/v1alpha1, is \"homeostat.dev/v1\"",
        ),
        ("/extra", json!(1), "extra: unknown field"),
    ];
    for (pointer, value, expected) in table {
        let errors = said(CHECKER.resource(&with(good.clone(), pointer, value)));
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{pointer}: {errors:?}");
        assert!(CHECKER.resource(&good).is_ok());
    }
}

#[test]
fn the_other_kinds_are_refused_with_their_path_too() {
    let environment =
        |pointer: &str, value| said(CHECKER.environment(&with(object("Environment", json!({})), pointer, value)));
    let target = |value| {
        said(CHECKER.target(&object("Target", json!({"environmentRef": {"name": "web"}, "connection": value}))))
    };
    let executor = |pointer: &str, value| {
        let spec = json!({"environmentRef": {"name": "web"}, "adaptors": ["host"], "serviceAccountName": "runner"});
        said(CHECKER.executor(&with(object("Executor", spec), pointer, value)))
    };
    let both = "spec.repair: exactly one of interval and schedule must be set; leave repair out to turn it off";
    let table = [
        (environment("/spec/repair", json!({"interval": "5m", "schedule": "0 3 * * *"})), both),
        (environment("/spec/repair", json!({})), both),
        (
            environment("/spec/repair", json!({"interval": "1ms"})),
            "spec.repair.interval: must be between 1s and 8784h, is 1ms",
        ),
        (
            environment("/spec/repair", json!({"schedule": "61 3 * * *"})),
            "spec.repair.schedule: is not a cron expression (",
        ),
        (
            environment("/spec/repair", json!({"schedule": "0 0 3 * * *"})),
            "spec.repair.schedule: must be a cron expression of five fields",
        ),
        (
            environment("/spec/retry", json!({"baseDelay": "1h", "maxDelay": "1m"})),
            "spec.retry.baseDelay: must not be longer than maxDelay",
        ),
        (
            environment("/spec/retry", json!({"baseDelay": "1h"})),
            "spec.retry.baseDelay: must not be longer than maxDelay",
        ),
        (
            environment("/spec/retry", json!({"factor": 1.5})),
            "spec.retry.factor: must be a whole number, is the number 1.5",
        ),
        (environment("/spec/source", json!("Pull")), "spec.source: must be Objects or Push, is \"Pull\""),
        (
            environment("/metadata/name", json!("x".repeat(64))),
            "metadata.name: must have at most 63 characters, has 64",
        ),
        (environment("/spec/onChange", json!("Manual")), "spec.onChange: unknown field"),
        (
            target(json!({"type": "ssh"})),
            "spec.connection.type: must be local or kubernetes or file or configMap, is \"ssh\"",
        ),
        (target(json!({})), "spec.connection.type: is required"),
        (target(json!({"type": "file"})), "spec.connection.path: is required with type file"),
        (target(json!({"type": "file", "path": "relative"})), "spec.connection.path: must be an absolute path"),
        (
            target(json!({"type": "local", "path": "/x"})),
            "spec.connection.path: is required with type file, and belongs to it only",
        ),
        (
            target(json!({"type": "local", "kubeconfig": "/x"})),
            "spec.connection.kubeconfig: belongs to type kubernetes only",
        ),
        (target(json!({"type": "kubernetes", "delayMs": 1})), "spec.connection.delayMs: belongs to type local only"),
        (executor("/spec/replicas", json!({"min": 3})), "spec.replicas.min: must not be greater than max"),
        (executor("/spec/replicas", json!({"max": 0})), "spec.replicas.max: must be between 1 and 1000, is 0"),
        (executor("/spec/adaptors", json!([])), "spec.adaptors: must have between 1 and 64 items, has 0"),
        (
            executor("/spec/serviceAccountName", json!("")),
            "spec.serviceAccountName: must have between 1 and 253 characters",
        ),
        (executor("/spec/podTemplate", json!({"hostNetwork": true})), "spec.podTemplate.hostNetwork: unknown field"),
        (
            executor("/spec/podTemplate", json!({"resources": {"limits": {"cpu": "lots"}}})),
            "spec.podTemplate.resources.limits.cpu: must match",
        ),
        (executor("/spec/image", json!("-rm")), "spec.image: must match"),
    ];
    for (errors, expected) in table {
        assert!(errors.iter().any(|error| error.starts_with(expected)), "{expected}: {errors:?}");
    }
    assert_eq!(executor("/spec/podTemplate", json!({"resources": {"limits": {"cpu": 2, "memory": "256Mi"}}})), [""; 0]);
}

proptest! {
    #[test]
    fn parsing_never_panics(value in crate::api::schema::tests::any_value(), pointer in "(/spec|/metadata|/spec/attributes|/spec/policy|/spec/requires|/kind)") {
        let hostile = with(object("Resource", resource_spec()), &pointer, value.clone());
        for object in [&value, &hostile] {
            let _ = (CHECKER.resource(object), CHECKER.environment(object), CHECKER.target(object), CHECKER.executor(object));
        }
    }
}
