//! The command's end of the control socket.

use super::{Reply, Request, short_path};
use crate::events::{Record, records};
use crate::root::Root;
use std::io::{self, BufRead, BufReader, Write};
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
    /// It is of another version, or something else answered.
    #[error("the cluster answers in another version's words: {0}")]
    Strange(String),
}

/// A connection to a running cluster.
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the cluster of a root directory. Answers have to come within `limit`.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(root: &Root, limit: Duration) -> Result<Self, ControlError> {
        let (path, _directory) = short_path(root)?;
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// See [`ControlError`].
    pub fn ask(&mut self, request: &Request) -> Result<Reply, ControlError> {
        self.send(request)?;
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        match serde_json::from_str(&line) {
            Ok(Reply::Failed { why }) => Err(ControlError::Failed(why)),
            Ok(reply) => Ok(reply),
            Err(_) => Err(ControlError::Strange(line)),
        }
    }

    /// Orders the end; the events of it follow, until the connection ends or nothing is said for `limit`.
    ///
    /// # Errors
    /// The cluster doesn't take the order.
    pub fn order(mut self, request: &Request, limit: Duration) -> Result<impl Iterator<Item = Record>, ControlError> {
        self.send(request)?;
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        Ok(records(self.stream))
    }

    fn send(&mut self, request: &Request) -> Result<(), ControlError> {
        let mut text = serde_json::to_vec(request).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(self.stream.get_mut().write_all(&text)?)
    }
}
