//! Tests the client with a gRPC server on a unix socket that sends recorded responses of CRI-O
//! 1.36.

use super::*;
use futures_util::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use std::convert::Infallible;
use tokio::net::UnixListener;

/// A `StatusResponse` of CRI-O, hexadecimal: it is running, and has no CNI configuration yet.
const STATUS: &str = "\
    0aab010a100a0c52756e74696d65526561647910010a96010a0c4e6574776f726b52656164791a154e6574776f726b506c7567696e4e\
    6f745265616479226f4e6574776f726b20706c7567696e2072657475726e73206572726f723a206e6f20434e4920636f6e6669677572\
    6174696f6e2066696c6520696e202f72756e2f636e692f6e65742e642f302e2048617320796f7572206e6574776f726b2070726f7669\
    64657220737461727465643f1a0c0a0472756e631204080110011a0612040801100122020801\
    ";

/// A `ListImagesResponse` of CRI-O, hexadecimal: one image.
const IMAGES: &str = "\
    0ab9010a4036663664323863653566656436626361333463333538326331306230336162626332663037383735333364373332616164\
    36376430636463643936653630376512156b756265726e69782e6c6f63616c2f627573793a311a5b6b756265726e69782e6c6f63616c\
    2f62757379407368613235363a3638623931616232363635376136363132616434313938316538373837363865386336646465616638\
    303934643466643865333763356436326234643237393020eb57\
    ";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A gRPC response: a message after five bytes of header, and the status as a trailer.
fn grpc(message: Option<Vec<u8>>, code: &str, text: &str) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let framed = message.map(|message| {
        let mut framed = vec![0];
        framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend(message);
        Frame::data(Bytes::from(framed))
    });
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    trailers.insert("grpc-message", text.parse().unwrap());
    let frames = framed.into_iter().chain([Frame::trailers(trailers)]).map(Ok);
    let body = StreamBody::new(stream::iter(frames.collect::<Vec<_>>()));
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

async fn answer(request: Request<Incoming>) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    match &*path {
        RUNTIME_STATUS => grpc(Some(bytes(STATUS)), "0", ""),
        LIST_IMAGES => grpc(Some(bytes(IMAGES)), "0", ""),
        // image.image = "a:1": tags 1 and 1, lengths 5 and 3.
        IMAGE_STATUS if body[5..] == *b"\x0a\x05\x0a\x03a:1" => {
            let image = messages::Image { id: "1".into(), ..messages::Image::default() };
            grpc(Some(ImageStatusResponse { image: Some(image) }.encode_to_vec()), "0", "")
        }
        IMAGE_STATUS if body[5..] == *b"\x0a\x05\x0a\x03b:1" => grpc(Some(Vec::new()), "0", ""),
        // items[0].id = "p1", items[1].id = "p2".
        pods::LIST_PODS => grpc(Some(b"\x0a\x04\x0a\x02p1\x0a\x04\x0a\x02p2".to_vec()), "0", ""),
        // containers[0].id = "c1" with state 1 (running), containers[1].id = "c2" with state 2
        // (exited).
        LIST_CONTAINERS => grpc(Some(b"\x0a\x06\x0a\x02c1\x30\x01\x0a\x06\x0a\x02c2\x30\x02".to_vec()), "0", ""),
        // container_id = "c1", timeout = 9.
        pods::STOP_CONTAINER if body[5..] == *b"\x0a\x02c1\x10\x09" => grpc(Some(Vec::new()), "0", ""),
        pods::STOP_POD => grpc(Some(Vec::new()), "0", ""),
        pods::REMOVE_POD if body[5..] == *b"\x0a\x02p2" => grpc(Some(Vec::new()), "0", ""),
        pods::REMOVE_POD => grpc(None, "4", "not in time"),
        _ => grpc(None, "12", "not implemented"),
    }
}

/// Serves until the test's tokio runtime ends.
fn serve(listener: UnixListener) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
}

#[tokio::test]
async fn conditions_and_images_of_a_runtime_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    serve(UnixListener::bind(&path).unwrap());
    let client = Client::connect(&format!("unix://{}", path.display())).await.unwrap();

    let conditions = client.status().await.unwrap();
    let ready = Condition { kind: "RuntimeReady".into(), holds: true, reason: String::new() };
    assert_eq!(conditions[0], ready);
    assert_eq!((&*conditions[1].kind, conditions[1].holds), ("NetworkReady", false));
    let why = "NetworkPluginNotReady Network plugin returns error: no CNI configuration file in /run/cni/net.d/0.";
    assert!(conditions[1].reason.starts_with(why), "{}", conditions[1].reason);

    let images = client.images().await.unwrap();
    assert_eq!(images.len(), 1);
    assert!(images[0].id.starts_with("6f6d28ce5fed") && images[0].size == 11243, "{images:?}");
    assert_eq!(images[0].names[0], "kubernix.local/busy:1");
    assert!(images[0].names[1].starts_with("kubernix.local/busy@sha256:68b91ab2"), "{images:?}");

    assert!(client.has_image("a:1").await.unwrap());
    assert!(!client.has_image("b:1").await.unwrap());
    let error = client.has_image("c:1").await.unwrap_err().to_string();
    let expected =
        format!("container runtime at {}: ImageStatus failed: not implemented (Unimplemented)", path.display());
    assert_eq!(error, expected);
}

#[tokio::test]
async fn all_containers_and_pods_are_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    serve(UnixListener::bind(&path).unwrap());
    let client = Client::connect_for(path.to_str().unwrap(), Duration::from_secs(3)).await.unwrap();
    // The exited one isn't stopped: the server would refuse.
    client.stop_containers(9).await.unwrap();
    let error = client.remove_pods().await.unwrap_err().to_string();
    assert!(error.ends_with("RemovePodSandbox failed: not in time (DeadlineExceeded)"), "{error}");
}

#[tokio::test]
async fn probes_wait_until_the_runtime_listens() {
    use crate::probe::{Prober, Question, Unready};
    use kubernix_core::Probe;
    use std::path::Path;
    use std::time::SystemTime;
    use tokio::time::{Instant, sleep};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cri.sock");
    let prober = Prober::new(Path::new("/unused"), |_| None);
    let probe = Probe::cri(path.to_str().unwrap());
    let error = prober.check(Question::new(&probe, SystemTime::now())).await.unwrap_err();
    let expected =
        format!("no container runtime responds at {}: No such file or directory (os error 2)", path.display());
    assert_eq!(error, Unready::NotYet(expected));
    let deadline = Instant::now() + Duration::from_secs(10);
    let start = async {
        sleep(Duration::from_millis(30)).await;
        serve(UnixListener::bind(&path).unwrap());
    };
    let (ready, ()) = tokio::join!(prober.wait(Question::new(&probe, SystemTime::now()), deadline), start);
    assert_eq!(ready, Ok(()));
}
