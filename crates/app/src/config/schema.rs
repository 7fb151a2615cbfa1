//! The settings' own schema, made from their types: which keys there are, of which kind, within which limits.
//!
//! Environment variables, the checks at start and the reference all go by it, so that they cannot disagree.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::sections::Config;
use super::values::DURATION_FORMAT;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Config>().to_value()
});

/// A key, a table of keys, or the root.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a>(&'a Value);

/// What a key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Choice(Vec<String>),
    Duration,
    Integer,
    Boolean,
    /// A list of texts.
    List,
    /// A table with fixed keys.
    Table,
    /// A table whose keys are names that users choose.
    Map,
}

impl Kind {
    /// In a user's words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Choice(names) => one_of(names),
            Self::Duration => "duration".to_owned(),
            Self::Integer => "whole number".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::List => "list of texts".to_owned(),
            Self::Table | Self::Map => "table".to_owned(),
        }
    }
}

fn one_of(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

impl<'a> Node<'a> {
    /// All settings.
    pub(crate) fn root() -> Node<'static> {
        Node(&SCHEMA)
    }

    /// The key `name` of this table.
    pub(crate) fn child(self, name: &str) -> Option<Node<'a>> {
        let fixed = self.0.get("properties").and_then(|p| p.get(name));
        fixed.or_else(|| self.0.get("additionalProperties").filter(|v| v.is_object())).map(Node)
    }

    /// The keys of this table: plain ones first, then tables, each sorted by name.
    pub(crate) fn children(self) -> Vec<(&'a str, Node<'a>)> {
        let mut children: Vec<_> = self
            .0
            .get("properties")
            .and_then(Value::as_object)
            .map(|all| all.iter().map(|(name, node)| (name.as_str(), Node(node))).collect())
            .unwrap_or_default();
        children.sort_by_key(|(name, node)| (node.is_table(), *name));
        children
    }

    /// Whether other keys stand below it.
    pub(crate) fn is_table(self) -> bool {
        matches!(self.kind(), Kind::Table | Kind::Map)
    }

    /// What it takes.
    pub(crate) fn kind(self) -> Kind {
        if let Some(names) = self.choices() {
            return Kind::Choice(names);
        }
        let types: Vec<&str> = match self.0.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        match types.first().copied() {
            Some("integer") => Kind::Integer,
            Some("boolean") => Kind::Boolean,
            Some("array") => Kind::List,
            Some("object") if self.0.get("properties").is_some() => Kind::Table,
            Some("object") => Kind::Map,
            _ if self.0.get("format").and_then(Value::as_str) == Some(DURATION_FORMAT) => Kind::Duration,
            _ => Kind::Text,
        }
    }

    fn choices(self) -> Option<Vec<String>> {
        let texts = |values: &Value| -> Vec<String> {
            values.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if let Some(names) = self.0.get("enum") {
            return Some(texts(names));
        }
        let nullable = self.0.get("anyOf").and_then(Value::as_array);
        nullable.into_iter().flatten().find_map(|option| option.get("enum")).map(texts)
    }

    /// What it means.
    pub(crate) fn doc(self) -> String {
        let text = self.0.get("description").and_then(Value::as_str).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether it is never shown.
    pub(crate) fn is_secret(self) -> bool {
        self.0.get("writeOnly").and_then(Value::as_bool) == Some(true)
    }

    /// The least and the greatest number allowed.
    pub(crate) fn numbers(self) -> (Option<i64>, Option<i64>) {
        let bound = |name| self.0.get(name).and_then(Value::as_i64);
        (bound("minimum"), bound("maximum"))
    }

    /// The shortest and the longest duration allowed, as written.
    pub(crate) fn durations(self) -> (Option<&'a str>, Option<&'a str>) {
        let bound = |name| self.0.get(name).and_then(Value::as_str);
        (bound("x-min"), bound("x-max"))
    }
}

/// The environment variable of a key. Names that users choose stand in it as they are.
pub(crate) fn variable(path: &[&str]) -> String {
    let mut node = Some(Node::root());
    let mut parts = Vec::with_capacity(path.len());
    for part in path {
        let chosen = node.is_some_and(|n| n.kind() == Kind::Map);
        parts.push(if chosen { (*part).to_owned() } else { part.to_ascii_uppercase() });
        node = node.and_then(|n| n.child(part));
    }
    format!("LIFECYCLE_{}", parts.join("__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str) -> Node<'static> {
        path.split('.').fold(Node::root(), |node, name| node.child(name).expect("the key exists"))
    }

    #[test]
    fn every_kind_of_setting_is_recognised() {
        assert_eq!(node("http.listen").kind(), Kind::Text);
        assert_eq!(node("http.max_connections").kind(), Kind::Integer);
        assert_eq!(node("http.header_timeout").kind(), Kind::Duration);
        assert_eq!(node("websocket.origins").kind(), Kind::List);
        assert_eq!(node("auth.mode").kind(), Kind::Choice(vec!["on".to_owned(), "off".to_owned()]));
        assert_eq!(node("auth.issuer").kind(), Kind::Text);
        assert_eq!(node("tenants").kind(), Kind::Map);
        assert_eq!(node("tenants.acme.policy.reward_claim_seconds").kind(), Kind::Integer);
        assert_eq!(node("policy.misfire.custom").kind().words(), "`fire`, `skip` or `hold`");
        assert!(node("auth.hs256_secret").is_secret());
    }

    #[test]
    fn every_setting_is_documented_and_every_number_and_duration_has_limits() {
        fn visit(path: &str, node: Node<'_>) {
            for (name, child) in node.children() {
                let path = format!("{path}.{name}");
                assert!(!child.doc().is_empty(), "{path} has no description");
                match child.kind() {
                    Kind::Integer => assert!(child.numbers().1.is_some(), "{path} has no maximum"),
                    Kind::Duration => assert!(child.durations().1.is_some(), "{path} has no maximum"),
                    _ => visit(&path, child),
                }
            }
        }
        visit("", Node::root());
    }

    #[test]
    fn a_variable_is_named_after_its_key_and_a_tenant_keeps_its_case() {
        assert_eq!(variable(&["http", "listen"]), "LIFECYCLE_HTTP__LISTEN");
        assert_eq!(
            variable(&["tenants", "acMe", "policy", "reward_claim_seconds"]),
            "LIFECYCLE_TENANTS__acMe__POLICY__REWARD_CLAIM_SECONDS"
        );
    }
}
