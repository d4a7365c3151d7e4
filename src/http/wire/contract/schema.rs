//! Words that answers are made of, as types: for the document alone. What is written comes from the session.

use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type},
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

/// The bytes of a file, as a body of a request or of an answer. Generators of clients ask for this schema: to them a `Vec<u8>`
/// is a list of numbers.
#[derive(Debug)]
pub(in crate::http) struct FileBytes;

impl PartialSchema for FileBytes {
    fn schema() -> RefOr<Schema> {
        let binary = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(binary))
            .into()
    }
}

impl ToSchema for FileBytes {}
