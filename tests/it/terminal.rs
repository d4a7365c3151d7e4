//! The commands of the binary against a real service: what they print, and what their shell learns from their exit code.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    media::hash,
    support::{
        Service,
        chrome::eventually,
        terminal::{Printed, Running, codes, command, run},
    },
};

/// A number that is on WhatsApp, and one that is not.
const RECIPIENT: &str = "5491158254201";
const NOT_ON_WHATSAPP: &str = "5491158250000";

/// Runs a command against a service.
fn ask(service: &Service, arguments: &[&str]) -> Printed {
    let at = ["--url", service.url()];
    run(
        command(&[arguments, &at].concat(), &[], service.home().path()),
        "",
    )
}

#[tokio::test]
async fn qr_draws_each_new_code_and_ends_when_a_phone_has_taken_one() {
    let service = Service::with(&[("SANDBOX_CODE_SECONDS", "3,3")]).await;
    let at = ["--url", service.url()];
    let qr = |more: &[&str]| {
        let arguments = [&["qr", "51"], &at[..], more].concat();
        command(&arguments, &[], service.home().path())
    };

    // Drawn in place on a terminal, which is given back; the session goes on.
    let mut drawn = Running::on_a_terminal(qr(&[]), 80, 24);
    drawn
        .shows("a code", |screen| screen.contains("code 1"))
        .await;
    drawn
        .shows("the next one in its place", |screen| {
            screen.contains("code 2") && screen.matches("\x1b[?1049h").count() == 1
        })
        .await;
    drawn.interrupt();
    assert_eq!(drawn.ends(), 130);
    drawn
        .shows("the first screen and the cursor again", |screen| {
            screen.ends_with("\x1b[?25h\x1b[?1049l")
        })
        .await;
    eventually("its last word", || {
        drawn.err().contains("session 51 goes on")
    })
    .await;

    // Through a pipe each code comes once, and the phone takes the one that was printed last.
    let mut printed = Running::piped(qr(&["--no-connect"]));
    printed
        .shows("two codes", |lines| codes(lines).len() == 2)
        .await;
    let shown = codes(&printed.out());
    assert_ne!(shown[0], shown[1]);
    let account = service.scan(&service.code("51").await).await;
    assert_eq!(printed.ends(), 0);
    let last_word = format!("session 51 is READY, account {account}\n");
    printed
        .shows("that it is linked", |lines| lines.ends_with(&last_word))
        .await;

    // Linked already: there is nothing to show.
    let again = ask(&service, &["qr", "51"]);
    assert_eq!((again.code, again.out), (0, last_word));
    service.stop();
}

#[tokio::test]
async fn qr_with_a_phone_shows_the_code_to_type_and_says_why_a_session_ends() {
    let service = Service::with(&[]).await;
    let at = ["--url", service.url()];
    let arguments = [&["qr", "51", "--phone", "+54 9 11 5825-4202"], &at[..]].concat();
    let mut printed = Running::piped(command(&arguments, &[], service.home().path()));
    printed
        .shows("eight characters", |lines| lines.trim().len() == 9)
        .await;
    let typed = printed.out();
    service.secrets().remember_number("5491158254202");
    let paired = json!({"number": "5491158254202", "code": typed.trim()});
    assert_eq!(service.phone("/phone/pair", &paired).await.status, 200);
    assert_eq!(printed.ends(), 0);

    let nobody = ask(&service, &["qr", "52", "--no-connect"]);
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.err.contains("session 52 is DISCONNECTED"),
        "{nobody:?}"
    );
    service.stop();
}

#[tokio::test]
async fn a_text_is_sent_from_a_terminal_and_its_end_is_told() {
    let service = Service::with(&[
        ("API_KEY", "s3cret"),
        ("SEND_WAIT_SECONDS", "0.2"),
        ("SANDBOX_ACK_SECONDS", "1"),
    ])
    .await;
    let folder = service.home().path();
    let port = service.url().rsplit(':').next().unwrap().to_owned();
    // Found as the service's own settings say, with a key that no list of processes shows.
    let with_key = [("PORT", port.as_str()), ("SESSION_MANAGER_KEY", "s3cret")];
    let ask = |arguments: &[&str], input: &str| run(command(arguments, &with_key, folder), input);

    let no_key = run(
        command(&["status", "--url", service.url()], &[], folder),
        "",
    );
    assert_eq!(no_key.code, 4);
    assert!(no_key.err.contains("SESSION_MANAGER_KEY"), "{no_key:?}");
    let health = run(
        command(&["health", "--url", service.url()], &[], folder),
        "",
    );
    assert_eq!(health.code, 0, "{health:?}");

    let unknown = ask(&["status", "51"], "");
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("knows no session 51"), "{unknown:?}");
    let too_early = ask(&["send", "51", RECIPIENT, "Hola"], "");
    assert_eq!(too_early.code, 1);
    assert!(too_early.err.contains("SESSION_NOT_READY"), "{too_early:?}");

    let mut qr = Running::piped(command(&["qr", "51"], &with_key, folder));
    qr.shows("a code", |lines| !codes(lines).is_empty()).await;
    let code = codes(&qr.out()).pop().unwrap();
    service.secrets().remember_code(&code);
    let account = service.scan(&code).await;
    assert_eq!(qr.ends(), 0);

    // The service answers before WhatsApp's server does; the command waits for the end.
    service.secrets().remember_text("Hola desde la terminal");
    let sent = ask(&["send", "51", RECIPIENT, "-"], "Hola desde la terminal\n");
    assert_eq!(sent.code, 0, "{sent:?}");
    assert!(sent.out.starts_with("sent: "), "{sent:?}");
    assert_eq!(service.messages(&account).await, ["Hola desde la terminal"]);
    let refused = ask(&["send", "51", NOT_ON_WHATSAPP, "Hola", "--json"], "");
    assert_eq!(refused.code, 1);
    let refused: Value = serde_json::from_str(&refused.out).unwrap();
    assert_eq!(refused["code"], "NUMBER_NOT_ON_WHATSAPP");

    let status = ask(&["status", "51", "--json"], "");
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["account"], account.as_str());
    let table = ask(&["status"], "");
    assert_eq!(table.code, 0);
    assert!(
        table.out.contains("READY") && table.out.contains(&account),
        "{table:?}"
    );
    service.stop();
}

#[tokio::test]
async fn a_file_is_sent_from_a_terminal_byte_by_byte_and_one_that_is_not_there_is_named() {
    let (service, account) = Service::linked(&[]).await;
    let folder = TempDir::new().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let list = [b"%PDF-1.7\n".as_slice(), &vec![7; 300_000]].concat();
    let sound = [b"ID3\x04".as_slice(), &[7; 5000]].concat();
    for (name, bytes) in [("lista de precios.pdf", &list), ("timbre.mp3", &sound)] {
        std::fs::write(place(name), bytes).unwrap();
    }
    service.secrets().remember_text("la lista nueva");
    let sends = |more: &[&str]| {
        ask(
            &service,
            &[&["send", "51", RECIPIENT, "--file"], more].concat(),
        )
    };
    let path = place("lista de precios.pdf");
    let sent = sends(&[&path, "--caption", "la lista nueva"]);
    assert_eq!(sent.code, 0, "{sent:?}");
    // What it is, its first bytes say; that it is to be a document all the same, the caller.
    let path = place("timbre.mp3");
    for more in [&[][..], &["--kind", "document"]] {
        let sent = sends(&[&[path.as_str()], more].concat());
        assert_eq!(sent.code, 0, "{sent:?}");
    }
    let taken = service.taken(&account).await;
    let media = taken.iter().map(|message| &message["media"]);
    let said = media.map(|media| {
        json!([
            media["kind"],
            media["sha256"],
            media["filename"],
            media["caption"]
        ])
    });
    let nothing = Value::Null;
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            json!([
                "document",
                hash(&list),
                "lista de precios.pdf",
                "la lista nueva"
            ]),
            json!(["audio", hash(&sound), nothing, nothing]),
            json!(["document", hash(&sound), "timbre.mp3", nothing]),
        ]
    );

    let nowhere = place("no está.pdf");
    let missing = sends(&[&nowhere]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.err.contains(&nowhere), "{missing:?}");
    assert_eq!(service.taken(&account).await.len(), 3);
    service.stop();
}

#[tokio::test]
async fn listen_goes_on_over_a_restart_of_the_service_and_another_one_from_where_it_ended() {
    let service = Service::with(&[]).await;
    let url = service.url().to_owned();
    let port = url.rsplit(':').next().unwrap().to_owned();
    let folder = TempDir::new().unwrap();
    let listen = |more: &[&str]| {
        let arguments = ["listen", "51", "--types", "session.status", "--url", &url];
        Running::piped(command(&[&arguments, more].concat(), &[], folder.path()))
    };
    let mut heard = listen(&["--json", "--after", "oldest"]);
    service.connect(51).await;
    heard
        .shows("that a code waits", |lines| lines.contains("QR_REQUIRED"))
        .await;
    let home = service.stop();
    heard.remarks("trying again").await;

    let service = Service::start_in(home, |env| {
        env.insert("PORT", port.into());
    })
    .await;
    service.connect(51).await;
    service.code("51").await;
    let states = |lines: &str| -> Vec<String> {
        let events = lines.lines().map(serde_json::from_str::<Value>);
        events
            .map(|event| event.unwrap()["data"]["state"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = ["INIT", "QR_REQUIRED", "DISCONNECTED", "INIT", "QR_REQUIRED"];
    heard
        .shows("all states", |lines| lines.lines().count() == all.len())
        .await;
    assert_eq!(states(&heard.out()), all);
    heard.interrupt();
    assert_eq!(heard.ends(), 130);
    let told = heard.err();
    let cursor = told.trim_end().rsplit(' ').next().unwrap();

    let mut later = listen(&["--after", cursor]);
    service.disconnect(51).await;
    later
        .shows("the end in words", |lines| {
            lines.contains("  51  session is DISCONNECTED (DISCONNECT_REQUESTED)")
        })
        .await;
    assert_eq!(later.out().lines().count(), 1);
    later.interrupt();
    assert_eq!(later.ends(), 130);

    // Of another service, or of a ledger before it was put back: nothing was lost, and it does not say so.
    let mut ahead = listen(&["--after", "999999999"]);
    ahead.remarks("the log ends before this cursor").await;
    assert!(!ahead.err().contains("no longer"), "{}", ahead.err());
    ahead
        .shows("all that there is", |lines| {
            lines.contains("  51  session is DISCONNECTED (DISCONNECT_REQUESTED)")
        })
        .await;
    ahead.interrupt();
    assert_eq!(ahead.ends(), 130);
    service.stop();
}

#[test]
fn where_no_service_answers_it_says_how_to_start_one() {
    let folder = TempDir::new().unwrap();
    let nowhere = ["--url", "http://127.0.0.1:9"];
    let commands: [&[&str]; 5] = [
        &["status"],
        &["listen"],
        &["qr", "51"],
        &["send", "51", RECIPIENT, "Hola"],
        &["health"],
    ];
    for arguments in commands {
        let ended = run(
            command(&[arguments, &nowhere].concat(), &[], folder.path()),
            "",
        );
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(
            ended.err.contains("pm2 start ecosystem.config.js"),
            "{ended:?}"
        );
    }
    let json = run(
        command(
            &["status", "--json", nowhere[0], nowhere[1]],
            &[],
            folder.path(),
        ),
        "",
    );
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["code"], "SERVICE_UNREACHABLE");
    let tls = run(
        command(
            &["health", "--url", "https://example.org"],
            &[],
            folder.path(),
        ),
        "",
    );
    assert_eq!(tls.code, 64);
    assert!(tls.err.contains("ssh -L"), "{tls:?}");
}

#[test]
fn sandbox_means_the_folders_of_the_sandbox_wherever_it_stands_or_is_refused() {
    let folder = TempDir::new().unwrap();
    let printed = |arguments: &[&str]| run(command(arguments, &[], folder.path()), "");
    for arguments in [
        ["--sandbox", "export", "51", "--out", "x"],
        ["export", "--sandbox", "51", "--out", "x"],
        ["export", "51", "--out", "x", "--sandbox"],
    ] {
        let exported = printed(&arguments);
        assert_eq!(exported.code, 9, "{exported:?}");
        assert!(
            exported.err.contains("data/sandbox/tokens/51"),
            "{exported:?}"
        );
    }
    for arguments in [
        &["--sandbox", "status"][..],
        &["health", "--sandbox"],
        &["--sandbox", "send", "51", RECIPIENT, "hola"],
        &["key", "list", "--sandbox"],
    ] {
        let refused = printed(arguments);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.err.contains("leave --sandbox out"), "{refused:?}");
    }
}
