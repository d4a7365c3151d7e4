//! What a request to `/send` says: one of a text, a medium, a place, contact cards or a poll, with what it answers and whom it mentions.
//!
//! Responsible for what of it WhatsApp takes, so that nothing is queued that cannot be sent; each refusal names its field.

use std::mem;

use serde_json::Value;

use crate::{
    extras::{Card, Extras, MediumKind, Place, Question},
    http::wire::{
        error::ApiError,
        extract::Object,
        requests::{ContactField, ContactGiven, Given, MediaField, Nested, SendBody, fields_of},
        spelling::{LONGEST_NAME as LONGEST_FIELD, bare},
    },
    masked::{Number, Text, WaId},
    media::kind::is_mimetype,
    received::MediaId,
    session::{LONGEST_TEXT, Recipient},
};

/// WhatsApp's app offers 12 answers, and its servers drop polls with more.
const MOST_OPTIONS: usize = 12;

/// What WhatsApp's app lets a person type into a poll, in UTF-16 units.
const LONGEST_QUESTION: usize = 255;
const LONGEST_OPTION: usize = 100;

/// More than any place or person is called; it keeps a card readable.
const LONGEST_NAME: usize = 255;
const LONGEST_ADDRESS: usize = 1000;

/// More contacts are a file of them.
const MOST_CONTACTS: usize = 10;

/// As many as a small group has members.
const MOST_MENTIONS: usize = 256;

/// A full id in a group has two addresses and the inner id.
const LONGEST_QUOTE: usize = 255;

/// What WhatsApp's app lets a person type below a picture, in UTF-16 units.
const LONGEST_CAPTION: usize = 1024;

/// A longer one is no name of a file.
const LONGEST_FILENAME: usize = 1000;

/// Refuses a text that WhatsApp would cut.
pub(super) fn check_length(message: &Given<String>) -> Result<(), ApiError> {
    let Given::Value(text) = message else {
        return Ok(());
    };
    let units = units(text);
    if units > LONGEST_TEXT {
        return Err(ApiError::TextTooLong(units));
    }
    Ok(())
}

/// Refuses what belongs into a medium and stands beside it: left out in silence, a picture that may be looked at once would stay in the chat.
pub(super) fn check_place(body: &Object) -> Result<(), ApiError> {
    const INSIDE: [&str; 5] = ["view_once", "caption", "kind", "filename", "mimetype"];
    let is_given = |value: &Value| !value.is_null();
    if !body.get("media").is_some_and(is_given) {
        return Ok(());
    }
    for field in INSIDE {
        let is_beside =
            |(name, value): (&String, &Value)| bare(name) == bare(field) && is_given(value);
        if body.iter().any(is_beside) {
            let why = format!("it belongs inside media: write \"media\": {{\"{field}\": …}}");
            return Err(invalid(field, why));
        }
    }
    Ok(())
}

/// A missing text, where something else seems to have been meant: the body has a field that is not known. Without one it has the words of
/// the contract.
pub(super) fn explained(why: ApiError, body: &Object) -> ApiError {
    let mut names = body.keys();
    let other = names.find(|name| !fields_of::<SendBody>().contains(&name.as_str()));
    match (why, other) {
        (ApiError::InvalidMessage, Some(name)) if !body.contains_key("message") => {
            ApiError::NothingKnownToSend(name.chars().take(LONGEST_FIELD).collect())
        }
        (why, _) => why,
    }
}

/// What a send says. A medium still has to be brought.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) body: Text,
    pub(super) extras: Extras,
    pub(super) media: Option<MediaField>,
}

/// The text, and what there is beside it. Takes both out of the fields.
pub(super) fn take(fields: &mut SendBody) -> Result<Content, ApiError> {
    let media = given("media", mem::take(&mut fields.media))?;
    let location = given("location", mem::take(&mut fields.location))?;
    let contact = given("contact", mem::take(&mut fields.contact))?;
    let poll = given("poll", mem::take(&mut fields.poll))?;
    let others = [
        media.is_some(),
        location.is_some(),
        contact.is_some(),
        poll.is_some(),
    ];
    let others = others.into_iter().filter(|is_given| *is_given).count();
    let message = mem::take(&mut fields.message);
    let has_text = !matches!(message, Given::Absent | Given::Null);
    if others > 1 || (others == 1 && has_text) {
        return Err(ApiError::MoreThanOneContent);
    }
    let body = if others == 1 {
        Text::default()
    } else {
        let text = message.value();
        let text = text.filter(|text| !text.trim().is_empty());
        text.ok_or(ApiError::InvalidMessage)?.into()
    };
    let media = media.map(medium).transpose()?;
    let caption = media.as_ref().and_then(|media| media.caption.as_deref());
    let text = caption.unwrap_or(&body);
    let extras = Extras {
        quote: quote(mem::take(&mut fields.quote))?,
        mentions: mentions(mem::take(&mut fields.mentions), text)?,
        location: location.map(place).transpose()?,
        contacts: contact.map(cards).transpose()?.unwrap_or_default(),
        poll: poll.map(question).transpose()?,
        media: None,
        action: None,
        request: None,
    };
    Ok(Content {
        body,
        extras,
        media,
    })
}

/// What of a medium can be looked at without its bytes.
fn medium(media: MediaField) -> Result<MediaField, ApiError> {
    let sources = [&media.url, &media.data, &media.id];
    if sources.into_iter().flatten().count() != 1 {
        return Err(invalid("media", "give one of url, data and id"));
    }
    if media
        .id
        .as_deref()
        .is_some_and(|id| MediaId::read(id).is_some())
    {
        return Err(invalid(
            "media",
            "id is that of a file that a message has brought (med_…), which GET /media/{id} gives; to send it on, bring it with POST /media and give the id of that answer (fil_…)",
        ));
    }
    if media
        .mimetype
        .as_deref()
        .is_some_and(|named| !is_mimetype(named))
    {
        return Err(invalid(
            "media",
            "mimetype is none, such as application/pdf",
        ));
    }
    for (what, words, longest) in [
        ("caption", &media.caption, LONGEST_CAPTION),
        ("filename", &media.filename, LONGEST_FILENAME),
    ] {
        if let Some(words) = words {
            check_words("media", what, words, longest)?;
        }
    }
    check_medium_kind(
        media.kind,
        media.caption.is_some(),
        media.view_once == Some(true),
    )?;
    Ok(media)
}

/// Refuses what WhatsApp does not show with a medium of this kind; of one that is left out, nothing is known yet.
pub(super) fn check_medium_kind(
    kind: Option<MediumKind>,
    has_caption: bool,
    is_view_once: bool,
) -> Result<(), ApiError> {
    use MediumKind::{Audio, Document, Sticker, Voice};
    let Some(kind) = kind else { return Ok(()) };
    if has_caption && matches!(kind, Audio | Voice | Sticker) {
        let why = format!(
            "caption: WhatsApp shows none below a medium of the kind {}",
            kind.as_str()
        );
        return Err(invalid("media", why));
    }
    if is_view_once && matches!(kind, Audio | Document | Sticker) {
        let why = format!(
            "view_once: WhatsApp has pictures, videos and voice messages for it, and none of the kind {}",
            kind.as_str()
        );
        return Err(invalid("media", why));
    }
    Ok(())
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn given<T>(field: &'static str, given: Nested<T>) -> Result<Option<T>, ApiError> {
    match given {
        Nested::Absent => Ok(None),
        Nested::Value(value) => Ok(Some(value)),
        Nested::Invalid(why) => Err(ApiError::InvalidContent { field, why }),
    }
}

fn invalid(field: &'static str, why: impl Into<String>) -> ApiError {
    let why = why.into();
    ApiError::InvalidContent { field, why }
}

/// Refuses a text of a card, a place or a poll that is empty or too long.
fn check_words(
    field: &'static str,
    what: &str,
    words: &str,
    longest: usize,
) -> Result<(), ApiError> {
    if words.trim().is_empty() {
        return Err(invalid(field, format!("{what} is empty")));
    }
    let units = units(words);
    if units > longest {
        let why = format!("{what} has {units} characters, and WhatsApp takes {longest}");
        return Err(invalid(field, why));
    }
    Ok(())
}

fn quote(quote: Given<String>) -> Result<Option<WaId>, ApiError> {
    let quote = match quote {
        Given::Absent | Given::Null => return Ok(None),
        Given::Value(quote) => quote,
        Given::WrongType => return Err(ApiError::InvalidQuote),
    };
    let is_id = (8..=LONGEST_QUOTE).contains(&quote.len())
        && quote
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_@.:-".contains(&byte));
    if is_id {
        Ok(Some(quote.into()))
    } else {
        Err(ApiError::InvalidQuote)
    }
}

fn mentions(mentions: Nested<Vec<String>>, body: &str) -> Result<Vec<Number>, ApiError> {
    let mentions = given("mentions", mentions)?.unwrap_or_default();
    if mentions.len() > MOST_MENTIONS {
        let why = format!("at most {MOST_MENTIONS} people can be mentioned");
        return Err(invalid("mentions", why));
    }
    let read = mentions.iter().map(|who| {
        let number: Recipient = who.parse().map_err(|why| {
            invalid("mentions", format!("one of them is not a phone number: {why}"))
        })?;
        // WhatsApp shows a name in the place of the digits: a text without them shows no mention.
        if !body.contains(&format!("@{}", number.digits())) {
            let why = format!(
                "the text does not have @ and the digits of the number that ends in {number}, so the mention would not be shown"
            );
            return Err(invalid("mentions", why));
        }
        Ok(Number::from(number.digits()))
    });
    read.collect()
}

fn place(place: Place) -> Result<Place, ApiError> {
    let is_degree = |degrees: f64, most: f64| degrees.abs() <= most;
    if !is_degree(place.latitude, 90.0) {
        return Err(invalid(
            "location",
            "latitude must be a number of degrees, -90 to 90",
        ));
    }
    if !is_degree(place.longitude, 180.0) {
        return Err(invalid(
            "location",
            "longitude must be a number of degrees, -180 to 180",
        ));
    }
    for (what, words, longest) in [
        ("name", &place.name, LONGEST_NAME),
        ("address", &place.address, LONGEST_ADDRESS),
    ] {
        if let Some(words) = words {
            check_words("location", what, words, longest)?;
        }
    }
    // Name and address travel as two lines of one text.
    if place
        .name
        .as_ref()
        .is_some_and(|name| name.contains(['\n', '\r']))
    {
        return Err(invalid("location", "name must be one line"));
    }
    Ok(place)
}

fn cards(contact: ContactField) -> Result<Vec<Card>, ApiError> {
    let contacts = match contact {
        ContactField::One(contact) => vec![contact],
        ContactField::Several(contacts) => contacts,
    };
    if !(1..=MOST_CONTACTS).contains(&contacts.len()) {
        let why = format!("give one contact, or a list of 1 to {MOST_CONTACTS}");
        return Err(invalid("contact", why));
    }
    let read = contacts.into_iter().map(|ContactGiven { name, phone }| {
        check_words("contact", "name", &name, LONGEST_NAME)?;
        let phone: Recipient = phone
            .parse()
            .map_err(|why| invalid("contact", format!("phone is not a phone number: {why}")))?;
        Ok(Card {
            name: name.into(),
            phone: phone.digits().into(),
        })
    });
    read.collect()
}

fn question(poll: Question) -> Result<Question, ApiError> {
    check_words("poll", "question", &poll.question, LONGEST_QUESTION)?;
    if !(2..=MOST_OPTIONS).contains(&poll.options.len()) {
        let why = format!("options must be a list of 2 to {MOST_OPTIONS} answers");
        return Err(invalid("poll", why));
    }
    for option in &poll.options {
        check_words("poll", "one of the options", option, LONGEST_OPTION)?;
    }
    let is_repeated = |at: usize| poll.options[..at].contains(&poll.options[at]);
    if (0..poll.options.len()).any(is_repeated) {
        return Err(invalid("poll", "two of the options are the same"));
    }
    let most = poll.options.len();
    if poll
        .choices
        .is_some_and(|choices| choices == 0 || choices as usize > most)
    {
        let why = format!(
            "choices must be a number from 1 to {most}, or left out for any number of them"
        );
        return Err(invalid("poll", why));
    }
    Ok(poll)
}
