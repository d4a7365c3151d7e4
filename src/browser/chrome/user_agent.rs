//! How Chrome identifies itself: the user agent and the client hints of the same version with a window.
//!
//! The user agent goes onto the command line, the only way that reaches service workers; the client hints go over CDP
//! to the page, whose workers take them over, and to each service worker.

use chromiumoxide::cdp::browser_protocol::emulation::{
    SetUserAgentOverrideParams, UserAgentBrandVersion, UserAgentMetadata,
};

use crate::browser::ChromeVersion;

/// The user agent: Chrome shows only the major number there and keeps the rest for client hints.
pub(in crate::browser) fn of(version: &ChromeVersion) -> String {
    let major = version.major();
    format!(
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.0.0 Safari/537.36"
    )
}

/// The same user agent with client hints that agree.
pub(in crate::browser) fn with_client_hints(version: &ChromeVersion) -> SetUserAgentOverrideParams {
    let (architecture, bitness) = match std::env::consts::ARCH {
        "aarch64" => ("arm", "64"),
        "x86" => ("x86", "32"),
        _ => ("x86", "64"),
    };
    SetUserAgentOverrideParams {
        user_agent_metadata: Some(UserAgentMetadata {
            brands: Some(brands(version, Detail::Major)),
            full_version_list: Some(brands(version, Detail::Full)),
            platform: "Linux".to_owned(),
            // Chrome sends none on Linux.
            platform_version: String::new(),
            architecture: architecture.to_owned(),
            model: String::new(),
            mobile: false,
            bitness: Some(bitness.to_owned()),
            wow64: Some(false),
            form_factors: None,
        }),
        ..SetUserAgentOverrideParams::new(of(version))
    }
}

#[derive(Clone, Copy)]
enum Detail {
    Major,
    Full,
}

/// The brands as Chrome itself lists them with a window.
///
/// Chrome puts in a made-up brand and shuffles, both by the major number, so that no site relies on a form
/// (`components/embedder_support/user_agent_utils.cc`).
fn brands(version: &ChromeVersion, detail: Detail) -> Vec<UserAgentBrandVersion> {
    const MARKS: &[u8; 11] = b" (:-./);=?_";
    const NUMBERS: [&str; 3] = ["8", "99", "24"];
    const PLACES_OF_TWO: [&[usize]; 2] = [&[0, 1], &[1, 0]];
    const PLACES_OF_THREE: [&[usize]; 6] = [
        &[0, 1, 2],
        &[0, 2, 1],
        &[1, 0, 2],
        &[1, 2, 0],
        &[2, 0, 1],
        &[2, 1, 0],
    ];

    let seed = version.major() as usize;
    let mark = |at: usize| char::from(MARKS[at % MARKS.len()]);
    let made_up = format!("Not{}A{}Brand", mark(seed), mark(seed + 1));
    let number = NUMBERS[seed % NUMBERS.len()];
    let (made_up_number, number) = match detail {
        Detail::Major => (number.to_owned(), version.major().to_string()),
        Detail::Full => (format!("{number}.0.0.0"), version.as_str().to_owned()),
    };

    let mut brands = vec![
        (made_up, made_up_number),
        ("Chromium".to_owned(), number.clone()),
    ];
    let places = if version.is_google_chrome() {
        brands.push(("Google Chrome".to_owned(), number));
        PLACES_OF_THREE[seed % PLACES_OF_THREE.len()]
    } else {
        PLACES_OF_TWO[seed % PLACES_OF_TWO.len()]
    };
    let mut in_order: Vec<_> = places.iter().zip(brands).collect();
    in_order.sort_by_key(|(place, _)| **place);
    in_order
        .into_iter()
        .map(|(_, (brand, version))| UserAgentBrandVersion::new(brand, version))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(printed: &str, detail: Detail) -> Vec<(String, String)> {
        let version = ChromeVersion::parse(printed).unwrap();
        brands(&version, detail)
            .into_iter()
            .map(|brand| (brand.brand, brand.version))
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn brands_are_listed_as_chromium_156_lists_them() {
        let expected = pairs(&[("Not:A-Brand", "8"), ("Chromium", "156")]);
        assert_eq!(listed("Chromium 156.0.8078.79", Detail::Major), expected);
    }

    #[test]
    fn google_chrome_adds_its_own_name() {
        // As Chrome 131 was seen to send it.
        let expected = pairs(&[
            ("Google Chrome", "131"),
            ("Chromium", "131"),
            ("Not_A Brand", "24"),
        ]);
        assert_eq!(
            listed("Google Chrome 131.0.6778.69", Detail::Major),
            expected
        );
    }

    #[test]
    fn the_user_agent_says_nothing_of_headless() {
        let version = ChromeVersion::parse("Chromium 156.0.8078.79").unwrap();
        let user_agent = of(&version);
        assert!(user_agent.contains(" Chrome/156.0.0.0 ") && !user_agent.contains("Headless"));
    }
}
