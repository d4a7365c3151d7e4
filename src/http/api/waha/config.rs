//! The settings of a session as WAHA has them: here they are its webhooks, and nothing else.
//!
//! Responsible for making webhooks of them that send in WAHA's form, for one session. What this service has no counterpart for is
//! refused by name where its caller would miss it.

use serde_json::{Map, Value, json};

use crate::{
    delivery::{Compat, Draft, InvalidField, ShownWebhook, waha},
    http::{
        state::AppState,
        wire::{
            error::ApiError,
            requests::Nested,
            waha::{WahaConfig, WahaIgnore, WahaWebhook},
        },
    },
    session::ClienteId,
};

/// A webhook of a request, in the words of `POST /webhooks` but for its session.
#[derive(Debug)]
pub(super) struct CheckedWebhook {
    url: String,
    fields: Map<String, Value>,
    /// Where it stands in the request.
    place: usize,
}

/// The refusal of a field.
pub(super) fn invalid(field: &'static str, why: impl Into<String>) -> ApiError {
    let why = why.into();
    ApiError::InvalidConfig { field, why }
}

/// The webhooks that a request sets; `None`: it says nothing of them.
pub(super) fn checked(
    config: Nested<WahaConfig>,
    apps: Nested<Vec<Value>>,
) -> Result<Option<Vec<CheckedWebhook>>, ApiError> {
    let config = match config {
        Nested::Absent => WahaConfig::default(),
        Nested::Value(config) => config,
        Nested::Invalid(why) => return Err(invalid("config", why)),
    };
    let has_apps = match apps {
        Nested::Absent => false,
        Nested::Value(apps) => !apps.is_empty(),
        Nested::Invalid(_) => true,
    };
    if has_apps {
        return Err(invalid("apps", "there are none here: leave it out"));
    }
    if config.proxy.is_some() {
        let why = "a session has no proxy of its own here: leave it out, and route the traffic of the machine";
        return Err(invalid("config.proxy", why));
    }
    if config.metadata.is_some_and(|metadata| !metadata.is_empty()) {
        let why = "it is not kept, and events do not carry it: leave it out, and tell sessions apart by their names";
        return Err(invalid("config.metadata", why));
    }
    if let Some(WahaIgnore { groups: Some(true) }) = config.ignore {
        let why = "groups are always heard: leave it out, and look at the end of the chat's address, @g.us";
        return Err(invalid("config.ignore.groups", why));
    }
    let webhooks = config.webhooks.map(|webhooks| {
        let webhooks = webhooks.into_iter().enumerate();
        webhooks
            .map(|(place, webhook)| checked_webhook(place, webhook))
            .collect()
    });
    webhooks.transpose()
}

fn checked_webhook(place: usize, webhook: WahaWebhook) -> Result<CheckedWebhook, ApiError> {
    let WahaWebhook {
        url,
        events,
        hmac,
        custom_headers,
    } = webhook;
    let refused = |why: String| InvalidField {
        field: format!("config.webhooks[{place}].events"),
        why,
    };
    let events = events.unwrap_or_default();
    let sent = waha::events().join(", ");
    if events.is_empty() {
        return Err(refused(format!("is missing: give some of {sent}, or \"*\" for all")).into());
    }
    let types = waha::types_of(&events).map_err(|event| {
        let event: String = event.chars().take(40).collect();
        refused(format!(
            "has {event:?}, which is not sent here: leave it out, or give some of {sent}"
        ))
    })?;
    let headers = custom_headers.unwrap_or_default();
    let headers = headers
        .into_iter()
        .map(|header| (header.name, Value::from(header.value)));
    let mut fields = Map::new();
    fields.insert("url".to_owned(), url.as_str().into());
    fields.insert("types".to_owned(), json!(types));
    fields.insert("headers".to_owned(), headers.collect::<Map<_, _>>().into());
    fields.insert("compat".to_owned(), Compat::Waha.as_str().into());
    if let Some(key) = hmac.and_then(|hmac| hmac.key) {
        fields.insert("secret".to_owned(), key.into());
    }
    Ok(CheckedWebhook { url, fields, place })
}

/// Of all webhooks those that were made for this session alone, in WAHA's form.
pub(super) fn of_session(webhooks: &[ShownWebhook], id: &ClienteId) -> Vec<ShownWebhook> {
    let is_its = |shown: &&ShownWebhook| {
        let of = shown.webhook.cliente_ids.as_ref();
        let is_alone = of.is_some_and(|of| of.len() == 1 && of.contains(id.as_str()));
        is_alone && shown.webhook.compat == Some(Compat::Waha)
    };
    webhooks.iter().filter(is_its).cloned().collect()
}

/// Gives a session these webhooks and no others. One that leads to the same address stays, with what was still to be given to it.
pub(super) async fn set(
    app: &AppState,
    id: &ClienteId,
    wanted: Vec<CheckedWebhook>,
) -> Result<(), ApiError> {
    let mut old = of_session(&app.webhooks.all().await?, id);
    let mut drafts = Vec::new();
    for CheckedWebhook {
        url,
        mut fields,
        place,
    } in wanted
    {
        let same = old.iter().position(|shown| shown.webhook.url == url);
        let same = same.map(|at| old.swap_remove(at));
        fields.insert("cliente_ids".to_owned(), json!([id.as_str()]));
        if let (Some(same), Some(Value::Object(headers))) = (&same, fields.get_mut("headers")) {
            for name in same.webhook.header_names() {
                let is_wanted = headers
                    .keys()
                    .any(|wanted| wanted.eq_ignore_ascii_case(name));
                if !is_wanted {
                    headers.insert(name.to_owned(), Value::Null);
                }
            }
        }
        let draft = Draft::parse(&fields).map_err(|why| InvalidField {
            field: format!("config.webhooks[{place}].{}", why.field),
            why: why.why,
        })?;
        drafts.push((same, draft));
    }
    // All of them can be read: now they take effect.
    for (same, draft) in drafts {
        match same {
            Some(same) => drop(app.webhooks.change(&same.id, draft).await?),
            None => drop(app.webhooks.add(draft).await?),
        }
    }
    for left in old {
        app.webhooks.remove(&left.id).await?;
    }
    Ok(())
}
