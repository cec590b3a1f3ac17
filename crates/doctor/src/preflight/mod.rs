//! `doctor --preflight`: whether this machine is fit for a deploy, before anything runs on it. It
//! changes nothing and leaves no file.

mod disk;
mod gather;
mod reach;
mod show;
mod vip;

use pgstack_diagnostics::{Console, Ended};
use pgstack_health::preflight::{checklist, preflight as findings};
use pgstack_workdir::StackDir;

use crate::{Doctor, DoctorError};

pub(crate) async fn preflight(stack: &StackDir, options: Doctor, console: &dyn Console) -> Result<Ended, DoctorError> {
    let settings = stack.settings();
    let env = settings.as_ref().ok().map(|loaded| &loaded.env);
    let machine = gather::machine(stack, env).await;
    let (checks, found) = (checklist(&machine), findings(&machine));
    if options.json {
        show::json(&machine, &checks, &found, console);
    } else {
        show::screen(&checks, &found, settings.is_ok(), options, console);
    }
    // what needs no .env was looked at all the same
    settings?;
    Ok(if found.is_empty() { Ended::Done } else { Ended::Unfinished })
}
