//! What the next service makes of what the one before has left: sessions that should be up come up by themselves.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rustix::process::{Signal, kill_process};

use crate::support::{
    Home, Service,
    chrome::{eventually, pid_of},
    devtools::{DevTools, chrome_with_a_port},
};

#[tokio::test]
async fn sessions_of_a_killed_service_come_up_by_themselves_unless_somebody_has_disconnected_them()
{
    let service = Service::with(&[]).await;
    let accounts = [
        service.link("51").await,
        service.link("52").await,
        service.link("53").await,
    ];
    service.connect(54).await;
    service.connect(55).await;
    assert_eq!(service.disconnect(54).await.status, 200);
    let chromes = service.home().processes();
    let scans = service.phone_state().await["devices"].take();

    let home = service.kill();
    let sessions = home.data().join("sandbox/sessions");
    fs::write(sessions.join("56.json"), r#"{"up":tr"#).unwrap();
    let service = Service::start_in(home, |env| {
        env.insert("MAX_CONCURRENT_STARTS", "1".into());
    })
    .await;
    for id in ["51", "52", "53"] {
        service.reaches(id, "READY").await;
    }
    assert_eq!(service.phone_state().await["devices"], scans);
    for (id, account) in [51, 52, 53].into_iter().zip(&accounts) {
        let status = service.status(&id.to_string()).await;
        assert_eq!(status["account"], **account, "{status}");
        service.sends(id, "5491158254201", "de vuelta").await;
    }
    let after = service.home().processes();
    let left: Vec<_> = chromes.iter().filter(|pid| after.contains(pid)).collect();
    assert!(left.is_empty(), "still there: {left:?}");

    // One that only showed codes comes last, one that was disconnected not at all.
    service.code("55").await;
    let down = service.status("54").await;
    assert_eq!(down["state"], "DISCONNECTED", "{down}");
    assert!(sessions.join("56.json.broken").try_exists().unwrap());
    let said = service.log();
    let lines = said.lines().filter(|line| line.contains("56.json"));
    assert_eq!(lines.count(), 1, "{said}");
    service.stop();
}

/// Ends the service and its Chromes as a loss of power does.
async fn lose_power(service: Service) -> Home {
    let chromes = service.home().processes();
    // Otherwise a Chrome that is faster than the next lines closes in order, as it has lost its service; or a new one is started.
    kill_process(pid_of(service.pid()), Signal::STOP).unwrap();
    for pid in chromes {
        // One that has ended by itself is as good.
        let _ended = kill_process(pid_of(pid), Signal::KILL);
    }
    let home = service.kill();
    eventually("no Chrome is left", || home.processes().is_empty()).await;
    home
}

/// The newest log of the database in which the page of this profile keeps its link.
fn log_of_page(profile: &Path) -> PathBuf {
    let databases = fs::read_dir(profile.join("Default/IndexedDB")).unwrap();
    let files = databases.flat_map(|database| fs::read_dir(database.unwrap().path()).unwrap());
    let paths = files.map(|file| file.unwrap().path());
    let is_log = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "log");
    paths.filter(is_log).max().unwrap()
}

#[tokio::test]
async fn an_account_outlives_a_chrome_that_was_killed_in_the_middle_of_a_write_and_the_next_kill() {
    let service = Service::with(&[]).await;
    let account = service.link("51").await;
    let home = lose_power(service).await;
    // The header of a record of 200 bytes, which do not follow. To where it stands in a log, see `browser::profile::leveldb::log`.
    let log = log_of_page(&home.tokens().join("51"));
    let mut log = OpenOptions::new().append(true).open(log).unwrap();
    log.write_all(&[1, 2, 3, 4, 200, 0, 1]).unwrap();

    let service = Service::start_in(home, |_| {}).await;
    service.reaches("51", "READY").await;
    service.sends(51, "5491158254201", "entre dos cortes").await;
    let home = lose_power(service).await;
    let service = Service::start_in(home, |_| {}).await;
    let status = service.reaches("51", "READY").await;
    assert_eq!(status["account"], *account, "{status}");
    service.stop();
}

/// Two transactions of one database, on two stores, that have written and do not end.
const TWO_TRANSACTIONS: &str = "new Promise((done, failed) => {
  const opening = indexedDB.open('held', 1);
  opening.onerror = failed;
  opening.onupgradeneeded = () => ['a', 'b'].map((store) => opening.result.createObjectStore(store));
  opening.onsuccess = () => done(Promise.all(['a', 'b'].map((name) => new Promise((wrote) => {
    const store = opening.result.transaction(name, 'readwrite').objectStore(name);
    for (let key = 0; key < 200; key += 1) store.put('x'.repeat(1000), key);
    const keepOpen = () => { wrote(); store.get(0).onsuccess = keepOpen; };
    store.get(0).onsuccess = keepOpen;
  }))));
})";

#[tokio::test]
async fn an_account_outlives_a_chrome_that_was_killed_while_its_page_wrote_twice_at_once() {
    let chrome = chrome_with_a_port();
    let service = Service::with(&[("CHROME_PATH", chrome.to_str().unwrap())]).await;
    let account = service.link("51").await;
    let profile = service.home().tokens().join("51");
    let mut devtools = DevTools::of(&profile).await;
    devtools.evaluate(TWO_TRANSACTIONS).await;
    let home = lose_power(service).await;
    let service = Service::start_in(home, |_| {}).await;
    let status = service.reaches("51", "READY").await;
    assert_eq!(status["account"], *account, "{status}");
    assert!(service.log().contains("Chrome can take them back now"));
    service.stop();
}
