//! What the page at `/` does for a person, in a real Chromium.
//!
//! Responsible for: what is seen and done, from the first code to a log-out. Not responsible for: how
//! a person looks at a page and what holds for every page (`visitor`), messages (`messages`), their files (`media`), webhooks (`webhooks`), a passkey (`passkey`), pictures for the documentation
//! (`screenshots`), the answers behind the page (`contract`, `changes`).

mod media;
mod messages;
mod passkey;
mod screenshots;
mod visitor;
mod webhooks;

use reqwest::Method;
use serde_json::{Value, json};
use visitor::{Visitor, shown_code, shown_text};

use crate::support::{Service, answer};

const TO: &str = "+54 9 11 5825-4201";
const TEXT: &str = "Hola desde la página 👋";

#[tokio::test]
async fn a_phone_is_linked_and_a_message_sent_from_the_page_alone() {
    let service = Service::with(&[
        // Its own page needs no place in the list.
        ("CORS_ORIGINS", "https://app.example"),
    ])
    .await;
    let visitor = Visitor::come().await;
    service.secrets().remember_text(TEXT);
    service.secrets().remember_number(TO);
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.shows("#empty:not([hidden])").await;
    visitor.chrome.shows("#sandbox:not([hidden])").await;
    let phone = "document.querySelector('#phone').href";
    let phone: String = visitor.chrome.value(phone).await;
    let port = service.sandbox().rsplit(':').next().unwrap();
    assert_eq!(phone.rsplit(':').next(), Some(&*format!("{port}/phone")));
    visitor.assert_accessible("the empty page").await;

    let code = shown_code(&visitor, &service, "51").await;
    assert_eq!(shown_text(&visitor).await, code);
    visitor
        .chrome
        .until("/ \\d+ s$/.test(document.querySelector('#left').textContent)")
        .await;
    visitor.assert_accessible("the page with a code").await;

    // The page changes without a click.
    let account = service.scan(&code).await;
    visitor.sees("READY").await;
    assert!(visitor.text("#account").await.contains(&account));
    assert_eq!(visitor.text(".card .badge").await, "Connected");
    visitor.fill("#send-to", TO).await;
    visitor.fill("#send-text", TEXT).await;
    visitor.chrome.click("#send-it").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    let done = "[...document.querySelectorAll('#ticks li')].map((step) => step.dataset.done)";
    let done: Vec<String> = visitor.chrome.value(done).await;
    assert_eq!(done, ["true"; 5]);
    assert_eq!(service.messages(&account).await, [TEXT]);
    // The list and the panel have heard of it as well.
    for place in [".card .last", "#facts"] {
        let told = format!("document.querySelector('{place}').textContent.includes('Read, ')");
        visitor.chrome.until(&told).await;
    }
    assert!(visitor.text("#facts").await.contains("QueueNothing waits"));
    visitor
        .assert_accessible("the page of a session that is connected")
        .await;

    // Nothing is logged out by one press.
    visitor.chrome.click("#logout").await;
    visitor.chrome.shows("#sure[open]").await;
    visitor
        .assert_accessible("the question before a log-out")
        .await;
    visitor.chrome.click("#sure-yes").await;
    visitor.sees("DISCONNECTED").await;
    assert_eq!(service.status("51").await["reason"], "LOGGED_OUT");
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn by_keyboard_alone_a_phone_is_linked_by_its_number_disconnected_and_connected_again() {
    let service = Service::with(&[]).await;
    let number = "+54 9 11 5000-7777";
    service.secrets().remember_number(number);
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    visitor.tabs_to("#add-id").await;
    visitor.chrome.insert_text("51").await;
    visitor.press("Enter").await;
    visitor.tabs_to("#by-number summary").await;
    visitor.press("Enter").await;
    visitor.tabs_to("#pair-phone").await;
    visitor.chrome.insert_text(number).await;
    visitor.press("Enter").await;
    visitor.chrome.shows("#pairing:not([hidden])").await;
    visitor
        .assert_accessible("the page with a code to type")
        .await;
    let code = visitor.text("#pairing-code").await;
    service.secrets().remember_text(&code);
    let typed = json!({ "number": number, "code": code });
    assert_eq!(service.phone("/phone/pair", &typed).await.status, 200);
    visitor.sees("READY").await;
    assert_eq!(visitor.text("#account").await, "Account +5491150007777");
    visitor.tabs_to("#disconnect").await;
    visitor.press("Enter").await;
    visitor.sees("DISCONNECTED").await;
    visitor.tabs_to("#connect").await;
    visitor.press("Enter").await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn the_code_is_on_the_page_when_one_session_waits_and_one_click_away_when_several_do() {
    let service = Service::with(&[]).await;
    service.link("50").await;
    service.connect(51).await;
    let code = service.code("51").await;
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    visitor.sees("QR_REQUIRED").await;
    let is_drawn = "document.querySelector('#qr').naturalWidth > 100";
    visitor.chrome.until(is_drawn).await;
    assert_eq!(shown_text(&visitor).await, code);
    assert_eq!(visitor.text("#session-title").await, "Session 51");
    visitor
        .assert_accessible("the page that offers a code")
        .await;

    // A person who goes back to the list is not sent away from it again.
    visitor.looks_at(375, 800, "light").await;
    visitor.chrome.click("#back").await;
    visitor.chrome.shows("#list").await;
    visitor.chrome.shows("#session[hidden]").await;
    service.connect(52).await;
    service.code("52").await;
    let waiting = "document.querySelectorAll('.card [data-state=QR_REQUIRED]').length";
    visitor.chrome.until(&format!("{waiting} === 2")).await;

    // With two that wait the page cannot know which one is meant: a fresh look shows the list.
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.until(&format!("{waiting} === 2")).await;
    visitor.chrome.shows("#session[hidden]").await;
    visitor.chrome.click(".card[data-id='52']").await;
    visitor.chrome.until(is_drawn).await;
    assert_eq!(shown_text(&visitor).await, service.code("52").await);

    // The one that is left is offered, and turns into a connected session in front of the person.
    service.scan(&service.code("52").await).await;
    service.reaches("52", "READY").await;
    visitor.chrome.goto(service.url()).await;
    visitor.chrome.until(is_drawn).await;
    service.scan(&shown_text(&visitor).await).await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn a_session_that_hibernates_says_so_and_sends_from_the_page_all_the_same() {
    let service = Service::with(&[("HIBERNATE_AFTER_SECONDS", "1")]).await;
    service.secrets().remember_number(TO);
    let account = service.link("51").await;
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    let says = "document.querySelector('#detail').textContent.includes('Chrome is closed')";
    visitor.chrome.until(says).await;
    assert_eq!(visitor.text("#badge").await, "Connected");
    visitor.fill("#send-to", TO).await;
    visitor.fill("#send-text", "wake up").await;
    visitor.chrome.click("#send-it").await;
    visitor.chrome.shows("#send[data-ack=read]").await;
    assert_eq!(service.messages(&account).await, ["wake up"]);
    service.stop();
}

#[tokio::test]
async fn the_simulated_phone_names_the_session_of_each_code_and_scans_it_by_one_press() {
    let service = Service::with(&[]).await;
    for id in [51, 52] {
        service.connect(id).await;
        service.code(&id.to_string()).await;
    }
    let visitor = Visitor::come().await;
    let phone = format!("{}/phone", service.sandbox());
    visitor.chrome.goto(&phone).await;
    for id in [51, 52] {
        let card = format!("#codes [aria-label='Session {id}'] canvas");
        visitor.chrome.shows(&card).await;
    }
    visitor
        .assert_accessible("the simulated phone with codes")
        .await;
    let scan = "#codes [aria-label='Session 52'] button";
    assert_eq!(visitor.text(scan).await, "Scan for session 52");
    visitor.chrome.click(scan).await;
    service.reaches("52", "READY").await;
    let named = "document.querySelector('#accounts').textContent.includes('online, session 52')";
    visitor.chrome.until(named).await;
    visitor
        .assert_accessible("the simulated phone with an account")
        .await;
    visitor.fill("#from", "5491150002222").await;
    visitor.fill("#body", "Hola").await;
    visitor.chrome.click("#send").await;
    visitor.chrome.shows("#messages button.act").await;
    visitor
        .assert_accessible("the simulated phone with a conversation")
        .await;
    visitor
        .chrome
        .click("#messages button.act[aria-label='Delete: Hola']")
        .await;
    let gone = "document.querySelector('#messages').textContent.includes('deleted for everybody')";
    visitor.chrome.until(gone).await;
    service.stop();
}

#[tokio::test]
async fn a_failed_session_shows_its_evidence_and_the_page_outlives_the_service() {
    let service = Service::with(&[("API_KEY", "the-key-of-this-test")]).await;
    service.secrets().remember_text("the-key-of-this-test");
    service.faults(json!({ "page": "update" })).await;
    let visitor = Visitor::come().await;
    visitor
        .chrome
        .goto(&format!("{}/qr.html?cliente_id=51", service.url()))
        .await;
    // The shell needs no key, what it shows does.
    visitor.chrome.shows("#key[open]").await;
    visitor.assert_accessible("the question for the key").await;
    assert_eq!(visitor.text("#key-trouble").await, "", "no key was given");
    for (key, is_open) in [("wrong", true), ("the-key-of-this-test", false)] {
        visitor.fill("#key-text", key).await;
        visitor.chrome.click("#key-form button").await;
        visitor
            .chrome
            .until(&format!(
                "document.querySelector('#key').open === {is_open}"
            ))
            .await;
        if is_open {
            visitor
                .chrome
                .until("document.querySelector('#key-trouble').textContent")
                .await;
        }
    }
    visitor.sees("DISCONNECTED").await;
    visitor.chrome.click("#connect").await;
    visitor.sees("ERROR").await;
    assert!(
        visitor.text("#detail").await.contains("too old"),
        "{}",
        visitor.text("#detail").await
    );
    // The answer to the connect says the same: once is enough.
    visitor
        .chrome
        .until("!document.querySelector('#connect').ariaDisabled")
        .await;
    assert_eq!(visitor.text("#trouble").await, "");
    visitor.chrome.click("#see-evidence").await;
    visitor
        .chrome
        .until("document.querySelector('#evidence-picture').naturalWidth > 100")
        .await;
    visitor
        .assert_accessible("the page of a session that has failed")
        .await;

    visitor.chrome.click("[data-language=es]").await;
    visitor
        .chrome
        .until("document.documentElement.lang === 'es'")
        .await;
    assert_eq!(visitor.text("#badge").await, "Requiere atención");
    assert!(visitor.text("#detail").await.contains("Actualízalo"));

    // The 401s and what cannot be reached are the browser's own words.
    let expected = ["Failed to load resource"];
    visitor.assert_kept_to(&service, &expected);
    service.stop();
    visitor.chrome.shows("#connection[data-state=away]").await;
    let away = visitor.text("#connection").await;
    let has_time = away.bytes().any(|byte| byte.is_ascii_digit());
    assert!(away.contains("no responde desde") && has_time, "{away}");
    // No badge goes on saying what was true when the service was heard last.
    visitor
        .chrome
        .shows("#session .badge[data-state=STALE]")
        .await;
    let badges: String = visitor
        .chrome
        .value("[...document.querySelectorAll('.badge')].map((badge) => badge.textContent).join()")
        .await;
    assert_eq!(
        badges,
        "Visto por última vez: Requiere atención,Visto por última vez: Requiere atención"
    );
}

#[tokio::test]
async fn a_one_time_link_shows_the_code_and_is_over_once_the_phone_is_linked() {
    let service = Service::with(&[("API_KEY", "the-key-of-this-test")]).await;
    let keyed = |method, path| {
        let request = service.request(method, path);
        answer(request.header("X-Api-Key", "the-key-of-this-test"))
    };
    let made = keyed(Method::POST, "/sessions/51/link").await;
    assert_eq!(made.status, 201, "{}", made.text());
    let url = made.json()["url"].as_str().unwrap().to_owned();
    service
        .secrets()
        .remember_text(url.rsplit('/').next().unwrap());

    let visitor = Visitor::come().await;
    visitor.chrome.goto(&url).await;
    visitor
        .chrome
        .until("document.querySelector('#qr')?.naturalWidth > 100")
        .await;
    let code = shown_text(&visitor).await;
    service.secrets().remember_code(&code);
    visitor.assert_accessible("the page of a link").await;
    service.scan(&code).await;
    visitor.chrome.shows("[data-ending=linked]").await;
    visitor
        .assert_accessible("the page of a link that has been used")
        .await;
    visitor.assert_kept_to(&service, &[]);

    let path = url.strip_prefix(service.url()).unwrap();
    for (path, status) in [(path.to_owned(), 410), (format!("{path}/events"), 410)] {
        assert_eq!(service.get(&path).await.status, status, "{path}");
    }
    visitor.chrome.goto(&url).await;
    visitor
        .assert_accessible("the page of a link that is over")
        .await;
    let again = keyed(Method::POST, "/sessions/51/link").await;
    again.assert_refused(409, "ALREADY_LINKED");
    service.stop();
}

#[tokio::test]
async fn the_page_asks_before_a_code_costs_another_session_its_link() {
    let service = Service::with(&[("CONNECT_WAIT_SECONDS", "20")]).await;
    let account = service.link("51").await;
    let visitor = Visitor::come().await;
    visitor.chrome.goto(service.url()).await;
    shown_code(&visitor, &service, "52").await;
    visitor.chrome.click("#by-number summary").await;
    visitor.fill("#pair-phone", &account).await;
    visitor.chrome.click("#pair button").await;
    visitor.chrome.shows("#replace[open]").await;
    let text = visitor.text("#replace-text").await;
    assert!(text.contains("Session 51"), "{text}");
    visitor.assert_accessible("the question").await;
    visitor.chrome.click("#replace-no").await;
    assert_eq!(
        service.status("52").await["pairing_code"],
        Value::Null,
        "nothing was asked for"
    );

    visitor.chrome.click("#pair button").await;
    visitor.chrome.shows("#replace[open]").await;
    visitor.chrome.click("#replace-yes").await;
    visitor
        .chrome
        .until("document.querySelector('#pairing-code').value.length === 9")
        .await;
    let phone = visitor.text("#pairing-for").await;
    assert!(phone.ends_with(&format!("…{}", &account[account.len() - 4..])));
    let expected = ["Failed to load resource"];
    visitor.assert_kept_to(&service, &expected);
    service.stop();
}

#[tokio::test]
async fn a_notice_of_whatsapp_web_is_read_and_closed_on_the_page() {
    let service = Service::with(&[]).await;
    service
        .faults(json!({ "notice": "Conoce los nuevos canales" }))
        .await;
    service.link("51").await;
    let visitor = Visitor::come().await;
    visitor
        .chrome
        .goto(&format!("{}/?cliente_id=51", service.url()))
        .await;
    visitor.chrome.shows("#notice:not([hidden])").await;
    let words = visitor.text("#notice-words").await;
    assert!(words.starts_with("Conoce los nuevos canales"), "{words}");
    visitor.assert_accessible("a session with a notice").await;
    visitor.chrome.click("#dismiss").await;
    visitor
        .chrome
        .until("document.querySelector('#notice').hidden")
        .await;
    assert_eq!(visitor.text("#trouble").await, "");
    assert_eq!(service.status("51").await["notice"], Value::Null);
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn a_linked_session_that_does_not_run_shows_its_account_and_offers_no_link() {
    let service = Service::with(&[]).await;
    let account = service.link("51").await;
    service.disconnect(51).await;
    let status = service.status("51").await;
    assert_eq!(
        (&status["linked"], &status["account"]),
        (&json!(true), &json!(account)),
        "{status}"
    );
    let link = service.post("/sessions/51/link", &json!({})).await;
    link.assert_refused(409, "ALREADY_LINKED");
    assert_eq!(service.status("51").await["state"], "DISCONNECTED");
    // The next service knows it from the profile.
    let service = Service::start_in(service.stop(), |env| {
        env.insert("RESTORE_SESSIONS", "false".into());
    })
    .await;
    let visitor = Visitor::come().await;
    let page = format!("{}/?cliente_id=51", service.url());
    visitor.chrome.goto(&page).await;
    visitor.sees("DISCONNECTED").await;
    assert!(visitor.text("#account").await.contains(&account));
    let is_offered = "document.querySelector('#make-link').checkVisibility()";
    assert!(!visitor.chrome.value::<bool>(is_offered).await);
    visitor.chrome.click("#connect").await;
    visitor.sees("READY").await;
    visitor.assert_kept_to(&service, &[]);
    service.stop();
}

#[tokio::test]
async fn the_document_of_the_api_fits_a_phone() {
    let service = Service::with(&[]).await;
    let visitor = Visitor::come().await;
    visitor.looks_at(380, 800, "light").await;
    visitor
        .chrome
        .goto(&format!("{}/docs", service.url()))
        .await;
    visitor
        .chrome
        .until("document.querySelector('table')")
        .await;
    let cut: Value = visitor
        .chrome
        .value(
            "(() => {
                for (const details of document.querySelectorAll('details')) details.open = true;
                const tables = [...document.querySelectorAll('table')];
                const cut = tables.filter((table) => table.scrollWidth > table.clientWidth);
                return {
                    tables: tables.length,
                    cut: cut.map((table) => table.textContent.slice(0, 60)),
                    overflow: document.documentElement.scrollWidth > innerWidth,
                };
            })()",
        )
        .await;
    assert!(cut["tables"].as_u64().unwrap() > 10, "{cut}");
    assert_eq!(cut["cut"], json!([]), "{cut}");
    assert_eq!(cut["overflow"], false, "{cut}");
    service.stop();
}
