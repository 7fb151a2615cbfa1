//! Whether everything that one JSON Schema accepts is accepted by another, and what stands in the way.
//!
//! Knows the keywords that our schemas use; one that it does not know is a finding, never a silent pass. What it cannot
//! decide (two different patterns) it reports as well.

use std::fmt;

use serde_json::{Map, Value, json};

/// Who depends on a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Others write, we read: what was accepted must be accepted.
    Read,
    /// We write, others read: what was promised must be kept.
    Written,
}

/// An incompatible change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where: names of fields, from the outside in.
    pub(crate) path: String,
    /// What.
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.what) } else { write!(f, "{}: {}", self.path, self.what) }
    }
}

/// What is incompatible in `new` for those who rely on `old`.
pub(crate) fn incompatible(direction: Direction, old: &Value, new: &Value) -> Vec<Finding> {
    // Readers must take all that is written: the narrower schema is the writer's.
    match direction {
        Direction::Read => covers(direction, new, old, ""),
        Direction::Written => covers(direction, old, new, ""),
    }
}

/// Keywords that only explain.
const REMARKS: [&str; 8] =
    ["title", "description", "default", "example", "examples", "deprecated", "contentMediaType", "contentSchema"];
/// Keywords that are compared.
const KNOWN: [&str; 19] = [
    "type",
    "const",
    "enum",
    "oneOf",
    "anyOf",
    "allOf",
    "properties",
    "required",
    "additionalProperties",
    "propertyNames",
    "items",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
];

/// What of `narrow` is not covered by `wide`.
fn covers(direction: Direction, wide: &Value, narrow: &Value, path: &str) -> Vec<Finding> {
    let mut unknown = strange(wide, path);
    unknown.extend(strange(narrow, path));
    if !unknown.is_empty() {
        return unknown;
    }
    let wides = alternatives(wide);
    let mut findings = Vec::new();
    for narrow in alternatives(narrow) {
        // The alternative that it comes nearest to says best what is wrong.
        let nearest = wides
            .iter()
            .map(|wide| one_covers(direction, wide, &narrow, path))
            .min_by_key(|found| found.iter().map(Finding::weight).sum::<usize>());
        findings.extend(nearest.unwrap_or_else(|| vec![found(path, format!("nothing takes {}", show(&narrow)))]));
    }
    findings.dedup();
    findings
}

impl Finding {
    /// Another kind of thing altogether is further away than any number of details.
    fn weight(&self) -> usize {
        if self.what.contains("is not among") { 100 } else { 1 }
    }
}

fn found(path: &str, what: impl Into<String>) -> Finding {
    Finding { path: path.to_owned(), what: what.into() }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn show(schema: &Map<String, Value>) -> String {
    Value::Object(schema.clone()).to_string()
}

fn strange(schema: &Value, path: &str) -> Vec<Finding> {
    let Some(schema) = schema.as_object() else { return Vec::new() };
    schema
        .keys()
        .filter(|key| !KNOWN.contains(&key.as_str()) && !REMARKS.contains(&key.as_str()))
        .map(|key| found(path, format!("the keyword `{key}` is not understood by this comparison")))
        .collect()
}

/// A schema as the alternatives that it consists of: each is an object with at most one type, or one value.
fn alternatives(schema: &Value) -> Vec<Map<String, Value>> {
    let object = match schema {
        Value::Object(object) => object.clone(),
        Value::Bool(false) => return Vec::new(),
        _ => Map::new(),
    };
    let object = match object.get("allOf").and_then(Value::as_array) {
        Some(parts) => parts.iter().fold(without(&object, "allOf"), |all, part| merged(&all, part)),
        None => object,
    };
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = object.get(key).and_then(Value::as_array) {
            let rest = without(&object, key);
            return choices.iter().flat_map(|choice| alternatives(&Value::Object(merged(&rest, choice)))).collect();
        }
    }
    if let Some(values) = object.get("enum").and_then(Value::as_array) {
        return values.iter().map(single).collect();
    }
    if let Some(value) = object.get("const") {
        return vec![single(value)];
    }
    match object.get("type") {
        Some(Value::Array(types)) => types.iter().map(|kind| of_type(&object, kind)).collect(),
        _ => vec![object],
    }
}

fn of_type(object: &Map<String, Value>, kind: &Value) -> Map<String, Value> {
    // Limits say nothing about these two.
    let bare = *kind == json!("null") || *kind == json!("boolean");
    let mut one = if bare { Map::new() } else { object.clone() };
    one.insert("type".to_owned(), kind.clone());
    one
}

fn single(value: &Value) -> Map<String, Value> {
    Map::from_iter([("const".to_owned(), value.clone()), ("type".to_owned(), json!(type_of(value)))])
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn without(object: &Map<String, Value>, key: &str) -> Map<String, Value> {
    object.iter().filter(|(name, _)| *name != key).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Both at once: properties and required names of both, other keywords of the second.
fn merged(first: &Map<String, Value>, second: &Value) -> Map<String, Value> {
    let mut all = first.clone();
    for (key, value) in second.as_object().into_iter().flatten() {
        match (all.get_mut(key), value) {
            (Some(Value::Object(mine)), Value::Object(more)) if key == "properties" => {
                mine.extend(more.clone());
            }
            (Some(Value::Array(mine)), Value::Array(more)) if key == "required" => mine.extend(more.iter().cloned()),
            _ => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    all
}

fn one_covers(
    direction: Direction,
    wide: &Map<String, Value>,
    narrow: &Map<String, Value>,
    path: &str,
) -> Vec<Finding> {
    let kinds = (wide.get("type").and_then(Value::as_str), narrow.get("type").and_then(Value::as_str));
    let fits = match kinds {
        (None, _) => true,
        (Some(wide), Some(narrow)) => wide == narrow || (wide == "number" && narrow == "integer"),
        (Some(_), None) => false,
    };
    if !fits {
        return vec![refused(direction, path, narrow)];
    }
    if let Some(value) = wide.get("const") {
        return if narrow.get("const") == Some(value) { Vec::new() } else { vec![refused(direction, path, narrow)] };
    }
    let mut findings = limits(wide, narrow, path);
    findings.extend(texts(wide, narrow, path));
    findings.extend(objects(direction, wide, narrow, path));
    if let Some(items) = wide.get("items") {
        let narrow = narrow.get("items").unwrap_or(&Value::Bool(true));
        findings.extend(covers(direction, items, narrow, &format!("{path}[]")));
    }
    findings
}

fn refused(direction: Direction, path: &str, narrow: &Map<String, Value>) -> Finding {
    let what = match (narrow.get("const"), narrow.get("type")) {
        (Some(value), _) => value.to_string(),
        (None, Some(Value::String(kind))) => format!("type {kind}"),
        _ => "a value of any type".to_owned(),
    };
    let (now, then) = match direction {
        Direction::Read => ("was accepted", "what is accepted now"),
        Direction::Written => ("is written now", "what was promised"),
    };
    found(path, format!("{what} {now}, and is not among {then}"))
}

/// The range of an integer format, so that a shorter integer is seen as narrower.
fn range_of(format: &str) -> Option<(f64, f64)> {
    let bits = |text: &str| text.parse::<i32>().ok().filter(|bits| (8..=64).contains(bits));
    if let Some(bits) = format.strip_prefix("uint").and_then(bits) {
        return Some((0.0, 2_f64.powi(bits) - 1.0));
    }
    let bits = format.strip_prefix("int").and_then(bits)?;
    Some((-(2_f64.powi(bits - 1)), 2_f64.powi(bits - 1) - 1.0))
}

fn limits(wide: &Map<String, Value>, narrow: &Map<String, Value>, path: &str) -> Vec<Finding> {
    let format_limit = |schema: &Map<String, Value>| schema.get("format").and_then(Value::as_str).and_then(range_of);
    let at_least = |schema: &Map<String, Value>, key: &str| {
        let from_format = if key == "minimum" { format_limit(schema).map(|(low, _)| low) } else { None };
        let given = schema.get(key).and_then(Value::as_f64);
        given.into_iter().chain(from_format).reduce(f64::max)
    };
    let at_most = |schema: &Map<String, Value>, key: &str| {
        let from_format = if key == "maximum" { format_limit(schema).map(|(_, high)| high) } else { None };
        let given = schema.get(key).and_then(Value::as_f64);
        given.into_iter().chain(from_format).reduce(f64::min)
    };
    if let Some(value) = narrow.get("const") {
        return constant(wide, value, path, &at_least, &at_most);
    }
    let mut findings = Vec::new();
    for key in ["minimum", "minLength", "minItems"] {
        if let Some(wide) = at_least(wide, key)
            && at_least(narrow, key).is_none_or(|narrow| narrow < wide)
            && (key == "minimum" || wide > 0.0)
        {
            findings.push(found(path, format!("the limit `{key}` {wide} excludes what the other side has")));
        }
    }
    for key in ["maximum", "maxLength", "maxItems"] {
        if let Some(wide) = at_most(wide, key)
            && at_most(narrow, key).is_none_or(|narrow| narrow > wide)
        {
            findings.push(found(path, format!("the limit `{key}` {wide} excludes what the other side has")));
        }
    }
    findings
}

type Limit<'a> = &'a dyn Fn(&Map<String, Value>, &str) -> Option<f64>;

/// A single value against limits.
fn constant(
    wide: &Map<String, Value>,
    value: &Value,
    path: &str,
    at_least: Limit<'_>,
    at_most: Limit<'_>,
) -> Vec<Finding> {
    #[expect(clippy::cast_precision_loss, reason = "lengths of names are small")]
    let (kind, size) = match value {
        Value::String(text) => ("Length", text.chars().count() as f64),
        Value::Number(number) => ("imum", number.as_f64().unwrap_or(f64::NAN)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return Vec::new(),
    };
    let low = at_least(wide, &format!("min{kind}")).is_none_or(|limit| size >= limit);
    let high = at_most(wide, &format!("max{kind}")).is_none_or(|limit| size <= limit);
    if low && high { Vec::new() } else { vec![found(path, format!("{value} is beyond the limits"))] }
}

fn texts(wide: &Map<String, Value>, narrow: &Map<String, Value>, path: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for key in ["pattern", "format"] {
        let Some(wide) = wide.get(key) else { continue };
        // Formats of integers are ranges, which are compared as such.
        let is_range = wide.as_str().is_some_and(|format| range_of(format).is_some());
        if narrow.get(key) != Some(wide) && !(key == "format" && is_range) {
            let other = narrow.get(key).map_or("none".to_owned(), Value::to_string);
            findings
                .push(found(path, format!("the {key} {wide} is not known to take what the other side has ({other})")));
        }
    }
    findings
}

fn objects(direction: Direction, wide: &Map<String, Value>, narrow: &Map<String, Value>, path: &str) -> Vec<Finding> {
    let none = Map::new();
    let fields_of = |schema| Map::get(schema, "properties").and_then(Value::as_object).unwrap_or(&none);
    let (wide_fields, narrow_fields) = (fields_of(wide), fields_of(narrow));
    let required = |schema: &Map<String, Value>| -> Vec<String> {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut findings = Vec::new();
    let always = required(narrow);
    for name in required(wide) {
        if !always.contains(&name) {
            let what = match direction {
                Direction::Read => "is required now",
                Direction::Written => "was always there, and is no longer promised",
            };
            findings.push(found(&join(path, &name), what));
        }
    }
    for (name, field) in wide_fields {
        match narrow_fields.get(name) {
            Some(narrow) => findings.extend(covers(direction, field, narrow, &join(path, name))),
            // What nobody described was ignored until now; to read it is no break.
            None if direction == Direction::Read => {}
            None => findings.push(found(&join(path, name), "was promised, and is gone")),
        }
    }
    let open = |schema: &Map<String, Value>| schema.get("additionalProperties").cloned().unwrap_or(json!(true));
    for name in narrow_fields.keys().filter(|name| !wide_fields.contains_key(*name)) {
        match direction {
            Direction::Read => findings.push(found(&join(path, name), "was read, and is no longer")),
            Direction::Written if open(wide) == json!(false) => {
                findings.push(found(&join(path, name), "is new, and no other fields were promised"));
            }
            Direction::Written => {}
        }
    }
    if wide.get("type") == Some(&json!("object")) {
        match (open(wide), open(narrow)) {
            (Value::Bool(false), Value::Bool(false)) | (Value::Bool(true), _) => {}
            (Value::Bool(false), _) => findings.push(found(path, "unknown fields were accepted, and are refused now")),
            (wide, narrow) => findings.extend(covers(direction, &wide, &narrow, &format!("{path}.*"))),
        }
        if let Some(names) = wide.get("propertyNames")
            && narrow.get("propertyNames") != Some(names)
        {
            findings.push(found(path, "the names of fields are limited differently"));
        }
    }
    findings
}
