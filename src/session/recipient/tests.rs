//! What is read as a number, what is refused, and that nothing else is ever used than what was written.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{InvalidRecipient as Invalid, *};

/// Enough to meet each region of a country's plan.
const AREA_CODES_APART: usize = 13;

/// By lengths alone it would be twelve; those that are left lie in ranges in use.
const MOST_STRANGERS_IN_A_HUNDRED: u32 = 4;

const NUMBER: &str = "5491158254201";

fn read(raw: &str) -> Result<String, Invalid> {
    raw.parse::<Recipient>().map(|to| to.0)
}

/// Asserts that each of these, between ` | `, is refused for that.
#[track_caller]
fn assert_refused(raws: &str, is_it: fn(&Invalid) -> bool) {
    for raw in raws.split(" | ") {
        let why = read(raw).expect_err(raw);
        assert!(is_it(&why), "{raw:?}: {why:?}");
        let said = why.to_string();
        assert!(
            said.contains("country code") && said.contains("+54 9 11"),
            "{said}"
        );
    }
}

macro_rules! refused {
    ($raws:expr, $variant:pat) => {
        assert_refused($raws, |why| matches!(why, $variant))
    };
}

#[test]
fn a_number_may_be_written_as_people_write_it() {
    let written = "5491158254201 | +54 9 11 5825-4201 | +5491158254201 | 005491158254201 | \
         00 54 9 11 5825 4201 | + 54 9 11 5825 4201 | 54-9-11-5825-4201 | 54.9.11.5825.4201 | \
         +54.91158254201 | 54.91158254201 | 54/9/11/5825/4201 | 5 491 158 254 201 | \
         5491 158254201 | +54 9 11/5825-4201 | +54 (9) (11) 5825-4201 | (+54) 9 11 5825-4201 | \
         (0054) 9 11 5825-4201 | +54(911)58254201 | (549) 11.5825.4201 | +54 9 11 5825 - 4201 | \
         5491158254201\r\n | \t5491158254201 | +54\u{a0}9\u{202f}11\u{3000}5825\u{2009}4201 | \
         +54 9 11 5825\u{2011}4201 | +54 9 11 5825\u{2013}4201 | \
         \u{202a}+54 9 11 5825-4201\u{202c} | \u{2068}+54 9 11 5825-4201\u{2069} | \
         \u{feff}5491158254201 | 54911\u{200b}58254201 | +54 9 11 5825\u{ad}4201 | \
         \u{ff0b}\u{ff15}\u{ff14}\u{ff19}\u{ff11}\u{ff11}58254201 | ٥٤٩١١٥٨٢٥٤٢٠١ | \
         ۵۴۹۱۱۵۸۲۵۴۲۰۱ | 5491158254201@c.us | +54 9 11 5825-4201@c.us | \
         5491158254201@s.whatsapp.net | 5491158254201:12@s.whatsapp.net | 5491158254201:3@c.us | \
         5491158254201@C.US";
    let spaced = [" 5491158254201 "];
    for raw in written.split(" | ").chain(spaced) {
        assert_eq!(read(raw).as_deref(), Ok(NUMBER), "{raw:?}");
    }
}

/// Asserts that each of these, between ` | `, is read as its digits.
#[track_caller]
fn assert_read_as_it_stands(raws: &str) {
    for raw in raws.split(" | ") {
        assert_eq!(read(raw), Ok(spelt(raw)), "{raw:?}");
    }
}

#[test]
fn a_number_of_any_country_is_read_as_it_stands() {
    assert_read_as_it_stands(
        "+1 (617) 555-0123 | 1-617-555-0123 | +44 20 7946 0958 | +33.6.12.34.56.78 | \
         +49 6221/123456 | +49 (151) 12345678 | +43 1 58858-0 | +55 (11) 98765-4321 | \
         +7 (916) 123-45-67 | +91 98765 43210 | +234 803 123 4567 | +683 4002 | 5531 8765-4321 | \
         521 55 1234 5678 | 54 11 15-5825-4201 | 1 617-555-0123 | 1 555-123-4567",
    );
    // The 0 belongs to the number there.
    assert_read_as_it_stands("+39 06 6982 0000 | +225 07 01 02 03 04");
    // By the rule of country codes: nothing in it says that it is dialled inside Russia.
    assert_read_as_it_stands("84 95 123 45 67 | 84951234567");
    // Toll-free and the like, which businesses have on WhatsApp; the last one is a humanitarian service's.
    assert_read_as_it_stands(
        "+61 1800 123 456 | +61 13 12 34 | +1 800 555 0123 | +55 800 123 4567 | +54 810 222 3333 | \
         +800 1234 5678 | +888 12345678901",
    );
}

/// WhatsApp answers with another writing of these numbers, and that is what is used; so each must get as far as WhatsApp.
#[test]
fn what_brazil_argentina_and_mexico_write_in_two_ways_is_left_to_whatsapp() {
    assert_read_as_it_stands(
        "+55 31 98765-4321 | +55 31 8765-4321 | +54 9 11 5825-4201 | +54 11 5825-4201 | \
         +54 11 15-5825-4201 | +54 2966 15-123456 | +52 1 55 1234 5678 | +52 55 1234 5678 | \
         5215512345678@c.us",
    );
    refused!(
        "+54 9 11 15 5825-4201",
        Invalid::WrongLength { code: 54, .. }
    );
    refused!("+52 2 55 1234 5678", Invalid::WrongLength { code: 52, .. });
}

#[test]
fn what_a_program_or_a_spreadsheet_made_of_a_number_is_refused() {
    refused!(
        "5491158254201.0 | 5491158254201.00 | +5491158254201.0 | +54 9 11 5825 4201.0 | \
         5491158254201.5 | 5.491158254201 | 549115825.4201 | 5.49116E+12 | 5,49116E+12 | \
         5.491158254201e12 | 5491158254201e0 | 4915112345678.0.0 | 5491158254201.0@c.us",
        Invalid::Decimal
    );
    refused!("'5491158254201", Invalid::Foreign('\''));
    refused!("=\"5491158254201\"", Invalid::Foreign('='));
    refused!("-5491158254201", Invalid::StraySeparator);
    refused!("nan", Invalid::Foreign('n'));
    refused!("null", Invalid::Foreign('n'));
    refused!("undefined", Invalid::Foreign('u'));
}

#[test]
fn a_number_without_its_country_code_is_refused() {
    refused!(
        "011 15-5825-4201 | 0111558254201 | 0 | 0 54 9 11 5825 4201 | (011) 5825-4201 | \
         01158254201@c.us",
        Invalid::NoCountryCode
    );
    refused!(
        "(617) 555-0123 | (415) 555-2671 | (11) 5825-4201",
        Invalid::AreaCodeFirst | Invalid::WrongLength { .. } | Invalid::UnknownCountry
    );
    // Lengths that only toll-free numbers and the like have, in Australia, Brazil, Japan and India.
    refused!(
        "612 34 56 78 | 612345678 | 55 1234 5678 | 5512345678 | 81 8123 4567 | 6175550123 | \
         911 5825-4201 | 91158254201",
        Invalid::WrongLength { .. }
    );
    // A digit that is dialled before the area code, or instead of it, and makes a country code with what follows.
    refused!(
        "8 (495) 123-45-67 | 8 495 123-45-67 | 8-499-123-45-67 | 8(495)1234567 | \
         (8) 495 1234567 | 8 (812) 123-45-67 | 8-800-555-35-35 | 8 804 333-00-00 | \
         8 (863) 123-45-67 | 9 11 5825-4201 | 9 (11) 5825-4201 | 6 12 34 56 78",
        Invalid::AreaCodeFirst | Invalid::TrunkZero(880)
    );
    // São Paulo, Belo Horizonte, Curitiba, Goiânia: of the right length for another country, in no range of it.
    // Then numbers as they are written in North America, which are in use in Egypt and Norway.
    refused!(
        "11 98765-4321 | 31 98765-4321 | 41 98765-4321 | 617-555-0123 | (203) 234-5678 | \
         476 123 4567",
        Invalid::AreaCodeFirst | Invalid::WrongLength { .. }
    );
    refused!("89161234567", Invalid::UnknownCountry);
    refused!("8 916 123-45-67", Invalid::UnknownCountry);
    refused!("15 5825-4201", Invalid::AreaCodeFirst);
}

#[test]
fn a_zero_too_many_is_refused() {
    refused!(
        "+49 (0) 151 12345678 | +49 (0)151 12345678 | +49 0151 12345678 | +44 (0)20 7946 0958 | \
         +54 011 5825-4201",
        Invalid::TrunkZero(_)
    );
    refused!(
        "+0054 9 11 5825 4201 | 0005491158254201 | +05491158254201 | 00 | 000",
        Invalid::TooManyZeros
    );
    refused!(
        "00+5491158254201 | ++5491158254201 | 54+91158254201 | +54 9 11 +5825 4201 | + | \
         5491158254201+",
        Invalid::MisplacedPlus
    );
}

#[test]
fn more_than_one_number_is_refused() {
    refused!(
        "5491158254201,5491158254202 | 5491158254201;5491158254202 | \
         5491158254201\n5491158254202 | 5491158254201\t5825 | 54911\r\n58254201 | \
         5491158254201/02 | +54 9 11 5825-4201/02 | +49 6221 1234/1235 | +49 6221/123456/57 | \
         5491158254201/1",
        Invalid::MoreThanOne
    );
    refused!("5491158254201 5491158254202", Invalid::TooLong(26));
    refused!("5491158254201 / 5491158254202", Invalid::MoreThanOne);
}

#[test]
fn an_extension_is_refused() {
    refused!(
        "5491158254201 int. 5 | 5491158254201 ext 5 | 5491158254201;ext=5 | 5491158254201x5 | \
         5491158254201 x5 | 5491158254201p5 | 5491158254201#5 | 5491158254201 5 | \
         +49 151 12345678 5 | 0049 151 12345678 (5) | 5491158254201, ext. 5 | \
         +54 9 11 5825-4201 anexo 12",
        Invalid::Extension
    );
}

#[test]
fn what_cannot_stand_in_a_number_is_named() {
    for (raw, found) in [
        ("54911abc58254201", 'a'),
        ("abc", 'a'),
        ("~5491158254201", '~'),
        ("5491158254201*", '*'),
        ("*5491158254201", '*'),
        ("5491158254201#", '#'),
        ("5491158254201,", ','),
        ("5491158254201:12", ':'),
        ("5491158254201_1@s.whatsapp.net", '_'),
        ("\u{35}\u{fe0f}\u{20e3}491158254201", '\u{fe0f}'),
        ("549115825420O", 'O'),
        ("549115825420l", 'l'),
        ("5491158254201\0", '\0'),
        ("<5491158254201>", '<'),
    ] {
        assert_eq!(read(raw), Err(Invalid::Foreign(found)), "{raw:?}");
    }
    assert!(Invalid::Foreign('O').to_string().contains("the letter O"));
    assert!(Invalid::Foreign('\0').to_string().contains("U+0000"));
    refused!(
        "tel:+5491158254201 | https://wa.me/5491158254201 | wa.me/5491158254201 | \
         whatsapp://send?phone=5491158254201",
        Invalid::Link
    );
    refused!(
        "\u{202e}1024528511945 | \u{202b}4201 5825 11 9 54\u{202c} | \
         \u{2067}4201 5825 11 9 54\u{2069} | +54 9 11 \u{202b}5825-4201",
        Invalid::Reversed
    );
    for raw in ["", "  ", "\u{200b}", "@c.us", "\u{feff}\n"] {
        refused!(raw, Invalid::Empty);
    }
}

#[test]
fn separators_and_parentheses_must_fit() {
    refused!(
        "54--91158254201 | 54 9 11 -- 58254201 | 54..91158254201 | - | .5491158254201 | \
         5491158254201- | 5491158254201. | /5491158254201 | 54 (-9) 1158254201 | \
         54 (9-) 1158254201",
        Invalid::StraySeparator
    );
    refused!(
        "+54 (9 1158254201 | +54 9) 1158254201 | +54 ((9)) 1158254201 | +54 () 91158254201 | \
         +54 )9( 1158254201 | (5491158254201 | 5491158254201)",
        Invalid::Parentheses
    );
}

#[test]
fn an_address_of_another_kind_is_refused() {
    refused!(
        "120363041234567890@g.us | 1203630412@g.us | status@broadcast | \
         120363041234567890@newsletter",
        Invalid::NotAPerson
    );
    refused!("5491158254201@lid", Invalid::HiddenId);
    refused!(
        "someone@example.com | 5491158254201@ | 5491158254201@c.us@c.us | 5491158254201@c.usa",
        Invalid::UnknownAddress
    );
    refused!(
        "5491158254201:@c.us | 5491158254201:x@c.us | 5491158254201:1:2@c.us | \
         5491158254201:1234@c.us | 5491158254201:-1@c.us",
        Invalid::InvalidDevice
    );
}

#[test]
fn what_no_country_can_have_is_refused() {
    refused!("123456", Invalid::TooShort(6));
    refused!("1234567890123456", Invalid::TooLong(16));
    refused!(
        "54911582542015",
        Invalid::WrongLength {
            code: 54,
            found: 12,
            ..
        }
    );
    refused!(
        "+34 61234567",
        Invalid::WrongLength {
            code: 34,
            found: 8,
            ..
        }
    );
    refused!("+999 123 456 789", Invalid::UnknownCountry);
    refused!("2101234567", Invalid::UnknownCountry);
    let spain = read("+34 61234567").unwrap_err().to_string();
    assert!(
        spain.contains("country code 34") && spain.contains("(there are: 9)"),
        "{spain}"
    );
}

#[test]
fn a_number_is_never_shown_in_full() {
    let to: Recipient = NUMBER.parse().unwrap();
    let shown = format!("{to} {to:?}");
    assert!(
        !shown.contains("5491158") && shown.contains("4201"),
        "{shown}"
    );
    let wrong = read("54911582542010").unwrap_err();
    assert!(!format!("{wrong} {wrong:?}").contains("5491158"), "{wrong}");
}

#[test]
fn an_account_is_whose_whatsapp_says_it_is() {
    for wid in [NUMBER, "5491158254201@c.us", "5491158254201:12@c.us"] {
        assert_eq!(Recipient::of_account(wid), NUMBER.parse().ok(), "{wid}");
    }
    assert!(Recipient::of_account("0111558254201@c.us").is_some());
    assert_eq!(Recipient::of_account("@c.us"), None);
}

#[test]
fn an_account_is_known_by_either_writing_of_its_number() {
    let is_of = |phone: &str, account: &str| {
        let account = Recipient::of_account(account).unwrap();
        phone.parse::<Recipient>().unwrap().is_of_account(&account)
    };
    for (phone, account) in [
        (NUMBER, NUMBER),
        ("+54 11 5825-4201", NUMBER),
        ("+54 11 15 5825-4201", NUMBER),
        ("+54 2966 15-123456", "5492966123456"),
        ("+55 31 98765-4321", "553187654321@c.us"),
        ("+55 31 8765-4321", "5531987654321@c.us"),
        ("+52 55 1234 5678", "5215512345678"),
    ] {
        assert!(is_of(phone, account), "{phone} {account}");
    }
    for (phone, account) in [
        (NUMBER, "5491158254202"),
        ("+55 31 98765-4321", "553187654322"),
        ("+34 612 345 678", "34612345679"),
    ] {
        assert!(!is_of(phone, account), "{phone} {account}");
    }
}

/// Numbers that look real: the library's own examples, of every country and kind, with the country code in front.
fn numbers() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for country in phonenumber::metadata::DATABASE.iter() {
        let kinds = [
            country.descriptors().mobile(),
            country.descriptors().fixed_line(),
            country.descriptors().voip(),
        ];
        let examples = kinds
            .into_iter()
            .flatten()
            .filter_map(|kind| kind.example());
        all.extend(examples.map(|one| (country.country_code().to_string(), one.to_owned())));
    }
    all.sort();
    assert!(all.len() > 400, "{}", all.len());
    all
}

/// Where national numbers are tried: countries of every continent, with and without area codes and digits before them.
const COUNTRIES: [&str; 48] = [
    "AR", "AT", "AU", "BD", "BE", "BO", "BR", "CA", "CH", "CL", "CN", "CO", "CR", "CZ", "DE", "DO",
    "EC", "EG", "ES", "FR", "GB", "GR", "GT", "HU", "ID", "IE", "IL", "IN", "IT", "JP", "KE", "KR",
    "MA", "MX", "NG", "NL", "PE", "PH", "PK", "PL", "PT", "PY", "RU", "SE", "TR", "US", "UY", "ZA",
];

/// Numbers as they are written at home, by country: mobile and fixed ones of all area codes, with the digit before the area code and without it.
fn at_home() -> Vec<(&'static str, u16, String)> {
    let mut all = Vec::new();
    for name in COUNTRIES {
        let id: phonenumber::country::Id = name.parse().unwrap();
        let country = phonenumber::metadata::DATABASE.by_id(name).unwrap();
        let code = country.country_code();
        let trunk = country.national_prefix().unwrap_or_default();
        let known = country.descriptors();
        for kind in [known.mobile(), known.fixed_line()].into_iter().flatten() {
            let example = kind.example().unwrap();
            for start in (0..1000).step_by(AREA_CODES_APART) {
                let national = format!("{start:03}{}", &example[3..]);
                if !kind.is_match(&national) {
                    continue;
                }
                let international = format!("+{code}{national}");
                let number = phonenumber::parse(Some(id), international).unwrap();
                let text = number
                    .format()
                    .mode(phonenumber::Mode::National)
                    .to_string();
                let open = text.strip_prefix('(');
                let bare = open.unwrap_or(&text).strip_prefix(trunk);
                if let Some(bare) = bare.filter(|_| !trunk.is_empty()) {
                    let open = if open.is_some() { "(" } else { "" };
                    all.push((
                        name,
                        code,
                        format!("{open}{}", bare.trim_start_matches([' ', '-'])),
                    ));
                }
                all.push((name, code, text));
            }
        }
    }
    all
}

fn code_of(digits: &str) -> String {
    let codes = (1..=3).map(|length| &digits[..length]);
    let mut codes = codes.filter(|code| {
        let code: u16 = code.parse().unwrap();
        phonenumber::metadata::DATABASE.by_code(&code).is_some()
    });
    codes.next().unwrap().to_owned()
}

/// Numbers as people write them at home, without a country code: how many of them are read as numbers of another country. What is left lies in
/// ranges that are in use there, so nothing tells them from numbers in international form (`--no-capture` prints them by country).
#[test]
fn few_numbers_without_their_country_code_are_read_as_those_of_another() {
    let mut accepted = BTreeMap::<(&str, String), (u32, String)>::new();
    let (mut all, mut strangers) = (0_u32, 0_u32);
    for (country, code, text) in at_home() {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        all += 1;
        let Ok(digits) = read(&text) else {
            continue;
        };
        if digits.starts_with(&code.to_string()) {
            continue;
        }
        strangers += 1;
        let to = code_of(&digits);
        let seen = accepted.entry((country, to)).or_default();
        *seen = (seen.0 + 1, text);
    }
    for ((country, to), (count, text)) in &accepted {
        println!("{count:>5} {country} as +{to}, such as {text}");
    }
    println!("{strangers} of {all}");
    assert!(all > 1_500, "{all}");
    assert!(
        strangers * 100 <= all * MOST_STRANGERS_IN_A_HUNDRED,
        "{strangers} of {all}"
    );
}

/// Each number of the library, in groups behind its country code and without `+`: the rules against missing codes refuse none.
#[test]
fn a_number_in_international_form_needs_no_plus() {
    let (mut all, mut refused) = (0, Vec::new());
    for country in phonenumber::metadata::DATABASE.iter() {
        let known = country.descriptors();
        let code = country.country_code();
        for kind in [
            known.mobile(),
            known.fixed_line(),
            known.voip(),
            known.toll_free(),
            known.uan(),
        ] {
            let Some(national) = kind.and_then(|kind| kind.example()) else {
                continue;
            };
            // Iran has companies of four digits.
            if code.to_string().len() + national.len() < FEWEST_DIGITS {
                continue;
            }
            all += 1;
            let (front, behind) = national.split_at(3.min(national.len()));
            for text in [
                format!("{code}{national}"),
                format!("{code} {front} {behind}"),
                format!("{code}{front} {behind}"),
                format!("+{code}{national}"),
            ] {
                let read = read(&text);
                if read != Ok(format!("{code}{national}")) {
                    refused.push((text, read));
                }
            }
        }
    }
    assert!(refused.is_empty() && all > 600, "{all}: {refused:?}");
}

/// A number in one of people's ways of writing, and how the digits were cut into groups.
fn writing() -> impl Strategy<Value = (String, String)> {
    let numbers = numbers();
    let front = prop::sample::select(vec!["", "+", "00", "+ ", "00 ", " +", "(+", "\u{202a}+"]);
    let behind = prop::sample::select(vec![
        "",
        " ",
        "@c.us",
        "@s.whatsapp.net",
        ":7@s.whatsapp.net",
        "\u{202c}",
        "\n",
    ]);
    let separator = prop::sample::select(vec!["", " ", "-", ".", "/", "\u{a0}", " - ", "\u{2011}"]);
    let cuts = prop::collection::vec(1..5_usize, 1..5);
    let is_in_parentheses = any::<bool>();
    (
        0..numbers.len(),
        front,
        behind,
        separator,
        cuts,
        is_in_parentheses,
    )
        .prop_map(
            move |(which, front, behind, separator, cuts, is_in_parentheses)| {
                let (code, national) = &numbers[which];
                let mut groups = Vec::new();
                let mut rest = national.as_str();
                for cut in cuts {
                    let (group, behind) = rest.split_at(cut.min(rest.len()));
                    groups.push(group.to_owned());
                    rest = behind;
                }
                groups.push(rest.to_owned());
                groups.retain(|group| !group.is_empty());
                if is_in_parentheses && front != "(+" {
                    groups[0] = format!("({})", groups[0]);
                }
                let close = if front == "(+" { ")" } else { "" };
                let text = format!(
                    "{front}{code}{close}{separator}{}{behind}",
                    groups.join(separator)
                );
                (text, format!("{code}{national}"))
            },
        )
}

/// One thing that goes wrong with a number on its way.
fn mutation() -> impl Strategy<Value = (usize, &'static str, bool)> {
    let inserted = prop::sample::select(vec![
        "", "0", "5", ".0", ".", ",", "-", "+", "(", ")", "/", "/02", " ", "\n", "\t", "e12", "x5",
        " ext 5", "a", "O", "#", "*", "~", "'", ":5", "@", "@c.us", "\u{202e}", "\u{200b}", "(0)",
        "00", " 15 ", "٣", "\u{ff10}", ";",
    ]);
    (0..40_usize, inserted, any::<bool>())
}

/// The one number that a text spells, read by another way than the code: every decimal digit of any of the scripts that are
/// read, in order, up to a device part or an address; less `00` in front.
fn spelt(text: &str) -> String {
    let user = text.split('@').next().unwrap();
    let user = if text.contains('@') {
        user.split(':').next().unwrap()
    } else {
        user
    };
    let digits: String = user
        .chars()
        .filter_map(|c| match c {
            '0'..='9' => Some(c),
            '\u{ff10}'..='\u{ff19}' => char::from_digit(u32::from(c) - 0xff10, 10),
            '\u{660}'..='\u{669}' => char::from_digit(u32::from(c) - 0x660, 10),
            _ => None,
        })
        .collect();
    digits.strip_prefix("00").unwrap_or(&digits).to_owned()
}

/// The kind of a verdict, without its details.
fn verdict(read: &Result<String, Invalid>) -> String {
    let Err(why) = read else {
        return "accepted".to_owned();
    };
    let shown = format!("{why:?}");
    let end = shown
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(shown.len());
    format!("refused: {}", &shown[..end])
}

/// 10,000 writings of numbers, half of them damaged: whatever is accepted, its digits are those of the number as
/// written. The count of each verdict is printed (`--no-capture`).
#[test]
fn whatever_is_accepted_is_the_number_as_written() {
    const CASES: u32 = 10_000;
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(CASES)
    });
    let verdicts = std::cell::RefCell::new(BTreeMap::<String, u32>::new());
    let cases = (writing(), prop::option::of(mutation()));
    runner
        .run(&cases, |((text, number), mutation)| {
            let is_damaged = mutation.is_some();
            let mut text = text;
            if let Some((at, inserted, replaces)) = mutation {
                let mut at = at.min(text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
                text.replace_range(at..if replaces { end } else { at }, inserted);
            }
            let read = read(&text);
            let kind = if is_damaged { "damaged" } else { "whole" };
            let counted = format!("{kind}, {}", verdict(&read));
            *verdicts.borrow_mut().entry(counted).or_default() += 1;
            if let Ok(digits) = &read {
                prop_assert_eq!(digits, &spelt(&text), "{:?}", text);
                if !is_damaged {
                    prop_assert_eq!(digits, &number, "{:?}", text);
                }
            }
            Ok(())
        })
        .unwrap();
    let verdicts = verdicts.into_inner();
    for (verdict, count) in &verdicts {
        println!("{count:>6} {verdict}");
    }
    assert_eq!(verdicts.values().sum::<u32>(), CASES);
    // Both must happen, or the property says nothing.
    assert!(verdicts["whole, accepted"] > 2_000, "{verdicts:?}");
    assert!(
        verdicts
            .keys()
            .filter(|verdict| verdict.contains("refused"))
            .count()
            > 10,
        "{verdicts:?}"
    );
}

/// Texts of any kind: nothing panics, and what is accepted is spelt there.
#[test]
fn any_text_is_answered() {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        ..Config::with_cases(5_000)
    });
    runner
        .run(
            &"[0-9+(). /:@\u{660}-\u{669}a-cu-z-]{0,24}|.{0,24}",
            |text| {
                if let Ok(digits) = read(&text) {
                    prop_assert!((FEWEST_DIGITS..=MOST_DIGITS).contains(&digits.len()));
                    prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
                    prop_assert!(!digits.starts_with('0'));
                }
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn an_argentine_number_without_its_country_code_is_not_taken_for_one_of_code_1() {
    for raw in [
        "11 5825-4201",
        "15 5825-4201",
        "1158254201",
        "(11) 5825-4201",
    ] {
        let why = raw.parse::<Recipient>().unwrap_err().to_string();
        assert!(
            why.contains("the country code seems to be missing"),
            "{raw}: {why}"
        );
    }
    let why = "+1158254201".parse::<Recipient>().unwrap_err().to_string();
    assert!(why.contains("country code 1"), "{why}");
}
