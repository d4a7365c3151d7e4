//! Words that answers are made of, as types: for the document alone. What is written comes from the session.

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, OneOfBuilder, Schema, Type},
    },
};

/// A session's name: an answer has it of the type that its caller used.
#[derive(Debug)]
pub(in crate::http) struct NamedClienteId;

impl ToSchema for NamedClienteId {}

impl PartialSchema for NamedClienteId {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1));
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9_-]+$"));
        OneOfBuilder::new()
            .item(number)
            .item(name)
            .description(Some(
                "A session's name: 51 and \"51\" are one; an answer has the type that its caller used",
            ))
            .into()
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        reason = "only its schema is used; a test holds it against the states"
    )
)]
pub(in crate::http) enum StateName {
    Init,
    QrRequired,
    Authenticated,
    Ready,
    Disconnected,
    Error,
}
