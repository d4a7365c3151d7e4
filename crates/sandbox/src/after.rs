//! What a page does about what is there: it reacts to a message, edits or deletes one, reads a chat, shows that its owner is typing.
//!
//! Responsible for: the shape of that on its way from a page and in the journal, and what it makes of a message that the phone
//! shows. Not responsible for: whether the page may (`server/after`), when it is acknowledged (`device/after`).

use serde::{Deserialize, Serialize};

use super::{
    number::Number,
    stanza::{Chat, Content},
};

/// What a page does about a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Act {
    /// An empty emoji takes the reaction back.
    Reaction {
        emoji: String,
    },
    Edit {
        body: String,
    },
    /// For everybody.
    Revoke {
        /// By an admin of the group, who did not write it.
        by_admin: bool,
    },
    /// On the devices of the account only.
    DeleteForMe,
}

impl Act {
    /// The same, where a person has done it on a phone.
    pub(super) fn of(content: &Content) -> Option<(&str, Self)> {
        match content {
            Content::Edit { target, body } => Some((target, Self::Edit { body: body.clone() })),
            Content::Revoke { target, by_admin } => Some((
                target,
                Self::Revoke {
                    by_admin: *by_admin,
                },
            )),
            Content::Reaction { target, emoji } => Some((
                target,
                Self::Reaction {
                    emoji: emoji.clone(),
                },
            )),
            Content::Message(_)
            | Content::Resolved { .. }
            | Content::Receipt { .. }
            | Content::Mapping
            | Content::Notice { .. } => None,
        }
    }
}

/// Something that a page did about a message, as the server took it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    /// The id that the page gave to what it did.
    pub(super) id: String,
    pub(super) account: Number,
    /// The message.
    pub(super) target: String,
    /// When the server took it, ISO-8601 with milliseconds.
    pub(super) at: String,
    #[serde(flatten)]
    pub(super) act: Act,
}

/// What has become of a message since it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fate {
    /// The last reaction to it, by whichever person; empty: taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<String>,
    /// The text that it has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted_for_me: bool,
    /// How often pages have done something about it.
    #[serde(skip_serializing_if = "is_zero")]
    changes: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde takes"
)]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Fate {
    /// A phone shows it.
    pub(super) fn take(&mut self, act: &Act) {
        match act {
            Act::Reaction { emoji } => self.reaction = Some(emoji.clone()),
            Act::Edit { body } => self.edited = Some(body.clone()),
            Act::Revoke { .. } => self.deleted = true,
            Act::DeleteForMe => self.deleted_for_me = true,
        }
    }

    /// A page has done something about it.
    pub(super) const fn count(&mut self) {
        self.changes += 1;
    }
}

/// What the owner of a page does in a chat, as its other members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ChatState {
    pub(super) account: Number,
    #[serde(flatten)]
    pub(super) chat: Chat,
    pub(super) state: Doing,
}

/// See [`ChatState`]; the words of WhatsApp's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Doing {
    Composing,
    Recording,
    Paused,
}
