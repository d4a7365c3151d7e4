//! The rows, each a test of its own, so that they run beside each other.

use std::time::Duration;

use serde_json::json;

use super::{Row, When, check};

/// For what does not come up: nothing more is learnt from waiting for the long limits. A code takes 1 to 2 s.
const SHORT: Duration = Duration::from_secs(8);

/// An event is in the page within milliseconds.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Longer than the page has patience in that row.
const A_WHILE: Duration = Duration::from_secs(5);

/// A loss that the page notices after 3 s ends READY 5 s later.
const AFTER_THE_GRACE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn a_healthy_page() {
    check(Row::loading("healthy", json!({}))).await;
}

#[tokio::test]
async fn a_renamed_module_for_sending() {
    let fault = json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    check(Row {
        breaks_one: true,
        ..Row::loading("module for sending renamed", fault)
    })
    .await;
}

#[tokio::test]
async fn a_renamed_module_for_the_state() {
    let fault = json!({ "rename_modules": { "WAWebSocketModel": "WAWebSocket" } });
    check(Row {
        breaks_one: true,
        ..Row::loading("module for the state renamed", fault)
    })
    .await;
}

#[tokio::test]
async fn a_missing_bundle() {
    let fault = json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    check(Row {
        has_bundle: false,
        breaks_one: true,
        ..Row::loading("the same, wa-js not installed", fault)
    })
    .await;
}

#[tokio::test]
async fn a_function_that_moved() {
    let fault = json!({ "remnants": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    check(Row {
        breaks_one: true,
        ..Row::loading("function moved, a remnant left behind", fault)
    })
    .await;
}

#[tokio::test]
async fn a_send_function_of_another_shape() {
    let fault = json!({ "reshape": ["WAWebSendMsgChatAction.addAndSendMsgToChat"] });
    check(Row {
        breaks_one: true,
        ..Row::loading("send function takes named arguments", fault)
    })
    .await;
}

#[tokio::test]
async fn another_function_of_another_shape() {
    let fault = json!({ "reshape": ["WAWebWidFactory.createWid"] });
    check(Row {
        breaks_one: true,
        ..Row::loading("id function takes named arguments", fault)
    })
    .await;
}

#[tokio::test]
async fn no_registry() {
    check(Row {
        breaks_one: true,
        ..Row::loading("no module registry", json!({ "no_registry": true }))
    })
    .await;
}

#[tokio::test]
async fn late_modules() {
    let fault = json!({ "modules_delay_ms": 3000 });
    check(Row::loading("modules 3 s late", fault)).await;
}

#[tokio::test]
async fn a_missing_collection() {
    let fault = json!({ "missing": ["WAWebCallCollection"] });
    check(Row {
        breaks_one: true,
        ..Row::loading("a collection is gone", fault)
    })
    .await;
}

#[tokio::test]
async fn a_blocked_page() {
    let fault = json!({ "missing": ["WAWebCallCollection"], "filler_modules": 13000 });
    check(Row {
        breaks_one: true,
        ..Row::loading("a collection is gone, page of full size", fault)
    })
    .await;
}

#[tokio::test]
async fn chats_by_lid() {
    check(Row::loading("chats by LID", json!({ "lid_chats": true }))).await;
}

#[tokio::test]
async fn a_page_in_spanish() {
    check(Row::loading("page in Spanish", json!({ "language": "es" }))).await;
}

#[tokio::test]
async fn a_page_in_portuguese() {
    check(Row::loading(
        "page in Portuguese",
        json!({ "language": "pt" }),
    ))
    .await;
}

#[tokio::test]
async fn a_slow_sync() {
    check(Row::loading("sync takes 8 s", json!({ "sync_ms": 8000 }))).await;
}

#[tokio::test]
async fn an_old_browser() {
    let fault = json!({ "page": "update" });
    check(Row {
        has_short_phases: true,
        ..Row::loading("page asks for another browser", fault)
    })
    .await;
}

#[tokio::test]
async fn a_passkey() {
    check(Row {
        patience_once_scanned: SHORT,
        ..Row::loading(
            "linking asks for a passkey (after 8 s)",
            json!({ "page": "passkey" }),
        )
    })
    .await;
}

#[tokio::test]
async fn a_page_that_never_loads() {
    check(Row {
        has_short_phases: true,
        ..Row::loading("page never loads", json!({ "page": "never_loads" }))
    })
    .await;
}

#[tokio::test]
async fn a_page_that_never_starts() {
    check(Row {
        has_short_phases: true,
        ..Row::loading("page never starts", json!({ "page": "never_starts" }))
    })
    .await;
}

#[tokio::test]
async fn a_lost_network() {
    check(Row {
        when: When::Linked(AFTER_THE_GRACE),
        ..Row::linked("server refuses connections", json!({ "socket": "refuse" }))
    })
    .await;
}

#[tokio::test]
async fn a_silently_lost_network() {
    let fault = json!({ "socket": "silent", "silence_noticed_ms": 3000 });
    check(Row {
        when: When::Linked(AFTER_THE_GRACE),
        ..Row::linked("network lost without a word", fault)
    })
    .await;
}

#[tokio::test]
async fn another_window() {
    check(Row {
        when: When::Linked(AT_ONCE),
        ..Row::linked("opened in another window", json!({ "event": "conflict" }))
    })
    .await;
}

#[tokio::test]
async fn a_removed_device() {
    check(Row {
        when: When::Unlinked,
        ..Row::linked("device removed on the phone", json!({}))
    })
    .await;
}

#[tokio::test]
async fn a_ban() {
    check(Row {
        when: When::Linked(AFTER_THE_GRACE),
        ..Row::linked("account banned for a while", json!({ "event": "ban" }))
    })
    .await;
}

#[tokio::test]
async fn a_broken_storage() {
    check(Row {
        when: When::Linked(AT_ONCE),
        ..Row::linked(
            "page cannot use its storage",
            json!({ "event": "storage_error" }),
        )
    })
    .await;
}

#[tokio::test]
async fn a_newer_build() {
    check(Row {
        when: When::Linked(AT_ONCE),
        ..Row::linked("newer build announced", json!({ "event": "needs_update" }))
    })
    .await;
}

#[tokio::test]
async fn a_reload() {
    check(Row {
        when: When::Linked(AT_ONCE),
        comes_back: true,
        ..Row::linked("page reloads itself", json!({ "event": "reload" }))
    })
    .await;
}

#[tokio::test]
async fn a_reload_in_a_send() {
    check(Row {
        is_racy: true,
        ..Row::linked(
            "page reloads itself in a send",
            json!({ "reload_in_send": true }),
        )
    })
    .await;
}

#[tokio::test]
async fn a_send_that_throws() {
    check(Row::linked(
        "page refuses a send",
        json!({ "send": "throws" }),
    ))
    .await;
}

#[tokio::test]
async fn a_send_that_the_server_refuses() {
    check(Row::linked(
        "server refuses a send",
        json!({ "send": "refused" }),
    ))
    .await;
}

#[tokio::test]
async fn a_send_that_is_lost() {
    check(Row::linked(
        "message lost on its way",
        json!({ "send": "lost" }),
    ))
    .await;
}

#[tokio::test]
async fn an_acknowledgement_that_never_comes() {
    check(Row::linked("never acknowledged", json!({ "ack": "never" }))).await;
}

#[tokio::test]
async fn a_number_check_that_fails() {
    let fault = json!({ "number_check": "network_error" });
    check(Row::linked("number check fails", fault)).await;
}

#[tokio::test]
async fn a_number_check_without_an_answer() {
    let fault = json!({ "number_check": "never" });
    check(Row::linked("number check never answered", fault)).await;
}

#[tokio::test]
async fn a_draft() {
    let fault = json!({ "draft": "medio texto" });
    check(Row::linked("a draft in the compose box", fault)).await;
}

#[tokio::test]
async fn a_wrong_chat() {
    check(Row {
        after_another_chat: true,
        ..Row::linked(
            "address opens another chat",
            json!({ "route": "wrong_chat" }),
        )
    })
    .await;
}

#[tokio::test]
async fn a_chat_under_a_saved_name() {
    let fault = json!({ "named_chats": true });
    check(Row::linked("chats headed by saved names", fault)).await;
}

// --- What came with autumn 2026.

#[tokio::test]
async fn the_news_unanswered() {
    let fault = json!({ "whats_new_logout_ms": 2000 });
    check(Row {
        when: When::LoadingThen(A_WHILE),
        ..Row::loading(
            "\"What's new\", which ends a link when nobody answers",
            fault,
        )
    })
    .await;
}

#[tokio::test]
async fn the_news_without_its_module() {
    let fault = json!({ "missing": ["WAWebWhatsNewNux", "WAWebModalManager"] });
    check(Row::loading("\"What's new\" without its module", fault)).await;
}

#[tokio::test]
async fn an_unknown_notice() {
    let fault = json!({ "notice": "Conoce los nuevos canales" });
    check(Row::loading("a notice over the chats", fault)).await;
}

#[tokio::test]
async fn bubbles_without_ids() {
    let fault = json!({ "missing_marks": ["data-id"] });
    check(Row::loading("bubbles known by their test id only", fault)).await;
}

#[tokio::test]
async fn no_test_ids() {
    let fault = json!({ "missing_marks": ["data-testid"] });
    check(Row::loading("no test ids", fault)).await;
}

#[tokio::test]
async fn a_hidden_tab() {
    let fault = json!({ "hidden_tab": true });
    check(Row::loading("page drawn as in a hidden tab", fault)).await;
}

#[tokio::test]
async fn comms_on_the_main_thread() {
    let fault = json!({ "comms_in_worker": false });
    check(Row::loading("connection on the main thread", fault)).await;
}

#[tokio::test]
async fn collections_in_one_module_only() {
    let fault = json!({ "missing": ["WAWebChatCollection", "WAWebMsgCollection"] });
    check(Row {
        breaks_one: true,
        ..Row::loading("the collections' own modules are gone", fault)
    })
    .await;
}

#[tokio::test]
async fn a_send_that_the_page_gives_up() {
    let fault = json!({ "send_result": "ERROR_EXPIRED" });
    check(Row::linked("page gives a message up", fault)).await;
}

#[tokio::test]
async fn a_send_that_is_rejected_later() {
    check(Row::linked(
        "page rejects a message later",
        json!({ "send": "rejected" }),
    ))
    .await;
}

#[tokio::test]
async fn a_send_that_the_network_fails() {
    let fault = json!({ "send_result": "ERROR_NETWORK" });
    check(Row::linked("network fails in a send", fault)).await;
}

// --- The page of early 2026.

#[tokio::test]
async fn an_early_page() {
    check(Row::early("early page: healthy", json!({}))).await;
}

#[tokio::test]
async fn an_early_page_with_a_renamed_module() {
    let fault = json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } });
    check(Row {
        breaks_one: true,
        ..Row::early("early page: module for sending renamed", fault)
    })
    .await;
}

#[tokio::test]
async fn an_early_page_without_a_registry() {
    check(Row {
        breaks_one: true,
        ..Row::early(
            "early page: no module registry",
            json!({ "no_registry": true }),
        )
    })
    .await;
}

#[tokio::test]
async fn an_early_page_with_chats_by_lid() {
    check(Row::early(
        "early page: chats by LID",
        json!({ "lid_chats": true }),
    ))
    .await;
}

#[tokio::test]
async fn an_early_page_in_portuguese() {
    check(Row::early(
        "early page: in Portuguese",
        json!({ "language": "pt" }),
    ))
    .await;
}

#[tokio::test]
async fn an_early_page_whose_server_refuses_a_send() {
    check(Row {
        when: When::LoadingThen(Duration::ZERO),
        ..Row::early(
            "early page: server refuses a send",
            json!({ "send": "refused" }),
        )
    })
    .await;
}

#[tokio::test]
async fn an_early_page_with_chats_under_saved_names() {
    check(Row::early(
        "early page: chats headed by saved names",
        json!({ "named_chats": true }),
    ))
    .await;
}
