//! Webhooks of the real service: what a receiver gets that behaves badly while the service is killed, receivers as docs/events.md has
//! them, and the commands.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::TcpListener as StdListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, interval, sleep, timeout},
};

use crate::support::{
    PROGRAM, Service, answer,
    chrome::{eventually, installed_program},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Two attempts fail within milliseconds; a crowded machine takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// Many attempts, one soon after the other.
const SOON: &str = "0,0,0,0,0,0,0,0,0,0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1";

/// What decides how a request is answered, by how many there were.
pub(crate) type Script = fn(usize) -> Response;

/// A receiver on a port of this machine.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// The events that it has taken, in their order, each as often as it came.
    taken: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<usize>>,
    script: Script,
}

impl Target {
    pub(crate) async fn open(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            taken: Arc::default(),
            asked: Arc::default(),
            script,
        };
        let router = Router::new().route("/hook", post(take));
        let router = router.with_state(own.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        own
    }

    pub(crate) fn taken(&self) -> Vec<Value> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.clone()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        self.taken().iter().map(id).collect()
    }
}

async fn take(State(target): State<Target>, headers: HeaderMap, body: Bytes) -> Response {
    let number = {
        let mut asked = target.asked.lock().unwrap();
        *asked += 1;
        *asked
    };
    let response = (target.script)(number);
    if response.status() == StatusCode::REQUEST_TIMEOUT {
        // Its caller waits in vain, until it is killed or has waited for its time-out.
        std::future::pending::<()>().await;
    }
    if response.status().is_success() {
        let event: Value = serde_json::from_slice(&body).unwrap();
        let id = headers.get("webhook-id");
        // In the form of WAHA.
        let id = id.or_else(|| headers.get("x-webhook-request-id"));
        assert_eq!(event["id"], id.unwrap().to_str().unwrap());
        target.taken.lock().unwrap().push(event);
    }
    response
}

/// Fails and hangs at random, but the same each time.
fn at_random(number: usize) -> Response {
    let status = match number.wrapping_mul(2_654_435_761) / 256 % 8 {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        1 => StatusCode::TOO_MANY_REQUESTS,
        2 => StatusCode::FOUND,
        // See `take`. Once: it takes the whole time-out.
        _ if number == 11 => StatusCode::REQUEST_TIMEOUT,
        _ => StatusCode::OK,
    };
    status.into_response()
}

async fn webhooks(service: &Service) -> Vec<Value> {
    let answer = service.get("/webhooks").await.json();
    answer["webhooks"].as_array().unwrap().clone()
}

/// Makes one, and answers its id.
pub(crate) async fn add(service: &Service, body: &Value) -> String {
    let made = service.post("/webhooks", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["webhook"]["id"].as_str().unwrap().to_owned()
}

/// The ids of all events of a session, in the order of the log.
async fn logged(service: &Service, session: &str) -> Vec<String> {
    let path = format!("/events?cliente_id={session}&limit=1000");
    let answer = service.get(&path).await.json();
    let events = answer["events"].as_array().unwrap().iter();
    events
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_receiver_that_fails_at_random_gets_each_event_in_order_while_the_service_is_killed() {
    let target = Target::open(at_random).await;
    let settings = [
        ("WEBHOOK_URL", target.url.as_str()),
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_TYPES", "session.status"),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_RETRY_SECONDS", SOON),
    ];
    let mut service = Service::with(&settings).await;
    for round in 0..3 {
        for id in ["51", "52"] {
            service.connect(id).await;
            service.reaches(id, "QR_REQUIRED").await;
        }
        if round < 2 {
            let home = service.kill();
            service = Service::start_in(home, |env| {
                env.extend(settings.map(|(name, value)| (name, value.into())));
            })
            .await;
        }
    }
    for id in ["51", "52"] {
        service.disconnect(id).await;
        let events = logged(&service, id).await;
        assert!(events.len() >= 6, "{events:?}");
        let all: BTreeSet<String> = events.iter().cloned().collect();
        eventually("the receiver has each event", || {
            all.is_subset(&target.ids().into_iter().collect())
        })
        .await;
        // What was under way at a kill came twice, one behind the other.
        let mut taken = target.ids();
        taken.retain(|id| all.contains(id));
        taken.dedup();
        assert_eq!(taken, events, "session {id}");
    }
    let mut shown = webhooks(&service).await.remove(0);
    assert_eq!(shown["of_settings"], true, "{shown}");
    // The receiver has the last one a moment before its answer is written down.
    let until = Instant::now() + DEADLINE;
    while shown["deliveries"]["waiting"] != 0 {
        assert!(Instant::now() < until, "{shown}");
        sleep(POLL).await;
        shown = webhooks(&service).await.remove(0);
    }
    assert!(!service.log().contains(&SECRET["whsec_".len()..]));
    assert!(!service.log().contains("/hook"));
    service.stop();
}

/// The code of a language in the section about receivers.
fn receiver(language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("### Check the signature").nth(1).unwrap();
    let code = section.split(&format!("```{language}\n")).nth(1).unwrap();
    code.split("```").next().unwrap().to_owned()
}

/// A receiver of the documents that runs. Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Starts one on this port.
fn run(language: &str, folder: &Path, port: u16) -> Running {
    let (program, name) = match language {
        "js" => ("node", "receiver.mjs"),
        "python" => ("python3", "receiver.py"),
        _ => ("php", "receiver.php"),
    };
    fs::write(folder.join(name), receiver(language)).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the person who starts a receiver"
    )]
    let mut command = Command::new(installed_program(program));
    if program == "php" {
        command.args(["-S", &format!("127.0.0.1:{port}")]);
    }
    command.arg(name).current_dir(folder);
    command.env("PORT", port.to_string());
    command.env("WEBHOOK_SECRET", SECRET);
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

#[tokio::test]
async fn the_receivers_of_the_documents_take_what_is_signed_with_their_secret_and_nothing_else() {
    let service = Service::with(&[("WEBHOOK_ALLOW_PRIVATE", "true")]).await;
    for language in ["js", "python", "php"] {
        let folder = tempfile::tempdir().unwrap();
        let free = StdListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut running = run(language, folder.path(), port);
        eventually("the receiver listens", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        let url = format!("http://127.0.0.1:{port}/");
        let id = add(&service, &json!({ "url": url, "secret": OTHER_SECRET })).await;
        let test = format!("/webhooks/{id}/test");
        let refused = service.post(&test, &json!({})).await.json();
        assert_eq!(refused["status"], 401, "{language}: {refused}");
        // From now on both sign.
        let change = json!({ "secret": SECRET });
        let path = format!("/webhooks/{id}");
        let changed = service.request(Method::PATCH, &path).json(&change);
        let changed = answer(changed).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert!(!changed.text().contains("whsec_"), "{}", changed.text());
        let taken = service.post(&test, &json!({})).await.json();
        assert_eq!(taken["delivered"], true, "{language}: {taken}");
        assert_eq!(taken["status"], 204, "{language}: {taken}");
        // What any stranger may send, and then it still answers.
        let mut cut_off = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let begun = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
        cut_off.write_all(begun).unwrap();
        drop(cut_off);
        // As long as a signature, as characters; not in bytes.
        let strange = [b"v1,".as_slice(), &[b'A'; 43], &[0xe9]].concat();
        let strange = HeaderValue::from_bytes(&strange).unwrap();
        let stranger = reqwest::Client::new();
        for signature in [Some(strange), None] {
            let mut request = stranger.post(&url).body("{}");
            if let Some(signature) = signature {
                request = request.header("webhook-signature", signature);
            }
            let answered = request.send().await.unwrap();
            assert_eq!(answered.status().as_u16(), 401, "{language}");
        }
        let taken = service.post(&test, &json!({})).await.json();
        assert_eq!(taken["status"], 204, "{language}: {taken}");
        assert_eq!(running.0.try_wait().unwrap(), None, "{language} has ended");
    }
    service.stop();
}

/// A certificate of its own for this machine, and a receiver that shows it.
fn receiver_with_tls(folder: &Path, port: u16) -> Running {
    let script = format!(
        "import {{ createServer }} from 'node:https'; import {{ readFileSync }} from 'node:fs';
         createServer({{ key: readFileSync('key.pem'), cert: readFileSync('cert.pem') }}, (request, response) => {{
           request.resume().on('end', () => response.writeHead(204).end());
         }}).listen({port}, '127.0.0.1');"
    );
    fs::write(folder.join("receiver.mjs"), script).unwrap();
    let run = |program: &str, words: &[&str]| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the test plays the person who starts a receiver"
        )]
        let mut command = Command::new(installed_program(program));
        command.args(words).current_dir(folder).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let certificate = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out cert.pem";
    let words: Vec<&str> = certificate.split_whitespace().collect();
    assert!(run("openssl", &words).wait().unwrap().success());
    Running(run("node", &["receiver.mjs"]))
}

#[tokio::test]
async fn a_receiver_by_https_is_believed_only_with_a_certificate_that_the_machine_knows() {
    let folder = tempfile::tempdir().unwrap();
    let free = StdListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let _running = receiver_with_tls(folder.path(), port);
    eventually("the receiver listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
    let certificate = folder.path().join("cert.pem");
    for is_known in [true, false] {
        let service = Service::start(|env| {
            env.insert("WEBHOOK_ALLOW_PRIVATE", "true".into());
            if is_known {
                env.insert("SSL_CERT_FILE", certificate.clone().into());
            }
        })
        .await;
        let url = format!("https://localhost:{port}/");
        let id = add(&service, &json!({ "url": url })).await;
        let test = format!("/webhooks/{id}/test");
        let tested = service.post(&test, &json!({})).await.json();
        assert_eq!(tested["delivered"], is_known, "{tested}");
        if !is_known {
            let failure = tested["failure"].as_str().unwrap();
            assert!(failure.contains("certificate"), "{failure}");
        }
        // Another name than that of the certificate.
        let change = json!({ "url": format!("https://127.0.0.1:{port}/") });
        let changed = service.request(Method::PATCH, &format!("/webhooks/{id}"));
        assert_eq!(answer(changed.json(&change)).await.status, 200);
        let tested = service.post(&test, &json!({})).await.json();
        assert_eq!(tested["delivered"], false, "{tested}");
        assert!(!tested.to_string().contains("localhost"), "{tested}");
        // Plain http to a port of https.
        let change = json!({ "url": format!("http://127.0.0.1:{port}/") });
        let changed = service.request(Method::PATCH, &format!("/webhooks/{id}"));
        assert_eq!(answer(changed.json(&change)).await.status, 200);
        let tested = service.post(&test, &json!({})).await.json();
        let failure = tested["failure"].as_str().unwrap();
        assert!(failure.contains("its address with https://"), "{failure}");
        service.stop();
    }
}

/// What a command prints on standard output, and its exit code.
fn command(service: &Service, words: &[&str]) -> (String, i32) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the person in a terminal"
    )]
    let said = Command::new(PROGRAM)
        .arg("webhook")
        .args(words)
        .args(["--url", service.url()])
        .current_dir(service.home().path())
        .output()
        .unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    (text.trim().to_owned(), said.status.code().unwrap())
}

// The commands are waited for while the receiver answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_made_tried_and_redriven_in_a_terminal() {
    let target = Target::open(|number| match number {
        2 | 3 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => StatusCode::OK.into_response(),
    })
    .await;
    let settings = [
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
        ("WEBHOOK_RETRY_SECONDS", "0"),
        ("CHROME_PATH", "/bin/false"),
    ];
    let service = Service::with(&settings).await;
    let (secret, code) = command(&service, &["add", &target.url, "--types", "session.status"]);
    assert_eq!(code, 0, "{secret}");
    assert!(secret.starts_with("whsec_"), "{secret}");
    let id = webhooks(&service).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let (said, code) = command(&service, &["test", &id]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("delivered: it answered 200"), "{said}");
    // Both attempts of the first event fail.
    service.connect("51").await;
    service
        .status_when("51", "its end", |status| status["state"] == "ERROR")
        .await;
    let path = format!("/webhooks/{id}/deliveries?state=dead");
    let given_up = timeout(DEADLINE, async {
        let mut ticks = interval(POLL);
        loop {
            ticks.tick().await;
            let dead = service.get(&path).await.json();
            if dead["count"] == 1 {
                return dead["deliveries"][0].clone();
            }
        }
    });
    let dead = given_up.await.expect("the first event is given up");
    assert_eq!(dead["failure"], "it answered 500", "{dead}");
    assert_eq!(dead["cliente_id"], 51, "{dead}");
    let (said, _) = command(&service, &["list"]);
    assert!(
        said.contains(&id) && said.contains("it answered 500"),
        "{said}"
    );
    let (said, code) = command(&service, &["redrive", &id]);
    assert_eq!((said.as_str(), code), ("1 are tried again", 0));
    let all: BTreeSet<String> = logged(&service, "51").await.into_iter().collect();
    eventually("each is delivered", || {
        all.is_subset(&target.ids().into_iter().collect())
    })
    .await;
    let (said, code) = command(&service, &["add", "not-an-address"]);
    assert_eq!((said.as_str(), code), ("", 1));
    let (said, code) = command(&service, &["test", "wh_none", "--json"]);
    assert_eq!(code, 1);
    assert!(said.contains("WEBHOOK_NOT_FOUND"), "{said}");
    assert!(!service.log().contains(&secret));
    service.stop();
}
