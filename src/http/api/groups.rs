//! `GET /groups` and `GET /groups/{id}`: the groups of a session's account, and who is in them.

use axum::extract::State;

use super::reading::{ChatInPath, Part, naming, session_to_read};
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
    let session = session_to_read(&app, &target)?;
    let groups = session.groups(part).await;
    let groups = groups.map_err(ApiError::from).map_err(naming(&target))?;
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
    let session = session_to_read(&app, &target)?;
    let group = session.group(&group).await;
    let group = group.map_err(ApiError::from).map_err(naming(&target))?;
    Ok(Json(GroupAnswer::of(target, group)))
}
