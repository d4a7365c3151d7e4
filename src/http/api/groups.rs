//! `GET /groups` and `GET /groups/{id}`: the groups of a session's account, and who is in them.

use axum::extract::State;

use super::{
    reading::{ChatInPath, Part},
    send::session_of,
};
use crate::http::{
    state::AppState,
    wire::{
        contract::{GroupAnswer, GroupsAnswer},
        error::ApiError,
        extract::Json,
        parameters::{GroupParameter, ListInQuery, SessionInHeader, SessionInQuery},
        target::Target,
    },
};

/// The groups of a session, the latest first. To get the next ones, give the `next` of the answer as `after`.
#[utoipa::path(get, path = "/groups", tag = "chats", operation_id = "list_groups", params(ListInQuery, SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "A part of the groups", body = GroupsAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn list(
    State(app): State<AppState>,
    target: Target,
    Part(part): Part,
) -> Result<Json<GroupsAnswer>, ApiError> {
    let groups = session_of(&app, &target)?.groups(part).await?;
    Ok(Json(GroupsAnswer::of(target, groups)))
}

/// One group: its subject, its members by number and LID, and who of them is an admin.
#[utoipa::path(get, path = "/groups/{id}", tag = "chats", operation_id = "get_group", params(GroupParameter, SessionInQuery, SessionInHeader), responses(
    (status = 200, description = "The group", body = GroupAnswer, content_type = "application/json"),
))]
pub(in crate::http) async fn get(
    State(app): State<AppState>,
    target: Target,
    ChatInPath(group): ChatInPath,
) -> Result<Json<GroupAnswer>, ApiError> {
    if !group.is_group() {
        return Err(ApiError::NotAGroup);
    }
    let group = session_of(&app, &target)?.group(&group).await?;
    Ok(Json(GroupAnswer::of(target, group)))
}
