//! The tables of `migrations/postgres`, as diesel sees them, and statements with a fixed text. Meaning lives elsewhere.

use diesel::prelude::*;

diesel::table! {
    journal (position) {
        position -> BigInt,
        id -> Uuid,
        at -> Timestamptz,
        tenant -> Text,
        actor_kind -> Text,
        actor_subject -> Text,
        command -> Nullable<Text>,
        correlation -> Nullable<Text>,
        campaign -> Nullable<Text>,
        owner -> Nullable<Text>,
        sequence -> Nullable<BigInt>,
        kind -> Text,
        data -> Text,
        hash -> Binary,
    }
}

diesel::table! {
    journal_head (one) {
        one -> Bool,
        position -> BigInt,
        hash -> Binary,
        at -> Timestamptz,
        floor -> BigInt,
    }
}

diesel::table! {
    campaigns (tenant, number) {
        number -> BigInt,
        tenant -> Text,
        id -> Text,
        version -> BigInt,
        status -> Text,
        owner -> Nullable<Text>,
        start_at -> Timestamptz,
        end_at -> Timestamptz,
        body -> Text,
    }
}

diesel::table! {
    timers (id) {
        id -> Uuid,
        campaign -> BigInt,
        tenant -> Text,
        kind -> Text,
        name -> Text,
        due_at -> Timestamptz,
        rank -> SmallInt,
        generation -> BigInt,
        payload -> Nullable<Text>,
        state -> Text,
        held -> Bool,
        attempts -> Integer,
        retry_at -> Nullable<Timestamptz>,
        error -> Nullable<Text>,
        completed_at -> Nullable<Timestamptz>,
        fire_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    inbox (tenant, sender, command) {
        tenant -> Text,
        sender -> Text,
        command -> Text,
        campaign -> Text,
        fingerprint -> Binary,
        outcome -> Text,
        version -> Nullable<BigInt>,
        code -> Nullable<Text>,
        message -> Nullable<Text>,
        at -> Timestamptz,
    }
}

diesel::table! {
    dead_letters (number) {
        number -> BigInt,
        id -> Uuid,
        tenant -> Text,
        kind -> Text,
        origin -> Text,
        event_type -> Text,
        campaign -> Nullable<Text>,
        code -> Text,
        error -> Text,
        attempts -> Integer,
        first_error_at -> Timestamptz,
        last_error_at -> Timestamptz,
        original -> Text,
        state -> Text,
        settled_kind -> Nullable<Text>,
        settled_subject -> Nullable<Text>,
        settled_at -> Nullable<Timestamptz>,
        settled_reason -> Nullable<Text>,
        settled_detail -> Nullable<Text>,
    }
}

/// What joins timers with their campaigns.
#[diesel::dsl::auto_type]
pub(crate) fn of_campaign() -> _ {
    timers::tenant.eq(campaigns::tenant).and(timers::campaign.eq(campaigns::number))
}

diesel::allow_tables_to_appear_in_same_query!(campaigns, timers);
diesel::allow_tables_to_appear_in_same_query!(campaigns, journal);

/// Declares a statement with a fixed text and one `?` per field, prepared once per connection. Lists bind as arrays, for
/// `unnest`. With `-> (Types)` it answers rows. Texts with U+0000, which PostgreSQL cannot keep, are refused unsent.
///
/// Whatever a commit runs is one of these, or built of columns only: where `diesel::dsl::sql` has a part in it, diesel has it
/// parsed and planned anew each time, a round trip before it is run.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident -> $answer:ty, $text:expr) => {
        $crate::schema::statement! { $(#[$doc])* $name, $text }

        impl diesel::query_builder::Query for $name {
            type SqlType = $answer;
        }
    };
    ($(#[$doc:meta])* $name:ident, $text:expr) => {
        $(#[$doc])*
        #[derive(diesel::query_builder::QueryId)]
        pub(crate) struct $name;

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                out.push_sql($text);
                Ok(())
            }
        }
    };
    (
        $(#[$doc:meta])*
        $name:ident<$life:lifetime> { $($field:ident: $rust:ty as $sql:ident),+ $(,)? } -> $answer:ty, $text:expr
    ) => {
        $crate::schema::statement! { $(#[$doc])* $name<$life> { $($field: $rust as $sql),+ } $text }

        impl diesel::query_builder::Query for $name<'_> {
            type SqlType = $answer;
        }
    };
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($field:ident: $rust:ty as $sql:ident),+ $(,)? } $text:expr) => {
        $(#[$doc])*
        pub(crate) struct $name<$life> {
            $(pub(crate) $field: $rust,)+
        }

        impl diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                let mut text = $text.split('?');
                $(
                    out.push_sql(text.next().unwrap_or_default());
                    $crate::bind::keepable(&self.$field, stringify!($field))?;
                    out.push_bind_param::<$crate::bind::$sql, _>(&self.$field)?;
                )+
                out.push_sql(text.next().unwrap_or_default());
                Ok(())
            }
        }

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
    };
}
pub(crate) use statement;
