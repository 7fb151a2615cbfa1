//! The OpenAPI document against the table, both ways.

use std::collections::BTreeSet;

use lifecycle_adapters_http::{Access, Effect, Input, Operation, openapi};
use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(openapi()).expect("a document")
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

fn described(document: &Value, operation: Operation) -> Value {
    let spec = operation.spec();
    document["paths"][spec.path][spec.method.as_str().to_lowercase()].clone()
}

fn parameters(described: &Value, place: &str) -> BTreeSet<String> {
    let all = described["parameters"].as_array().cloned().unwrap_or_default();
    let of_place = all.iter().filter(|parameter| parameter["in"] == place);
    of_place.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn the_document_and_the_table_have_the_same_operations() {
    let documented: BTreeSet<(String, String, String)> = operations(&document())
        .into_iter()
        .map(|(method, path, operation)| {
            (method, path, operation["operationId"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let routed: BTreeSet<(String, String, String)> = Operation::ALL
        .iter()
        .map(|operation| operation.spec())
        .map(|spec| (spec.method.to_string(), spec.path.to_owned(), spec.id.to_owned()))
        .collect();
    assert_eq!(documented, routed);
}

#[test]
fn it_is_openapi_3_1() {
    assert!(document()["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
}

#[test]
fn every_operation_documents_its_inputs() {
    let document = document();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let described = described(&document, *operation);
        let in_path = spec.path.matches('{').count();
        assert_eq!(parameters(&described, "path").len(), in_path, "{}", spec.id);
        let query: BTreeSet<String> = spec.query.iter().map(|parameter| parameter.name.to_owned()).collect();
        assert_eq!(parameters(&described, "query"), query, "{}", spec.id);
        let headers = parameters(&described, "header");
        let (has_key, has_match) = match spec.effect {
            Effect::Command { if_match } => (true, if_match),
            Effect::Read | Effect::Action => (false, false),
        };
        assert_eq!(
            (headers.contains("Idempotency-Key"), headers.contains("If-Match")),
            (has_key, has_match),
            "{}",
            spec.id
        );
        if matches!(spec.input, Input::Json | Input::LargeJson) {
            assert_eq!(described["requestBody"]["required"], true, "{}", spec.id);
        }
    }
}

#[test]
fn every_operation_documents_its_problems_and_its_security() {
    let document = document();
    for operation in Operation::ALL {
        let spec = operation.spec();
        let described = described(&document, *operation);
        let responses = described["responses"].as_object().expect("responses");
        let problems: BTreeSet<&str> = responses.keys().map(String::as_str).filter(|s| *s >= "400").collect();
        for status in &problems {
            let schema = &responses[*status]["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(schema, "#/components/schemas/Problem", "{} {status}", spec.id);
        }
        assert!(responses.keys().any(|status| status.starts_with('2')), "{}", spec.id);
        assert!(problems.contains("500") && problems.contains("503"), "{}", spec.id);
        let is_guarded = matches!(spec.access, Access::Roles(_));
        assert_eq!(["401", "403", "429"].iter().all(|status| problems.contains(status)), is_guarded, "{}", spec.id);
        assert_eq!(described["security"][0].get("bearer").is_some(), is_guarded, "{}", spec.id);
        assert_eq!(problems.contains("404"), spec.path.contains('{'), "{}", spec.id);
        let takes_json = spec.input != Input::None;
        assert_eq!(["413", "415", "422"].iter().all(|status| problems.contains(status)), takes_json, "{}", spec.id);
        let is_command = matches!(spec.effect, Effect::Command { .. });
        assert!(!is_command || problems.contains("409"), "{}", spec.id);
        assert_eq!(problems.contains("412"), spec.effect == Effect::Command { if_match: true }, "{}", spec.id);
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(target) if name == "$ref" => drop(found.insert(target.to_owned())),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 10);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("a place in this document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
