//! Puts a file into the page, and has it uploaded there: before its message is handed over.
//!
//! Responsible for the way of the bytes: Chrome reads them from the file itself (`DOM.setFileInputFiles`), so they are neither in this
//! process nor on the wire to Chrome. What the page does with them is `page/media.js`'s part.

use std::{
    path::{Path, absolute},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chromiumoxide::{
    Page,
    cdp::{browser_protocol::dom::SetFileInputFilesParams, js_protocol::runtime::EvaluateParams},
};
use data_encoding::HEXLOWER;
use serde_json::json;
use tokio::time::timeout;

use super::{
    AdapterName, Outgoing, PrepareError,
    bridge::{self, CallError, INTERRUPTED, NO_ANSWER, NO_SUCH_COMMAND, NOT_LOADED},
    scripts::ENTRY,
};
use crate::extras::Medium;

/// To make an input and to put a file into it takes milliseconds.
const INPUT_TIMEOUT: Duration = Duration::from_secs(10);

/// The page has no file any more.
pub(super) const NOT_STAGED: &str = "NOT_STAGED";

/// WhatsApp does not take the file, in words of the scripts.
const REFUSED: &str = "MEDIA_REFUSED";

/// The file did not reach WhatsApp's server.
const NOT_UPLOADED: &str = "NOT_UPLOADED";

/// Puts the file of a message into the page, and waits until WhatsApp's server has it.
pub(super) async fn stage(
    page: &Page,
    adapter: AdapterName,
    folder: &Path,
    outgoing: &Outgoing,
    medium: &Medium,
) -> Result<(), PrepareError> {
    // Chrome has a working folder of its own.
    let path = absolute(folder.join(&medium.sha256));
    let path = path.map_err(|why| PrepareError::Failed(format!("its file is nowhere: {why}")))?;
    if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
        return Err(PrepareError::Failed(
            "its file is no longer there".to_owned(),
        ));
    }
    let put = timeout(INPUT_TIMEOUT, put_in(page, &outgoing.key, &path)).await;
    match put {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(PrepareError::Interrupted(why)),
        Err(_elapsed) => {
            let why = "the page did not take the file in time";
            return Err(PrepareError::Interrupted(why.to_owned()));
        }
    }
    let hash = hash_bytes(&medium.sha256);
    let argument = json!({
        "key": outgoing.key,
        "kind": medium.kind,
        "mimetype": medium.mimetype,
        "filename": medium.filename,
        "filehash": BASE64_STANDARD.encode(hash),
        "bytes": medium.bytes,
    });
    let within = Medium::upload_time(medium.bytes);
    let staged = bridge::call_within(page, adapter, "stageMedia", &argument, within).await;
    staged.map_err(|why: CallError| match why.code.as_str() {
        NOT_UPLOADED | NO_ANSWER => PrepareError::NotUploaded(why.detail),
        INTERRUPTED | NOT_LOADED | NOT_STAGED => PrepareError::Interrupted(why.detail),
        NO_SUCH_COMMAND => PrepareError::Failed(
            "the page script is of an earlier version, which sends no media (PAGE_SCRIPTS_DIR)"
                .to_owned(),
        ),
        REFUSED => PrepareError::MediaRefused(why.detail),
        _ => PrepareError::Failed(format!("the page did not take the file: {}", why.detail)),
    })
}

/// Has the page make an input, and Chrome put the file into it.
async fn put_in(page: &Page, key: &str, path: &Path) -> Result<(), String> {
    let params = EvaluateParams::new(format!("{ENTRY}.input({key:?})"));
    let made = page.execute(params).await.map_err(|why| why.to_string())?;
    let input = made.result.result.object_id.clone();
    let input = input.ok_or("the page has no input for a file")?;
    let mut params = SetFileInputFilesParams::new(vec![path.display().to_string()]);
    params.object_id = Some(input);
    page.execute(params).await.map_err(|why| why.to_string())?;
    Ok(())
}

fn hash_bytes(hexadecimal: &str) -> Vec<u8> {
    HEXLOWER.decode(hexadecimal.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_from_its_digits() {
        assert_eq!(hash_bytes("00ff1a"), [0, 255, 26]);
    }
}
