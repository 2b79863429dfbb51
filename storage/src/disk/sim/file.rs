//! An open file of a simulated disk.

use super::{Event, FileId, SimDisk, State, Verdict, failed};
use crate::disk::{DiskFile, io_error};
use crate::error::{Error, Result};
use parking_lot::MutexGuard;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// A file by its number: it stays the same under another name, and without one.
pub(super) struct SimFile {
    disk: SimDisk,
    id: FileId,
    path: String,
}

impl SimFile {
    pub(super) fn new(disk: SimDisk, id: FileId, path: &str) -> Self {
        Self {
            disk,
            id,
            path: path.to_owned(),
        }
    }

    fn full(&self, wanted: u64) -> Error {
        Error::DiskFull {
            path: Path::new(&self.path).to_owned(),
            wanted,
        }
    }

    fn read(&self, operation: &'static str) -> Result<MutexGuard<'_, State>> {
        let state = self.disk.state(operation, &self.path)?;
        state.check_power(operation, &self.path)?;
        Ok(state)
    }

    /// The length that the file can have on the disk.
    fn length_max(&self, state: &State) -> usize {
        let left = state
            .capacity
            .map(|most| most.saturating_sub(state.used()) as usize);
        left.map_or(usize::MAX, |left| state.files[self.id.0].len() + left)
    }

    /// Makes room for bytes up to `end`; an error where the disk is full.
    fn grow(&self, state: &mut State, end: usize) -> Result<()> {
        let length = state.files[self.id.0].len();
        let more = end.saturating_sub(length);
        if more > 0 && end > self.length_max(state) {
            return Err(self.full(more as u64));
        }
        let bytes = Arc::make_mut(&mut state.files[self.id.0]);
        bytes.try_reserve(more).map_err(|_| self.full(more as u64))
    }

    /// Writes what there is room for; an error where that is not all of it.
    fn write(&self, state: &mut State, offset: usize, bytes: &[u8]) -> Result<()> {
        let end = offset + bytes.len();
        let is_longer = end > state.files[self.id.0].len();
        let room = self.length_max(state);
        if is_longer && offset < room && room < end {
            self.write(state, offset, &bytes[..room - offset])?;
        }
        self.grow(state, end)?;
        let file = Arc::make_mut(&mut state.files[self.id.0]);
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset..end].copy_from_slice(bytes);
        state.note(Event::Write {
            file: self.id,
            offset: offset as u64,
            bytes: bytes.into(),
        });
        Ok(())
    }

    fn resize(&self, state: &mut State, len: usize) -> Result<()> {
        self.grow(state, len)?;
        Arc::make_mut(&mut state.files[self.id.0]).resize(len, 0);
        state.note(Event::Resize {
            file: self.id,
            len: len as u64,
        });
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let state = self.read("read")?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = state.files[self.id.0].get(start..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            // As everywhere: writing nothing beyond the end does not extend a file.
            return Ok(());
        }
        let start = usize::try_from(offset).ok();
        let Some((start, _)) = start.and_then(|s| Some((s, s.checked_add(bytes.len())?))) else {
            let kind = ErrorKind::InvalidInput;
            return Err(io_error("write", Path::new(&self.path), kind.into()));
        };
        let state = &mut *self.disk.state("write", &self.path)?;
        match state.next() {
            Verdict::Works => self.write(state, start, bytes),
            Verdict::Fails(kind) => Err(failed("write", &self.path, kind)),
            Verdict::InPart(kind) => {
                self.write(state, start, &bytes[..bytes.len() / 2])?;
                Err(failed("write", &self.path, kind))
            }
            Verdict::Lost => {
                self.write(state, start, bytes)?;
                Err(failed("write", &self.path, ErrorKind::BrokenPipe))
            }
        }
    }

    fn len(&self) -> Result<u64> {
        Ok(self.read("measure")?.files[self.id.0].len() as u64)
    }

    fn truncate(&self, len: u64) -> Result<()> {
        let Ok(len) = usize::try_from(len) else {
            return Err(self.full(len));
        };
        let state = &mut *self.disk.state("truncate", &self.path)?;
        match state.next() {
            Verdict::Works => self.resize(state, len),
            Verdict::Fails(kind) | Verdict::InPart(kind) => {
                Err(failed("truncate", &self.path, kind))
            }
            Verdict::Lost => {
                self.resize(state, len)?;
                Err(failed("truncate", &self.path, ErrorKind::BrokenPipe))
            }
        }
    }

    fn sync(&self) -> Result<()> {
        let state = &mut *self.disk.state("sync", &self.path)?;
        match state.next_sync() {
            Verdict::Works => {
                state.note(Event::Sync(self.id));
                Ok(())
            }
            Verdict::Fails(kind) | Verdict::InPart(kind) => {
                state.note(Event::LostSync(self.id));
                Err(failed("sync", &self.path, kind))
            }
            Verdict::Lost => Err(failed("sync", &self.path, ErrorKind::BrokenPipe)),
        }
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
