//! One simulated WhatsApp for several services: the program `whatsapp-sandbox`.

use std::fs;

use serde_json::json;

use crate::support::{Service, sandbox::SharedSandbox};

#[tokio::test]
async fn accounts_of_two_services_write_to_each_other_at_one_sandbox() {
    let sandbox = SharedSandbox::start().await;
    let ours = Service::start(|environment| sandbox.apply(environment)).await;
    let theirs = Service::start(|environment| sandbox.apply(environment)).await;
    // The same name in both: what tells the accounts apart is the sandbox's matter.
    let (us, them) = tokio::join!(ours.link("51"), theirs.link("51"));
    assert_ne!(us, them, "each phone has a number of its own");

    for (service, to, text) in [(&ours, &them, "¿Están ahí?"), (&theirs, &us, "Acá estamos")] {
        service.sends(51, to, text).await;
    }
    // There is one server for all clients, however they learnt its address.
    for asked in [&ours, &theirs] {
        for (account, to, text) in [(&us, &them, "¿Están ahí?"), (&them, &us, "Acá estamos")] {
            let taken = asked.taken(account).await;
            assert_eq!(taken.len(), 1, "{taken:?}");
            let fields = ["account", "to", "body"].map(|name| taken[0][name].clone());
            assert_eq!(fields, [json!(account), json!(to), json!(text)]);
        }
    }

    ours.stop();
    theirs.stop();
    let home = sandbox.stop();
    let journal = fs::read_to_string(home.data().join("sandbox/journal.jsonl")).unwrap();
    let taken = journal.lines().filter(|line| line.contains(r#""taken""#));
    assert_eq!(
        taken.count(),
        2,
        "both messages are kept for the next start"
    );
}
