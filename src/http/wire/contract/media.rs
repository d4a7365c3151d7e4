//! The words of `POST /media`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use crate::{
    extras::MediumKind,
    masked::Text,
    media::{KEPT_FOR, Kept},
};

/// `POST /media`: the file is on disk.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MediaBrought {
    success: bool,
    /// What `/send` takes as `media.id`.
    #[schema(example = "fil_Zm9vYmFyYmF6cXV4MTIzNA")]
    id: String,
    bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal digits.
    #[schema(min_length = 64, max_length = 64)]
    sha256: String,
    /// The type as it would be sent.
    mimetype: String,
    /// As what it would be sent, if `/send` does not say otherwise.
    kind: MediumKind,
    #[schema(value_type = Option<String>)]
    filename: Option<Text>,
    /// Until when the id is good, unless it is used before.
    expires_at: Moment,
}

impl MediaBrought {
    pub(in crate::http) fn of(id: String, kept: Kept, kind: MediumKind, mimetype: String) -> Self {
        let expires_at = Timestamp::now().checked_add(KEPT_FOR);
        Self {
            success: true,
            id,
            bytes: kept.bytes,
            sha256: kept.sha256,
            mimetype,
            kind,
            filename: kept.filename,
            expires_at: Moment(expires_at.unwrap_or(Timestamp::MAX)),
        }
    }
}
