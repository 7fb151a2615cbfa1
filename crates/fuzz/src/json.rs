//! A second reader of JSON (RFC 8259), short and slow: it shares nothing with the one that the service uses, keeps numbers
//! as they are written and every field of an object, twice or not.

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Nested deeper than any reader of the service goes.
const MOST_DEPTH: usize = 200;

impl Json {
    /// Reads one value, with nothing around it but spaces.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut rest = text;
        let value = value(&mut rest, 0)?;
        skip(&mut rest);
        rest.is_empty().then_some(value)
    }

    /// The fields, of an object.
    pub(crate) fn fields(&self) -> Option<&[(String, Self)]> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// The one field called `name`, if there is just one.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let mut named = self.fields()?.iter().filter(|(other, _)| other == name);
        let (_, value) = named.next()?;
        named.next().is_none().then_some(value)
    }

    /// The text, of a text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The items, of a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The number, of a whole one.
    pub(crate) fn whole(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.parse().ok() } else { None }
    }

    /// How deep objects and lists lie in each other.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(fields) => 1 + fields.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

fn skip(rest: &mut &str) {
    *rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
}

fn take(rest: &mut &str, word: &str) -> Option<()> {
    *rest = rest.strip_prefix(word)?;
    Some(())
}

fn value(rest: &mut &str, depth: usize) -> Option<Json> {
    if depth > MOST_DEPTH {
        return None;
    }
    skip(rest);
    match rest.chars().next()? {
        'n' => take(rest, "null").map(|()| Json::Null),
        't' => take(rest, "true").map(|()| Json::Bool(true)),
        'f' => take(rest, "false").map(|()| Json::Bool(false)),
        '"' => text(rest).map(Json::Text),
        '[' => {
            let item = |rest: &mut &str| value(rest, depth + 1);
            list(rest, ("[", "]"), item).map(Json::List)
        }
        '{' => {
            let field = |rest: &mut &str| {
                skip(rest);
                let name = text(rest)?;
                skip(rest);
                take(rest, ":")?;
                Some((name, value(rest, depth + 1)?))
            };
            list(rest, ("{", "}"), field).map(Json::Object)
        }
        _ => number(rest),
    }
}

fn list<T>(rest: &mut &str, (open, close): (&str, &str), item: impl Fn(&mut &str) -> Option<T>) -> Option<Vec<T>> {
    take(rest, open)?;
    skip(rest);
    let mut items = Vec::new();
    if take(rest, close).is_some() {
        return Some(items);
    }
    loop {
        items.push(item(rest)?);
        skip(rest);
        if take(rest, close).is_some() {
            return Some(items);
        }
        take(rest, ",")?;
    }
}

fn number(rest: &mut &str) -> Option<Json> {
    let end = rest.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
    let fits = digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits);
    *rest = after;
    (fits && exponent_fits).then(|| Json::Number(number.to_owned()))
}

fn text(rest: &mut &str) -> Option<String> {
    take(rest, "\"")?;
    let mut text = String::new();
    loop {
        let c = rest.chars().next()?;
        *rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Some(text),
            '\\' => text.push(escaped(rest)?),
            '\0'..='\x1f' => return None,
            c => text.push(c),
        }
    }
}

fn escaped(rest: &mut &str) -> Option<char> {
    let c = rest.chars().next()?;
    *rest = &rest[c.len_utf8()..];
    Some(match c {
        '"' | '\\' | '/' => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let unit = unit(rest)?;
            if !(0xd800..0xdc00).contains(&unit) {
                return char::from_u32(unit);
            }
            take(rest, "\\u")?;
            let low = self::unit(rest).filter(|low| (0xdc00..0xe000).contains(low))?;
            return char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        }
        _ => return None,
    })
}

fn unit(rest: &mut &str) -> Option<u32> {
    let digits = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    *rest = &rest[4..];
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_json_is_read_and_nothing_else() {
        for text in ["null", " [1, -0.5e+7, \"\\ud83d\\ude00\\n\"] ", r#"{"a":{"b":[]},"a":true}"#, "0", "\"é\""] {
            assert!(Json::read(text).is_some(), "{text}");
        }
        for text in
            ["", "nul", "01", "1.", "-", "+1", "[1,]", "{\"a\"}", "\"\\ud800\"", "\"\\x\"", "\"\n\"", "{}{}", "'a'"]
        {
            assert_eq!(Json::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_not_one_field() {
        let json = Json::read(r#"{"a":1,"b":2,"a":3}"#).expect("JSON");
        assert_eq!((json.field("a"), json.field("b").and_then(Json::whole), json.depth()), (None, Some(2), 1));
    }
}
