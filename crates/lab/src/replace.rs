//! A machine lost for good, and the new one that takes its number and address.

use std::path::{Path, PathBuf};

use pgstack_diagnostics::Console;

use crate::network::Network;
use crate::store::Store;
use crate::up::{Entry, archive, images, payload};
use crate::{Lab, LabError, Machine, STACK, settings};

impl Lab {
    /// Machine `id` is gone with its disk, as if it had burnt down. A new one stands in its place:
    /// an empty disk but for the engine's images, the binaries, and a `.env` as an operator makes it,
    /// a copy of another node's with its own number and address. Nothing is started.
    pub async fn replace(&self, id: u8, binaries: &Path, console: &dyn Console) -> Result<Machine, LabError> {
        let old = self.machine(id).await?;
        let network = Network::ensure(self).await?;
        let store = Store::prepare(self, &images(), console).await?;
        let payload = payload(binaries)?;
        let others = self.machines().await?;
        let Some(other) = others.iter().find(|machine| machine.id() != id && machine.is_running()) else {
            return Err(LabError::NotUp { lab: self.name().to_owned() });
        };
        let env = other.read(&Path::new(STACK).join(".env")).await?;
        let env = settings::for_machine(id, old.address(), &env);
        old.remove().await?;
        store.clone_for(self, &[id]).await?;
        let machine = Machine::create(self, network, id, &store.data_root(self, id)).await?;
        machine.sh(&format!("mkdir -p {STACK}")).await?;
        machine.upload(STACK, archive(&[(PathBuf::from(".env"), Entry::File(env.into_bytes(), 0o600))])?).await?;
        machine.upload(STACK, payload).await?;
        machine.wait_for_engine().await?;
        Ok(machine)
    }
}
