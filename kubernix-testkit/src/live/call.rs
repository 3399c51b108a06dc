//! gRPC calls, over a unix socket or TLS. It must not know the called services.

use super::{Result, Target};
use http::uri::PathAndQuery;
use std::error::Error;
use std::time::Duration;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_prost::ProstCodec;

/// The time limit of a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An error with its causes.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Connects to a role's endpoint.
pub(super) async fn connect(target: &Target) -> Result<Channel> {
    let failed = |error: tonic::transport::Error| format!("{}: {}", target.url, text(&error));
    let mut endpoint = Endpoint::from_shared(target.url.clone()).map_err(failed)?.connect_timeout(CONNECT_TIMEOUT);
    if target.url.starts_with("https://") {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&target.ca))
            .identity(Identity::from_pem(&target.cert, &target.key));
        endpoint = endpoint.tls_config(tls).map_err(failed)?;
    }
    endpoint.connect().await.map_err(failed)
}

/// Calls a unary method.
pub(super) async fn unary<Q, A>(channel: &Channel, path: &'static str, request: Q) -> Result<A>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| format!("{path}: {}", text(&error)))?;
    let request = tonic::Request::new(request);
    let answer = grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| format!("{path}: {} ({:?})", status.message(), status.code()))
}

/// Opens a stream with one request. It stays open as long as responses are read.
pub(super) async fn stream<Q, A>(channel: &Channel, path: &'static str, first: Q) -> Result<tonic::Streaming<A>>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    use futures_util::{StreamExt, stream};
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| format!("{path}: {}", text(&error)))?;
    let requests = tonic::Request::new(stream::iter([first]).chain(stream::pending()));
    let answer = grpc.streaming(requests, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| format!("{path}: {} ({:?})", status.message(), status.code()))
}
