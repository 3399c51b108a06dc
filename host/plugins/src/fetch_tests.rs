//! Downloads from local servers.

use super::*;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

/// Serves the same response to every request. Returns its address, `http://127.0.0.1:PORT`.
pub fn serve(head: &str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap() == 0 {
                    break;
                }
                request.push(byte[0]);
            }
            // A client may close the connection once it has read enough.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

/// Serves HTTPS as `localhost` to one client after the other. Returns its address and
/// certificate.
fn serve_tls(answer: String) -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            // A client that doesn't trust the certificate closes the connection.
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes()));
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (address, certificate.to_vec())
}

/// No trusted authorities.
fn no_authorities() -> Result<RootCerts, FetchError> {
    Err(FetchError::NoAuthorities(String::new()))
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap_or_else(|e| panic!("{e}")).unwrap()
}

#[test]
fn addresses_are_safe_or_hashed_or_rejected() {
    let hash = "0123456789abcdef".repeat(4);
    for (text, transport) in [
        ("https://example.org/x.tar.gz".to_owned(), Transport::Https),
        ("http://localhost:8000/x.toml".to_owned(), Transport::Loopback),
        ("http://127.3.2.1/x.toml".to_owned(), Transport::Loopback),
        ("http://[::1]:80/x.toml".to_owned(), Transport::Loopback),
        (format!("http://example.org/x.tar#sha256={}", hash.to_uppercase()), Transport::Hashed),
    ] {
        assert_eq!(address(&text).transport, transport, "{text}");
    }
    let hashed = address(&format!("https://example.org/a/x.toml?raw=1/2#sha256={hash}"));
    assert_eq!((hashed.url.as_str(), hashed.sha256.as_deref()), ("https://example.org/a/x.toml?raw=1/2", Some(&*hash)));
    assert!(hashed.has_extension("toml") && hashed.file_name() == "x.toml");
    assert_eq!(Address::parse("/path/x.so").unwrap(), None);
    for (text, part) in [
        ("http://example.org/x.tar", "use https, or append #sha256="),
        ("http://localhost.example.org/x", "use https"),
        ("ftp://example.org/x", "only https and http"),
        ("https://me:secret@example.org/x", "its password would be saved"),
        ("https://example.org/x#sha256=abc", "64 hexadecimal digits"),
        ("https://example.org/x#readme", "must be sha256="),
        ("https://exa mple.org/x", "can't download from `https://exa mple.org/x`"),
    ] {
        let error = Address::parse(text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_hash_of_a_download_is_checked() {
    let at = serve("200 OK", b"plugin".to_vec());
    assert_eq!(address(&at).fetch().unwrap(), b"plugin");
    let right = sha256(b"plugin");
    assert_eq!(address(&format!("{at}/#sha256={right}")).fetch().unwrap(), b"plugin");
    let wrong = sha256(b"other");
    let error = address(&format!("{at}/#sha256={wrong}")).fetch().unwrap_err();
    assert_eq!(error.to_string(), format!("`{at}/` has the sha256 {right}, not {wrong} as expected"));
}

#[test]
fn https_needs_a_trusted_authority_and_never_redirects_to_http() {
    static TRUSTED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    let trusted = || {
        let all = TRUSTED.lock().unwrap();
        Ok(RootCerts::new_with_certs(&all.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>()))
    };
    let (at, certificate) = serve_tls("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nplugin".into());
    let plain = serve("200 OK", b"plugin".to_vec());
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {plain}/x\r\nContent-Length: 0\r\n\r\n");
    let (away, other) = serve_tls(moved);
    let error = address(&at).fetch_within(MAX_SIZE, trusted).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    TRUSTED.lock().unwrap().extend([certificate, other]);
    assert_eq!(address(&at).fetch_within(MAX_SIZE, trusted).unwrap(), b"plugin");
    let error = address(&away).fetch_within(MAX_SIZE, trusted).unwrap_err().to_string();
    assert!(error.contains("https"), "{error}");
    assert!(matches!(address(&at).fetch_within(MAX_SIZE, no_authorities), Err(FetchError::NoAuthorities(_))));
}

#[test]
fn each_failed_download_has_its_own_error() {
    let big = serve("200 OK", vec![0; 4096]);
    assert!(matches!(address(&big).fetch_within(1024, no_authorities), Err(FetchError::TooLarge { .. })));
    let missing = address(&serve("404 Not Found", Vec::new())).fetch().unwrap_err().to_string();
    assert!(missing.contains("404"), "{missing}");
    let away = serve("302 Found\r\nLocation: http://example.org/", Vec::new());
    assert!(
        matches!(address(&away).fetch(), Err(FetchError::Status { .. })),
        "redirects of this machine aren't followed"
    );
    // Nothing listens on the port any more.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(matches!(address(&format!("http://{closed}/")).fetch(), Err(FetchError::Download { .. })));
}
