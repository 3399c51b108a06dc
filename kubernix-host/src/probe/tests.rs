//! Probes of servers on loopback.

use super::*;
use crate::api_client::testing::{Authority, Server, answer};
use kubernix_core::Manifest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, UnixListener};

fn prober(authority: &Authority) -> Prober {
    let admin = authority.client("admin");
    Prober::new(&authority.ca(), move |user| (user == "admin").then(|| admin.clone()))
}

fn in_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

async fn not_yet_text(prober: &Prober, probe: &Probe) -> String {
    match prober.check(Question::new(probe, SystemTime::now())).await {
        Err(Unready::NotYet(text)) => text,
        other => panic!("expected a probe that may pass later, got {other:?}"),
    }
}

async fn never_text(prober: &Prober, probe: &Probe) -> String {
    // With a late deadline, because a probe that can't pass must fail at once.
    match prober.wait(Question::new(probe, SystemTime::now()), in_ms(60_000)).await {
        Err(Unready::Never(text)) => text,
        other => panic!("expected a probe that can't pass, got {other:?}"),
    }
}

#[tokio::test]
async fn https_probes_reuse_one_connection_until_the_status_is_200() {
    let authority = Authority::new();
    let prober = prober(&authority);
    let (socket, url) = Server::reserve();
    let probe = Probe::http(format!("{url}/readyz")).identity("admin");
    assert_eq!(
        not_yet_text(&prober, &probe).await,
        format!("{url}/readyz refuses connections: nothing listens there yet")
    );

    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(socket, &authority, move |request| {
        assert_eq!(request.uri().path(), "/readyz");
        match count.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => answer(
                500,
                "[+]ping ok\n[-]poststarthook/rbac/bootstrap-roles failed: not finished\nreadyz check failed",
            ),
            _ => answer(200, "ok"),
        }
    });
    let text = not_yet_text(&prober, &probe).await;
    assert!(
        text.ends_with("500 Internal Server Error: poststarthook/rbac/bootstrap-roles failed: not finished"),
        "{text}"
    );
    prober.wait(Question::new(&probe, SystemTime::now()), in_ms(10_000)).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(server.connections(), 1);
    // A probe that passed isn't repeated.
    sleep(Duration::from_millis(80)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn servers_and_clients_with_certificates_of_other_cas_are_rejected() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (socket, url) = Server::reserve();
    let _server = Server::start(socket, &authority, |_| answer(401, r#"{"kind":"Status","message":"Unauthorized"}"#));
    let text = not_yet_text(&prober(&authority), &Probe::http(&url)).await;
    assert_eq!(
        text,
        format!(
            "{url} responds 401 Unauthorized: Unauthorized (it requires a client certificate of a CA that it trusts; none was sent)"
        )
    );
    let text = never_text(&prober(&other), &Probe::http(&url)).await;
    assert!(text.starts_with(&format!("the certificate of {url} is not trusted: ")), "{text}");
    // The server's CA is trusted, but it didn't sign the client certificate.
    let mut foreign = other.client("admin");
    foreign.ca = authority.ca();
    let stranger = Prober::new(&other.ca(), move |_| Some(foreign.clone()));
    let text = not_yet_text(&stranger, &Probe::http(&url).identity("admin")).await;
    assert!(text.contains("check the identity of the client certificate"), "{text}");
}

#[tokio::test]
async fn probes_that_can_not_pass_fail_at_once() {
    let authority = Authority::new();
    let prober = prober(&authority);
    assert_eq!(never_text(&prober, &Probe::http("ftp://a")).await, "`ftp://a` is not a http:// or https:// URL");
    let probe = Probe::http("https://127.0.0.1:1").identity("unknown");
    assert_eq!(never_text(&prober, &probe).await, "there is no identity `unknown`");
    assert_eq!(never_text(&prober, &Probe::tcp("localhost:1")).await, "`localhost:1` is not an IP:PORT address");
    let text = never_text(&prober, &Probe::unix(format!("/{}", "a".repeat(107)))).await;
    assert!(text.contains("108 bytes"), "{text}");
    assert!(never_text(&prober, &Probe::cri("relative.sock")).await.contains("not absolute"));
    assert!(never_text(&prober, &Probe::node("node-0")).await.contains("no API server"));
    assert!(never_text(&prober, &Probe::command("/bin/true", [""; 0])).await.contains("can't run /bin/true"));
    let mut unknown = Probe::started();
    unknown.kind = ProbeKind(99);
    assert_eq!(never_text(&prober, &unknown).await, "this version doesn't support probes of kind `ProbeKind(99)`");
    let nowhere = Prober::new(Path::new("/nowhere/ca.crt"), |_| None);
    assert!(
        never_text(&nowhere, &Probe::http("https://127.0.0.1:1")).await.starts_with("cannot use the CA certificate")
    );
}

#[tokio::test]
async fn probes_wait_until_sockets_listen() {
    let authority = Authority::new();
    let prober = prober(&authority);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.sock");
    let (reserved, url) = Server::reserve();
    let tcp = Probe::tcp(url.strip_prefix("https://").unwrap());
    let unix = Probe::unix(path.to_str().unwrap());
    assert!(not_yet_text(&prober, &tcp).await.ends_with("refuses connections: nothing listens there yet"));
    assert!(not_yet_text(&prober, &unix).await.ends_with("a.sock does not exist yet"));
    // A socket file without a listening process.
    drop(UnixListener::bind(&path).unwrap());
    assert!(not_yet_text(&prober, &unix).await.ends_with("a.sock refuses connections: nothing listens there yet"));
    std::fs::remove_file(&path).unwrap();

    let since = SystemTime::now();
    let listen = async {
        sleep(Duration::from_millis(40)).await;
        (reserved.listen(1).unwrap(), UnixListener::bind(&path).unwrap())
    };
    let (tcp, unix, _listeners) = tokio::join!(
        prober.wait(Question::new(&tcp, since), in_ms(10_000)),
        prober.wait(Question::new(&unix, since), in_ms(10_000)),
        listen
    );
    assert_eq!((tcp, unix), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_server_that_does_not_respond_fails_the_probe_at_the_deadline() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let probe = Probe::http(format!("http://{}/", listener.local_addr().unwrap()));
    let begun = Instant::now();
    let error = prober(&authority).wait(Question::new(&probe, SystemTime::now()), in_ms(60)).await.unwrap_err();
    assert!(error.to_string().ends_with("did not respond in time"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn commands_pass_by_exit_code_and_failures_show_their_last_line() {
    let authority = Authority::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let count = runs.clone();
    let prober = prober(&authority).commands(move |command, _| {
        let run = count.fetch_add(1, Ordering::SeqCst);
        async move {
            assert_eq!(command, Command::new("/bin/check", ["--all".to_owned()]));
            match run {
                0 => Err(io::Error::from_raw_os_error(2)),
                1 => Ok(Output::new(3, "", "first\nno quorum\n")),
                _ => Ok(Output::new(0, "", "")),
            }
        }
    });
    let probe = Probe::command("/bin/check", ["--all".to_owned()]);
    assert!(not_yet_text(&prober, &probe).await.starts_with("cannot run /bin/check: No such file"));
    assert_eq!(not_yet_text(&prober, &probe).await, "/bin/check exited with status 3: no quorum");
    prober.wait(Question::new(&probe, SystemTime::now()), in_ms(10_000)).await.unwrap();
    assert_eq!(prober.check(Question::new(&Probe::started(), SystemTime::now())).await, Ok(()));
}

/// The engine spawns these futures.
#[tokio::test]
async fn futures_of_probes_are_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let authority = Authority::new();
    let api = Api::connect("https://127.0.0.1:1", &authority.client("admin")).unwrap();
    let prober = is_send(Arc::new(prober(&authority).api(api.clone())));
    let waiting = tokio::spawn(async move {
        let node = Probe::node("node-0");
        prober.wait(Question::new(&node, SystemTime::now()), in_ms(30)).await
    });
    let text = waiting.await.unwrap().unwrap_err().to_string();
    assert_eq!(text, "the API server refuses connections: nothing listens there yet");
    is_send(api.apply(&Manifest::new("none", "{}"), in_ms(1))).await.unwrap_err();
}
