//! The words of `/sessions/{id}/evidence`.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Moment, NamedClienteId};
use crate::{
    http::wire::target::Target,
    session::{Evidence, Phase},
    whatsapp::{ConsoleLevel, ConsoleLine},
};

/// `/sessions/{id}/evidence`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct EvidenceAnswer {
    #[schema(value_type = NamedClienteId)]
    cliente_id: Value,
    session: String,
    taken_at: Moment,
    #[schema(value_type = Option<String>)]
    phase: Option<Phase>,
    reason: Option<String>,
    detail: Option<String>,
    url: Option<String>,
    title: Option<String>,
    chrome_version: Option<String>,
    adapter: Option<String>,
    missing: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chrome_output: Vec<String>,
    console: Vec<ConsoleEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    console_left_out: Option<String>,
    /// The same as a code: `NO_PAGE`, `NO_ANSWER`, `CHATS`, `CODE` or `NUMBER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    console_left_out_code: Option<String>,
    /// The path of the picture.
    screenshot: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screenshot_left_out: Option<String>,
    /// The same as a code, as for the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    screenshot_left_out_code: Option<String>,
}

/// A line of the page's console.
#[derive(Debug, Serialize, ToSchema)]
struct ConsoleEntry {
    at: Moment,
    #[schema(value_type = String)]
    level: ConsoleLevel,
    text: String,
}

impl EvidenceAnswer {
    pub(in crate::http) fn of(target: Target, evidence: Evidence) -> Self {
        let entry = |line: ConsoleLine| ConsoleEntry {
            at: Moment(line.at),
            level: line.level,
            text: line.text,
        };
        let session = target.id.to_string();
        Self {
            cliente_id: target.echo,
            taken_at: Moment(evidence.taken_at),
            phase: evidence.phase,
            reason: evidence.reason,
            detail: evidence.detail,
            url: evidence.url,
            title: evidence.title,
            chrome_version: evidence.chrome_version,
            adapter: evidence.adapter,
            missing: evidence.missing,
            chrome_output: evidence.chrome_output,
            console: evidence.console.into_iter().map(entry).collect(),
            console_left_out: evidence.console_left_out,
            console_left_out_code: evidence.console_left_out_code,
            screenshot: evidence
                .screenshot
                .map(|_| format!("/sessions/{session}/evidence/screenshot.png")),
            screenshot_left_out: evidence.screenshot_left_out,
            screenshot_left_out_code: evidence.screenshot_left_out_code,
            session,
        }
    }
}
