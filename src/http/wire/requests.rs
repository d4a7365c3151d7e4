//! What requests carry in their bodies: the types that handlers read, and that the document shows. Each field is named here, and
//! nowhere else.
//!
//! Reading a body never fails for one of its fields: what is wrong is said by the handlers, in the order of the contract.

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, IgnoredAny, IntoDeserializer as _, Visitor, value},
    forward_to_deserialize_any,
};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::{
    contract::NamedClienteId,
    shape,
    waha::{WahaCodeBody, WahaReactionBody, WahaSendBody, WahaSessionBody},
};
use crate::extras::{MediumKind, Place, Question};

/// A field of a body.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) enum Given<T> {
    #[default]
    Absent,
    Null,
    Value(T),
    /// A value that the field does not take.
    WrongType,
}

impl<T> Given<T> {
    /// The value of a field that has to have one.
    pub(in crate::http) fn value(self) -> Option<T> {
        if let Self::Value(value) = self {
            Some(value)
        } else {
            None
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        Ok(if given.is_null() {
            Self::Null
        } else if given.is_object() {
            // No field takes one, and serde would read `{"ready": null}` as the word.
            Self::WrongType
        } else {
            T::deserialize(given).map_or(Self::WrongType, Self::Value)
        })
    }
}

/// A field that takes an object or a list. `Invalid` says what is wrong inside it.
#[derive(Debug, Default, PartialEq)]
pub(in crate::http) enum Nested<T> {
    #[default]
    Absent,
    Value(T),
    Invalid(String),
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Nested<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        if given.is_null() {
            return Ok(Self::Absent);
        }
        Ok(shape::read(given).map_or_else(Self::Invalid, Self::Value))
    }
}

/// The names of the fields that a body has.
pub(in crate::http) fn fields_of<B: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
            Err(value::Error::custom("a body is a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            names: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, value::Error> {
            *self.0 = names;
            Err(value::Error::custom("only the names are asked for"))
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &[&str] = &[];
    // It always fails, once it has the names.
    drop(B::deserialize(Names(&mut names)));
    names
}

/// The name of a field that some request reads. Each of them decides what is done.
pub(in crate::http) fn known_field(name: &str) -> Option<&'static str> {
    let bodies = [
        fields_of::<ConnectBody>(),
        fields_of::<DisconnectBody>(),
        fields_of::<SendBody>(),
        fields_of::<ReactionBody>(),
        fields_of::<EditBody>(),
        fields_of::<RevokeBody>(),
        fields_of::<SeenBody>(),
        fields_of::<TypingBody>(),
        fields_of::<PasskeyBody>(),
        fields_of::<WebhookBody>(),
        fields_of::<RedriveBody>(),
        fields_of::<WahaSendBody>(),
        fields_of::<WahaReactionBody>(),
        fields_of::<WahaSessionBody>(),
        fields_of::<WahaCodeBody>(),
    ];
    let mut fields = bodies.into_iter().flatten().copied();
    fields.find(|field| *field == name)
}

/// A word of a closed list, in small letters.
pub(in crate::http) fn word<T: DeserializeOwned>(name: &str) -> Option<T> {
    let name: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
    T::deserialize(name).ok()
}

/// A session's name, as a number or as a text.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::http) enum AnyClienteId {
    Number(Number),
    Name(String),
}

/// The body of `/connect`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConnectRequest)] // Generators name the body of `connect` "ConnectBody" themselves.
pub(in crate::http) struct ConnectBody {
    /// The session; without it the header, else `DEFAULT_CLIENTE_ID`.
    #[serde(default)]
    #[schema(value_type = Option<NamedClienteId>)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    /// Until when to wait: a code to scan, or READY.
    #[serde(default)]
    #[schema(value_type = Option<Wait>, inline)]
    pub(in crate::http) wait: Given<Wait>,
    /// Link by a code to be typed on the phone with this number: one international number with its country code.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "+54 9 11 5825-4201")]
    pub(in crate::http) phone: Given<Phone>,
    /// With `phone`: ask for the code also when another session is linked to this number. WhatsApp then removes that device.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(in crate::http) force: Given<bool>,
}

/// Until when a connect waits.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Wait {
    Code,
    Ready,
}

/// A phone number: a text, or the digits as a number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(in crate::http) enum Phone {
    Text(String),
    Digits(u64),
}

/// The body of `/disconnect`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = DisconnectRequest)] // Generators name the body of `disconnect` "DisconnectBody" themselves.
pub(in crate::http) struct DisconnectBody {
    /// The session; without it the header, else `DEFAULT_CLIENTE_ID`.
    #[serde(default)]
    #[schema(value_type = Option<NamedClienteId>)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    /// Unlink the device and delete the profile too. Needs the session to be named.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub(in crate::http) logout: Given<bool>,
}

/// The body of `/send`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SendRequest)] // Generators name the body of `send` "SendBody" themselves.
pub(in crate::http) struct SendBody {
    /// The session. A name that is no number goes into the header; one of both is needed, but in `SESSION_MODE=single`.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, example = 51)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    /// The recipient: one international number with its country code, as people write it, or a chat's address: `…@c.us`, `…@lid` of
    /// a person who has hidden the number, `…@g.us` of a group. What could be read in two ways is refused.
    #[serde(default)]
    #[schema(value_type = String, required = true, example = "+54 9 11 5825-4201")]
    pub(in crate::http) to: Given<String>,
    /// The text, sent as it is: at most 65,536 UTF-16 units. One of message, media, location, contact and poll is needed.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "Hola 👋")]
    pub(in crate::http) message: Given<String>,
    /// A picture, a film, a sound, a document or a sticker.
    #[serde(default)]
    #[schema(value_type = Option<MediaField>)]
    pub(in crate::http) media: Nested<MediaField>,
    /// A place.
    #[serde(default)]
    #[schema(value_type = Option<Place>)]
    pub(in crate::http) location: Nested<Place>,
    /// A contact card, or up to 10 of them.
    #[serde(default)]
    #[schema(value_type = Option<ContactField>)]
    pub(in crate::http) contact: Nested<ContactField>,
    /// A question with answers to choose from.
    #[serde(default)]
    #[schema(value_type = Option<Question>)]
    pub(in crate::http) poll: Nested<Question>,
    /// The message of the same chat that it answers: its id, as `GET /events` has it (`data.id`, or `data.key`).
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "false_5491158254201@c.us_3A5F0C2B1D4E6F708192")]
    pub(in crate::http) quote: Given<String>,
    /// Who is mentioned in the text, or in the caption, by their numbers; the text has each of them as `@` and the digits.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, max_items = 256)]
    pub(in crate::http) mentions: Nested<Vec<String>>,
    /// Answer as soon as it is on disk.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false)]
    pub(in crate::http) r#async: Given<bool>,
    /// As `dry_run` in the query: send nothing.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = true)]
    pub(in crate::http) dry_run: Given<bool>,
    /// As the header Idempotency-Key.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(in crate::http) idempotency_key: Given<String>,
}

/// A medium to be sent: one of url, data and id.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "an object that has one of url, data and id"
)]
#[schema(as = MediaToSend)]
pub(in crate::http) struct MediaField {
    /// Where the service fetches it, by https or http. Addresses of this machine and of private networks are refused unless
    /// `MEDIA_ALLOW_PRIVATE` is set.
    #[schema(max_length = 2048, example = "https://example.com/lista.pdf")]
    pub(in crate::http) url: Option<String>,
    /// Its bytes in base64, at most 10 MiB of them. More go by `POST /media`.
    #[schema(max_length = 13_981_016)]
    pub(in crate::http) data: Option<String>,
    /// The id that `POST /media` has answered (`fil_…`).
    #[schema(example = "fil_Zm9vYmFyYmF6cXV4MTIzNA")]
    pub(in crate::http) id: Option<String>,
    /// The type of the bytes. A picture, a film and a sound are told by their first bytes; for a document this is what its recipient
    /// gets to know, and left out it is that of its first bytes, or of the ending of its name.
    #[schema(max_length = 255, example = "application/pdf")]
    pub(in crate::http) mimetype: Option<String>,
    /// As what it is sent; left out, it is guessed from the bytes and their type: what is not surely a picture, a film or a sound goes as a
    /// document.
    pub(in crate::http) kind: Option<MediumKind>,
    /// What a document is called.
    #[schema(max_length = 1000, example = "lista.pdf")]
    pub(in crate::http) filename: Option<String>,
    /// The text below it: at most 1,024 UTF-16 units. Sounds, voice messages and stickers have none.
    #[schema(max_length = 1024)]
    pub(in crate::http) caption: Option<String>,
    /// It can be looked at once: a picture, a film or a voice message.
    pub(in crate::http) view_once: Option<bool>,
}

/// The body of `POST /messages/{id}/reaction`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ReactionRequest)]
pub(in crate::http) struct ReactionBody {
    /// The session. Not needed for a message that this service has sent.
    #[serde(default)]
    #[schema(value_type = Option<NamedClienteId>)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    /// One emoji. Empty: the reaction is taken back.
    #[serde(default)]
    #[schema(value_type = String, required = true, max_length = 40, example = "👍")]
    pub(in crate::http) emoji: Given<String>,
    /// Answer as soon as it is on disk.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false)]
    pub(in crate::http) r#async: Given<bool>,
    /// As the header Idempotency-Key.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(in crate::http) idempotency_key: Given<String>,
}

/// The body of `PATCH /messages/{id}`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EditRequest)]
pub(in crate::http) struct EditBody {
    /// The session. Not needed for a message that this service has sent.
    #[serde(default)]
    #[schema(value_type = Option<NamedClienteId>)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    /// The new text, or caption. WhatsApp drops blanks around it.
    #[serde(default)]
    #[schema(value_type = String, required = true, example = "Hola, Ana")]
    pub(in crate::http) message: Given<String>,
    /// Answer as soon as it is on disk.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false)]
    pub(in crate::http) r#async: Given<bool>,
    /// As the header Idempotency-Key.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(in crate::http) idempotency_key: Given<String>,
}

/// The body of `POST /messages/{id}/revoke`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RevokeRequest)]
pub(in crate::http) struct RevokeBody {
    /// The session. Not needed for a message that this service has sent.
    #[serde(default)]
    #[schema(value_type = Option<NamedClienteId>)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    // As for `state` of TypingBody.
    #[serde(default)]
    #[schema(value_type = Option<RevokeFor>, inline, nullable = false)]
    pub(in crate::http) r#for: Given<RevokeFor>,
    /// Answer as soon as it is on disk.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false)]
    pub(in crate::http) r#async: Given<bool>,
    /// As the header Idempotency-Key.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255)]
    pub(in crate::http) idempotency_key: Given<String>,
}

/// For whom a message is deleted; for everybody if it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum RevokeFor {
    Everybody,
    Me,
}

/// The body of `POST /chats/{chat}/seen`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = SeenRequest)]
pub(in crate::http) struct SeenBody {
    /// The session. A name that is no number goes into the header; one of both is needed, but in `SESSION_MODE=single`.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, example = 51)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
}

/// The body of `POST /chats/{chat}/typing`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TypingRequest)]
pub(in crate::http) struct TypingBody {
    /// The session. A name that is no number goes into the header; one of both is needed, but in `SESSION_MODE=single`.
    #[serde(default)]
    #[schema(value_type = Option<u64>, minimum = 1, example = 51)]
    pub(in crate::http) cliente_id: Given<AnyClienteId>,
    // Its type says what it is. utoipa would put words of its own beside that, as a schema of an object, and nothing is both.
    #[serde(default)]
    #[schema(value_type = TypingState, inline, required = true)]
    pub(in crate::http) state: Given<TypingState>,
}

/// What the members of a chat see of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum TypingState {
    Typing,
    Recording,
    Paused,
}

/// One contact card, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "{\"name\": …, \"phone\": …}, both strings, or a list of these"
)]
#[schema(as = Contact)]
pub(in crate::http) enum ContactField {
    One(ContactGiven),
    Several(Vec<ContactGiven>),
}

/// A contact card to be sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactToSend)]
pub(in crate::http) struct ContactGiven {
    /// Whose it is.
    #[schema(min_length = 1, max_length = 255, example = "Ana")]
    pub(in crate::http) name: String,
    /// Their number, with its country code.
    #[schema(example = "+54 9 11 5825-4201")]
    pub(in crate::http) phone: String,
}

/// The body of `POST /sessions/{id}/passkey`: what `credential.toJSON()` gives in a browser. Other fields are not looked at.
// It is read by `Assertion::parse`, which names what is wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasskeyAssertion)]
#[expect(dead_code, reason = "only its names and its schema are used")]
pub(in crate::http) struct PasskeyBody {
    /// The id of the passkey, as base64url.
    #[serde(default)]
    #[schema(value_type = String, required = true)]
    id: Given<IgnoredAny>,
    /// The same again.
    #[serde(default, rename = "rawId")]
    #[schema(value_type = String, required = true)]
    raw_id: Given<IgnoredAny>,
    /// `public-key`.
    #[serde(default)]
    #[schema(value_type = String, required = true, example = "public-key")]
    r#type: Given<IgnoredAny>,
    /// `clientDataJSON`, `authenticatorData`, `signature` and, if there is one, `userHandle`, each as base64url.
    #[serde(default)]
    #[schema(value_type = Object, required = true)]
    response: Given<IgnoredAny>,
}

/// The body of `POST /webhooks`, which needs `url`, and of `PATCH /webhooks/{id}`, which changes what it has.
// It is read by `Draft::parse`, which names what is wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = WebhookRequest)]
#[expect(dead_code, reason = "only its names and its schema are used")]
pub(in crate::http) struct WebhookBody {
    /// Where events are posted to: https or http.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = false, max_length = 2048, example = "https://example.com/hook")]
    url: Given<IgnoredAny>,
    /// The types of events that it wants; `message.any` is `message` and `message.own`. Left out or null: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, nullable = true)]
    types: Given<IgnoredAny>,
    /// The sessions whose events it wants. Left out or null: all.
    #[serde(default)]
    #[schema(value_type = Option<Vec<NamedClienteId>>, nullable = true)]
    cliente_ids: Given<IgnoredAny>,
    /// What events are signed with: `whsec_` and the base64 of 24 to 64 bytes. Null, or left out of a new webhook: the service makes one, and
    /// shows it once.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = true)]
    secret: Given<IgnoredAny>,
    /// Headers that each request has, by their names.
    #[serde(default)]
    #[schema(value_type = Option<Object>, nullable = true)]
    headers: Given<IgnoredAny>,
    /// `waha`: send WAHA's envelope and headers. Left out or null: those of Standard Webhooks.
    #[serde(default)]
    #[schema(value_type = Option<String>, nullable = true)]
    compat: Given<IgnoredAny>,
    /// Whether it is on.
    #[serde(default)]
    #[schema(value_type = Option<bool>, nullable = false)]
    enabled: Given<IgnoredAny>,
}

/// The body of `POST /webhooks/{id}/redrive`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RedriveRequest)]
#[expect(dead_code, reason = "only its names and its schema are used")]
pub(in crate::http) struct RedriveBody {
    /// The events that are meant, by their ids; left out: all that are dead.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, nullable = true)]
    event_ids: Given<IgnoredAny>,
}

// The form of a code. No doc comment: the document would show it a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::http) enum Format {
    Json,
    Png,
    Svg,
    Ascii,
    Raw,
}
