//! Whether there can be such a number: country codes and lengths, as the library has them.
//!
//! Asked by length and not by pattern: numbering plans open new ranges every month, and a number that the library is merely
//! unsure of is WhatsApp's to judge. What no country can have is refused before WhatsApp is asked, because an account
//! that asks for impossible numbers gets restricted.

use phonenumber::{
    Metadata, Type,
    metadata::{DATABASE, Database, Descriptor},
};

use super::{FEWEST_DIGITS, InvalidRecipient as Invalid, MOST_DIGITS, writing::Written};

/// Country codes have one to three digits, and none begins with another.
const LONGEST_CODE: usize = 3;

/// The longest area code has five digits (Germany, without its 0), so what has more is not one.
const LONGEST_AREA_CODE: usize = 5;

/// Every kind of number that a country may have; not those that cannot be reached from abroad.
const KINDS: [Type; 11] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
    Type::StandardRate,
];

const ARGENTINA: u16 = 54;
const BRAZIL: u16 = 55;
const MEXICO: u16 = 52;

/// Has the library read its tables now.
pub(super) fn read() {
    let _read: &Database = &DATABASE;
}

/// A number whose country code is known.
struct Number<'a> {
    code: u16,
    national: &'a str,
    /// The countries that share the code.
    countries: Vec<&'static Metadata>,
}

/// Refuses what cannot be one person's number.
pub(super) fn check(written: &Written) -> Result<(), Invalid> {
    let digits = written.digits.as_str();
    // Asked before the length: of these the sentence about the spreadsheet, or about two numbers, helps more.
    let is_whole = |before: usize| is_whole(&digits[..before]);
    if written.before_dot.is_some_and(is_whole) {
        return Err(Invalid::Decimal);
    }
    if written.before_slashes.iter().copied().any(is_whole) {
        return Err(Invalid::MoreThanOne);
    }
    // `+49 151 12345678 5`: people end no number so.
    if written.before_lone_digit.is_some_and(is_whole) {
        return Err(Invalid::Extension);
    }
    if digits.len() > MOST_DIGITS {
        return Err(Invalid::TooLong(digits.len()));
    }
    let number = Number::of(digits).ok_or(Invalid::UnknownCountry)?;
    if written.has_zero_in_parentheses || !number.may_begin_so() {
        return Err(Invalid::TrunkZero(number.code));
    }
    // `54.91158254201` separates a country code; `5.491158254201` is a number that something has divided.
    let code_length = digits.len() - number.national.len();
    let splits_a_number = |before: usize| before != code_length;
    if written.before_only_dot.is_some_and(splits_a_number) && !written.is_international {
        return Err(Invalid::Decimal);
    }
    if digits.len() < FEWEST_DIGITS {
        return Err(Invalid::TooShort(digits.len()));
    }
    if !number.is_possible() {
        return Err(number.wrong_length());
    }
    // `(617) 555-1234` has lost its country code, and 61 is Australia's; `(549) 11 …` has not.
    let may_lack_its_code = written.opens_with_parentheses && !written.is_international;
    if may_lack_its_code && !number.is_assigned() {
        return Err(Invalid::AreaCodeFirst);
    }
    Ok(())
}

/// What two writings of one line have in common, where a country has two. To compare only: it is no number to send to.
pub(super) fn line(digits: &str) -> String {
    let Some(Number { code, national, .. }) = Number::of(digits) else {
        return digits.to_owned();
    };
    let without = |range: std::ops::Range<usize>| {
        let mut shorter = national.to_owned();
        shorter.drain(range);
        format!("{code}{shorter}")
    };
    match code {
        ARGENTINA if national.len() == 11 && national.starts_with('9') => without(0..1),
        ARGENTINA => match Number::of(digits).and_then(|number| number.area_code_before_15()) {
            Some(length) => without(length..length + 2),
            None => digits.to_owned(),
        },
        // Two digits of area code, then the ninth of the number.
        BRAZIL if national.len() == 11 && national[2..].starts_with('9') => without(2..3),
        MEXICO if national.len() == 11 && national.starts_with('1') => without(0..1),
        _ => digits.to_owned(),
    }
}

/// Whether these digits could be a number by themselves, with more than an area code: then what a `.` or `/` separates from
/// them is a decimal part, or the other end of a second number.
fn is_whole(digits: &str) -> bool {
    Number::of(digits)
        .is_some_and(|number| number.national.len() > LONGEST_AREA_CODE && number.is_possible())
}

impl<'a> Number<'a> {
    fn of(digits: &'a str) -> Option<Self> {
        (1..=LONGEST_CODE.min(digits.len())).find_map(|length| {
            let code: u16 = digits[..length].parse().ok()?;
            Some(Self {
                code,
                national: &digits[length..],
                countries: DATABASE.by_code(&code)?,
            })
        })
    }

    /// A `0` behind the country code belongs to the number in Italy and a few other countries, and nowhere else.
    fn may_begin_so(&self) -> bool {
        let begins_so = |country: &&Metadata| {
            let pattern = country.descriptors().general().national_number();
            let found = pattern.find(self.national);
            found.is_some_and(|found| found.start() == 0)
        };
        !self.national.starts_with('0') || self.countries.iter().any(begins_so)
    }

    fn is_possible(&self) -> bool {
        self.lengths().contains(&self.national.len()) || self.is_written_as_of_old()
    }

    /// How many digits there may be behind the country code, each once and in order.
    fn lengths(&self) -> Vec<usize> {
        let of_kind = |country: &'static Metadata, kind| country.descriptors().get(kind);
        let kinds = |country: &'static Metadata| {
            KINDS.iter().filter_map(move |kind| of_kind(country, *kind))
        };
        let of_all = self.countries.iter().copied().flat_map(kinds);
        let mut lengths: Vec<usize> = of_all
            .flat_map(Descriptor::possible_length)
            .map(|length| usize::from(*length))
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Two ways of writing that are longer than the plan, are in every address book, and that WhatsApp itself understands or
    /// answers with (docs/messages.md, "Numbers").
    fn is_written_as_of_old(&self) -> bool {
        match self.code {
            // +52 1 55 …: the 1 of mobile numbers, which was dropped in 2019 and still stands in WhatsApp's own ids.
            MEXICO => self.national.len() == 11 && self.national.starts_with('1'),
            // +54 11 15 …: the 15 between area code and number, which is the 9 in front of them for callers from abroad.
            ARGENTINA => self.area_code_before_15().is_some(),
            _ => false,
        }
    }

    /// The length of an Argentine area code that has a 15 behind it, as mobile numbers are dialled inside the country.
    fn area_code_before_15(&self) -> Option<usize> {
        const WITH_15: usize = 12;
        let inside = |country: &&Metadata| {
            let inside = country.national_prefix_for_parsing()?;
            let found = inside.captures(self.national)?;
            let begins_so = found.get(0).is_some_and(|all| all.start() == 0);
            let area_code = found.get(1)?;
            begins_so.then_some(area_code.end())
        };
        let is_so_long = self.national.len() == WITH_15;
        self.countries
            .iter()
            .find_map(inside)
            .filter(|_| is_so_long)
    }

    /// Whether the number lies in a range that is in use.
    fn is_assigned(&self) -> bool {
        let in_use = |country: &&Metadata| {
            let mut kinds = KINDS
                .iter()
                .filter_map(|kind| country.descriptors().get(*kind));
            kinds.any(|kind| kind.is_match(self.national))
        };
        self.countries.iter().any(in_use)
    }

    fn wrong_length(&self) -> Invalid {
        let lengths: Vec<String> = self.lengths().iter().map(usize::to_string).collect();
        Invalid::WrongLength {
            code: self.code,
            found: self.national.len(),
            possible: lengths.join(", "),
        }
    }
}
