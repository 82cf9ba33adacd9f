//! When an execution need not be run again.
//!
//! A component's **cache key** is a SHA-256 over what its outputs are a function of, and over nothing else:
//!
//! | part | from | why it is in, or out |
//! |---|---|---|
//! | component id | spec | in: two components with equal inputs differ |
//! | component version | spec | in: raised when the code's result changes |
//! | exec properties | `exec_properties()` as canonical JSON | in: settings; object keys sorted, so their order does not matter |
//! | input key and content hash, sorted by key | the inputs | in: *what* was read; an absent optional input has no entry |
//! | artifact and execution ids | store | out: the same content keeps its results when it is made again |
//! | paths, URIs | layout | out: the project folder may move |
//! | times, durations, run ids | clock | out: they change nothing |
//! | thread counts, progress, log settings | machine | out: they may not change outputs |
//! | output hashes | outputs | out of the key: checked when a hit is looked up, and `change_outside` asked |
//!
//! Each part is preceded by its length, so that no two lists of parts give the same bytes.
//!
//! A miss is explained by comparing the [`Fingerprint`] with that of the component's newest execution: [`StaleReason`].

use std::collections::BTreeMap;
use std::fmt;

use natureddit_core::{ContentHash, ContentHasher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::component::ComponentSpec;
use crate::setting_names::setting_name;

/// The cache key of a component with these settings and inputs; see the module's table.
#[must_use]
pub fn cache_key(spec: &ComponentSpec, exec_properties: &Value, inputs: &[(&str, ContentHash)]) -> ContentHash {
    let mut inputs = inputs.to_vec();
    inputs.sort_unstable();
    let mut hasher = ContentHasher::new();
    hasher.part("natureddit cache key 1").part(spec.id).part(spec.version.to_le_bytes());
    hasher.part(canonical_json(exec_properties));
    for (key, hash) in inputs {
        hasher.part(key).part(hash.as_bytes());
    }
    hasher.finish()
}

/// JSON with sorted object keys and no spaces: equal values have equal texts.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    sorted(value).to_string()
}

/// `serde_json` keeps either the order of insertion or the sorted one, as its features are chosen elsewhere in the
/// program; inserting in sorted order gives the same text in both.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        _ => value.clone(),
    }
}

/// What an execution's cache key was made of, kept beside it so that the next run can say what changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fingerprint {
    /// The component's version.
    pub version: u32,
    /// The component's settings.
    pub exec_properties: Value,
    /// The content of its inputs.
    pub inputs: BTreeMap<String, ContentHash>,
}

/// Why a component ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum StaleReason {
    /// It has never been run.
    NeverRan,
    /// Its last run failed, and nothing has changed since.
    LastRunFailed,
    /// Its code's version is another.
    ComponentVersion {
        /// The version that ran last.
        before: u32,
        /// The version now.
        now: u32,
    },
    /// A setting is another.
    ExecProperty {
        /// Where in the component's settings, keys joined by dots: `head.epochs`.
        path: String,
        /// What people call it: `trainer.epochs_max`; `None` where no setting of theirs alone decides it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        setting: Option<String>,
    },
    /// An input's content is another, or it came or went.
    Input {
        /// The input's key.
        key: String,
    },
    /// What it made is no longer there, in its folders or elsewhere.
    OutputMissing {
        /// The output's URI.
        uri: String,
    },
    /// What it made is there, but not as it was made.
    OutputChanged {
        /// The output's URI.
        uri: String,
    },
    /// What it made elsewhere is there, but something newer is beside it.
    OutputSuperseded {
        /// The output's URI.
        uri: String,
    },
    /// What it did without, because it could not be read, can be read now.
    Readable {
        /// The file's URI.
        uri: String,
    },
    /// What it made was stopped before its time.
    Unfinished {
        /// The output's URI.
        uri: String,
    },
    /// The user asked for it.
    Forced,
}

impl StaleReason {
    /// The first difference between two fingerprints, `None` when they are equal: version, settings, inputs.
    #[must_use]
    pub fn between(before: &Fingerprint, now: &Fingerprint) -> Option<Self> {
        if before.version != now.version {
            return Some(Self::ComponentVersion { before: before.version, now: now.version });
        }
        if let Some(path) = first_difference(&before.exec_properties, &now.exec_properties) {
            return Some(Self::ExecProperty { path, setting: None });
        }
        let keys = now.inputs.keys().chain(before.inputs.keys());
        let changed = keys.into_iter().find(|&key| before.inputs.get(key) != now.inputs.get(key));
        changed.map(|key| Self::Input { key: key.clone() })
    }

    /// The same with the setting as people call it.
    pub(crate) fn named(self, component: &str) -> Self {
        match self {
            Self::ExecProperty { path, .. } => {
                let setting = setting_name(component, &path);
                Self::ExecProperty { path, setting }
            }
            other => other,
        }
    }
}

/// The path of the first value that differs; empty when the values themselves are of different kinds.
fn first_difference(before: &Value, now: &Value) -> Option<String> {
    if before == now {
        return None;
    }
    let (Value::Object(before), Value::Object(now)) = (before, now) else { return Some(String::new()) };
    let keys: BTreeMap<&String, ()> = before.keys().chain(now.keys()).map(|key| (key, ())).collect();
    keys.into_keys().find_map(|key| {
        let rest = first_difference(before.get(key).unwrap_or(&Value::Null), now.get(key).unwrap_or(&Value::Null))?;
        Some(if rest.is_empty() { key.clone() } else { format!("{key}.{rest}") })
    })
}

impl fmt::Display for StaleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverRan => write!(f, "it never ran before"),
            Self::LastRunFailed => write!(f, "its last run failed"),
            Self::ComponentVersion { before, now } => write!(f, "component version {before} became {now}"),
            Self::ExecProperty { setting: Some(setting), .. } => write!(f, "setting {setting} changed"),
            Self::ExecProperty { path, .. } if path.is_empty() => write!(f, "its settings changed"),
            Self::ExecProperty { path, .. } => write!(f, "setting {path} changed"),
            Self::Input { key } => write!(f, "input {key} changed"),
            Self::OutputMissing { uri } => write!(f, "output {uri} is missing"),
            Self::OutputChanged { uri } => write!(f, "output {uri} was changed"),
            Self::OutputSuperseded { uri } => write!(f, "output {uri} is no longer the newest"),
            Self::Readable { uri } => write!(f, "{uri} was skipped and can be read now"),
            Self::Unfinished { uri } => write!(f, "{uri} was stopped before its time"),
            Self::Forced => write!(f, "it was forced"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn spec(id: &'static str, version: u32) -> ComponentSpec {
        ComponentSpec { id, version, inputs: &[], outputs: &[] }
    }

    fn fingerprint(version: u32, exec_properties: Value, inputs: &[(&str, &str)]) -> Fingerprint {
        let hash = |&(key, text): &(&str, &str)| (key.to_owned(), ContentHash::of(text.as_bytes()));
        Fingerprint { version, exec_properties, inputs: inputs.iter().map(hash).collect() }
    }

    #[test]
    fn a_setting_is_told_as_people_call_it_and_an_old_record_without_its_name_is_read() {
        let before = fingerprint(1, json!({"config": {"class_examples_min": 5}}), &[]);
        let now = fingerprint(1, json!({"config": {"class_examples_min": 9}}), &[]);
        let reason = StaleReason::between(&before, &now).unwrap().named("Evaluator");
        assert_eq!(reason.to_string(), "setting evaluator.class_examples_min changed");
        let path = "config.class_examples_min";
        let told = json!({"because": "exec_property", "path": path, "setting": "evaluator.class_examples_min"});
        assert_eq!(serde_json::to_value(&reason).unwrap(), told);
        let old: StaleReason = serde_json::from_value(json!({"because": "exec_property", "path": path})).unwrap();
        assert_eq!(old.to_string(), "setting config.class_examples_min changed");
    }

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let before = fingerprint(1, json!({"head": {"epochs": 10, "rate": 0.1}, "seed": 1}), &[("a", "x")]);
        let now = fingerprint(1, json!({"head": {"epochs": 20, "rate": 0.1}, "seed": 2}), &[("a", "y")]);
        assert_eq!(StaleReason::between(&before, &now).unwrap().to_string(), "setting head.epochs changed");
        let added = fingerprint(1, json!({"seed": 1, "x": {"y": 1}}), &[]);
        let reason = StaleReason::between(&fingerprint(1, json!({"seed": 1}), &[]), &added);
        assert_eq!(reason, Some(StaleReason::ExecProperty { path: "x".into(), setting: None }));
    }

    #[test]
    fn version_goes_before_settings_and_settings_before_inputs() {
        let old = fingerprint(1, json!({"a": 1}), &[("in", "x")]);
        let version = fingerprint(2, json!({"a": 2}), &[("in", "y")]);
        assert_eq!(StaleReason::between(&old, &version), Some(StaleReason::ComponentVersion { before: 1, now: 2 }));
        let input = fingerprint(1, json!({"a": 1}), &[("in", "y")]);
        assert_eq!(StaleReason::between(&old, &input), Some(StaleReason::Input { key: "in".into() }));
        assert_eq!(StaleReason::between(&old, &old), None);
    }

    #[test]
    fn an_optional_input_that_comes_or_goes_is_a_change() {
        let without = fingerprint(1, json!({}), &[("model", "m")]);
        let with = fingerprint(1, json!({}), &[("model", "m"), ("champion", "c")]);
        let reason = Some(StaleReason::Input { key: "champion".into() });
        assert_eq!(StaleReason::between(&without, &with), reason);
        assert_eq!(StaleReason::between(&with, &without), reason);
    }

    #[test]
    fn the_order_of_settings_does_not_change_the_key() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": {"d": 2, "c": 3}}"#).unwrap();
        let two: Value = serde_json::from_str(r#"{"a": {"c": 3, "d": 2}, "b": 1}"#).unwrap();
        assert_eq!(canonical_json(&one), r#"{"a":{"c":3,"d":2},"b":1}"#);
        assert_eq!(cache_key(&spec("A", 1), &one, &[]), cache_key(&spec("A", 1), &two, &[]));
    }

    /// A key frozen here: changing it by accident would rerun everybody's pipeline.
    #[test]
    fn the_key_of_known_parts_stays_the_same() {
        let key = cache_key(&spec("Trainer", 3), &json!({"epochs": 30}), &[("examples", ContentHash::of(b"x"))]);
        insta::assert_snapshot!(key, @"36e38f80558b3a8bd7051f80b57199ab064f0b8edd5d34396bfdde53e2ec2db7");
    }

    fn settings() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "[a-z]{0,4}".prop_map(Value::from)];
        proptest::collection::btree_map("[a-c]{1,2}", leaf, 0..4).prop_map(|map| json!(map))
    }

    fn inputs() -> impl Strategy<Value = BTreeMap<String, ContentHash>> {
        let hash = any::<u8>().prop_map(|byte| ContentHash::of(&[byte]));
        proptest::collection::btree_map("[a-c]{1,2}", hash, 0..4)
    }

    proptest! {
        #[test]
        fn the_key_differs_exactly_when_a_part_differs(
            (version_a, version_b) in (1_u32..3, 1_u32..3),
            (settings_a, settings_b) in (settings(), settings()),
            (inputs_a, inputs_b) in (inputs(), inputs()),
            (id_a, id_b) in (prop_oneof![Just("A"), Just("AB")], prop_oneof![Just("A"), Just("AB")]),
        ) {
            let list = |inputs: &BTreeMap<String, ContentHash>| -> Vec<(String, ContentHash)> {
                inputs.iter().map(|(key, hash)| (key.clone(), *hash)).collect()
            };
            let key = |id, version, settings: &Value, inputs: &[(String, ContentHash)]| {
                let inputs: Vec<_> = inputs.iter().map(|(key, hash)| (key.as_str(), *hash)).collect();
                cache_key(&spec(id, version), settings, &inputs)
            };
            let one = key(id_a, version_a, &settings_a, &list(&inputs_a));
            let two = key(id_b, version_b, &settings_b, &list(&inputs_b));
            let equal = id_a == id_b && version_a == version_b && settings_a == settings_b && inputs_a == inputs_b;
            prop_assert_eq!(one == two, equal);
            let reversed: Vec<_> = list(&inputs_a).into_iter().rev().collect();
            prop_assert_eq!(key(id_a, version_a, &settings_a, &reversed), one);
        }
    }
}
