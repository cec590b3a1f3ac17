//! etcd membership: what a member's file says, what must happen next, and who carries it out.
//!
//! `deploy` goes round this loop until the plan is empty:
//! 1. `client::ask_all`, then [`data_dir::inspect`], make an [`Observed`];
//! 2. [`plan`] is pure and says what to do, or refuses;
//! 3. the steps are carried out in order (a [`Step::Change`] with `client::execute`; a
//!    [`Step::Await`] is a short pause). Then everything is observed and planned again;
//! 4. whenever there is data, and no plan that says otherwise, the file says [`Start::settled`].
//!
//! Nobody keeps state between two rounds but the data directory, the [`Mark`] beside it and etcd
//! itself, so the tool may be killed at any moment.

#[cfg(feature = "client")]
pub mod client;
pub mod data_dir;
mod note;
mod observe;
mod plan;
mod quorum;
mod refusal;
mod removal;
mod render;
mod seat;
mod start;
mod step;
mod users;
mod wait;

pub use note::Note;
pub use observe::{Alarm, Answer, ClusterId, DataDir, Mark, MarkError, Member, MemberId, Observed, Peer, View};
pub use plan::plan;
pub use refusal::Refusal;
pub use removal::{Target, plan_removal};
pub use render::{PATH, TOKEN_KEY_PATH, render, runtime_settings};
pub use seat::{Desired, Seat};
pub use start::Start;
pub use step::{Change, Later, Plan, Step};
pub use users::{Door, UserChange, Users};
pub use wait::{Overdue, Wait};
