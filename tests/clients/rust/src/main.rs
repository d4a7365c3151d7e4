//! Sends one message through the client that progenitor generates. Arguments: the service's address, the session, the
//! recipient, the text. Prints the message's id.

use std::{env, error::Error, num::NonZeroU64};

mod generated {
    progenitor::generate_api!(spec = "../../../docs/openapi-3.0.json", interface = Builder);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, session, to, text] = &*arguments else {
        return Err("usage: generated-client URL SESSION TO TEXT".into());
    };
    let client = generated::Client::new(url);
    let status = client.status().cliente_id(session.as_str()).send().await?;
    assert!(status.connected, "{:?}", *status);
    let session: NonZeroU64 = session.parse()?;
    let request = client.send().body_map(|body| body.cliente_id(session).to(to).message(text.clone()));
    let generated::types::SentOrDryRun::Accepted(accepted) = request.send().await?.into_inner() else {
        return Err("the answer is that of a dry run".into());
    };
    println!("{}", accepted.message_id);
    // A refusal is a value with the code of the contract.
    let refused = client.send().body_map(|body| body.cliente_id(session).to("not a number").message("x".to_owned()));
    match refused.send().await {
        Err(generated::Error::ErrorResponse(why)) => println!("{} {}", why.status().as_u16(), why.code),
        other => return Err(format!("not refused: {other:?}").into()),
    }
    Ok(())
}
