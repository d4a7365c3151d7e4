//! What happens to groups on the phone, as an HTTP API.
//!
//! Responsible for: reading these requests. Not responsible for: who may be in a group (`server/groups`).

use axum::{body::Bytes, extract::State};
use serde_json::{Value, json};

use crate::{
    App,
    answer::{Answer, ApiError, Fields},
    server::groups::Act,
};

const GROUP: &str = "give the id of a group, as POST /phone/group answers it";

/// `POST /phone/group {"account", "name", "participants"}`: a person adds the account to a new group.
pub(crate) async fn made(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let name = fields.text("name", "give the name of the group")?;
    let participants = fields.numbers("participants")?;
    fields.done()?;
    if participants.is_empty() || participants.contains(&account) {
        let remedy = "give the numbers of the others, at least one";
        return Err(ApiError::field("participants", remedy));
    }
    Ok(Answer(json!(app.server.group(
        account,
        name,
        participants
    )?)))
}

/// `POST /phone/group/members {"account", "group", "act", "people", "by"?}`: people come into a group or leave it, or become admins or
/// none. `people` may have the account's own number.
pub(crate) async fn members(
    State(app): State<App>,
    body: Bytes,
) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let group = fields.text("group", GROUP)?;
    let remedy = "give add, join, remove, leave, promote or demote";
    let act: Option<Act> = fields.optional("act", remedy)?;
    let act = act.ok_or_else(|| ApiError::field("act", remedy))?;
    let people = fields.numbers("people")?;
    let by = fields.optional_number("by")?;
    fields.done()?;
    let alone = matches!(act, Act::Join | Act::Leave);
    if people.is_empty() || (alone && people.len() > 1) {
        let remedy = "give numbers, at least one; who joins or leaves does so alone";
        return Err(ApiError::field("people", remedy));
    }
    let changed = app
        .server
        .change_members(&account, &group, act, people, by)?;
    Ok(Answer(json!(changed)))
}

/// `POST /phone/group/change {"account", "group", "name"?, "description"?, "by"?}`: it gets another name, or another description.
pub(crate) async fn change(State(app): State<App>, body: Bytes) -> Result<Answer<Value>, ApiError> {
    let mut fields = Fields::parse(&body)?;
    let account = fields.number("account")?;
    let group = fields.text("group", GROUP)?;
    let name = fields.optional_text("name", "give the new name of the group")?;
    let description =
        fields.optional_text("description", "give the new description of the group")?;
    let by = fields.optional_number("by")?;
    fields.done()?;
    if name.is_none() && description.is_none() {
        return Err(ApiError::field(
            "name",
            "missing: give name, description, or both",
        ));
    }
    let changed = app.server.rename(&account, &group, name, description, by)?;
    Ok(Answer(json!(changed)))
}
