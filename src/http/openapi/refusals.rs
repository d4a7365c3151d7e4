//! What each request may be refused with.

use axum::http::Method;
use serde_json::{Value, json};

use crate::http::{
    guard::access::{Access, Row},
    wire::error::Code,
};

/// The codes of a route, each once: its own first, then those of any request.
pub(super) fn of(row: &Row) -> Vec<Code> {
    let mut codes = row.refusals.clone();
    if row.access != Access::Open {
        codes.extend([
            Code::TwoKeys,
            Code::Unauthorized,
            Code::Forbidden,
            Code::TooManyAttempts,
        ]);
    }
    codes.extend([Code::OriginNotAllowed, Code::MisdirectedRequest]);
    if row.method != Method::GET {
        codes.push(Code::ShuttingDown);
    }
    codes.push(Code::Internal);
    codes
}

/// The answer with these codes.
pub(super) fn answer(path: &str, status: u16, codes: &[Code]) -> Value {
    let line = |code: &Code| format!("`{}`: {}.", code.facts().code, code.remedy());
    let mut description: Vec<String> = codes.iter().map(line).collect();
    let mut schema = json!({"$ref": "#/components/schemas/Error"});
    if has_reasons(path, status) {
        description.push("Else the reason of the session, as in docs/reasons.md.".to_owned());
    } else {
        let names: Vec<&str> = codes.iter().map(|code| code.facts().code).collect();
        schema = json!({"allOf": [schema, {"properties": {"code": {"enum": names}}}]});
    }
    json!({
        "description": description.join("\n"),
        "content": {"application/json": {"schema": schema}},
    })
}

/// A start that fails says why in the words of the session.
fn has_reasons(path: &str, status: u16) -> bool {
    path == "/connect" && [400, 429, 500].contains(&status)
}
