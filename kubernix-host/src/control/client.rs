//! The command's end of the control socket.

use super::{ChangeRequest, Envelope, Reply, Report, Request, short_path};
use crate::events::{Record, json_line, records};
use crate::root_dir::Root;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Why a request to a running cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The cluster doesn't respond.
    #[error("the cluster doesn't answer: {0}")]
    Silent(#[from] io::Error),
    /// The cluster rejected the request, or failed to handle it.
    #[error("{0}")]
    Failed(String),
    /// The cluster was started by a version that doesn't support the request.
    #[error(
        "the cluster was started by KuberNix {0}, which doesn't support this: `stop` and then `up` start it with this \
         version"
    )]
    Unsupported(String),
    /// The reply can't be parsed.
    #[error(
        "unexpected reply from the cluster, which was started by another version of KuberNix: `stop` and then `up` \
         start it with this one ({0})"
    )]
    Unexpected(String),
}

/// A connection to a running cluster.
pub struct Client {
    root: Root,
    stream: BufReader<UnixStream>,
}

/// A requested change: a second handle of the connection.
pub struct PendingChange(UnixStream);

impl PendingChange {
    /// Requests that the change is undone. A change that has ended already is no error.
    pub fn cancel(&self) {
        let _ = (&self.0).write_all(&line(Request::Cancel));
    }

    /// Stops waiting for the change, which continues.
    pub fn leave(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn line(request: Request) -> Vec<u8> {
    // A request has only strings and numbers, so it can always be written as JSON.
    json_line(&Envelope::new(request)).unwrap_or_default()
}

impl Client {
    /// Connects to the cluster of a root directory. `limit`: how long to wait for each reply.
    ///
    /// # Errors
    /// Nothing listens.
    pub fn connect(root: &Root, limit: Duration) -> Result<Self, ControlError> {
        let (path, _directory) = short_path(root)?;
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { root: root.clone(), stream: BufReader::new(stream) })
    }

    /// Sends a request, and waits for the reply.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ControlError> {
        self.send(request.clone())?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_str(&line) {
            Ok(Reply::Failed { why }) if why.starts_with("not a request") => {
                // The reply of versions that don't have protocol numbers yet.
                Err(ControlError::Unsupported("1.0.0".into()))
            }
            Ok(Reply::Failed { why }) => Err(ControlError::Failed(self.root.text_to_outside(&why))),
            Ok(Reply::Unsupported { kubernix, .. }) => Err(ControlError::Unsupported(kubernix)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(ControlError::Unexpected(line.trim().chars().take(200).collect())),
        }
    }

    /// Requests the states of all instances. `check`: runs their probes first, and waits for the
    /// results.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn report(&mut self, check: bool) -> Result<Report, ControlError> {
        match self.ask(&Request::Report { check })? {
            Reply::Report { report } => Ok(report),
            other => Err(ControlError::Unexpected(format!("{other:?}").chars().take(200).collect())),
        }
    }

    /// As [`Client::ask`], for requests that the cluster handles after pending changes. `limit`:
    /// how long to wait for the reply.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn ask_in_turn(&mut self, request: &Request, limit: Duration) -> Result<Reply, ControlError> {
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        self.ask(request)
    }

    /// Sends a request that is followed by events: `Stop` or `Kill`. Returns the events until the
    /// connection ends, or until no event arrives for `limit`.
    ///
    /// # Errors
    /// The request can't be sent.
    pub fn request_events(
        mut self,
        request: &Request,
        limit: Duration,
    ) -> Result<impl Iterator<Item = Record>, ControlError> {
        self.send(request.clone())?;
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        Ok(records(self.stream))
    }

    /// Requests a change, and returns its events until the connection ends, or until no event
    /// arrives for `limit`.
    ///
    /// # Errors
    /// The request can't be sent.
    pub fn change(
        mut self,
        change: ChangeRequest,
        limit: Duration,
    ) -> Result<(PendingChange, impl Iterator<Item = Record>), ControlError> {
        self.send(Request::Change(Box::new(change)))?;
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        let pending = PendingChange(self.stream.get_ref().try_clone()?);
        Ok((pending, records(self.stream)))
    }

    fn send(&mut self, request: Request) -> Result<(), ControlError> {
        Ok(self.stream.get_mut().write_all(&line(request))?)
    }
}
