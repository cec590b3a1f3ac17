//! A person's word before something goes that cannot be had back.

use pgstack_diagnostics::{Answer, Console};

/// Whether to go on: `flag` was given beforehand, or somebody at the terminal says yes. Where nobody
/// can be asked, says which flag it takes.
pub(crate) fn given(console: &dyn Console, beforehand: bool, question: &str, flag: &str) -> bool {
    if beforehand {
        return true;
    }
    match console.ask(question) {
        Answer::Yes => true,
        Answer::No => false,
        Answer::Nobody => {
            console.note(&format!("Nothing was changed. Without a terminal, say {flag}."));
            false
        }
    }
}
