//! Planted changes: what the comparison must refuse, and what it must let pass.

use serde_json::{Value, json};

use crate::compare::{Direction, incompatible};

fn base() -> Value {
    json!({
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": { "anyOf": [{ "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[a-z]+$" },
                              { "type": "integer", "format": "int64" }] },
            "status": { "enum": ["CREATED", "RUNNING"] },
            "count": { "type": ["integer", "null"], "format": "uint32", "minimum": 0 },
            "at": { "type": "string", "format": "date-time" },
            "list": { "type": "array", "items": { "type": "string" }, "maxItems": 10 },
            "inner": { "type": "object", "required": ["a"], "properties": { "a": { "type": "boolean" } } },
        },
    })
}

/// The base with the value at `pointer` replaced; null takes it away.
fn with(pointer: &str, value: Value) -> Value {
    let mut schema = base();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = schema.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object there");
    if value.is_null() {
        parent.remove(name).expect("it was there");
    } else {
        parent.insert(name.to_owned(), value);
    }
    schema
}

#[track_caller]
fn refused(direction: Direction, new: &Value, path: &str, words: &str) {
    let findings = incompatible(direction, &base(), new);
    assert!(
        findings.iter().any(|finding| finding.path == path && finding.what.contains(words)),
        "{direction:?} {path}: {findings:?}"
    );
}

#[track_caller]
fn passes(direction: Direction, new: &Value) {
    assert_eq!(incompatible(direction, &base(), new), [], "{direction:?}");
}

use Direction::{Read, Written};

#[test]
fn the_same_schema_is_compatible_with_itself() {
    passes(Read, &base());
    passes(Written, &base());
}

#[test]
fn words_may_change() {
    for direction in [Read, Written] {
        passes(direction, &with("/description", json!("better said")));
        passes(direction, &with("/properties/at/title", json!("When")));
    }
}

#[test]
fn a_field_that_is_required_now_refuses_old_producers() {
    refused(Read, &with("/required", json!(["id", "status", "at"])), "at", "required now");
    passes(Read, &with("/required", json!(["id"])));
    refused(Read, &with("/properties/inner/required", json!(["a", "b"])), "inner.b", "required now");
}

#[test]
fn a_field_that_is_not_promised_any_more_breaks_readers() {
    refused(Written, &with("/required", json!(["id"])), "status", "no longer promised");
    passes(Written, &with("/required", json!(["id", "status", "at"])));
    refused(Written, &with("/properties/at", Value::Null), "at", "is gone");
    refused(Written, &with("/properties/inner/properties/a", Value::Null), "inner.a", "is gone");
}

#[test]
fn new_fields_are_welcome_in_both_directions_unless_the_object_was_closed() {
    let more = with("/properties/more", json!({ "type": "string" }));
    passes(Read, &more);
    passes(Written, &more);
    let closed = with("/additionalProperties", json!(false));
    let mut closed_with_more = more;
    closed_with_more["additionalProperties"] = json!(false);
    let findings = incompatible(Written, &closed, &closed_with_more);
    assert!(findings.iter().any(|finding| finding.path == "more"), "{findings:?}");
    assert_eq!(incompatible(Read, &closed, &closed_with_more), []);
}

#[test]
fn a_field_that_is_read_no_longer_is_a_break_although_nothing_is_refused() {
    refused(Read, &with("/properties/count", Value::Null), "count", "was read");
}

#[test]
fn an_object_that_was_open_may_not_be_closed_to_producers() {
    refused(Read, &with("/additionalProperties", json!(false)), "", "are refused now");
    passes(Written, &with("/additionalProperties", json!(false)));
}

#[test]
fn values_may_be_added_for_producers_and_taken_away_for_readers_only() {
    let fewer = with("/properties/status/enum", json!(["CREATED"]));
    let more = with("/properties/status/enum", json!(["CREATED", "RUNNING", "PAUSED"]));
    refused(Read, &fewer, "status", "\"RUNNING\" was accepted");
    passes(Read, &more);
    passes(Written, &fewer);
    refused(Written, &more, "status", "\"PAUSED\" is written now");
}

#[test]
fn values_may_be_said_in_several_ways() {
    let said = json!({ "oneOf": [{ "const": "CREATED", "type": "string" }, { "type": "string", "const": "RUNNING" }] });
    passes(Read, &with("/properties/status", said.clone()));
    passes(Written, &with("/properties/status", said));
    // Any text is more than these two.
    let any = with("/properties/status", json!({ "type": "string" }));
    passes(Read, &any);
    refused(Written, &any, "status", "type string is written now");
}

#[test]
fn a_type_may_be_widened_for_producers_and_narrowed_for_readers_only() {
    let narrower =
        with("/properties/id", json!({ "type": "string", "maxLength": 64, "minLength": 1, "pattern": "^[a-z]+$" }));
    refused(Read, &narrower, "id", "type integer was accepted");
    passes(Written, &narrower);
    let without_null = with("/properties/count/type", json!("integer"));
    refused(Read, &without_null, "count", "type null was accepted");
    passes(Written, &without_null);
    let number = with("/properties/count", json!({ "type": ["number", "null"] }));
    passes(Read, &number);
    refused(Written, &number, "count", "type number is written now");
}

#[test]
fn limits_may_be_loosened_for_producers_and_tightened_for_readers_only() {
    for (pointer, tighter, looser, path) in [
        ("/properties/list/maxItems", json!(5), json!(20), "list"),
        ("/properties/count/minimum", json!(1), json!(-1), "count"),
        ("/properties/count/maximum", json!(7), json!(4_294_967_295_u32), "count"),
        ("/properties/id/anyOf/0/maxLength", json!(32), json!(128), "id"),
        ("/properties/id/anyOf/0/minLength", json!(2), json!(0), "id"),
    ] {
        refused(Read, &with_array(pointer, tighter.clone()), path, "limit");
        passes(Written, &with_array(pointer, tighter));
        passes(Read, &with_array(pointer, looser));
    }
    refused(Written, &with_array("/properties/list/maxItems", json!(20)), "list", "limit");
    refused(Written, &with_array("/properties/id/anyOf/0/maxLength", json!(128)), "id", "limit");
}

/// As [`with`], also through arrays.
fn with_array(pointer: &str, value: Value) -> Value {
    let mut schema = base();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    schema.pointer_mut(parent).expect("there")[name] = value;
    schema
}

#[test]
fn a_shorter_integer_is_a_narrower_type() {
    let longer = with("/properties/count/format", json!("uint64"));
    let shorter = with("/properties/count/format", json!("uint16"));
    refused(Read, &shorter, "count", "limit");
    passes(Read, &longer);
    refused(Written, &longer, "count", "limit");
    passes(Written, &shorter);
}

#[test]
fn a_pattern_or_format_that_is_new_or_other_is_refused() {
    for (pointer, path) in [("/properties/id/anyOf/0/pattern", "id"), ("/properties/at/format", "at")] {
        refused(Read, &with_array(pointer, json!("other")), path, "not known to take");
        refused(Written, &with_array(pointer, json!("other")), path, "not known to take");
    }
    passes(Read, &with("/properties/at/format", Value::Null));
    refused(Written, &with("/properties/at/format", Value::Null), "at", "not known to take");
}

#[test]
fn items_of_lists_and_values_of_maps_are_looked_into() {
    refused(Read, &with("/properties/list/items", json!({ "type": "integer" })), "list[]", "type string was accepted");
    let map = |values: Value| with("/properties/inner", json!({ "type": "object", "additionalProperties": values }));
    let (texts, numbers) = (map(json!({ "type": "string" })), map(json!({ "type": "integer" })));
    assert!(!incompatible(Read, &texts, &numbers).is_empty());
    assert_eq!(incompatible(Read, &texts, &texts), []);
}

#[test]
fn alternatives_are_compared_with_the_one_they_resemble() {
    let frame = |fields: Value| {
        json!({ "oneOf": [
            { "type": "object", "required": ["action"], "properties": { "action": { "const": "ping" } }, "additionalProperties": false },
            { "type": "object", "required": fields, "properties": { "action": { "const": "say" }, "text": { "type": "string" },
              "id": { "type": "integer" } }, "additionalProperties": false },
        ] })
    };
    let (old, new) = (frame(json!(["action", "text"])), frame(json!(["action", "text", "id"])));
    let findings: Vec<_> = incompatible(Read, &old, &new).iter().map(ToString::to_string).collect();
    assert_eq!(findings, ["id: is required now"]);
    assert_eq!(incompatible(Read, &new, &old), []);
    let only_ping = json!({ "oneOf": [old["oneOf"][0]] });
    assert!(!incompatible(Read, &old, &only_ping).is_empty(), "an action that is gone");
    assert_eq!(incompatible(Read, &only_ping, &old), [], "an action that is new");
}

#[test]
fn anything_at_all_is_wider_than_something() {
    let (any, text) = (json!(true), json!({ "type": "string" }));
    assert_eq!(incompatible(Read, &text, &any), []);
    assert!(!incompatible(Read, &any, &text).is_empty());
    assert_eq!(incompatible(Written, &any, &text), []);
    assert!(!incompatible(Written, &text, &any).is_empty());
}

#[test]
fn parts_of_a_whole_are_taken_together() {
    let whole = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "string" } } });
    let parts =
        json!({ "allOf": [{ "type": "object", "properties": { "a": { "type": "string" } } }, { "required": ["a"] }] });
    assert_eq!(incompatible(Read, &whole, &parts), []);
    assert_eq!(incompatible(Written, &whole, &parts), []);
    assert!(!incompatible(Written, &whole, &json!({ "allOf": [parts["allOf"][0]] })).is_empty());
}

#[test]
fn a_keyword_that_is_not_understood_is_never_passed_over() {
    for direction in [Read, Written] {
        refused(direction, &with("/not", json!({ "required": ["at"] })), "", "`not` is not understood");
        refused(direction, &with("/properties/at/if", json!({})), "at", "`if` is not understood");
    }
}
