//! The page's files.

use std::collections::BTreeSet;

use axum::{body::Body, http::Request};

use super::Api;
use crate::{http::wire::error::Code, ledger::Failure, session::ReasonCode, whatsapp::LeftOut};

/// The names behind each `prefix` of a text, up to the next quote.
fn named<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let parts = text.split(prefix).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_is_there_without_a_key_and_kept_to_itself() {
    let api = Api::new(&[("API_KEY", "s3cret")]);
    let mut wanted = vec!["/".to_owned(), "/qr.html".to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(path) = wanted.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = api.get(&path).await;
        assert_eq!(file.status, 200, "{path}");
        let policy = file.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "));
        assert!(policy.contains("; img-src 'self' data: blob:; media-src blob:; "));
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(file.headers["x-content-type-options"], "nosniff");
        assert_eq!(file.headers["referrer-policy"], "no-referrer");
        let text = file.text();
        assert!(
            !text.contains("style=\"") && !text.contains("<script>"),
            "{path}"
        );
        let loaded = named(&text, "\"page/");
        let imported = named(&text, "from \"./");
        wanted.extend(loaded.union(&imported).map(|name| format!("/page/{name}")));
    }
    assert!(seen.contains("/page/codes-es.js"), "{seen:?}");
    assert_eq!(api.get("/page/nothing.js").await.status, 404);
}

#[tokio::test]
async fn a_browser_that_has_a_file_is_told_that_it_is_still_the_same() {
    let api = Api::new(&[]);
    let first = api.get("/page/app.js").await;
    let tag = first.headers["etag"].to_str().unwrap();
    assert_eq!(first.headers["cache-control"], "no-cache");
    for (known, status) in [(tag, 304), ("\"other\", W/\"x\"", 200)] {
        let request = Request::get("/page/app.js").header("if-none-match", known);
        let answer = api.call(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["etag"], tag);
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    assert_ne!(api.get("/page/page.css").await.headers["etag"], tag);
}

#[tokio::test]
async fn the_page_has_words_in_both_languages_for_each_reason_why_there_is_no_picture() {
    let words = Api::new(&[]).get("/page/words.js").await.text();
    let lists: Vec<BTreeSet<_>> = words
        .split("pictureLeftOut: {")
        .skip(1)
        .map(|list| {
            let entries = list.split('}').next().unwrap().lines();
            entries
                .filter_map(|entry| Some(entry.trim().split_once(':')?.0))
                .collect()
        })
        .collect();
    let codes: BTreeSet<_> = LeftOut::ALL.map(LeftOut::code).into();
    assert_eq!(lists, [codes.clone(), codes]);
}

/// The page's own code, for a service that does not answer.
const AWAY: &str = "AWAY";

#[test]
fn every_code_has_words_in_both_languages_and_no_word_is_for_a_code_that_is_not_there() {
    let errors = Code::ALL.iter().map(|code| code.facts().code);
    let reasons = ReasonCode::all().map(ReasonCode::as_str);
    let failures = Failure::ALL.map(Failure::as_str);
    let codes = errors.chain(reasons).chain(failures);
    let codes: BTreeSet<&str> = codes.chain([AWAY]).collect();
    for file in [
        include_str!("../page/codes-en.js"),
        include_str!("../page/codes-es.js"),
    ] {
        let words = file.lines().filter_map(|line| {
            let (code, word) = line.strip_prefix("  ")?.split_once(": \"")?;
            Some((code, word))
        });
        let words: Vec<_> = words.collect();
        assert!(words.iter().all(|(_, word)| word.len() > "\",".len()));
        let worded: BTreeSet<_> = words.iter().map(|(code, _)| *code).collect();
        assert_eq!(worded, codes);
        assert_eq!(words.len(), codes.len(), "none stands twice");
    }
}
