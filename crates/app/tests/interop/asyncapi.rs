//! The published document, read by the parser of the AsyncAPI project.

use serde_json::json;
use testkit::Service;

use crate::BINARY;
use crate::node::{self, summary};

#[tokio::test]
async fn the_asyncapi_document_is_one_to_its_own_parser() {
    let service = Service::prepare(BINARY, None, &[]);
    let document = service.run("asyncapi", &[]).await;
    assert_eq!(document.code, Some(0), "{}", document.messages);
    let file = service.folder().join("asyncapi.json");
    std::fs::write(&file, &document.text).expect("it can be written");
    let told = node::run("asyncapi.mjs", &[file.to_str().expect("a path")], &[]).await;
    let summary = summary(&told);
    assert_eq!((&summary["ok"], &summary["version"]), (&json!(true), &json!("3.0.0")), "{summary}");
    assert_eq!((&summary["servers"], &summary["channels"]), (&json!(2), &json!(8)), "{summary}");
}
