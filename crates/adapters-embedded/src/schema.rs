//! The tables of `migrations/embedded`, as diesel sees them, and statements with a fixed text. Meaning lives elsewhere.

diesel::table! {
    journal (position) {
        position -> BigInt,
        id -> Binary,
        at -> BigInt,
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
    publication (one) {
        one -> BigInt,
        top -> BigInt,
        head -> BigInt,
    }
}

diesel::table! {
    campaigns (number) {
        number -> BigInt,
        tenant -> Text,
        id -> Text,
        version -> BigInt,
        status -> Text,
        owner -> Nullable<Text>,
        start_at -> BigInt,
        end_at -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    timers (id) {
        id -> Binary,
        campaign -> BigInt,
        tenant -> Text,
        kind -> Text,
        name -> Text,
        due_at -> BigInt,
        rank -> BigInt,
        generation -> BigInt,
        payload -> Nullable<Text>,
        state -> Text,
        held -> BigInt,
        attempts -> BigInt,
        retry_at -> Nullable<BigInt>,
        error -> Nullable<Text>,
        completed_at -> Nullable<BigInt>,
        fire_at -> Nullable<BigInt>,
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
        at -> BigInt,
    }
}

diesel::table! {
    inbound (number) {
        number -> BigInt,
        appended_at -> BigInt,
        fields -> Text,
        consumer -> Nullable<Text>,
        delivered_at -> Nullable<BigInt>,
        deliveries -> BigInt,
    }
}

diesel::table! {
    dead_letters (number) {
        number -> BigInt,
        id -> Binary,
        tenant -> Text,
        kind -> Text,
        origin -> Text,
        event_type -> Text,
        campaign -> Nullable<Text>,
        code -> Text,
        error -> Text,
        attempts -> BigInt,
        first_error_at -> BigInt,
        last_error_at -> BigInt,
        original -> Text,
        state -> Text,
        settled_kind -> Nullable<Text>,
        settled_subject -> Nullable<Text>,
        settled_at -> Nullable<BigInt>,
        settled_reason -> Nullable<Text>,
        settled_detail -> Nullable<Text>,
    }
}

diesel::joinable!(timers -> campaigns (campaign));
diesel::allow_tables_to_appear_in_same_query!(campaigns, timers);

/// Declares a statement with a fixed text and one `?` per field. Unlike diesel's own UPDATEs, which are prepared anew
/// every time, it is prepared once per connection.
macro_rules! statement {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($field:ident: $rust:ty as $sql:ident),+ $(,)? } $text:expr) => {
        $(#[$doc])*
        pub(crate) struct $name<$life> {
            $(pub(crate) $field: $rust,)+
        }

        impl diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::QueryResult<()> {
                let mut text = $text.split('?');
                $(
                    out.push_sql(text.next().unwrap_or_default());
                    out.push_bind_param::<$crate::schema::bind::$sql, _>(&self.$field)?;
                )+
                out.push_sql(text.next().unwrap_or_default());
                Ok(())
            }
        }

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::RunQueryDsl<diesel::SqliteConnection> for $name<'_> {}
    };
}
pub(crate) use statement;

/// The types that [`statement`] binds.
pub(crate) mod bind {
    use diesel::sql_types::Nullable;
    pub(crate) use diesel::sql_types::{BigInt, Binary, Text};

    /// Text or NULL.
    pub(crate) type MaybeText = Nullable<Text>;
    /// A number or NULL.
    pub(crate) type MaybeInt = Nullable<BigInt>;
}
