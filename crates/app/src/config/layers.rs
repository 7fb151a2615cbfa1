//! Where settings come from: one value from an environment variable or a flag, read by the kind of its key.

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::schema::{Kind, Node};

const PREFIX: &str = "LIFECYCLE_";
const SEPARATOR: &str = "__";

/// Variables by which hosting platforms tell a service where its servers are.
const USUAL: [(&str, &[&str]); 3] = [
    ("DATABASE_URL", &["postgres", "url"]),
    ("DATABASE_REPLICA_URL", &["postgres", "replica_url"]),
    ("REDIS_URL", &["redis", "url"]),
];

/// One setting from somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// Where it comes from, in a user's words: a variable's or a flag's name.
    source: String,
    path: Vec<String>,
    value: Value,
}

impl Setting {
    /// Reads `text`, which `source` gave for the key at `path`.
    pub(crate) fn read(source: &str, path: &[&str], text: &str) -> Result<Self, String> {
        let mut node = Node::root();
        for (depth, name) in path.iter().enumerate() {
            node = node.child(name).ok_or_else(|| unknown_key(node, &path[..depth], name, source))?;
        }
        let key = path.join(".");
        let wrong = || format!("{key} must be a {}, not {text:?} (from {source})", node.kind().words());
        let value = match node.kind() {
            Kind::Table | Kind::Map => {
                return Err(format!("{key} is a table, set its keys instead (from {source})"));
            }
            Kind::Integer => Value::from(text.trim().parse::<i64>().map_err(|_| wrong())?),
            Kind::Boolean => Value::from(text.trim().parse::<bool>().map_err(|_| wrong())?),
            Kind::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::from(items.map(Value::from).collect::<Vec<_>>())
            }
            Kind::Text | Kind::Choice(_) | Kind::Duration => Value::from(text),
        };
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Ok(Self { source: source.to_owned(), path, value })
    }

    /// The setting that a variable means whose name every service uses; none when it is not one of those.
    pub(crate) fn from_usual_variable(name: &str, text: &str) -> Option<Result<Self, String>> {
        let (_, path) = USUAL.iter().find(|(usual, _)| *usual == name)?;
        Some(Self::read(&format!("variable {name}"), path, text))
    }

    /// The setting that an environment variable means; none when it is not one of ours. Only names with a double
    /// underscore count: Kubernetes sets variables such as `LIFECYCLE_SERVICE_HOST` by itself.
    pub(crate) fn from_variable(name: &str, text: &str) -> Option<Result<Self, String>> {
        let rest = name.strip_prefix(PREFIX).filter(|rest| rest.contains(SEPARATOR))?;
        let mut node = Some(Node::root());
        let mut path = Vec::new();
        for part in rest.split(SEPARATOR) {
            let chosen = node.is_some_and(|n| n.kind() == Kind::Map);
            let part = if chosen { part.to_owned() } else { part.to_ascii_lowercase() };
            node = node.and_then(|n| n.child(&part));
            path.push(part);
        }
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        Some(Self::read(&format!("variable {name}"), &path, text))
    }
}

impl Provider for Setting {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut value = self.value.clone();
        for name in self.path.iter().skip(1).rev() {
            value = Value::from(Dict::from([(name.clone(), value)]));
        }
        let first = self.path.first().cloned().unwrap_or_default();
        Ok(Map::from([(Profile::Default, Dict::from([(first, value)]))]))
    }
}

/// Says that the table `table` at `path` has no key `name`, and which one was probably meant.
pub(crate) fn unknown_key(table: Node<'_>, path: &[&str], name: &str, source: &str) -> String {
    let full = |name: &str| path.iter().copied().chain([name]).collect::<Vec<_>>().join(".");
    let names: Vec<&str> = table.children().iter().map(|(name, _)| *name).collect();
    let nearest = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(known, name), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3 + 1);
    let hint = match nearest {
        Some((_, known)) => format!("did you mean {}?", full(known)),
        None if names.is_empty() => "it has no keys below it".to_owned(),
        None => format!("known are {}", names.join(", ")),
    };
    format!("there is no setting {} (from {source}); {hint}", full(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_links_of_kubernetes_are_not_settings() {
        for name in ["LIFECYCLE_SERVICE_HOST", "LIFECYCLE_PORT", "LIFECYCLE_CONFIG", "OTHER__KEY"] {
            assert!(Setting::from_variable(name, "tcp://10.0.0.1:80").is_none(), "{name}");
        }
    }

    #[test]
    fn a_text_setting_stays_text_even_when_it_looks_like_something_else() {
        for text in ["12345", "true", "[1", "{a=1}", "1e5"] {
            let setting = Setting::from_variable("LIFECYCLE_AUTH__HS256_SECRET", text).expect("ours").expect("valid");
            assert_eq!(setting.value.as_str(), Some(text));
        }
    }

    #[test]
    fn a_wrong_type_names_key_and_variable() {
        let error =
            Setting::from_variable("LIFECYCLE_HTTP__MAX_CONNECTIONS", "many").expect("ours").expect_err("wrong");
        assert_eq!(
            error,
            "http.max_connections must be a whole number, not \"many\" (from variable LIFECYCLE_HTTP__MAX_CONNECTIONS)"
        );
    }

    #[test]
    fn an_unknown_variable_names_the_key_that_was_probably_meant() {
        let error = Setting::from_variable("LIFECYCLE_HTTP__LISEN", "x").expect("ours").expect_err("unknown");
        assert_eq!(
            error,
            "there is no setting http.lisen (from variable LIFECYCLE_HTTP__LISEN); did you mean http.listen?"
        );
    }
}
