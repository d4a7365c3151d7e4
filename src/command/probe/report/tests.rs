//! The report's two forms, and what it comes to.

use super::*;
use crate::command::probe::step::Outcome;

fn line(name: &str, status: Presence, jobs: &[Job]) -> Reliance {
    Reliance {
        kind: "export".to_owned(),
        name: name.to_owned(),
        status,
        at: (status == Presence::Moved).then(|| "WAWebCollections.Chat".to_owned()),
        needed_for: "number check, send, acks".to_owned(),
        jobs: jobs.to_vec(),
        screen: (status == Presence::Unseen).then(|| "chat".to_owned()),
    }
}

fn adapter(name: AdapterName, lines: Vec<Reliance>) -> Adapter {
    Adapter::new(name, State::LookedAt, None, lines)
}

fn page() -> Page {
    Page {
        origin: Origin::WhatsApp,
        shows: Some("login"),
        build: Some("2.3000.1048901417".to_owned()),
        language: Some("en".to_owned()),
        trouble: None,
        word: None,
        replaced_scripts: Vec::new(),
    }
}

fn report(adapters: Vec<Adapter>, steps: Option<Vec<Step>>) -> Report {
    Report::new(Some("156.0.8078.79".to_owned()), page(), adapters, steps)
}

const BOTH: &[Job] = &[Job::Link, Job::Send];

#[test]
fn a_report_has_a_form_for_programs() {
    let mut whole = report(
        vec![adapter(
            AdapterName::Dom,
            vec![
                line("WAWebSocketModel.Socket", Presence::Found, BOTH),
                line(
                    "WAWebChatCollection.ChatCollection",
                    Presence::Moved,
                    &[Job::Send],
                ),
                line("box", Presence::Unseen, &[Job::Send]),
            ],
        )],
        Some(vec![
            Step::sample("READY", Outcome::Done, Some("modules")),
            Step::sample("log out", Outcome::Skipped, None),
        ]),
    );
    whole.session_manager = "0.0.0";
    insta::assert_snapshot!("json", whole.json());
}

#[test]
fn a_report_has_a_form_for_people_that_fits_80_columns() {
    let mut broken = report(
        vec![
            adapter(
                AdapterName::Modules,
                vec![
                    line("WAWebSocketModel.Socket", Presence::Found, BOTH),
                    line(
                        "WAWebChatCollection.ChatCollection",
                        Presence::Moved,
                        &[Job::Send],
                    ),
                    line(
                        "WAWebGetEphemeralFieldsMsgActionsUtils.getEphemeralFields",
                        Presence::Missing,
                        &[Job::Send],
                    ),
                ],
            ),
            Adapter::new(AdapterName::WaJs, State::NotInstalled, None, Vec::new()),
            adapter(AdapterName::Dom, vec![line("box", Presence::Unseen, BOTH)]),
        ],
        None,
    );
    broken.session_manager = "0.0.0";
    let text = broken.text(false);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!("text", text);
}

#[test]
fn a_verdict_is_about_what_the_adapters_can_do_together() {
    let lacks = |job: Job| vec![line("x", Presence::Missing, &[job])];
    let verdict = |adapters| report(adapters, None).verdict();
    let whole = || adapter(AdapterName::Dom, vec![line("x", Presence::Found, BOTH)]);
    let no_send = || adapter(AdapterName::Modules, lacks(Job::Send));
    let no_link = || adapter(AdapterName::WaJs, lacks(Job::Link));
    assert_eq!(verdict(vec![whole()]), Verdict::Whole);
    assert_eq!(verdict(vec![no_send(), whole()]), Verdict::Weakened);
    // One links, the other one sends.
    assert_eq!(verdict(vec![no_send(), no_link()]), Verdict::Weakened);
    assert_eq!(verdict(vec![no_send()]), Verdict::Broken);
    assert_eq!(verdict(vec![no_link()]), Verdict::Broken);
    // What no job needs is no lack, and what was not seen is no proof of one.
    let optional = adapter(AdapterName::Dom, vec![line("x", Presence::Missing, &[])]);
    assert_eq!(verdict(vec![optional]), Verdict::Whole);
    let unseen = adapter(AdapterName::Dom, vec![line("x", Presence::Unseen, BOTH)]);
    assert_eq!(verdict(vec![unseen]), Verdict::Whole);
    // What only a restore needs has a verdict of its own, and the lack of more goes before it.
    let no_reset = || {
        let lines = vec![
            line("x", Presence::Found, BOTH),
            line("y", Presence::Missing, &[Job::Reset]),
        ];
        adapter(AdapterName::Dom, lines)
    };
    assert_eq!(verdict(vec![no_reset()]), Verdict::NoReset);
    assert_eq!(verdict(vec![no_send(), no_reset()]), Verdict::Weakened);
    // The page knows nothing of a bundle that is not installed; one that does not load is another matter.
    let wa_js = |state| Adapter::new(AdapterName::WaJs, state, None, Vec::new());
    assert_eq!(
        verdict(vec![whole(), wa_js(State::NotInstalled)]),
        Verdict::Whole
    );
    assert_eq!(
        verdict(vec![whole(), wa_js(State::NotLoaded)]),
        Verdict::Weakened
    );
}

#[test]
fn a_page_on_which_only_unseen_screens_are_left_to_send_on_is_not_called_one_that_sends() {
    let no_send = || {
        let lines = vec![line("x", Presence::Missing, &[Job::Send])];
        adapter(AdapterName::Modules, lines)
    };
    let last_word = |status| {
        let dom = adapter(AdapterName::Dom, vec![line("box", status, BOTH)]);
        report(vec![no_send(), dom], None).last_word()
    };
    assert!(last_word(Presence::Unseen).contains("nothing that sending works"));
    assert!(last_word(Presence::Found).contains("another one links and sends"));
}

#[test]
fn a_page_that_shows_no_login_or_a_step_that_failed_is_no_page_to_work_with() {
    let whole = || {
        vec![adapter(
            AdapterName::Dom,
            vec![line("x", Presence::Found, BOTH)],
        )]
    };
    let unknown = Page {
        shows: None,
        ..page()
    };
    let chrome = || Some("156.0.8078.79".to_owned());
    let of_page = |page| Report::new(chrome(), page, whole(), None);
    assert_eq!(of_page(unknown).verdict(), Verdict::Broken);
    let failed = Step::sample("acks", Outcome::Failed, Some("failed"));
    let with_step = report(whole(), Some(vec![failed]));
    assert_eq!(with_step.verdict(), Verdict::Broken);
    let unopened = Page {
        shows: None,
        trouble: Some("NAVIGATION_FAILED"),
        word: Some("net::ERR_NAME_NOT_RESOLVED".to_owned()),
        ..page()
    };
    let unopened = Report::new(chrome(), unopened, Vec::new(), None);
    assert_eq!(unopened.verdict(), Verdict::Unopened);
    assert!(
        unopened
            .text(false)
            .contains("NAVIGATION_FAILED, net::ERR_NAME_NOT_RESOLVED")
    );
}

#[test]
fn a_later_look_counts_but_for_what_it_did_not_see() {
    let before = adapter(
        AdapterName::Dom,
        vec![
            line("code", Presence::Found, &[Job::Link]),
            line("late module", Presence::Missing, &[Job::Send]),
            line("box", Presence::Unseen, &[Job::Send]),
        ],
    );
    let later = adapter(
        AdapterName::Dom,
        vec![
            line("code", Presence::Unseen, &[Job::Link]),
            line("late module", Presence::Found, &[Job::Send]),
            line("box", Presence::Missing, &[Job::Send]),
        ],
    );
    let both = before.looked_at_again(later);
    let statuses: Vec<_> = both.relies_on.iter().map(|line| line.status).collect();
    assert_eq!(
        statuses,
        [Presence::Found, Presence::Found, Presence::Missing]
    );
    assert_eq!((both.links, both.sends), (Can::Yes, Can::No));
}
