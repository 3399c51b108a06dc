//! A client of the Container Runtime Interface with the calls that the host needs: the runtime's
//! state, its images, and the end of all pods when a cluster stops.
//!
//! gRPC over the runtime's unix socket. Must not know which runtime it is.

mod messages;
mod pods;
#[cfg(test)]
mod tests;

use http::uri::PathAndQuery;
use kubernix_core::UnixSocket;
use messages::{
    Done, ListContainersRequest, ListContainersResponse, RemoveImageRequest, StatusRequest, StatusResponse,
};
use messages::{ImageSpec, ImageStatusRequest, ImageStatusResponse, ListImagesRequest, ListImagesResponse};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest response in bytes, the same as in the kubelet.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Why a call of a container runtime failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path can't be a unix socket's.
    #[error(transparent)]
    Socket(#[from] kubernix_core::Error),
    /// Nothing responds at the socket.
    #[error("no container runtime responds at {socket}: {cause}")]
    Connect {
        /// The socket's path.
        socket: String,
        /// Why connecting failed.
        cause: String,
    },
    /// The runtime rejected the call or failed.
    #[error("container runtime at {socket}: {call} failed: {cause}")]
    Call {
        /// The socket's path.
        socket: String,
        /// The CRI call: `ListImages`.
        call: &'static str,
        /// The runtime's error message.
        cause: String,
    },
}

/// A condition of the runtime: `RuntimeReady`, `NetworkReady`, or one of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which condition.
    pub kind: String,
    /// Whether it is true.
    pub holds: bool,
    /// Why it isn't true: a CamelCase word and a sentence. Either may be empty.
    pub reason: String,
}

/// An image in the runtime's store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Image {
    /// The runtime's own identifier: a digest.
    pub id: String,
    /// Names with tags, then names with digests; fully qualified.
    pub names: Vec<String>,
    /// Size in bytes.
    pub size: u64,
}

/// A connection to a container runtime. Closes with the value.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    socket: String,
    call_timeout: Duration,
}

impl Client {
    /// Connects to the runtime's socket: a path, or `unix://PATH`.
    ///
    /// # Errors
    /// The path can't be a unix socket's, or nothing responds there.
    pub async fn connect(socket: &str) -> Result<Self, Error> {
        Self::connect_for(socket, CALL_TIMEOUT).await
    }

    /// As [`Client::connect`], with the time that each call may take. The runtime is told: some
    /// give containers what is left of it to end.
    ///
    /// # Errors
    /// The path can't be a unix socket's, or nothing answers there.
    pub async fn connect_for(socket: &str, call_timeout: Duration) -> Result<Self, Error> {
        let socket = UnixSocket::new(socket.strip_prefix("unix://").unwrap_or(socket))?;
        let connect_error = |error: tonic::transport::Error| Error::Connect {
            socket: socket.path().to_owned(),
            cause: crate::chain::root_cause(&error),
        };
        let endpoint = Endpoint::from_shared(socket.url()).map_err(connect_error)?;
        let endpoint = endpoint.connect_timeout(CALL_TIMEOUT).timeout(call_timeout);
        let channel = endpoint.connect().await.map_err(connect_error)?;
        Ok(Self { channel, socket: socket.path().to_owned(), call_timeout })
    }

    /// The runtime's conditions.
    ///
    /// # Errors
    /// The call failed.
    pub async fn status(&self) -> Result<Vec<Condition>, Error> {
        let response: StatusResponse = self.call("Status", RUNTIME_STATUS, StatusRequest {}).await?;
        let conditions = response.status.unwrap_or_default().conditions.into_iter();
        Ok(conditions
            .map(|condition| Condition {
                kind: condition.r#type,
                holds: condition.status,
                reason: [condition.reason, condition.message].join(" ").trim().to_owned(),
            })
            .collect())
    }

    /// All images, by name.
    ///
    /// # Errors
    /// The call failed.
    pub async fn images(&self) -> Result<Vec<Image>, Error> {
        let response: ListImagesResponse = self.call("ListImages", LIST_IMAGES, ListImagesRequest {}).await?;
        let mut images: Vec<Image> = response.images.into_iter().map(Image::from).collect();
        // Some runtimes list them in another order each time.
        images.sort_by(|one, other| (&one.names, &one.id).cmp(&(&other.names, &other.id)));
        Ok(images)
    }

    /// Whether the runtime has an image of this reference. Resolves the reference as for a pod.
    ///
    /// # Errors
    /// The call failed.
    pub async fn has_image(&self, reference: &str) -> Result<bool, Error> {
        Ok(self.image_id(reference).await?.is_some())
    }

    /// The ID of the image that a pod with this reference would use, without the prefix `sha256:`;
    /// `None` if there is none.
    ///
    /// # Errors
    /// The call failed.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, Error> {
        let request = ImageStatusRequest { image: Some(ImageSpec { image: reference.to_owned() }) };
        let response: ImageStatusResponse = self.call("ImageStatus", IMAGE_STATUS, request).await?;
        Ok(response.image.map(|image| image.id.trim_start_matches("sha256:").to_owned()))
    }

    /// The name of a container that uses the image of this ID, running or not.
    ///
    /// # Errors
    /// The call failed.
    pub async fn container_of(&self, id: &str) -> Result<Option<String>, Error> {
        let response: ListContainersResponse =
            self.call("ListContainers", LIST_CONTAINERS, ListContainersRequest {}).await?;
        // Runtimes have the image's ID in one of the two fields, with or without the prefix
        // `sha256:`.
        let mut containers = response.containers.into_iter().filter(|container| {
            let spec = container.image.as_ref().map_or("", |image| &image.image);
            [spec, &container.image_ref].iter().any(|reference| reference.ends_with(id))
        });
        Ok(containers.next().map(|container| container.metadata.map_or(container.id, |metadata| metadata.name)))
    }

    /// Removes an image with all its names. `reference`: one of them. A missing image is no error.
    ///
    /// # Errors
    /// The call failed.
    pub async fn remove_image(&self, reference: &str) -> Result<(), Error> {
        let request = RemoveImageRequest { image: Some(ImageSpec { image: reference.to_owned() }) };
        self.call::<_, Done>("RemoveImage", REMOVE_IMAGE, request).await.map(drop)
    }

    async fn call<Q, A>(&self, call: &'static str, path: &'static str, request: Q) -> Result<A, Error>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let call_error = |cause: String| Error::Call { socket: self.socket.clone(), call, cause };
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_RESPONSE);
        grpc.ready().await.map_err(|error| call_error(crate::chain::root_cause(&error)))?;
        let codec = ProstCodec::<Q, A>::default();
        let mut request = tonic::Request::new(request);
        request.set_timeout(self.call_timeout);
        let response = grpc.unary(request, PathAndQuery::from_static(path), codec).await;
        match response {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(call_error(format!("{} ({:?})", status.message(), status.code()))),
        }
    }
}

const RUNTIME_STATUS: &str = "/runtime.v1.RuntimeService/Status";
const LIST_IMAGES: &str = "/runtime.v1.ImageService/ListImages";
const IMAGE_STATUS: &str = "/runtime.v1.ImageService/ImageStatus";
const LIST_CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
const REMOVE_IMAGE: &str = "/runtime.v1.ImageService/RemoveImage";

impl From<messages::Image> for Image {
    fn from(image: messages::Image) -> Self {
        let names = image.repo_tags.into_iter().chain(image.repo_digests).collect();
        Self { id: image.id, names, size: image.size }
    }
}
