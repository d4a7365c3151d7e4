//! How views become one standing.

use super::*;

fn views(modules: Option<View>, dom: Option<View>) -> Standing {
    let mut views = Views::of_new_document(&[AdapterName::Modules, AdapterName::Dom]);
    for (name, view) in [(AdapterName::Modules, modules), (AdapterName::Dom, dom)] {
        if let Some(view) = view {
            views.update(name, view);
        }
    }
    views.standing()
}

fn login(code: Option<&str>) -> View {
    View {
        state_known: true,
        login: true,
        code: code.map(Into::into),
        ..View::default()
    }
}

#[test]
fn the_code_on_the_screen_goes_before_one_that_was_built() {
    assert_eq!(
        views(Some(login(Some("built"))), Some(login(Some("shown"))))
            .code
            .as_deref(),
        Some("shown")
    );
}

#[test]
fn a_built_code_serves_when_the_screen_shows_none_that_can_be_read() {
    let standing = views(Some(login(Some("built"))), Some(login(None)));
    assert_eq!(standing.code.as_deref(), Some("built"));
}

#[test]
fn a_built_code_serves_while_the_one_on_the_screen_is_stale() {
    let stale = View {
        screen_is_stale: true,
        pairing_code: Some("ABCDEFGH".into()),
        ..login(Some("built"))
    };
    let standing = views(Some(stale), Some(login(Some("shown"))));
    assert_eq!(standing.code.as_deref(), Some("built"));
    assert_eq!(standing.pairing_code.as_deref(), Some("ABCDEFGH"));
    assert!(!format!("{standing:?}").contains("ABCDEFGH"));
}

#[test]
fn a_built_code_serves_when_the_screen_is_not_understood() {
    assert_eq!(
        views(Some(login(Some("built"))), Some(View::default()))
            .code
            .as_deref(),
        Some("built")
    );
}

#[test]
fn the_screen_serves_when_the_modules_are_not_found() {
    let broken = View {
        missing: vec!["WAWebSocketModel.Socket".to_owned()],
        ..View::default()
    };
    let standing = views(Some(broken), Some(login(Some("shown"))));
    assert_eq!(
        (standing.serving, standing.code.as_deref()),
        (Some(AdapterName::Dom), Some("shown"))
    );
    assert!(standing.senders.is_empty());
    assert_eq!(standing.missing, ["modules: WAWebSocketModel.Socket"]);
}

fn lacking(what: &str) -> View {
    View {
        missing: vec![what.to_owned()],
        ..View::default()
    }
}

#[test]
fn wa_js_has_its_turn_only_when_the_modules_lack_something() {
    let mut views = Views::of_new_document(&AdapterName::ALL);
    assert!(!views.need_wa_js(), "the modules have not spoken yet");
    views.update(AdapterName::Modules, login(None));
    views.update(AdapterName::Dom, login(Some("shown")));
    assert!(!views.need_wa_js() && views.standing().recognised);
    views.update(AdapterName::Modules, lacking("WAWebCmd"));
    assert!(views.need_wa_js());
    assert!(!views.standing().recognised, "wa-js is waited for");
}

#[test]
fn a_wa_js_that_does_not_load_is_passed_over_and_named() {
    let mut views = Views::of_new_document(&AdapterName::ALL);
    views.update(AdapterName::Modules, lacking("WAWebCmd"));
    views.update(AdapterName::Dom, login(Some("shown")));
    views.update_broken(AdapterName::WaJs, "WA_JS_PATH: no bundle");
    let standing = views.standing();
    assert_eq!(standing.serving, Some(AdapterName::Dom));
    assert_eq!(
        standing.missing,
        ["modules: WAWebCmd", "wa-js: WA_JS_PATH: no bundle"]
    );
}

#[test]
fn a_wa_js_that_is_not_needed_is_not_missed() {
    let mut views = Views::of_new_document(&AdapterName::ALL);
    views.update(AdapterName::Modules, login(None));
    views.update(AdapterName::WaJs, lacking("WAWebCmd"));
    views.update(AdapterName::Dom, login(Some("shown")));
    assert!(views.standing().missing.is_empty());
}

#[test]
fn nothing_is_decided_before_the_preferred_adapter_has_spoken() {
    assert!(!views(None, Some(login(Some("shown")))).recognised);
}

#[test]
fn a_page_without_modules_can_still_say_that_it_refuses_the_browser() {
    let broken = View {
        missing: vec!["WAWebSocketModel.Socket".to_owned()],
        ..View::default()
    };
    let refused = View {
        trouble: Some(Trouble::UpdateRequired),
        ..View::default()
    };
    let standing = views(Some(broken), Some(refused));
    assert_eq!(standing.trouble, Some(Trouble::UpdateRequired));
    assert!(standing.recognised);
}

#[test]
fn a_dialog_about_another_window_that_outlives_it_is_no_trouble() {
    let dialog = View {
        state_known: true,
        linked: true,
        trouble: Some(Trouble::OpenedElsewhere),
        ..View::default()
    };
    let connected = View {
        trouble: None,
        ..dialog.clone()
    };
    assert_eq!(views(Some(connected), Some(dialog.clone())).trouble, None);
    let alone = views(Some(View::default()), Some(dialog));
    assert_eq!(alone.trouble, Some(Trouble::OpenedElsewhere));
}

#[test]
fn a_code_that_has_run_out_is_not_shown() {
    let ended = View {
        codes_ended: true,
        ..login(None)
    };
    let standing = views(Some(login(Some("stale"))), Some(ended));
    assert!(standing.codes_ended && standing.code.is_none());
}

#[test]
fn an_adapter_that_fails_makes_room_for_the_others_and_stays_the_last_resort() {
    let sends = View {
        can_send: true,
        ..login(None)
    };
    let mut views = Views::of_new_document(&AdapterName::ALL);
    views.update(AdapterName::Modules, sends.clone());
    views.update(AdapterName::Dom, sends.clone());
    views.update_failing(AdapterName::Modules, "changed".to_owned());
    assert!(views.need_wa_js());
    let waiting = views.standing();
    assert_eq!(waiting.senders, [AdapterName::Modules]);
    assert!(waiting.undecided, "wa-js is waited for");
    views.update_broken(AdapterName::WaJs, "no bundle");
    let standing = views.standing();
    assert_eq!(standing.senders, [AdapterName::Dom, AdapterName::Modules]);
    assert!(!standing.undecided);
    let why = "modules: a send that works (changed)".to_owned();
    assert!(standing.missing.contains(&why), "{:?}", standing.missing);
    views.trust(AdapterName::Modules);
    assert_eq!(
        views.standing().senders,
        [AdapterName::Modules, AdapterName::Dom]
    );
}

#[test]
fn an_adapter_that_failed_on_one_document_still_does_on_the_next_unless_trusted_again() {
    let mut views = Views::of_new_document(&AdapterName::ALL);
    views.update_failing(AdapterName::Modules, "changed".to_owned());
    views.forget();
    views.update(AdapterName::Modules, login(None));
    assert!(views.need_wa_js());
    views.trust_all();
    assert!(!views.need_wa_js());
}
