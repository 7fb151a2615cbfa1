//! The layers: which of our crates may depend on which, and which outside crates the pure ones may know.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// What a crate may depend on. Names are folder names, without `lifecycle-`.
struct Layer {
    name: &'static str,
    /// Our crates that it may use.
    ours: &'static [&'static str],
    /// Outside crates that it may use; `None`: any that `deny.toml` lets it have.
    outside: Option<&'static [&'static str]>,
}

const fn layer(name: &'static str, ours: &'static [&'static str]) -> Layer {
    Layer { name, ours, outside: None }
}

/// The arrows of docs/ARCHITECTURE.md.
const LAYERS: &[Layer] = &[
    Layer { name: "failpoints", ours: &[], outside: Some(&[]) },
    Layer { name: "domain", ours: &[], outside: Some(&["chrono", "thiserror", "uuid"]) },
    Layer {
        name: "ports",
        ours: &["domain"],
        outside: Some(&["async-trait", "chrono", "mockall", "thiserror", "uuid"]),
    },
    // Forms of what crosses the ports, records above all (ADR 0001).
    layer("wire", &["domain", "ports"]),
    layer("application", &["failpoints", "domain", "ports"]),
    layer("port-contracts", &["domain", "ports"]),
    layer("adapters-auth", &["domain", "ports", "wire"]),
    layer("adapters-embedded", &["failpoints", "domain", "ports", "wire"]),
    layer("adapters-postgres", &["failpoints", "domain", "ports", "wire"]),
    layer("adapters-redis", &["failpoints", "domain", "ports", "wire"]),
    layer("adapters-websocket", &["failpoints", "domain", "ports", "wire"]),
    layer("adapters-http", &["domain", "ports", "wire", "application"]),
    layer(
        "lifecycle",
        &[
            "failpoints",
            "domain",
            "ports",
            "wire",
            "application",
            "adapters-auth",
            "adapters-embedded",
            "adapters-postgres",
            "adapters-redis",
            "adapters-websocket",
            "adapters-http",
        ],
    ),
    layer("test-servers", &[]),
    // Makes the tokens that the scenarios use, and their databases.
    layer("testkit", &["domain", "ports", "wire", "adapters-auth", "test-servers"]),
    layer("bench", &["domain", "ports", "wire", "application", "adapters-embedded", "test-servers"]),
    // The hub runs in it, over pipes.
    layer("sim", &["domain", "ports", "wire", "application", "adapters-websocket"]),
    // The adapters that read what others wrote, put together without sockets.
    layer(
        "fuzz",
        &[
            "domain",
            "ports",
            "wire",
            "application",
            "adapters-auth",
            "adapters-embedded",
            "adapters-websocket",
            "adapters-http",
        ],
    ),
    layer("chaos", &["test-servers", "testkit"]),
    layer("xtask", &["domain", "wire", "test-servers"]),
];

/// Outside crates that reach the world: only adapters, the binary and tools may have them.
const DRIVERS: &[&str] = &[
    "diesel",
    "diesel-async",
    "diesel_migrations",
    "deadpool",
    "fred",
    "hyper",
    "hyper-util",
    "jsonwebtoken",
    "libsqlite3-sys",
    "reqwest",
    "tokio-postgres",
    "tokio-tungstenite",
    "warp",
];

/// Crates that have no drivers.
const DRIVERLESS: &[&str] = &["domain", "ports", "wire", "application", "port-contracts"];

/// Crates that only tests may use.
const TEST_ONLY: &[&str] = &["port-contracts", "test-servers", "testkit", "sim", "bench", "fuzz", "chaos"];

/// One dependency of one of our crates.
struct Arrow {
    to: String,
    ours: bool,
    test: bool,
}

/// Checks what `cargo metadata --no-deps` says.
pub(super) fn check(metadata: &Value) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for (name, arrows) in arrows(metadata)? {
        let Some(layer) = LAYERS.iter().find(|l| l.name == name) else {
            findings.push(format!("crate {name}: has no layer yet; give it one in xtask/src/tidy/layers.rs"));
            continue;
        };
        findings.extend(arrows.iter().filter_map(|arrow| fault(layer, arrow)).map(|f| format!("crate {name}: {f}")));
    }
    Ok(findings)
}

fn fault(layer: &Layer, arrow: &Arrow) -> Option<String> {
    let to = arrow.to.as_str();
    if arrow.ours {
        let for_tests = TEST_ONLY.contains(&to);
        return match (for_tests, arrow.test) {
            // Another crate for tests, or a tool, that says so in its layer.
            (true, false) if layer.ours.contains(&to) => None,
            (true, false) => Some(format!("{to} is for tests only: make it a dev-dependency")),
            (true, true) => None,
            // Tests may put layers together, but never pull up what stands above.
            (false, true) if layer.name != "domain" => None,
            (false, _) if layer.ours.contains(&to) => None,
            (false, _) => Some(format!("must not depend on {to}, which stands above or beside it")),
        };
    }
    if arrow.test {
        return None;
    }
    if layer.outside.is_some_and(|allowed| !allowed.contains(&to)) {
        return Some(format!(
            "must not depend on {to}: it is kept to {}",
            layer.outside.unwrap_or_default().join(", ")
        ));
    }
    if DRIVERLESS.contains(&layer.name) && DRIVERS.contains(&to) {
        return Some(format!("must not depend on {to}: it reaches the world, which is an adapter's work"));
    }
    None
}

fn arrows(metadata: &Value) -> Result<BTreeMap<String, Vec<Arrow>>> {
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().context("cargo metadata names no packages")? {
        let mut arrows = Vec::new();
        for dependency in package["dependencies"].as_array().context("a package without dependencies")? {
            arrows.push(Arrow {
                to: short(&text(dependency, "name").context("a dependency without a name")?),
                ours: !dependency["path"].is_null(),
                test: dependency["kind"].as_str() == Some("dev"),
            });
        }
        crates.insert(short(&text(package, "name").context("a package without a name")?), arrows);
    }
    Ok(crates)
}

fn short(package: &str) -> String {
    package.strip_prefix("lifecycle-").unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(package: &str, dependency: &str, path: Option<&str>, kind: Option<&str>) -> Vec<String> {
        let dependency = json!({ "name": dependency, "path": path, "kind": kind });
        check(&json!({ "packages": [{ "name": package, "dependencies": [dependency] }] })).expect("well formed")
    }

    #[test]
    fn arrows_point_down_only() {
        assert!(findings("lifecycle-ports", "lifecycle-domain", Some("p"), None).is_empty());
        assert_eq!(findings("lifecycle-ports", "lifecycle-application", Some("p"), None).len(), 1);
        assert_eq!(findings("lifecycle-adapters-http", "lifecycle-adapters-auth", Some("p"), None).len(), 1);
        assert!(findings("lifecycle", "lifecycle-adapters-auth", Some("p"), None).is_empty());
    }

    #[test]
    fn the_domain_knows_three_outside_crates_and_no_driver_reaches_the_application() {
        assert!(findings("lifecycle-domain", "uuid", None, None).is_empty());
        assert_eq!(findings("lifecycle-domain", "serde", None, None).len(), 1);
        assert!(findings("lifecycle-domain", "proptest", None, Some("dev")).is_empty());
        assert_eq!(findings("lifecycle-application", "diesel", None, None).len(), 1);
    }

    #[test]
    fn what_is_for_tests_stays_in_tests() {
        assert_eq!(findings("lifecycle-adapters-embedded", "lifecycle-port-contracts", Some("p"), None).len(), 1);
        assert!(findings("lifecycle-adapters-embedded", "lifecycle-port-contracts", Some("p"), Some("dev")).is_empty());
    }

    #[test]
    fn servers_for_tests_are_for_tests_and_tools() {
        assert_eq!(findings("lifecycle", "lifecycle-test-servers", Some("p"), None).len(), 1);
        assert!(findings("lifecycle", "lifecycle-test-servers", Some("p"), Some("dev")).is_empty());
        assert!(findings("xtask", "lifecycle-test-servers", Some("p"), None).is_empty());
        assert!(findings("lifecycle-testkit", "lifecycle-test-servers", Some("p"), None).is_empty());
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        assert_eq!(findings("lifecycle-novelty", "uuid", None, None).len(), 1);
    }
}
