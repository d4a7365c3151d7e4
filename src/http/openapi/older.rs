//! The document as OpenAPI 3.0, for client generators that read no 3.1: progenitor, and older versions of others.
//!
//! Responsible for the JSON Schema of 3.1 that 3.0 writes in another way, and for two simplifications that such generators
//! need: one type of success and one of refusal for each operation. Not responsible for what the document says.

use serde_json::{Map, Value, json};

const ERROR: &str = "#/components/schemas/Error";

/// The 3.0 form of the complete document.
pub(super) fn as_3_0(document: &Value) -> Value {
    let mut document = rewritten(document);
    document["openapi"] = "3.0.3".into();
    // 3.0 has no word for what the service asks of others.
    if let Some(fields) = document.as_object_mut() {
        fields.remove("webhooks");
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let operations = paths
        .into_iter()
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut)
        .flat_map(Map::values_mut);
    for operation in operations {
        let responses = operation
            .get_mut("responses")
            .and_then(Value::as_object_mut);
        responses.into_iter().for_each(unify);
    }
    document
}

/// progenitor makes one type of all successes of an operation and one of all refusals, and stops when they differ.
fn unify(responses: &mut Map<String, Value>) {
    let mut success = None;
    for (status, response) in responses {
        let content = response.get_mut("content").and_then(Value::as_object_mut);
        let Some(content) = content else { continue };
        // A code to scan comes as JSON or as a picture. A client asks for the JSON.
        if content.len() > 1 && content.contains_key("application/json") {
            content.retain(|kind, _| kind == "application/json");
        }
        let Some(json) = content.get_mut("application/json") else {
            continue;
        };
        if status.starts_with('2') {
            // `200` comes first, and what it may carry includes what `202` carries.
            let schema = success.get_or_insert_with(|| json["schema"].clone());
            json["schema"] = schema.clone();
        } else {
            // Which codes come with which status stands in the description.
            json["schema"] = json!({ "$ref": ERROR });
        }
    }
}

/// A copy in which each schema is written as 3.0 does.
fn rewritten(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(rewritten).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), rewritten(value)));
            schema(fields.collect()).into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn schema(mut fields: Map<String, Value>) -> Map<String, Value> {
    // 3.0 has no word for what the names of a map look like.
    fields.remove("propertyNames");
    if let Some(kinds) = fields.get("type").and_then(Value::as_array) {
        let (null, mut kinds): (Vec<Value>, Vec<Value>) =
            kinds.iter().cloned().partition(|kind| kind == "null");
        if !null.is_empty() {
            fields.insert("nullable".to_owned(), true.into());
        }
        if kinds.len() == 1 {
            fields.insert("type".to_owned(), kinds.remove(0));
        } else {
            fields.remove("type");
            let each = kinds.iter().map(|kind| json!({ "type": kind })).collect();
            fields.insert("oneOf".to_owned(), each);
        }
    }
    let choices = fields.get("oneOf").and_then(Value::as_array);
    if let Some(choices) = choices {
        let is_null = |choice: &&Value| choice["type"] == "null";
        let rest: Vec<Value> = choices
            .iter()
            .filter(|choice| !is_null(choice))
            .cloned()
            .collect();
        if rest.len() < choices.len() {
            fields.remove("oneOf");
            fields.insert("nullable".to_owned(), true.into());
            if let [Value::Object(only)] = &*rest {
                for (name, value) in only {
                    fields.entry(name.clone()).or_insert(value.clone());
                }
            } else {
                fields.insert("oneOf".to_owned(), rest.into());
            }
        }
    }
    // In 3.0 nothing may stand beside a reference.
    if fields.len() > 1
        && let Some(reference) = fields.remove("$ref")
    {
        fields.insert("allOf".to_owned(), json!([{ "$ref": reference }]));
    }
    // The examples of a body are a map, and stay; those of a schema are a list.
    if let Some(Value::Array(examples)) = fields.get("examples") {
        let first = examples.first().cloned();
        fields.remove("examples");
        fields.extend(first.map(|first| ("example".to_owned(), first)));
    }
    if let Some(only) = fields.remove("const") {
        fields.insert("enum".to_owned(), json!([only]));
    }
    fields
}
