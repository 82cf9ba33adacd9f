//! The text of a schema and what it means.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> Result<Schema, SchemaError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SCHEMA_FILE);
    fs::write_atomic(&path, text).unwrap();
    read_schema(&path)
}

/// The error without the folder's name.
fn error(text: &str) -> String {
    let message = parsed(text).unwrap_err().to_string();
    message.split_once(SCHEMA_FILE).unwrap().1.to_owned()
}

#[test]
fn what_tfdv_wrote_survives_byte_by_byte() {
    let Some(shared) = natureddit_testkit::shared("the schemas that TFDV and TFX wrote") else { return };
    for file in ["captures/tfdv/schema.pbtxt", "captures/tfx_out/SchemaGen/schema/3/schema.pbtxt"] {
        let path = shared.join(file);
        let schema = read_schema(&path).unwrap();
        assert_eq!(schema.features.len(), 7);
        assert_eq!(wire::to_text(&schema), fs::read_to_string(&path).unwrap());
        assert_eq!(schema.text_domain(schema.feature("choice").unwrap()).unwrap().values.len(), 3);
    }
}

#[test]
fn what_people_write_is_read() {
    let text = r#"
        # The label is not there when the model is asked.
        default_environment: ["TRAINING", "SERVING"]
        feature: <
          name: 'choice'  type: 1;
          not_in_environment: "SERVING",
          presence { min_fraction: 1, min_count: 1 }
          string_domain { value: "fau" "na" value: "\303\251t\u00e9" }
          drift_comparator { infinity_norm { threshold: .25 } }
        >
        feature { name: "ratio" type: FLOAT float_domain { min: -inf max: 1.5f disallow_nan: true } }
    "#;
    let schema = parsed(text).unwrap();
    let choice = schema.feature("choice").unwrap();
    assert_eq!(schema.text_domain(choice).unwrap().values, ["fauna", "été"]);
    assert_eq!(choice.drift.clone().unwrap().infinity_norm.unwrap().max, Some(0.25));
    assert!(schema.is_in_environment(choice, None) && schema.is_in_environment(choice, Some("TRAINING")));
    assert!(!schema.is_in_environment(choice, Some("SERVING")));
    let ratio = schema.feature("ratio").unwrap();
    let domain = ratio.float_domain.clone().unwrap();
    assert_eq!((domain.min, domain.max), (Some(f32::NEG_INFINITY), Some(1.5)));
    assert!(schema.is_in_environment(ratio, Some("SERVING")) && !ratio.is_required());
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    assert_eq!(error("feature {\n  name: \"x\"\n  tpye: INT\n}"), ", line 3: the field \"tpye\" is not known here");
    let sparse = "feature { name: \"x\" type: INT }\nsparse_feature { name: \"y\" }";
    assert_eq!(error(sparse), ", line 2: the field \"sparse_feature\" is not known here");
    assert_eq!(error("feature {\n name: x\n}"), ", line 2: name is not a text in quotes");
    assert_eq!(error("feature { type: STRUCT }"), ", line 1: type is not one of BYTES, INT, FLOAT");
    assert_eq!(error("feature { presence { min_count: 1.5 } }"), ", line 1: min_count is not a whole number");
    assert_eq!(error("feature { name: \"x\" name: \"y\" }"), ", line 1: name is set twice");
    assert_eq!(error("feature {\n\n"), ", line 3: '}' is missing at the end");
    assert_eq!(error("feature { name: \"x\n\" }"), ", line 1: a text has no closing quote");
    assert_eq!(error(&"x {".repeat(40)), ", line 1: messages lie too deep within each other");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let x = "feature { name: \"x\" type: BYTES ";
    assert_eq!(error(&format!("{x}}}{x}}}")), ": the feature \"x\" is there twice");
    assert_eq!(error("feature { type: INT }"), ": feature number 1 has no name");
    assert_eq!(error("feature { name: \"x\" }"), ": the feature \"x\" has no type");
    let missing = error(&format!("{x}domain: \"y\" }}"));
    assert_eq!(missing, ": the feature \"x\" names a string_domain that is not there");
    let both = error(&format!("{x}shape {{}} value_count {{ min: 1 }} }}"));
    assert_eq!(both, ": the feature \"x\" has both shape and value_count");
    let domains = error(&format!("{x}url_domain {{}} int_domain {{}} }}"));
    assert_eq!(domains, ": the feature \"x\" has more than one domain");
}

fn schema() -> impl Strategy<Value = Schema> {
    let range = (any::<Option<i64>>(), any::<Option<i64>>()).prop_map(|(min, max)| Range { min, max });
    let domain =
        (any::<String>(), any::<Vec<String>>()).prop_map(|(name, values)| TextDomain { name: Some(name), values });
    let comparator = proptest::option::of(0.0_f64..1.0)
        .prop_map(|max| Comparator { infinity_norm: Some(Threshold { max }), jensen_shannon: None });
    let kind = prop_oneof![Just(SchemaKind::Bytes), Just(SchemaKind::Int), Just(SchemaKind::Float)];
    let limits = (proptest::option::of(-1e30_f32..1e30), any::<Option<bool>>(), proptest::option::of(-1e300..1e300));
    let feature = (any::<String>(), kind, range, domain, comparator, limits).prop_map(
        |(name, kind, range, domain, comparator, (low, flag, fraction))| Feature {
            name: Some(name),
            kind: Some(kind),
            unique: Some(range),
            text_domain: Some(domain),
            drift: Some(comparator),
            float_domain: Some(FloatDomain { min: low, disallow_nan: flag, ..FloatDomain::default() }),
            presence: Some(PresenceMin { fraction, count: None }),
            stage: Some(Stage::Production),
            shape: Some(Shape { dimensions: vec![Dimension { size: Some(1), name: None }] }),
            not_in_environments: vec!["SERVING".to_owned()],
            ..Feature::default()
        },
    );
    (proptest::collection::vec(feature, 0..4), any::<Vec<String>>())
        .prop_map(|(features, default_environments)| Schema { features, default_environments, ..Schema::default() })
}

proptest! {
    #[test]
    fn a_schema_survives_its_text(schema in schema()) {
        let text = wire::to_text(&schema);
        prop_assert_eq!(wire::from_text(&text).unwrap(), schema);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>(), more in "[a-z{}<>:\\[\\]\"'#\\\\ 0-9.,]{0,60}") {
        let _ = wire::from_text(&text);
        let _ = wire::from_text(&more);
    }
}
