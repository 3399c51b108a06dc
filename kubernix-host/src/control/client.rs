//! The command's end of the control socket.

use super::{ChangeRequest, Envelope, Reply, Report, Request, short_path};
use crate::events::{Record, json_line, records};
use crate::root::Root;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Why a running cluster didn't do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// It doesn't answer.
    #[error("the cluster doesn't answer: {0}")]
    Silent(#[from] io::Error),
    /// It said no.
    #[error("{0}")]
    Failed(String),
    /// It was started by a version that doesn't know the request.
    #[error(
        "the cluster was started by KuberNix {0}, which can't do this: `stop` and then `up` start it with this version"
    )]
    Unsupported(String),
    /// The answer isn't one of this version.
    #[error(
        "unexpected reply from the cluster, which was started by another version of KuberNix: `stop` and then `up` start it with this one ({0})"
    )]
    Unexpected(String),
}

/// A connection to a running cluster.
pub struct Client {
    root: Root,
    stream: BufReader<UnixStream>,
}

/// A change that a command asked for: a second handle of its connection.
pub struct Changing(UnixStream);

impl Changing {
    /// Asks for the change to be undone. One that is over by now is no error.
    pub fn cancel(&self) {
        let _ = (&self.0).write_all(&line(Request::Cancel));
    }

    /// Ends the wait for the change, which goes on.
    pub fn leave(&self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn line(request: Request) -> Vec<u8> {
    // A request is a tree of texts and numbers, which is always JSON.
    json_line(&Envelope::new(request)).unwrap_or_default()
}

impl Client {
    /// Connects to the cluster of a root directory. Answers have to come within `limit`.
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

    /// Asks, and waits for the answer.
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
                // What versions before the protocol had a number say.
                Err(ControlError::Unsupported("1.0.0".into()))
            }
            Ok(Reply::Failed { why }) => Err(ControlError::Failed(self.root.text_to_outside(&why))),
            Ok(Reply::Unsupported { kubernix, .. }) => Err(ControlError::Unsupported(kubernix)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(ControlError::Unexpected(line.trim().chars().take(200).collect())),
        }
    }

    /// Asks how the cluster is. `check`: its components are asked whether they respond, which is waited for.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn report(&mut self, check: bool) -> Result<Report, ControlError> {
        match self.ask(&Request::Report { check })? {
            Reply::Report { report } => Ok(report),
            other => Err(ControlError::Unexpected(format!("{other:?}").chars().take(200).collect())),
        }
    }

    /// As [`Client::ask`], for what the cluster does after the changes that go on: the answer has to come within `limit`.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn ask_in_turn(&mut self, request: &Request, limit: Duration) -> Result<Reply, ControlError> {
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        self.ask(request)
    }

    /// Orders the end; the events of it follow, until the connection ends or nothing is said for `limit`.
    ///
    /// # Errors
    /// The cluster doesn't take the order.
    pub fn order(mut self, request: &Request, limit: Duration) -> Result<impl Iterator<Item = Record>, ControlError> {
        self.send(request.clone())?;
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        Ok(records(self.stream))
    }

    /// Asks for a change; the events of it follow until the connection ends or nothing is said for `limit`.
    ///
    /// # Errors
    /// The request can't be sent.
    pub fn change(
        mut self,
        change: ChangeRequest,
        limit: Duration,
    ) -> Result<(Changing, impl Iterator<Item = Record>), ControlError> {
        self.send(Request::Change(Box::new(change)))?;
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        let changing = Changing(self.stream.get_ref().try_clone()?);
        Ok((changing, records(self.stream)))
    }

    fn send(&mut self, request: Request) -> Result<(), ControlError> {
        Ok(self.stream.get_mut().write_all(&line(request))?)
    }
}
