//! The rows, each a test of its own, so that they run beside each other: the test, what the row is called, its fault, what is special.

use std::time::Duration;

use serde_json::json;

use super::{Row, When, check};

/// For what does not come up: nothing more is learnt from waiting for the long limits. A code takes 1 to 2 s.
const SHORT: Duration = Duration::from_secs(8);

/// An event is in the page within milliseconds.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Longer than the page has patience in the row about its news.
const A_WHILE: Duration = Duration::from_secs(5);

/// A loss that the page notices after 3 s ends READY 5 s later.
const AFTER_THE_GRACE: Duration = Duration::from_secs(12);

/// A test for each row: its name, the row, and what is special about it.
macro_rules! rows {
    ($($test:ident: $row:expr $(, $field:ident: $value:expr)*;)*) => {$(
        #[tokio::test]
        async fn $test() {
            check(Row { $($field: $value,)* ..$row }).await;
        }
    )*};
}

rows! {
    a_healthy_page: Row::loading("healthy", json!({}));
    a_renamed_module_for_sending: Row::loading("module for sending renamed", json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } })), breaks_one: true;
    a_renamed_module_for_the_state: Row::loading("module for the state renamed", json!({ "rename_modules": { "WAWebSocketModel": "WAWebSocket" } })), breaks_one: true;
    a_missing_bundle: Row::loading("the same, wa-js not installed", json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } })), has_bundle: false, breaks_one: true;
    a_function_that_moved: Row::loading("function moved, a remnant left behind", json!({ "remnants": { "WAWebSendMsgChatAction": "WAWebSendAction" } })), breaks_one: true;
    a_send_function_of_another_shape: Row::loading("send function takes named arguments", json!({ "reshape": ["WAWebSendMsgChatAction.addAndSendMsgToChat"] })), breaks_one: true;
    another_function_of_another_shape: Row::loading("id function takes named arguments", json!({ "reshape": ["WAWebWidFactory.createWid"] })), breaks_one: true;
    no_registry: Row::loading("no module registry", json!({ "no_registry": true })), breaks_one: true;
    late_modules: Row::loading("modules 3 s late", json!({ "modules_delay_ms": 3000 }));
    a_missing_collection: Row::loading("a collection is gone", json!({ "missing": ["WAWebCallCollection"] })), breaks_one: true;
    a_blocked_page: Row::loading("a collection is gone, page of full size", json!({ "missing": ["WAWebCallCollection"], "filler_modules": 13000 })), breaks_one: true;
    chats_by_lid: Row::loading("chats by LID", json!({ "lid_chats": true }));
    a_page_in_spanish: Row::loading("page in Spanish", json!({ "language": "es" }));
    a_page_in_portuguese: Row::loading("page in Portuguese", json!({ "language": "pt" }));
    a_slow_sync: Row::loading("sync takes 8 s", json!({ "sync_ms": 8000 }));
    an_old_browser: Row::loading("page asks for another browser", json!({ "page": "update" })), has_short_phases: true;
    a_passkey: Row::loading("linking asks for a passkey (after 8 s)", json!({ "page": "passkey" })), patience_once_scanned: SHORT;
    a_page_that_never_loads: Row::loading("page never loads", json!({ "page": "never_loads" })), has_short_phases: true;
    a_page_that_never_starts: Row::loading("page never starts", json!({ "page": "never_starts" })), has_short_phases: true;
    a_lost_network: Row::linked("server refuses connections", json!({ "socket": "refuse" })), when: When::Linked(AFTER_THE_GRACE);
    a_silently_lost_network: Row::linked("network lost without a word", json!({ "socket": "silent", "silence_noticed_ms": 3000 })), when: When::Linked(AFTER_THE_GRACE);
    another_window: Row::linked("opened in another window", json!({ "event": "conflict" })), when: When::Linked(AT_ONCE);
    a_removed_device: Row::linked("device removed on the phone", json!({})), when: When::Unlinked;
    a_ban: Row::linked("account banned for a while", json!({ "event": "ban" })), when: When::Linked(AFTER_THE_GRACE);
    a_broken_storage: Row::linked("page cannot use its storage", json!({ "event": "storage_error" })), when: When::Linked(AT_ONCE);
    a_newer_build: Row::linked("newer build announced", json!({ "event": "needs_update" })), when: When::Linked(AT_ONCE);
    a_reload: Row::linked("page reloads itself", json!({ "event": "reload" })), when: When::Linked(AT_ONCE), comes_back: true, goes_on: true;
    a_reload_in_a_send: Row::linked("page reloads itself in a send", json!({ "reload_in_send": true })), is_racy: true, goes_on: true;
    a_send_that_throws: Row::linked("page refuses a send", json!({ "send": "throws" })), goes_on: true;
    a_send_that_the_server_refuses: Row::linked("server refuses a send", json!({ "send": "refused" })), goes_on: true;
    a_send_that_is_lost: Row::linked("message lost on its way", json!({ "send": "lost" }));
    an_acknowledgement_that_never_comes: Row::linked("never acknowledged", json!({ "ack": "never" })), goes_on: true;
    a_number_check_that_fails: Row::linked("number check fails", json!({ "number_check": "network_error" })), goes_on: true;
    a_number_check_without_an_answer: Row::linked("number check never answered", json!({ "number_check": "never" }));
    a_draft: Row::linked("a draft in the compose box", json!({ "draft": "medio texto" }));
    a_wrong_chat: Row::linked("address opens another chat", json!({ "route": "wrong_chat" })), after_another_chat: true;
    a_chat_under_a_saved_name: Row::linked("chats headed by saved names", json!({ "named_chats": true }));

    // What came with autumn 2026.
    the_news_unanswered: Row::loading("news that end a link when they are not answered", json!({ "whats_new_logout_ms": 2000 })), when: When::LoadingThen(A_WHILE);
    the_news_without_their_module: Row::loading("news without their module", json!({ "missing": ["WAWebWhatsNewNux", "WAWebModalManager"] }));
    an_unknown_notice: Row::loading("a notice over the chats", json!({ "notice": "Conoce los nuevos canales" })), breaks_one: true;
    bubbles_without_ids: Row::loading("bubbles known by their test id only", json!({ "missing_marks": ["data-id"] }));
    no_test_ids: Row::loading("no test ids", json!({ "missing_marks": ["data-testid"] }));
    a_hidden_tab: Row::loading("page drawn as in a hidden tab", json!({ "hidden_tab": true }));
    comms_on_the_main_thread: Row::loading("connection on the main thread", json!({ "comms_in_worker": false }));
    collections_in_one_module_only: Row::loading("the collections' own modules are gone", json!({ "missing": ["WAWebChatCollection", "WAWebMsgCollection"] })), breaks_one: true;
    a_send_that_the_page_gives_up: Row::linked("page gives a message up", json!({ "send_result": "ERROR_EXPIRED" }));
    a_send_that_is_rejected_later: Row::linked("page rejects a message later", json!({ "send": "rejected" }));
    a_send_that_the_network_fails: Row::linked("network fails in a send", json!({ "send_result": "ERROR_NETWORK" }));

    // The page of early 2026.
    an_early_page: Row::early("early page: healthy", json!({}));
    an_early_page_with_a_renamed_module: Row::early("early page: module for sending renamed", json!({ "rename_modules": { "WAWebSendMsgChatAction": "WAWebSendAction" } })), breaks_one: true;
    an_early_page_without_a_registry: Row::early("early page: no module registry", json!({ "no_registry": true })), breaks_one: true;
    an_early_page_with_chats_by_lid: Row::early("early page: chats by LID", json!({ "lid_chats": true }));
    an_early_page_in_portuguese: Row::early("early page: in Portuguese", json!({ "language": "pt" }));
    an_early_page_whose_server_refuses_a_send: Row::early("early page: server refuses a send", json!({ "send": "refused" }));
    an_early_page_with_chats_under_saved_names: Row::early("early page: chats headed by saved names", json!({ "named_chats": true }));
}
