//! What processes that are no more had in hand is undone: data that was being
//! written, files that were to be removed, and imports.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::aside::aside;
use super::failure::{Failure, Result, storage};
use super::import::lock::{TASK, release, stores_of};
use super::registry::{FileRow, FileState, Status, TaskStatus};
use super::service::Service;
use super::status::requeue;

impl Service {
    /// Undoes what processes that are no more had in hand.
    pub(super) fn sweep(&self) -> Result<Vec<String>> {
        let mut swept = Vec::new();
        let mut runs: BTreeSet<String> = self.read(|session| Ok(session.runs()?))?.into_iter().collect();
        runs.extend(self.run.known().map_err(storage)?);
        for run in runs.iter().filter(|run| !self.run.is_alive(run)) {
            // Data first: on a full disk the registry cannot be changed before there is room.
            // What was being written when its process ended can become nobody's any more.
            let listed = self.read(|session| {
                let mut listed = session.unsettled(run, FileState::Incoming)?;
                listed.extend(session.unsettled(run, FileState::Garbage)?);
                Ok(listed)
            })?;
            let is_removed = |file: &&FileRow| self.store_of(file).is_ok_and(|store| store.remove(&file.id).is_ok());
            let removed: BTreeSet<&str> = listed.iter().filter(is_removed).map(|file| &*file.id).collect();
            if !listed.is_empty() {
                self.registry.write(|session| {
                    // Looked up again: another process may sweep, too, and be done.
                    for state in [FileState::Incoming, FileState::Garbage] {
                        for file in session.unsettled(run, state)? {
                            match removed.contains(&*file.id) {
                                true => session.forget_file(&file.id)?,
                                false => session.discard_file(&file.id, self.run.id())?,
                            }
                            swept.push(format!("image {}: unfinished data in store `{}`", file.image_id, file.store));
                            if state == FileState::Incoming {
                                requeue(session, &file.image_id)?;
                            }
                        }
                    }
                    Ok::<_, Failure>(())
                })?;
            }
            self.run.forget(run);
        }
        swept.extend(sweep_imports(self)?);
        // What this process could not remove before, perhaps it can now.
        self.remove_files(&self.read(|session| Ok(session.unsettled(self.run.id(), FileState::Garbage)?))?);
        Ok(swept)
    }
}

/// Undoes the imports of processes that are no more. A line each.
fn sweep_imports(service: &Service) -> Result<Vec<String>> {
    let mut swept = Vec::new();
    let tasks = service.registry.read(|session| session.unfinished_tasks().map_err(Failure::from))?;
    for (task, run) in tasks {
        if service.run.is_alive(&run) {
            continue;
        }
        let garbage = service.registry.write(|session| {
            session.save_task(&task.id, TaskStatus::Failure, None, "The service ended before the task did")?;
            let mut garbage = Vec::new();
            let Some(mut image) = session.image(&task.image_id)? else { return Ok(garbage) };
            if image.properties.get(TASK) != Some(&task.id) {
                return Ok(garbage);
            }
            // One that had not begun is still `uploading`, and its data staged.
            if image.status != Status::Uploading {
                garbage.extend(session.files(&image.id, FileState::Staged)?);
            }
            if image.status == Status::Importing {
                garbage.extend(session.files(&image.id, FileState::Stored)?);
            }
            session.discard_files(&garbage, service.run.id())?;
            release(&mut image, &stores_of(&task), true);
            session.save(&mut image)?;
            Ok::<_, Failure>(garbage)
        })?;
        service.remove_files(&garbage);
        service.run.forget(&run);
        swept.push(format!("image {}: an unfinished import", task.image_id));
    }
    Ok(swept)
}

/// Sweeps now and then: another process on the same data may have ended in the
/// middle of something, and none may start for a long time.
pub async fn sweep_again(service: Arc<Service>) {
    loop {
        tokio::time::sleep(service.settings.limits.sweep).await;
        let sweeping = Arc::clone(&service);
        let lines = match aside(move || sweeping.sweep()).await {
            Ok(swept) => swept.into_iter().map(|what| format!("swept up {what}")).collect(),
            Err(failure) => vec![format!("cannot sweep: {}", failure.cause())],
        };
        if let Some(tell) = &service.settings.swept {
            lines.iter().for_each(|line| tell(line));
        }
    }
}
