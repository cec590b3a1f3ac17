//! `bootstrap`: every generated file and the data folders, without an engine or a network.

use pgstack_diagnostics::Console;
use pgstack_workdir::{Pending, StackDir};

use crate::files::{self, start_without_asking};
use crate::{DeployError, settings};

/// What bootstrap did.
#[derive(Debug)]
pub struct Bootstrap {
    /// Every file, with how it differed from the disk.
    pub files: Vec<Pending>,
    /// The data folders that were, or with `check` would be, made or mended.
    pub folders: Vec<&'static str>,
}

/// Writes what changed; with `check` it only compares. `None`: a person has to edit `.env` first.
pub fn bootstrap(stack: &StackDir, check: bool, console: &dyn Console) -> Result<Option<Bootstrap>, DeployError> {
    let _lock = if check { None } else { Some(stack.lock()?) };
    let env = if check { Some(settings::read(stack, console)?) } else { settings::ensure(stack, false, console)? };
    let Some(env) = env else { return Ok(None) };
    stack.check_data_dirs()?;
    let files = stack.compare(files::all(stack, &env, &start_without_asking(stack, &env)?)?)?;
    if check {
        return Ok(Some(Bootstrap { files, folders: stack.data_dirs_due() }));
    }
    stack.write(&files)?;
    let folders = stack.ensure_data_dirs()?;
    Ok(Some(Bootstrap { files, folders }))
}
