use std::collections::BTreeSet;

use super::*;

fn scope(compat: Compat, model: Option<Model>) -> Scope {
    Scope { compat, instances_max: 16, needs_key: false, model }
}

fn nature() -> Model {
    Model { name: "nature".to_owned(), classes: vec!["fauna".to_owned(), "flora".to_owned()] }
}

/// Each `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str).map(str::to_owned));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Path, method and operation.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        found.extend(methods.as_object().unwrap().iter().map(|(method, operation)| (path, method, operation)));
    }
    found
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_has_a_name_of_its_own() {
    for compat in [Compat::Own, Compat::Strict] {
        for model in [None, Some(nature())] {
            let document = scope(compat, model).document();
            let mut found = BTreeSet::new();
            references(&document, &mut found);
            for reference in found {
                assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
            }
            let operations = operations(&document);
            let ids: BTreeSet<&str> = operations.iter().map(|(.., it)| it["operationId"].as_str().unwrap()).collect();
            assert_eq!(ids.len(), operations.len());
            for (path, method, operation) in operations {
                let named = path.split('/').filter_map(|part| Some(part.split_once('{')?.1.split_once('}')?.0));
                let parameters = operation["parameters"].as_array().unwrap();
                let described =
                    parameters.iter().filter(|it| it["in"] == "path").map(|it| it["name"].as_str().unwrap());
                assert_eq!(named.collect::<Vec<_>>(), described.collect::<Vec<_>>(), "{method} {path}");
                assert!(!operation["responses"].as_object().unwrap().is_empty(), "{method} {path}");
            }
        }
    }
}

#[test]
fn a_document_of_one_model_names_it_and_its_classes() {
    let document = scope(Compat::Own, Some(nature())).document();
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert!(paths.contains(&&"/predictions/nature/{version}".to_owned()), "{paths:?}");
    assert!(paths.iter().all(|path| path.contains("nature")), "{paths:?}");
    assert_eq!(document["components"]["schemas"]["Label"]["enum"], json!(["fauna", "flora"]));
}

#[test]
fn where_a_key_is_needed_every_operation_says_so() {
    for (compat, status) in [(Compat::Own, "401"), (Compat::Strict, "400")] {
        let document = Scope { needs_key: true, ..scope(compat, None) }.document();
        assert_eq!(document["components"]["securitySchemes"]["key"]["scheme"], "bearer");
        for (path, method, operation) in operations(&document) {
            assert_eq!(operation["security"], json!([{"key": []}]), "{method} {path}");
            assert!(operation["responses"][status].is_object(), "{method} {path}");
        }
        let open = scope(compat, None).document();
        assert!(operations(&open).iter().all(|(.., operation)| operation.get("security").is_none()));
    }
}
