//! What a [`statement`](crate::schema::statement) binds: SQL types by short names, and whether PostgreSQL can keep a text.

use diesel::QueryResult;
use diesel::result::Error;
use diesel::sql_types::{Array, Bool, Nullable};
pub(crate) use diesel::sql_types::{BigInt, Binary, Double, Integer, SmallInt, Text, Timestamptz, Uuid};
use domain::Timestamp;

/// Text or NULL.
pub(crate) type MaybeText = Nullable<Text>;
/// Texts.
pub(crate) type Texts = Array<Text>;
/// Texts or NULLs.
pub(crate) type MaybeTexts = Array<Nullable<Text>>;
/// Numbers.
pub(crate) type BigInts = Array<BigInt>;
/// Numbers or NULLs.
pub(crate) type MaybeBigInts = Array<Nullable<BigInt>>;
/// Numbers.
pub(crate) type Integers = Array<Integer>;
/// Small numbers.
pub(crate) type SmallInts = Array<SmallInt>;
/// Instants.
pub(crate) type Timestamptzs = Array<Timestamptz>;
/// Instants or NULLs.
pub(crate) type MaybeTimestamptzs = Array<Nullable<Timestamptz>>;
/// Answers to a question.
pub(crate) type Bools = Array<Bool>;
/// Numbers or NULLs.
pub(crate) type MaybeIntegers = Array<Nullable<Integer>>;
/// Ids.
pub(crate) type Uuids = Array<Uuid>;
/// Bytes.
pub(crate) type Binaries = Array<Binary>;

/// Refuses a text with U+0000: the server's own refusal cannot be told from errors that go by.
pub(crate) fn keepable(value: &(impl Keepable + ?Sized), field: &str) -> QueryResult<()> {
    if value.has_nul() {
        return Err(Error::SerializationError(format!("the {field} has the character U+0000").into()));
    }
    Ok(())
}

/// A value that is asked whether it has U+0000 in it.
pub(crate) trait Keepable {
    /// Whether it has.
    fn has_nul(&self) -> bool;
}

impl Keepable for str {
    fn has_nul(&self) -> bool {
        self.as_bytes().contains(&0)
    }
}

impl Keepable for String {
    fn has_nul(&self) -> bool {
        self.as_str().has_nul()
    }
}

impl<T: Keepable + ?Sized> Keepable for &T {
    fn has_nul(&self) -> bool {
        (**self).has_nul()
    }
}

impl<T: Keepable> Keepable for Option<T> {
    fn has_nul(&self) -> bool {
        self.as_ref().is_some_and(Keepable::has_nul)
    }
}

impl<T: Keepable> Keepable for [T] {
    fn has_nul(&self) -> bool {
        self.iter().any(Keepable::has_nul)
    }
}

impl<T: Keepable> Keepable for Vec<T> {
    fn has_nul(&self) -> bool {
        self.as_slice().has_nul()
    }
}

macro_rules! no_text {
    ($($rust:ty),+) => {
        $(impl Keepable for $rust {
            fn has_nul(&self) -> bool {
                false
            }
        })+
    };
}
no_text!(bool, u8, i16, i32, i64, f64, Timestamp, uuid::Uuid);
