//! No input that names no session by mistake ever acts.

use std::{cell::RefCell, collections::BTreeMap};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::*;
use crate::http::wire::{body, requests::DisconnectBody};

#[test]
fn what_looks_like_the_id_is_told_from_other_parameters() {
    for name in [
        "clienteId",
        "clienteid",
        "cliente-id",
        "Cliente_Id",
        "CLIENTE_ID",
        "client_id",
        "clientId",
        "cliente_di",
        "clienteld",
        "cliente_id ",
        "cliente_id[]",
        "cliente",
        "id",
        "ID",
        "session",
        "sessionId",
        "id_cliente",
        "sesion_id",
        "sesionid",
        "id_sesion",
        "idSession",
        "sessionName",
        "session_key",
        "instance",
        "instanceName",
        "instance_id",
        "instancia",
        "cuenta",
        "id_cuenta",
        "account_id",
        "tenant",
        "phone_id",
        "nombre_sesion",
    ] {
        assert!(is_meant_as_id(name), "{name}");
    }
    for name in [
        "",
        "_",
        "t",
        "format",
        "state",
        "after",
        "limit",
        "lastEventId",
        "utm_source",
        "v",
        "token",
        "version",
        "name",
        "key",
        "instant",
        "to",
    ] {
        assert!(!is_meant_as_id(name), "{name}");
    }
}

/// What is read by a handler of `/disconnect`.
struct Fields;

impl FromBody for Fields {
    type Fields = DisconnectBody;

    fn from_body(_: DisconnectBody, _: &Object, _: &Parts, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

/// Whether a body, as it arrives, would act on the default session.
fn acts_on_the_default(bytes: &[u8], content_type: &'static str) -> Result<bool, ApiError> {
    let value = axum::http::HeaderValue::from_static(content_type);
    let headers = HeaderMap::from_iter([(axum::http::header::CONTENT_TYPE, value)]);
    let Some(object) = body::object(bytes.to_vec(), &headers, body::LARGEST_BODY)? else {
        return Err(ApiError::ClienteIdRequired);
    };
    check_body::<Fields>(&object)?;
    Ok(!object.contains_key(CLIENTE_ID))
}

/// A body that means the session 51, by whatever slip it says so.
fn slip() -> impl Strategy<Value = (String, &'static str)> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "clienteId",
            "client_id",
            "cliente_id ",
            " cliente_id",
            "cliente_Id",
            "CLIENTE_ID",
            "cliente-id",
            "id",
            "session",
            "cliente_id[]",
            "\u{feff}cliente_id",
            "cliente_id\u{200b}",
            "data",
            "cliente.id",
            "cliеnte_id",
        ])
        .prop_map(str::to_owned),
        "[a-zA-Z_ ]{1,12}".prop_filter("it is no slip", |name| name != "cliente_id"
            && name != "logout"),
    ];
    let shape = prop::sample::select(vec![
        "{\"§\": 51}",
        "{\"§\": \"51\"}",
        "{\"logout\": false, \"§\": 51}",
        "{\"§\": {\"cliente_id\": 51}}",
        "§=51",
        "logout=false&§=51",
        "§=51&logout=false",
        "§: 51",
        "§",
        "'{§:",
        "{§: 51}",
        "{'§': 51}",
        "[\"§\"]",
        "[{\"§\": 51}]",
        "'{\"§\": 51}'",
        "\"{§: 51}\"",
        "{\"§\": 51",
        "<§>51</§>",
        "§ = 51",
        "{\"§\"=51}",
    ]);
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "",
    ]);
    (name, shape, content_type)
        .prop_map(|(name, shape, content_type)| (shape.replace('§', &name), content_type))
}

#[test]
fn no_slip_ever_acts_on_the_default_session() {
    const CASES: u32 = 10_000;
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(CASES)
    });
    let verdicts = RefCell::new(BTreeMap::<&str, u32>::new());
    runner
        .run(&slip(), |(text, content_type)| {
            let verdict = match acts_on_the_default(text.as_bytes(), content_type) {
                Ok(true) => "acts",
                Ok(false) => "names a session",
                Err(why) => why.facts().code,
            };
            *verdicts.borrow_mut().entry(verdict).or_default() += 1;
            // A name of blanks alone, as a form, is no body.
            prop_assert!(
                verdict != "acts" || text.trim().is_empty(),
                "{text:?} as {content_type}"
            );
            Ok(())
        })
        .unwrap();
    println!("{:?}", verdicts.borrow());
    assert!(verdicts.borrow()["INVALID_CLIENTE_ID"] > 1_000);
}

/// Bytes of any kind: they act only when they are empty, or an object or a form of known fields.
#[test]
fn only_a_body_that_is_understood_whole_acts() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(5_000)
    });
    let texts = "[{}\\[\\]\"':,=&a-z_ 0-9]{0,24}|.{0,16}";
    let types = prop::sample::select(vec![
        "application/json",
        "application/x-www-form-urlencoded",
        "",
    ]);
    runner
        .run(&(texts, types), |(text, content_type)| {
            if let Ok(true) = acts_on_the_default(text.as_bytes(), content_type) {
                let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
                let known = match serde_json::from_str::<Value>(trimmed) {
                    Ok(Value::Object(object)) => object.keys().all(|name| name == "logout"),
                    _ => {
                        form_urlencoded::parse(trimmed.as_bytes()).all(|(name, _)| name == "logout")
                    }
                };
                prop_assert!(
                    trimmed.is_empty() || known,
                    "{:?} as {}",
                    text,
                    content_type
                );
            }
            Ok(())
        })
        .unwrap();
    assert!(acts_on_the_default(b"", "").is_ok_and(|acts| acts));
    assert!(
        acts_on_the_default(json!({"logout": false}).to_string().as_bytes(), "")
            .is_ok_and(|acts| acts)
    );
}
