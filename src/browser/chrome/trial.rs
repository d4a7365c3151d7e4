//! A Chrome tried out, to find out whether it works on this machine: made to draw, sent to a page,
//! counted.
//!
//! Responsible for the questions to one open [`Browser`], each with a deadline. What an answer is worth is the asker's business.

use std::{collections::BTreeSet, fs, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chromiumoxide::{
    Page,
    cdp::{
        browser_protocol::page::{
            CaptureScreenshotFormat, CaptureScreenshotParams, NavigateParams,
        },
        js_protocol::runtime::EvaluateParams,
    },
    error::CdpError,
};
use serde_json::json;
use tokio::time::timeout;

use crate::{
    browser::{Browser, procfs},
    picture::{Colour, Picture},
};

/// A page of one line and its picture took 0.2 s; a machine that swaps needs far more.
const DRAW_TIMEOUT: Duration = Duration::from_secs(15);

/// Green, with a line of black text in the default font.
const TEST_PAGE: &str = "data:text/html,<body style='margin:0;background:rgb(0,128,0)'><p style='font:72px sans-serif'>Wg</p>";
const BACKGROUND: Colour = [0, 128, 0];

/// Takes a list of types.
const PLAYS: &str = include_str!("plays.js");

/// How dark a pixel of the text is at most.
const INK: u8 = 60;

/// What a Chrome drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// The page with its text.
    Whole,
    /// The page without its text: there are no fonts.
    WithoutText,
    /// Something else.
    Wrong,
}

/// Where a Chrome came when it was sent to a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// There: the page calls itself this.
    Arrived {
        /// Its title.
        title: String,
    },
    /// Nowhere: Chrome's own word, such as `net::ERR_NAME_NOT_RESOLVED`.
    Refused(String),
    /// Still on its way when the time was up.
    TooSlow,
}

/// What one Chrome takes of what a machine limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Processes.
    pub processes: usize,
    /// Threads of all of them, each of which counts as a process where those are limited.
    pub threads: usize,
    /// Open files of the process that has most.
    pub open_files: usize,
}

impl Browser {
    /// Draws a small page and looks at the picture. The error is Chrome's own word.
    pub async fn draw_test_page(&self) -> Result<Drawn, String> {
        match timeout(DRAW_TIMEOUT, picture_of_test_page(self.page())).await {
            Ok(Ok(picture)) => Ok(judge(&picture)),
            Ok(Err(why)) => Err(why),
            Err(_elapsed) => Err(format!("no picture within {} s", DRAW_TIMEOUT.as_secs())),
        }
    }

    /// Whether it plays each of these types of media, which depends on how it was built. The error is Chrome's own word.
    pub async fn plays(&self, types: &[&str]) -> Result<Vec<bool>, String> {
        let params = EvaluateParams {
            return_by_value: Some(true),
            ..EvaluateParams::new(format!("({PLAYS})({})", json!(types)))
        };
        let asked = timeout(DRAW_TIMEOUT, self.page().execute(params)).await;
        let asked =
            asked.map_err(|_elapsed| format!("no answer within {} s", DRAW_TIMEOUT.as_secs()))?;
        let answer = asked.map_err(|why| why.to_string())?.result.result.value;
        let plays = serde_json::from_value(answer.unwrap_or_default());
        plays.map_err(|why| why.to_string())
    }

    /// Sends it to a page, as a session would go there.
    pub async fn visit(&self, url: &str, patience: Duration) -> Visit {
        let asked = self.page().execute(NavigateParams::new(url));
        match timeout(patience, asked).await {
            Err(_) | Ok(Err(CdpError::Timeout)) => Visit::TooSlow,
            Ok(Err(why)) => Visit::Refused(why.to_string()),
            Ok(Ok(answer)) => match answer.result.error_text {
                Some(why) => Visit::Refused(why),
                None => Visit::Arrived {
                    title: self.title().await,
                },
            },
        }
    }

    async fn title(&self) -> String {
        let asked = timeout(DRAW_TIMEOUT, self.page().get_title()).await;
        asked
            .ok()
            .and_then(Result::ok)
            .flatten()
            .unwrap_or_default()
    }

    /// Counts its processes, threads and files.
    pub fn footprint(&self) -> Footprint {
        let members = procfs::members(&BTreeSet::from([self.pid()]));
        let entries = |pid: u32, folder: &str| {
            fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, Iterator::count)
        };
        let pids = || members.iter().map(|(_, pid)| *pid);
        Footprint {
            processes: members.len(),
            threads: pids().map(|pid| entries(pid, "task")).sum(),
            open_files: pids().map(|pid| entries(pid, "fd")).max().unwrap_or(0),
        }
    }
}

async fn picture_of_test_page(page: &Page) -> Result<Picture, String> {
    let say = |why: CdpError| why.to_string();
    let opened = page
        .execute(NavigateParams::new(TEST_PAGE))
        .await
        .map_err(say)?;
    if let Some(why) = opened.result.error_text {
        return Err(why);
    }
    let params = CaptureScreenshotParams {
        format: Some(CaptureScreenshotFormat::Png),
        ..CaptureScreenshotParams::default()
    };
    let captured = page.execute(params).await.map_err(say)?;
    let encoded: &[u8] = captured.result.data.as_ref();
    let png = STANDARD.decode(encoded).map_err(|why| why.to_string())?;
    Picture::of_png(&png).map_err(|why| why.to_string())
}

fn judge(picture: &Picture) -> Drawn {
    let Some(corner) = picture.pixel(0, picture.height().saturating_sub(1)) else {
        return Drawn::Wrong;
    };
    if corner != BACKGROUND {
        Drawn::Wrong
    } else if picture
        .pixels()
        .iter()
        .any(|colours| colours.iter().all(|colour| *colour < INK))
    {
        Drawn::Whole
    } else {
        Drawn::WithoutText
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_judged_by_its_ground_and_its_ink() {
        let mut picture = Picture::filled(20, 20, BACKGROUND);
        assert_eq!(judge(&picture), Drawn::WithoutText);
        picture.paint(7, 7, [10, 20, 10]);
        assert_eq!(judge(&picture), Drawn::Whole);
        assert_eq!(judge(&Picture::filled(20, 20, [0; 3])), Drawn::Wrong);
        assert_eq!(judge(&Picture::filled(0, 0, [0; 3])), Drawn::Wrong);
    }
}
