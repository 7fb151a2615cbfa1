//! Problem details (RFC 9457).

use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// What kind of problem; `about:blank` when the status says it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words, the same every time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This very problem in words.
    pub detail: String,
    /// A stable code for programs.
    pub code: String,
    /// The request, as the log knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// What is wrong with which field or parameter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

/// What is wrong with one field of the body or one query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldProblem {
    /// The field, as a JSON pointer into the body; empty for the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong with it.
    pub detail: String,
}

impl FieldProblem {
    /// Of the field at `pointer`.
    pub fn field(pointer: &str, detail: &str) -> Self {
        Self { pointer: Some(pointer.to_owned()), parameter: None, detail: detail.to_owned() }
    }

    /// Of the query parameter `name`.
    pub fn parameter(name: &str, detail: &str) -> Self {
        Self { pointer: None, parameter: Some(name.to_owned()), detail: detail.to_owned() }
    }
}
