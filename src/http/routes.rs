//! Every route, declared once: its handler, whose attribute has the method and the path; what a caller needs for it; and the
//! codes that it may be refused with, besides those of any request.
//!
//! The router, the table that the guard looks into, the `OpenAPI` document and the refusals in it are made from these lines.

use axum::{
    http::Method,
    middleware::from_fn,
    routing::{MethodRouter, delete, get, post, put},
};
use utoipa::openapi::PathItem;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt as _},
    routes,
};

use super::{
    api::{
        after, bridge, chats, connect, event_log, events, evidence, groups, health, in_chat, link,
        media, messages, metrics, notice, numbers, passkey, qr, received, send, status, waha,
        webhooks,
    },
    guard::access::{Access, Row, Table},
    openapi, page,
    state::AppState,
    wire::error::{
        Code,
        Code::{
            AccountChanged, AlreadyLinked, Cancelled, Capacity, ChatNotFound, CursorExpired,
            EvidenceOfChatsOff, EvidenceUnavailable, FileAwaitsPhone, FileBusy, FileFailed,
            FileGone, FileNotFound, FileNotReady, FileUnavailable, IdempotencyKeyReused,
            InvalidAfter, InvalidAssertion, InvalidAsync, InvalidChat, InvalidClienteId,
            InvalidContent, InvalidDryRun, InvalidFetch, InvalidForce, InvalidFormat,
            InvalidIdempotencyKey, InvalidJson, InvalidLimit, InvalidLogout, InvalidMessage,
            InvalidParameter, InvalidPhone, InvalidState, InvalidTo, InvalidTypes, InvalidWait,
            InvalidWebhook, LedgerUnavailable, LinkedToAnotherNumber, LogoutUnconfirmed,
            MediaNotFound, MediaTooLarge, MediaUnavailable, MediaUnreachable, MessageNotFound,
            MessagesBusy, NoEvidence, NoNotice, NoPasskeyPending, NoQr, NotCancellable, NotDeleted,
            NotEditable, NotInGroup, NotLinked, NotRevocable, NoticeStays, NoticeWithChoice,
            NumberLinkedElsewhere, NumberNotOnWhatsApp, OtherChallenge, PasskeyFailed,
            PasskeyRefused, PayloadTooLarge, PublicUrlUnknown, QueueFull, QueueTimeout,
            QuoteNotFound, RangeNotSatisfiable, ReadingBusy, ReadingFailed, ReadingUnavailable,
            RequestTimeout, SendFailed, SendUnconfirmed, SessionLinked, SessionNotFound,
            SessionNotReady, SessionNotRunning, SessionRunning, TooManyLinks, TooManyStreams,
            TooManyWebhooks, UnsupportedMediaType, WebhookNotFound, WebhookOfSettings,
        },
    },
};
use crate::keys::Scope;

const READ: Access = Access::Key(Scope::Read);
const RECEIVE: Access = Access::Key(Scope::Receive);
const SEND: Access = Access::Key(Scope::Send);
const ADMIN: Access = Access::Key(Scope::Admin);

/// The routes, and the table of what each of them needs.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: OpenApiRouter<AppState>,
    pub(super) table: Table,
}

/// All of them. To look is to read, to look into messages is to receive, to hand something to a recipient is to send, to change
/// anything else is for an admin. So is evidence: it shows what a page showed; and each step of linking with a passkey, the look
/// at it as well.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each route")]
pub(super) fn all() -> Routes {
    /// Of a request that names a session.
    const NAMED: &[Code] = &[InvalidClienteId];
    /// Of any body.
    const BODY: &[Code] = &[
        InvalidJson,
        RequestTimeout,
        PayloadTooLarge,
        UnsupportedMediaType,
    ];
    /// Of whatever reads the ledger.
    const LEDGER: &[Code] = &[MessagesBusy, LedgerUnavailable];
    /// Of what is done to a message.
    const ACT: &[Code] = &[
        MessageNotFound,
        InvalidAsync,
        InvalidIdempotencyKey,
        IdempotencyKeyReused,
        NumberNotOnWhatsApp,
        NotInGroup,
        Cancelled,
        AccountChanged,
        QueueFull,
        QueueTimeout,
        SendFailed,
        SendUnconfirmed,
        SessionNotReady,
        LedgerUnavailable,
        MessagesBusy,
    ];
    /// Of what sets a webhook.
    const WEBHOOK: &[Code] = &[InvalidWebhook, LedgerUnavailable];
    /// Of what names one.
    const ONE_WEBHOOK: &[Code] = &[WebhookNotFound, MessagesBusy, LedgerUnavailable];

    /// Of what is read out of a session's page.
    const READING: &[Code] = &[
        SessionNotReady,
        ReadingBusy,
        ReadingFailed,
        ReadingUnavailable,
    ];

    of_waha(Routes::default())
        .page("/", Access::Open, get(page::index))
        .page(
            "/qr.html",
            Access::Open,
            get(page::index).layer(from_fn(page::without_slash)),
        )
        .page("/page/{file}", Access::Open, get(page::file))
        .page(
            "/link/{token}",
            Access::OneTimeLink,
            get(link::page).layer(from_fn(page::without_slash)),
        )
        .page(
            "/link/{token}/events",
            Access::OneTimeLink,
            get(link::events),
        )
        .route(Access::Open, routes!(health::health), &[])
        .route(Access::Open, routes!(openapi::document), &[])
        .route(Access::Open, routes!(openapi::document_3_0), &[])
        .route(
            Access::Open,
            routes!(openapi::reader::docs).layer(from_fn(page::without_slash)),
            &[],
        )
        .route(READ, routes!(metrics::metrics), &[])
        .route(READ, routes!(status::status), &[NAMED])
        .route(READ, routes!(status::sessions), &[])
        .route(
            // What a stream shows of the log needs more: its handler asks for it.
            READ,
            routes!(events::stream),
            &[
                NAMED,
                &[
                    TooManyStreams,
                    InvalidParameter,
                    InvalidTypes,
                    InvalidAfter,
                    CursorExpired,
                ],
                LEDGER,
            ],
        )
        .route(READ, routes!(qr::qr), &[NAMED, &[InvalidFormat, NoQr]])
        .route(READ, routes!(qr::qr_code), &[NAMED, &[NoQr]])
        .route(
            ADMIN,
            routes!(connect::connect),
            &[
                NAMED,
                BODY,
                &[InvalidWait, InvalidPhone, InvalidForce, Capacity],
                &[LinkedToAnotherNumber, NumberLinkedElsewhere],
            ],
        )
        .route(
            ADMIN,
            routes!(connect::disconnect),
            &[NAMED, BODY, &[InvalidLogout, NotLinked, LogoutUnconfirmed]],
        )
        .route(
            SEND,
            routes!(send::send),
            &[
                NAMED,
                BODY,
                &[InvalidTo, InvalidMessage, InvalidContent],
                &[InvalidAsync, InvalidDryRun],
                &[InvalidIdempotencyKey, IdempotencyKeyReused],
                &[
                    MediaNotFound,
                    MediaTooLarge,
                    MediaUnreachable,
                    MediaUnavailable,
                ],
                &[NumberNotOnWhatsApp, NotInGroup, QuoteNotFound],
                &[Cancelled, AccountChanged],
                &[QueueFull, QueueTimeout, SendFailed, SendUnconfirmed],
                &[SessionNotReady, LedgerUnavailable],
            ],
        )
        .route(
            SEND,
            routes!(media::bring),
            &[&[
                InvalidContent,
                InvalidParameter,
                RequestTimeout,
                MediaTooLarge,
                MediaUnavailable,
            ]],
        )
        .route(
            SEND,
            routes!(after::react),
            &[NAMED, BODY, &[InvalidContent], ACT],
        )
        .route(
            SEND,
            routes!(after::edit),
            &[NAMED, BODY, &[InvalidMessage, NotEditable], ACT],
        )
        .route(
            SEND,
            routes!(after::revoke),
            &[NAMED, BODY, &[InvalidContent, NotRevocable], ACT],
        )
        .route(
            SEND,
            routes!(in_chat::seen),
            &[
                NAMED,
                BODY,
                &[InvalidChat, ChatNotFound, SendFailed, SessionNotReady],
            ],
        )
        .route(
            SEND,
            routes!(in_chat::typing),
            &[
                NAMED,
                BODY,
                &[InvalidChat, InvalidContent],
                &[ChatNotFound, SendFailed, SessionNotReady],
            ],
        )
        .route(
            READ,
            routes!(messages::list),
            &[NAMED, &[InvalidState, InvalidAfter, InvalidLimit], LEDGER],
        )
        .route(READ, routes!(messages::get), &[&[MessageNotFound], LEDGER])
        .route(
            SEND,
            routes!(messages::cancel),
            &[&[MessageNotFound, NotCancellable], LEDGER],
        )
        .route(
            RECEIVE,
            routes!(event_log::read),
            &[
                NAMED,
                &[
                    InvalidParameter,
                    InvalidTypes,
                    InvalidAfter,
                    InvalidLimit,
                    InvalidWait,
                    CursorExpired,
                ],
                LEDGER,
            ],
        )
        .route(
            RECEIVE,
            routes!(received::get),
            &[
                &[FileNotFound, RangeNotSatisfiable, FileGone, FileFailed],
                &[FileNotReady, FileBusy, FileAwaitsPhone, FileUnavailable],
                LEDGER,
            ],
        )
        .route(
            RECEIVE,
            routes!(chats::list),
            &[
                NAMED,
                READING,
                &[InvalidParameter, InvalidAfter, InvalidLimit],
            ],
        )
        .route(
            RECEIVE,
            routes!(chats::messages),
            &[
                NAMED,
                READING,
                &[InvalidParameter, InvalidChat, InvalidLimit, InvalidFetch],
                &[ChatNotFound, MessageNotFound],
            ],
        )
        .route(
            RECEIVE,
            routes!(groups::list),
            &[
                NAMED,
                READING,
                &[InvalidParameter, InvalidAfter, InvalidLimit],
            ],
        )
        .route(
            RECEIVE,
            routes!(groups::get),
            &[NAMED, READING, &[InvalidChat, ChatNotFound]],
        )
        .route(
            RECEIVE,
            routes!(numbers::get),
            &[NAMED, READING, &[InvalidChat]],
        )
        .route(
            ADMIN,
            routes!(status::forget),
            &[
                NAMED,
                &[SessionNotFound, SessionRunning, SessionLinked, NotDeleted],
            ],
        )
        .route(
            ADMIN,
            routes!(evidence::latest),
            &[NAMED, &[NoEvidence, EvidenceUnavailable]],
        )
        .route(
            ADMIN,
            routes!(evidence::take),
            &[
                NAMED,
                &[SessionNotRunning, EvidenceOfChatsOff, EvidenceUnavailable],
            ],
        )
        .route(
            ADMIN,
            routes!(evidence::screenshot),
            &[NAMED, &[NoEvidence, EvidenceUnavailable]],
        )
        .route(ADMIN, routes!(passkey::show), &[NAMED, &[NoPasskeyPending]])
        .route(
            ADMIN,
            routes!(passkey::hand_in),
            &[
                NAMED,
                BODY,
                &[InvalidAssertion, NoPasskeyPending, OtherChallenge],
                &[PasskeyRefused, PasskeyFailed],
            ],
        )
        .route(
            ADMIN,
            routes!(passkey::give_up),
            &[NAMED, &[NoPasskeyPending, PasskeyFailed]],
        )
        .route(
            ADMIN,
            routes!(passkey::confirm),
            &[NAMED, &[NoPasskeyPending, PasskeyRefused, PasskeyFailed]],
        )
        .route(
            ADMIN,
            routes!(notice::dismiss),
            &[
                NAMED,
                &[SessionNotRunning, NoNotice, NoticeWithChoice, NoticeStays],
            ],
        )
        .route(
            ADMIN,
            routes!(webhooks::add),
            &[BODY, WEBHOOK, &[TooManyWebhooks]],
        )
        .route(ADMIN, routes!(webhooks::list), &[LEDGER])
        .route(ADMIN, routes!(webhooks::show), &[ONE_WEBHOOK])
        .route(
            ADMIN,
            routes!(webhooks::change),
            &[BODY, WEBHOOK, ONE_WEBHOOK, &[WebhookOfSettings]],
        )
        .route(
            ADMIN,
            routes!(webhooks::remove),
            &[ONE_WEBHOOK, &[WebhookOfSettings]],
        )
        .route(
            ADMIN,
            routes!(webhooks::deliveries),
            &[ONE_WEBHOOK, &[InvalidState, InvalidAfter, InvalidLimit]],
        )
        .route(
            ADMIN,
            routes!(webhooks::redrive),
            &[BODY, &[InvalidWebhook], ONE_WEBHOOK],
        )
        .route(ADMIN, routes!(webhooks::test), &[ONE_WEBHOOK])
        .route(ADMIN, routes!(bridge::bridge), &[])
        .route(
            ADMIN,
            routes!(bridge::bridge_deliveries),
            &[LEDGER, &[InvalidState, InvalidAfter, InvalidLimit]],
        )
        .route(
            ADMIN,
            routes!(bridge::bridge_redrive),
            &[BODY, LEDGER, &[InvalidWebhook]],
        )
        .route(
            ADMIN,
            routes!(link::make),
            &[
                NAMED,
                &[PublicUrlUnknown, AlreadyLinked, TooManyLinks, Capacity],
            ],
        )
}

/// Those of WAHA. It has a document of its own for them, with which its clients were made: in this one each thing would stand twice.
#[expect(clippy::too_many_lines, reason = "a table: one entry for each route")]
fn of_waha(mut routes: Routes) -> Routes {
    let rows: [(Method, &str, Access, MethodRouter<AppState>); 32] = [
        (Method::GET, "/ping", Access::Open, get(waha::server::ping)),
        (
            Method::GET,
            "/api/version",
            READ,
            get(waha::server::version),
        ),
        (
            Method::GET,
            "/api/server/version",
            READ,
            get(waha::server::version),
        ),
        (
            Method::GET,
            "/api/server/status",
            READ,
            get(waha::server::status),
        ),
        (
            Method::GET,
            "/api/sessions",
            READ,
            get(waha::sessions::list),
        ),
        (
            Method::POST,
            "/api/sessions",
            ADMIN,
            post(waha::sessions::create),
        ),
        (
            Method::GET,
            "/api/sessions/{id}",
            READ,
            get(waha::sessions::show),
        ),
        (
            Method::PUT,
            "/api/sessions/{id}",
            ADMIN,
            put(waha::sessions::change),
        ),
        (
            Method::DELETE,
            "/api/sessions/{id}",
            ADMIN,
            delete(waha::sessions::delete),
        ),
        (
            Method::GET,
            "/api/sessions/{id}/me",
            READ,
            get(waha::sessions::me),
        ),
        (
            Method::POST,
            "/api/sessions/{id}/start",
            ADMIN,
            post(waha::sessions::start),
        ),
        (
            Method::POST,
            "/api/sessions/{id}/stop",
            ADMIN,
            post(waha::sessions::stop),
        ),
        (
            Method::POST,
            "/api/sessions/{id}/restart",
            ADMIN,
            post(waha::sessions::restart),
        ),
        (
            Method::POST,
            "/api/sessions/{id}/logout",
            ADMIN,
            post(waha::sessions::log_out),
        ),
        (Method::GET, "/api/{id}/auth/qr", READ, get(waha::auth::qr)),
        (
            Method::POST,
            "/api/{id}/auth/request-code",
            ADMIN,
            post(waha::auth::request_code),
        ),
        (
            Method::GET,
            "/api/contacts/check-exists",
            SEND,
            get(waha::contacts::check_exists),
        ),
        (
            Method::POST,
            "/api/sendText",
            SEND,
            post(waha::sending::text),
        ),
        (
            Method::POST,
            "/api/sendImage",
            SEND,
            post(waha::sending::image),
        ),
        (
            Method::POST,
            "/api/sendFile",
            SEND,
            post(waha::sending::file),
        ),
        (
            Method::POST,
            "/api/sendVoice",
            SEND,
            post(waha::sending::voice),
        ),
        (
            Method::POST,
            "/api/sendVideo",
            SEND,
            post(waha::sending::video),
        ),
        (
            Method::POST,
            "/api/sendLocation",
            SEND,
            post(waha::sending::location),
        ),
        (
            Method::POST,
            "/api/sendPoll",
            SEND,
            post(waha::sending::poll),
        ),
        (
            Method::POST,
            "/api/sendContactVcard",
            SEND,
            post(waha::sending::contacts),
        ),
        (
            Method::POST,
            "/api/sendSeen",
            SEND,
            post(waha::in_chat::seen),
        ),
        (
            Method::POST,
            "/api/startTyping",
            SEND,
            post(waha::in_chat::start_typing),
        ),
        (
            Method::POST,
            "/api/stopTyping",
            SEND,
            post(waha::in_chat::stop_typing),
        ),
        (
            Method::PUT,
            "/api/reaction",
            SEND,
            put(waha::in_chat::react),
        ),
        (
            Method::GET,
            "/api/{id}/chats",
            RECEIVE,
            get(waha::chats::list),
        ),
        (
            Method::GET,
            "/api/{id}/chats/overview",
            RECEIVE,
            get(waha::chats::overview),
        ),
        (
            Method::GET,
            "/api/{id}/chats/{chatId}/messages",
            RECEIVE,
            get(waha::chats::messages),
        ),
    ];
    for (method, path, access, handler) in rows {
        routes = routes.without_document(method, path, access, handler);
    }
    routes
}

impl Routes {
    /// A route of the API. The document has it.
    fn route(
        mut self,
        access: Access,
        handler: UtoipaMethodRouter<AppState>,
        refusals: &[&[Code]],
    ) -> Self {
        for (path, item) in &handler.1.paths {
            let rows = methods_of(item).map(|method| Row {
                method,
                path: path.clone(),
                access,
                refusals: refusals.concat(),
            });
            self.table.0.extend(rows);
        }
        self.router = self.router.routes(handler);
        self
    }

    /// What a browser loads to show a page, by `GET`. It may change with every version, so the document does not have it.
    fn page(self, path: &str, access: Access, handler: MethodRouter<AppState>) -> Self {
        self.without_document(Method::GET, path, access, handler)
    }

    /// A route that the document does not have.
    fn without_document(
        mut self,
        method: Method,
        path: &str,
        access: Access,
        handler: MethodRouter<AppState>,
    ) -> Self {
        self.table.0.push(Row {
            method,
            path: path.to_owned(),
            access,
            refusals: Vec::new(),
        });
        self.router = self.router.route(path, handler);
        self
    }
}

fn methods_of(item: &PathItem) -> impl Iterator<Item = Method> {
    let methods = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
    ];
    let own = methods
        .into_iter()
        .filter(|(_, operation)| operation.is_some());
    own.map(|(method, _)| method)
}
