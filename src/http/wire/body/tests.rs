//! What is read of a body, and what a refusal says.

use std::io::Write as _;

use axum::http::{HeaderValue, header};
use flate2::{
    Compression,
    write::{DeflateEncoder, GzEncoder, ZlibEncoder},
};
use serde_json::json;

use super::*;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn headers(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

fn packed(encoding: &'static str) -> HeaderMap {
    let mut headers = headers(JSON);
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    headers
}

/// What is read, or the code and the sentence of a refusal.
fn read(bytes: impl Into<Vec<u8>>, headers: &HeaderMap) -> Result<Value, (&'static str, String)> {
    object(bytes.into(), headers, LARGEST_BODY)
        .map(|object| object.map_or(json!([]), Value::Object))
        .map_err(|error| (error.facts().code, error.to_string()))
}

#[track_caller]
fn assert_read(bytes: impl Into<Vec<u8>>, headers: &HeaderMap, wanted: &Value) {
    assert_eq!(read(bytes, headers).as_ref(), Ok(wanted));
}

/// The refusal has this code and says this, and never only where the parser stopped.
#[track_caller]
fn assert_refused(bytes: impl Into<Vec<u8>>, headers: &HeaderMap, code: &str, says: &str) {
    let (given, sentence) = read(bytes, headers).unwrap_err();
    assert!(
        given == code && sentence.contains(says),
        "{given}: {sentence}"
    );
    assert!(!sentence.contains("line 1 column"), "{sentence}");
}

#[track_caller]
fn assert_no_json(body: &str, says: &str) {
    assert_refused(body, &headers(JSON), "INVALID_JSON", says);
}

#[test]
fn json_is_read_whatever_the_content_type_says() {
    for content_type in [
        JSON,
        "text/plain",
        FORM,
        "multipart/form-data; boundary=x",
        "",
    ] {
        let body = r#" {"cliente_id": 51}"#;
        assert_read(body, &headers(content_type), &json!({"cliente_id": 51}));
    }
    assert_read(r#"{"a":1}"#, &HeaderMap::new(), &json!({"a": 1}));
}

#[test]
fn no_body_is_an_empty_object() {
    for body in ["", " \n", "\u{feff}"] {
        for content_type in [JSON, FORM, "text/plain"] {
            assert_read(body, &headers(content_type), &json!({}));
        }
        assert_read("", &packed("gzip"), &json!({}));
    }
}

#[test]
fn a_form_is_an_object_of_strings() {
    let of = headers("application/x-www-form-urlencoded; charset=UTF-8");
    let wanted = json!({"cliente_id": "51", "message": "a b\nc"});
    assert_read("cliente_id=51&message=a+b%0Ac", &of, &wanted);
    assert_read("\u{feff}cliente_id=51", &of, &json!({"cliente_id": "51"}));
    // Twice is an array, as Express had it, and no field takes one.
    let twice = json!({"cliente_id": ["51", "52"]});
    assert_read("cliente_id=51&cliente_id=52", &of, &twice);
    assert_read("cliente_id[]=51", &of, &json!({"cliente_id[]": "51"}));
    assert_refused("message=ma%F1ana", &of, "INVALID_JSON", "UTF-8");
    assert_read("message=%EF%BF%BD", &of, &json!({"message": "\u{fffd}"}));
}

#[test]
fn what_is_neither_json_nor_a_form_says_so() {
    for body in [
        "'{cliente_id:",
        "cliente_id: 51",
        "cliente_id:51",
        "51",
        "cliente_id",
        "'{cliente_id: 51}'",
        "{cliente_id=51",
        "<xml a=\"1\"/>",
    ] {
        let (code, sentence) = read(body, &headers(FORM)).unwrap_err();
        assert_eq!(code, "INVALID_JSON", "{body}");
        let begins =
            sentence.contains("neither JSON nor a form") && sentence.contains("double quotes");
        assert!(begins || body.starts_with('{'), "{body}: {sentence}");
    }
}

#[test]
fn a_byte_order_mark_and_utf_16_are_read() {
    let (body, wanted) = ("{\"m\":\"ñ 👋\"}", json!({"m": "ñ 👋"}));
    let marked = |body: &str| format!("\u{feff}{body}");
    let little =
        |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let big = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_be_bytes).collect() };
    assert_read(marked(body), &headers(JSON), &wanted);
    for charset in [
        "application/json; charset=utf-16",
        "application/json;charset=\"UTF-16LE\"",
    ] {
        assert_read(little(body), &headers(charset), &wanted);
    }
    for charset in [
        "application/json; charset=utf-16",
        "application/json; charset=utf-16be",
    ] {
        assert_read(big(body), &headers(charset), &wanted);
    }
    // The mark says it without a charset, and against one.
    for content_type in [
        JSON,
        "application/json; charset=utf-8",
        "application/json; charset=utf-16",
    ] {
        assert_read(little(&marked(body)), &headers(content_type), &wanted);
        assert_read(big(&marked(body)), &headers(content_type), &wanted);
    }
    assert_refused(
        little(body),
        &headers(JSON),
        "INVALID_JSON",
        "charset=utf-16",
    );
    let odd = [little(body), vec![0]].concat();
    assert_refused(
        odd,
        &headers("application/json; charset=utf-16"),
        "INVALID_JSON",
        "half a character",
    );
    let cut: Vec<u8> = "{\"m\":\""
        .encode_utf16()
        .chain([0xd83d])
        .chain("\"}".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_read(
        cut,
        &headers("application/json; charset=utf-16"),
        &json!({"m": "\u{fffd}"}),
    );
}

#[test]
fn another_character_set_is_named() {
    let latin = b"{\"m\":\"ma\xf1ana\"}";
    assert_refused(latin, &headers(JSON), "INVALID_JSON", "not UTF-8");
    for charset in ["iso-8859-2", "shift_jis", "utf-32", "macintosh"] {
        let content_type = format!("application/json; charset={charset}");
        let of = headers(content_type.leak());
        let named = format!("\"{charset}\"");
        assert_refused(latin, &of, "UNSUPPORTED_MEDIA_TYPE", &named);
    }
    let of = headers("application/json; charset=<script>");
    assert_refused(latin, &of, "UNSUPPORTED_MEDIA_TYPE", "\"script\"");
    // `+APE-` is an ñ there.
    let of = headers("application/json; charset=utf-7");
    assert_refused(
        "{\"m\":\"ma+APE-ana\"}",
        &of,
        "UNSUPPORTED_MEDIA_TYPE",
        "\"utf-7\"",
    );
}

/// What Apache's `HttpClient` and VBA put beside a body, whatever it is in.
#[test]
fn the_bytes_go_before_the_name_of_a_character_set() {
    let latin = b"{\"m\":\"ma\xf1ana \x80 \x93\xa1hola!\x94\"}";
    for charset in ["ISO-8859-1", "windows-1252", "latin1", "cp1252"] {
        for essence in ["text/plain", "application/json"] {
            let content_type = format!("{essence}; charset={charset}");
            let of = headers(content_type.leak());
            assert_read("{\"m\":\"hola\"}", &of, &json!({"m": "hola"}));
            assert_read(*latin, &of, &json!({"m": "mañana € “¡hola!”"}));
            assert_read("{\"m\":\"mañana 👋\"}", &of, &json!({"m": "mañana 👋"}));
        }
    }
    for charset in [
        "us-ascii",
        "iso-8859-15",
        "shift_jis",
        "gb2312",
        "koi8-r",
        "ansi",
        "x",
    ] {
        let content_type = format!("text/plain; charset={charset}");
        assert_read(
            "{\"m\":\"hola\"}",
            &headers(content_type.leak()),
            &json!({"m": "hola"}),
        );
    }
    let form = headers("application/x-www-form-urlencoded; charset=ISO-8859-1");
    assert_read("cliente_id=51", &form, &json!({"cliente_id": "51"}));
}

#[test]
fn what_is_packed_is_unpacked() {
    let body = r#"{"cliente_id":51}"#;
    let wanted = json!({"cliente_id": 51});
    let best = Compression::best();
    let mut gzip = GzEncoder::new(Vec::new(), best);
    gzip.write_all(body.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), best);
    zlib.write_all(body.as_bytes()).unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), best);
    deflate.write_all(body.as_bytes()).unwrap();
    for encoding in ["gzip", "GZIP", "x-gzip"] {
        assert_read(gzip.clone(), &packed(encoding), &wanted);
    }
    assert_read(zlib.finish().unwrap(), &packed("deflate"), &wanted);
    assert_read(deflate.finish().unwrap(), &packed("deflate"), &wanted);
    for encoding in ["identity", ""] {
        assert_read(body, &packed(encoding), &wanted);
    }
    // `brotli -q 11` of the same body.
    let brotli =
        b"\x0b\x08\x80\x7b\x22\x63\x6c\x69\x65\x6e\x74\x65\x5f\x69\x64\x22\x3a\x35\x31\x7d\x03";
    assert_read(brotli, &packed("br"), &wanted);
    assert_refused(body, &packed("gzip"), "INVALID_JSON", "said to be gzip");
    assert_refused(
        &gzip[..gzip.len() - 9],
        &packed("gzip"),
        "INVALID_JSON",
        "said to be gzip",
    );
    assert_refused(body, &packed("br"), "INVALID_JSON", "said to be br");
    for encoding in ["zstd", "gzip, gzip", "compress"] {
        assert_refused(body, &packed(encoding), "UNSUPPORTED_MEDIA_TYPE", encoding);
    }
}

#[test]
fn a_bomb_is_too_large() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..100 {
        gzip.write_all(&vec![b' '; 1024 * 1024]).unwrap();
    }
    let bomb = gzip.finish().unwrap();
    assert!(bomb.len() < LARGEST_BODY);
    assert_refused(bomb, &packed("gzip"), "PAYLOAD_TOO_LARGE", "65,536");
}

#[test]
fn multipart_is_refused_by_name() {
    let part = "--x\r\nContent-Disposition: form-data; name=\"cliente_id\"\r\n\r\n51\r\n--x--\r\n";
    for content_type in ["multipart/form-data; boundary=x", JSON, FORM, ""] {
        let says = "multipart/form-data is not read; send JSON";
        assert_refused(part, &headers(content_type), "UNSUPPORTED_MEDIA_TYPE", says);
    }
    let empty = headers("multipart/form-data; boundary=x");
    assert_refused("", &empty, "UNSUPPORTED_MEDIA_TYPE", "send JSON");
}

#[test]
fn an_array_is_told_from_what_is_no_object() {
    for body in ["[]", r#"["cliente_id"]"#, r#"[{"cliente_id": 51}]"#] {
        for content_type in [JSON, FORM] {
            assert_read(body, &headers(content_type), &json!([]));
        }
    }
    for body in ["null", "51", "-5.5", "true", r#""x""#] {
        assert_no_json(body, "another kind");
    }
    assert_refused(r#""x""#, &headers(FORM), "INVALID_JSON", "another kind");
}

#[test]
fn half_a_character_is_sent_as_express_sent_it() {
    for (escaped, text) in [
        (r"hola \ud83d", "hola \u{fffd}"),
        (r"\ude00 hola", "\u{fffd} hola"),
        (r"\uD83D\uD83D\uDE00", "\u{fffd}😀"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\ude00", "😀"),
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\u{fffd}"),
        (r"ñ\ud83dñ", "ñ\u{fffd}ñ"),
    ] {
        assert_read(
            format!(r#"{{"m":"{escaped}"}}"#),
            &headers(JSON),
            &json!({"m": text}),
        );
    }
    assert_no_json(r#"{"m":"\ud83"}"#, "");
    assert_no_json(r#"{"m":"\u"#, "too early");
}

#[test]
fn a_refusal_names_its_cause() {
    for (body, says) in [
        ("{\"message\":\"a\nb\"}", r"write a line break as \n"),
        ("{\"message\":\"a\r\nb\"}", r"write a line break as \n"),
        ("{\"message\":\"\n\"}", r"write a line break as \n"),
        (
            "{\"message\":\"a\tb\"}",
            r"there is a real tab in a text: write it as \t",
        ),
        ("{\"message\":\"a\0b\"}", r"write it as \u0000"),
        ("{\"message\":\"a\u{1b}b\"}", r"write it as \u001b"),
        (r#"{"cliente_id": 51,"#, "ends too early"),
        (r#"{"message": "hola"#, "ends too early"),
        ("{", "not closed (byte 1)"),
        (
            r#"{"cliente_id": 51,}"#,
            "a comma stands in front of a closing",
        ),
        (r#"{"a": [1,]}"#, "a comma stands in front of a closing"),
        (r#"'{"cliente_id": 51}'"#, "in cmd.exe use double quotes"),
        ("{'cliente_id': 51}", "single quotes"),
        (r#"{"message": 'hola'}"#, "single quotes"),
        ("{cliente_id: 51}", "not in double quotes"),
        ("{\u{201c}cliente_id\u{201d}: 51}", "curly"),
        (r#"{"cliente_id": NaN}"#, "NaN is no JSON value"),
        (r#"{"cliente_id": None}"#, "None is no JSON value"),
        (r#"{"cliente_id": undefined}"#, "undefined is no JSON value"),
        (r#"{"async": True}"#, "True is no JSON value"),
        (r#"{"async": nil}"#, "nil is no JSON value"),
        (r#"{"to": 05491158254201}"#, "a number in it is not written"),
        (r#"{"to": +5491158254201}"#, "a number in it is not written"),
        (
            r#"{"cliente_id": 51} {"cliente_id": 52}"#,
            "one object only",
        ),
        ("{}{}", "one object only"),
        (r#"{"cliente_id": 51}'"#, "one object only"),
        ("{} // x", "one object only"),
        ("{/* x */}", "not in double quotes"),
        (r#"{"message": "C:\dir"}"#, r"write a backslash as \\"),
        (r#"{"message": "say "hola""}"#, r#"\""#),
        (r#"{"cliente_id" 51}"#, "missing"),
        (r#"{"a": 1 "b": 2}"#, "missing"),
        ("cliente_id=51", "it looks like a form"),
        (
            r#"{"to": "1", "to": "2"}"#,
            "the field to stands in it twice",
        ),
        (
            r#"{"cliente_id": 51, "cliente_id": 52}"#,
            "the field cliente_id stands in it twice",
        ),
    ] {
        assert_no_json(body, says);
    }
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    assert_no_json(&deep, "nested more than 128 deep");
    // The same value twice is no contradiction, and a field of the caller's own is not looked at.
    assert_read(
        r#"{"to": "1", "to": "1", "x": 1, "x": 2}"#,
        &headers(JSON),
        &json!({"to": "1", "x": 2}),
    );
}

/// No refusal repeats what stands in a text.
#[test]
fn a_refusal_does_not_repeat_the_text() {
    for body in [
        "{\"message\":\"secreto\nb\"}",
        "{\"message\":\"secreto",
        "{\"message\":\"secreto\",}",
        "{\"message\":\"secreto\"\"x\"}",
    ] {
        let (_, sentence) = read(body, &headers(JSON)).unwrap_err();
        assert!(!sentence.contains("secreto"), "{sentence}");
    }
}

#[test]
fn the_longest_text_fits_in_however_it_is_escaped() {
    let text = "я".repeat(LONGEST_TEXT);
    let escaped = r"\u044f".repeat(LONGEST_TEXT);
    let frame = |text: &str| {
        json!({"cliente_id": 51, "to": "5491158254201", "idempotency_key": "k".repeat(255), "message": "§"})
            .to_string()
            .replace('§', text)
    };
    let utf16: Vec<u8> = frame(&escaped)
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(utf16.len() <= LARGEST_BODY, "{}", utf16.len());
    let form: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("message", &text)
        .finish();
    assert!(form.len() <= LARGEST_BODY, "{}", form.len());
    let whole = read(utf16, &headers("application/json; charset=utf-16le")).unwrap();
    assert_eq!(whole["message"], json!(text));
}
