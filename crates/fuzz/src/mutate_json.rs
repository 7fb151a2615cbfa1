//! Mutations that leave JSON being JSON: the reader behind the parser is to be reached, too.

use serde_json::{Map, Value};

use crate::rng::Rng;

/// Changes the JSON that `bytes` end with, if they do; whatever stands before it stays.
pub(crate) fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, words: &[&str], odd: &[&str]) -> bool {
    let Some(begin) = bytes.iter().position(|byte| matches!(byte, b'{' | b'[')) else { return false };
    let Ok(mut whole) = serde_json::from_slice::<Value>(&bytes[begin..]) else { return false };
    let target = rng.below(count(&whole));
    if let Some(node) = nth(&mut whole, &mut { target }) {
        change(rng, node, words, odd);
    }
    bytes.truncate(begin);
    bytes.extend_from_slice(whole.to_string().as_bytes());
    true
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn nth<'v>(value: &'v mut Value, left: &mut usize) -> Option<&'v mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| nth(field, left)),
        _ => None,
    }
}

fn change(rng: &mut Rng, node: &mut Value, words: &[&str], odd: &[&str]) {
    match node {
        Value::Object(fields) if !rng.one_in(4) => change_fields(rng, fields, words, odd),
        Value::Array(items) if !rng.one_in(4) => match rng.below(3) {
            0 => items.push(any(rng, words, odd)),
            1 => drop(items.pop()),
            _ => {
                let copies = items.clone();
                items.extend(copies.into_iter().take(64));
            }
        },
        Value::String(text) if !rng.one_in(3) => {
            let choices = if rng.one_in(2) { words } else { odd };
            let word = rng.pick(choices).copied().unwrap_or_default();
            match rng.below(4) {
                0 => text.push_str(word),
                1 => *text = word.to_owned(),
                2 => drop(text.pop()),
                _ => *text = text.chars().rev().collect(),
            }
        }
        _ if rng.one_in(6) => {
            for _ in 0..=rng.below(40) {
                *node = match rng.below(2) {
                    0 => Value::Array(vec![node.take()]),
                    _ => Value::Object(Map::from_iter([("a".to_owned(), node.take())])),
                };
            }
        }
        _ => *node = any(rng, words, odd),
    }
}

fn change_fields(rng: &mut Rng, fields: &mut Map<String, Value>, words: &[&str], odd: &[&str]) {
    let names: Vec<String> = fields.keys().cloned().collect();
    let name = rng.pick(&names).cloned().unwrap_or_default();
    let choices = if rng.one_in(5) { odd } else { words };
    let word = rng.pick(choices).copied().unwrap_or_default().to_owned();
    match rng.below(4) {
        0 => drop(fields.remove(&name)),
        1 => drop(fields.insert(word, any(rng, words, odd))),
        2 => {
            if let Some(value) = fields.remove(&name) {
                fields.insert(word, value);
            }
        }
        _ => {
            let other = rng.pick(&names).cloned().unwrap_or_default();
            if let Some(value) = fields.get(&other).cloned() {
                fields.insert(name, value);
            }
        }
    }
}

fn any(rng: &mut Rng, words: &[&str], odd: &[&str]) -> Value {
    match rng.below(9) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => (rng.next() >> rng.below(64)).into(),
        3 => (-1_i64 << rng.below(64)).into(),
        4 => 1.5.into(),
        5 => Value::Array(Vec::new()),
        6 => Value::Object(Map::new()),
        7 => rng.pick(odd).copied().unwrap_or_default().into(),
        _ => rng.pick(words).copied().unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_json_and_what_stands_before_it_stays() {
        let mut rng = Rng::new(3);
        let mut bytes = b"POST /x\n\n{\"a\":{\"b\":[1,\"two\"]}}".to_vec();
        for _ in 0..1_000 {
            if !mutate(&mut rng, &mut bytes, &["a", "word"], &["-0"]) {
                break;
            }
            let text = std::str::from_utf8(&bytes).expect("text");
            let json = text.strip_prefix("POST /x\n\n").expect("the head stays");
            assert!(serde_json::from_str::<Value>(json).is_ok(), "{json}");
            if bytes.len() > 10_000 {
                break;
            }
        }
        assert!(!mutate(&mut rng, &mut b"none".to_vec(), &[], &[]));
    }
}
