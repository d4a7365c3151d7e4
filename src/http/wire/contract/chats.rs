//! The words of `/chats`, `/groups` and `/numbers`. What is read of a page is declared in [`stored`](crate::stored).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::NamedClienteId;
use crate::{
    http::wire::target::Target,
    stored::{
        Chat, Chats, Group, GroupDetails, Groups, NumberFacts, Older, StoredMessage, StoredMessages,
    },
};

/// `GET /chats`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ChatsAnswer {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    chats: Vec<Chat>,
    count: usize,
    /// What `after` is to be for the ones behind these; absent when these are the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl ChatsAnswer {
    pub(in crate::http) fn of(target: Target, read: Chats) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            count: read.chats.len(),
            chats: read.chats,
            next: read.next,
        }
    }
}

/// `GET /chats/{chat}/messages`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ChatMessages {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    /// The chat's address as it is now.
    #[schema(example = "5491158254201@c.us")]
    chat: String,
    /// The newest first.
    messages: Vec<StoredMessage>,
    count: usize,
    /// What `before` is to be for the ones before these; absent when WhatsApp Web has stored none.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    older: Older,
    /// With `fetch`: whether the phone was asked and has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched: Option<bool>,
}

impl ChatMessages {
    pub(in crate::http) fn of(target: Target, read: StoredMessages) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            chat: read.chat.into(),
            count: read.messages.len(),
            messages: read.messages,
            next: read.next.map(String::from),
            older: read.older,
            fetched: read.is_fetched,
        }
    }
}

/// `GET /groups`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct GroupsAnswer {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    groups: Vec<Group>,
    count: usize,
    /// What `after` is to be for the ones behind these; absent when these are the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl GroupsAnswer {
    pub(in crate::http) fn of(target: Target, read: Groups) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            count: read.groups.len(),
            groups: read.groups,
            next: read.next,
        }
    }
}

/// `GET /groups/{id}`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct GroupAnswer {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    group: GroupDetails,
}

impl GroupAnswer {
    pub(in crate::http) fn of(target: Target, group: GroupDetails) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            group,
        }
    }
}

/// `GET /numbers/{number}`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct NumberAnswer {
    success: bool,
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    #[serde(flatten)]
    facts: NumberFacts,
}

impl NumberAnswer {
    pub(in crate::http) fn of(target: Target, facts: NumberFacts) -> Self {
        Self {
            success: true,
            cliente_id: target.echo,
            session: target.id.to_string(),
            facts,
        }
    }
}
