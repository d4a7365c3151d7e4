//! WhatsApp Web, as a page that takes commands and reports its state.
//!
//! Responsible for everything that is known about WhatsApp's page: the scripts under `page/` know its inside, the Rust
//! around them turns what they say into [`Fact`]s and what the session wants into calls. It knows no session states,
//! no queue and no HTTP.
//!
//! Invariants: facts are pushed by the page through one binding, never asked for in a loop; every call has a deadline
//! (a page can block for a minute); no WhatsApp name, selector or JavaScript stands in Rust.

mod adapter;
mod after;
mod bridge;
mod bundle;
mod chat_ids;
mod console;
mod driver;
mod evidence;
mod hearing;
mod input;
mod inventory;
mod listener;
mod media;
mod media_in;
mod page;
mod pairing;
mod passkey;
mod reading;
mod redact_qr;
mod scripts;
mod sending;
mod typing;

pub use adapter::{AdapterName, UnknownAdapter};
pub use console::{ConsoleLevel, ConsoleLine};
pub use driver::{
    ChatAct, ChatActError, Driver, FACT_CAPACITY, Fact, HandOverError, Handed, LogoutError, LookUp,
    LookUpError, NoticeError, OpenError, Outgoing, PairingError, PasskeyAct, PasskeyFailure,
    PasskeyRequest, PasskeyStanding, PasskeyStep, PrepareError, Prepared, ResetError, Silence,
    Standing, TargetError, Trouble, Whose,
};
pub use evidence::{Kept, LeftOut, PageEvidence};
pub use hearing::{Confirmed, Hear, HearError, Heard, HeardBatch, Said};
pub use inventory::{Inventory, Job, Presence, Reliance, Screen};
pub use media_in::FetchError;
pub use page::{PageSettings, WhatsAppPage};
pub use reading::{Answered, List, PageReadError, Question};
pub use scripts::{PageScripts, ScriptError};
