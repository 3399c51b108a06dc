//! Certificates in TLS handshakes: accepted by their peers and rejected by others; reuse and
//! replacement.

use super::*;
use crate::root_dir::Batch;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn request() -> Request {
    Request {
        cluster: "test".into(),
        control_plane_ips: vec!["10.10.192.1".parse().unwrap()],
        api_service_ip: "10.10.128.1".parse().unwrap(),
        control_plane_name: "test-control-plane".into(),
        nodes: vec![
            ("node-0".into(), "10.10.192.2".parse().unwrap()),
            ("node-1".into(), "10.10.192.3".parse().unwrap()),
        ],
    }
}

/// A cluster without data, with the nodes that have certificates.
fn history(dir: &Path) -> History {
    let nodes = fs::read_dir(dir.join("nodes")).into_iter().flatten();
    let nodes: BTreeSet<_> = nodes.map(|node| node.unwrap().file_name().into_string().unwrap()).collect();
    History { booted: dir.join("ca.crt").exists(), has_data: false, nodes }
}

fn ensure(dir: &Path, request: &Request) -> Result<Pki, Error> {
    ensure_at(dir, request, SystemTime::now())
}

fn ensure_at(dir: &Path, request: &Request, now: SystemTime) -> Result<Pki, Error> {
    super::ensure_at(dir, request, &history(dir), &BTreeSet::new(), now)
}

fn made() -> (TempDir, Pki) {
    let dir = tempfile::tempdir().unwrap();
    let pki = ensure(&dir.path().join("pki"), &request()).unwrap();
    assert_eq!(pki.reissued, [""; 0]);
    (dir, pki)
}

/// Every file below a directory with inode, modification time and content, to notice each write.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, found) = (entry.path(), entry.metadata().unwrap());
        if found.is_dir() {
            files.extend(snapshot(&path));
        } else {
            files.insert(path.clone(), (found.ino(), found.mtime(), found.mtime_nsec(), fs::read(&path).unwrap()));
        }
    }
    files
}

/// The files that differ, below the PKI directory.
fn changed(pki: &Pki, before: &BTreeMap<PathBuf, (u64, i64, i64, Vec<u8>)>) -> Vec<String> {
    let after = snapshot(&pki.dir);
    assert!(before.keys().all(|path| after.contains_key(path)));
    let differ = after.iter().filter(|(path, found)| before.get(*path) != Some(*found));
    differ.map(|(path, _)| path.strip_prefix(&pki.dir).unwrap().display().to_string()).collect()
}

fn again(pki: &Pki) -> Pki {
    ensure(&pki.dir, &request()).unwrap()
}

fn roots(ca: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    Arc::new(roots)
}

fn chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let cert = CertificateDer::from_pem_file(&identity.cert).unwrap();
    (vec![cert], PrivateKeyDer::from_pem_file(&identity.key).unwrap())
}

/// A TLS handshake in memory with certificates of both ends. The client expects the server name
/// `name`.
fn handshake(server: &Identity, client: &Identity, name: &str) -> Result<(), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots(&server.ca), provider.clone()).build().unwrap();
    let servers = WebPkiServerVerifier::builder_with_provider(roots(&client.ca), provider.clone()).build().unwrap();
    let (certs, key) = chain(server);
    let config = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(clients).with_single_cert(certs, key)?;
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    let (certs, key) = chain(client);
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_webpki_verifier(servers).with_client_auth_cert(certs, key)?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn servers_and_clients_accept_each_other() {
    let (_dir, pki) = made();
    let user = |name| pki.identity(name, None).unwrap();
    let node = |name| pki.identity(name, Some("node-1")).unwrap();
    let apiserver = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "test-control-plane",
        "127.0.0.1",
        "10.10.128.1",
        "10.10.192.1",
    ];
    for name in apiserver {
        handshake(&user("apiserver"), &user("admin"), name).unwrap();
    }
    for client in ["apiserver-kubelet-client", "controller-manager", "scheduler", "proxy"] {
        handshake(&user("apiserver"), &user(client), "localhost").unwrap();
    }
    handshake(&user("apiserver"), &node("kubelet"), "10.10.192.1").unwrap();
    for name in ["node-1", "10.10.192.3"] {
        handshake(&node("kubelet-serving"), &user("apiserver-kubelet-client"), name).unwrap();
    }
    for name in ["10.10.192.1", "127.0.0.1", "localhost"] {
        handshake(&user("etcd"), &user("apiserver-etcd-client"), name).unwrap();
        handshake(&user("etcd"), &user("etcd"), name).unwrap();
    }
}

#[test]
fn certificates_are_rejected_by_other_servers() {
    let (_dir, pki) = made();
    let user = |name| pki.identity(name, None).unwrap();
    let trusting = |identity: Identity, ca: &str| Identity { ca: pki.file(ca).unwrap(), ..identity };
    // etcd rejects the cluster's clients, even those that trust its CA.
    for client in ["admin", "apiserver-kubelet-client", "front-proxy-client"] {
        handshake(&user("etcd"), &trusting(user(client), "etcd-ca.crt"), "localhost").unwrap_err();
    }
    // The API server rejects client certificates of etcd and the front proxy.
    for client in ["apiserver-etcd-client", "front-proxy-client"] {
        handshake(&user("apiserver"), &trusting(user(client), "ca.crt"), "localhost").unwrap_err();
    }
    // A client certificate can't serve, a serving certificate isn't a client, and names are
    // checked.
    handshake(&user("admin"), &user("admin"), "localhost").unwrap_err();
    let serving = pki.identity("kubelet-serving", Some("node-0")).unwrap();
    handshake(&user("apiserver"), &serving, "localhost").unwrap_err();
    handshake(&serving, &user("admin"), "node-1").unwrap_err();
}

#[test]
fn subjects_are_those_that_kubernetes_expects() {
    let (_dir, pki) = made();
    let subject = |user, node| {
        let pem = fs::read(pki.identity(user, node).unwrap().cert).unwrap();
        let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        pem.parse_x509().unwrap().subject().to_string()
    };
    assert_eq!(subject("admin", None), "O=system:masters, CN=kubernetes-admin");
    assert_eq!(subject("controller-manager", None), "CN=system:kube-controller-manager");
    assert_eq!(subject("scheduler", None), "CN=system:kube-scheduler");
    assert_eq!(subject("proxy", None), "CN=system:kube-proxy");
    assert_eq!(subject("front-proxy-client", None), "CN=front-proxy-client");
    assert_eq!(subject("kubelet", Some("node-1")), "O=system:nodes, CN=system:node:node-1");
}

#[test]
fn unknown_identities_and_files_are_none() {
    let (_dir, pki) = made();
    assert_eq!(pki.identity("kubelet", None), None);
    assert_eq!(pki.identity("kubelet", Some("node-7")), None);
    assert_eq!(pki.identity("unknown", None), None);
    assert_eq!(pki.file("../state.json"), None);
    assert_eq!(pki.identity("etcd", None).unwrap().ca, pki.file("etcd-ca.crt").unwrap());
    assert_eq!(pki.identity("apiserver-etcd-client", None).unwrap().ca, pki.file("etcd-ca.crt").unwrap());
    assert_eq!(pki.identity("admin", Some("node-0")).unwrap().ca, pki.file("ca.crt").unwrap());
    assert!(FILES.iter().all(|name| pki.file(name).unwrap().is_file()));
}

#[test]
fn files_that_fit_are_not_rewritten() {
    let (_dir, pki) = made();
    let before = snapshot(&pki.dir);
    assert_eq!(before.len(), 2 * (3 + 9 + 4) + 3);
    let second = again(&pki);
    assert_eq!(second.reissued, [""; 0]);
    assert_eq!(changed(&second, &before), [""; 0]);
}

#[test]
fn files_and_directories_are_private() {
    let (_dir, pki) = made();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let key = pki.identity("admin", None).unwrap().key;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&pki.dir, fs::Permissions::from_mode(0o755)).unwrap();
    let pki = again(&pki);
    for path in snapshot(&pki.dir).keys() {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for directory in ["", "nodes", "nodes/node-0", "nodes/node-1"] {
        assert_eq!(mode(&pki.dir.join(directory)), 0o700, "{directory}");
    }
}

#[test]
fn another_address_of_a_node_replaces_only_its_serving_certificate() {
    let (_dir, pki) = made();
    let before = snapshot(&pki.dir);
    let mut request = request();
    request.nodes[1].1 = "10.10.192.9".parse().unwrap();
    let pki = ensure(&pki.dir, &request).unwrap();
    assert_eq!(changed(&pki, &before), ["nodes/node-1/kubelet-serving.crt", "nodes/node-1/kubelet-serving.key"]);
    assert_eq!(
        pki.reissued,
        ["kubelet-serving (node node-1): it is for `10.10.192.3`, `node-1` instead of `10.10.192.9`, `node-1`"]
    );
}

#[test]
fn certificates_of_a_new_node_are_not_reported() {
    let (_dir, pki) = made();
    let before = snapshot(&pki.dir);
    let mut request = request();
    request.nodes.push(("node-2".into(), "10.10.192.4".parse().unwrap()));
    let pki = ensure(&pki.dir, &request).unwrap();
    assert_eq!(changed(&pki, &before).len(), 4);
    assert_eq!(pki.reissued, [""; 0]);
}

#[test]
fn certificates_that_expire_soon_are_replaced_and_their_ca_stays() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let pki = ensure_at(dir.path(), &request(), now - 334 * DAY).unwrap();
    let before = snapshot(&pki.dir);
    assert_eq!(again(&pki).reissued, [""; 0], "31 days are left");
    let later = ensure_at(dir.path(), &request(), now + 2 * DAY).unwrap();
    assert_eq!(later.reissued.len(), 13);
    assert!(later.reissued.iter().all(|line| line.contains(": it is valid until 20")), "{:?}", later.reissued);
    let changed = changed(&later, &before);
    assert_eq!(changed.len(), 26);
    assert!(!changed.iter().any(|name| name.contains("ca.")), "{changed:?}");
}

#[test]
fn an_expired_ca_is_replaced_with_all_its_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let pki = ensure_at(dir.path(), &request(), SystemTime::now() - 3651 * DAY).unwrap();
    let before = snapshot(&pki.dir);
    let pki = again(&pki);
    assert_eq!(pki.reissued.len(), 3 + 13);
    assert!(pki.reissued[0].starts_with("ca: it was valid until "), "{:?}", pki.reissued);
    assert!(pki.reissued.contains(&"admin: it is not signed by the cluster's CA".to_owned()), "{:?}", pki.reissued);
    let changed = changed(&pki, &before);
    let noted = unpublished(Path::new("")).to_string_lossy().into_owned();
    let (note, changed): (Vec<_>, Vec<_>) = changed.into_iter().partition(|name| *name == noted);
    assert_eq!(note.len(), 1, "pods still have the old CA");
    assert_eq!(changed.len(), before.len() - 3, "all but the service account's keys and the encryption config");
    handshake(&pki.identity("apiserver", None).unwrap(), &pki.identity("admin", None).unwrap(), "localhost").unwrap();
}

#[test]
fn certificates_expire_with_their_ca_at_the_latest() {
    let dir = tempfile::tempdir().unwrap();
    ensure_at(dir.path(), &request(), SystemTime::now() - 3500 * DAY).unwrap();
    let pki = again(&ensure(dir.path(), &request()).unwrap());
    assert_eq!(pki.reissued, [""; 0], "created by the first call");
    let end = |path: &Path| {
        let (_, pem) = x509_parser::pem::parse_x509_pem(&fs::read(path).unwrap()).unwrap();
        pem.parse_x509().unwrap().validity().not_after.timestamp()
    };
    assert_eq!(end(&pki.identity("admin", None).unwrap().cert), end(&pki.file("ca.crt").unwrap()));
}

#[test]
fn certificates_that_a_foreign_ca_did_not_sign_are_replaced() {
    let ((_dir, pki), (_other_dir, other)) = (made(), made());
    // A complete CA of the same name, which didn't sign the certificates.
    for name in ["ca.crt", "ca.key"] {
        fs::copy(other.file(name).unwrap(), pki.file(name).unwrap()).unwrap();
    }
    let pki = again(&pki);
    assert_eq!(pki.reissued.len(), 10);
    assert!(pki.reissued.iter().all(|line| line.ends_with(": it is not signed by the cluster's CA")));
    // A certificate without its key.
    let (_third_dir, third) = made();
    fs::copy(third.file("ca.crt").unwrap(), pki.file("ca.crt").unwrap()).unwrap();
    let pki = again(&pki);
    assert_eq!(pki.reissued.len(), 11);
    assert_eq!(pki.reissued[0], "ca: the key is not the certificate's");
    // A directory of another cluster.
    let renamed = ensure(&pki.dir, &Request { cluster: "other".into(), ..request() }).unwrap();
    assert_eq!(renamed.reissued[0], "ca: it is for `CN=kubernix-test-ca` instead of `CN=kubernix-other-ca`");
    assert_eq!(renamed.reissued.len(), 16);
}

#[test]
fn a_certificate_under_another_ones_name_is_replaced() {
    let (_dir, pki) = made();
    let (admin, scheduler) = (pki.identity("admin", None).unwrap(), pki.identity("scheduler", None).unwrap());
    fs::copy(&admin.cert, &scheduler.cert).unwrap();
    fs::copy(&admin.key, &scheduler.key).unwrap();
    assert_eq!(
        again(&pki).reissued,
        ["scheduler: it is for `O=system:masters, CN=kubernetes-admin` instead of `CN=system:kube-scheduler`"]
    );
    let etcd = pki.identity("etcd", None).unwrap();
    fs::copy(&admin.cert, pki.file("etcd-ca.crt").unwrap()).unwrap();
    fs::copy(&admin.key, pki.dir.join("etcd-ca.key")).unwrap();
    let reissued = again(&pki).reissued;
    assert_eq!(reissued.len(), 3, "{reissued:?}");
    assert_eq!(reissued[0], "etcd-ca: it is not signed by the cluster's CA");
    handshake(&etcd, &etcd, "localhost").unwrap();
}

#[test]
fn damaged_files_are_replaced() {
    let (_dir, pki) = made();
    let path = |user: &str, ending: &str| pki.dir.join(format!("{user}.{ending}"));
    fs::write(path("admin", "key"), "garbage").unwrap();
    fs::write(path("apiserver", "key"), b"\xff\xfe\0").unwrap();
    fs::write(path("scheduler", "crt"), "").unwrap();
    fs::remove_file(path("proxy", "crt")).unwrap();
    fs::remove_file(path("etcd", "key")).unwrap();
    let der = fs::read_to_string(path("controller-manager", "crt")).unwrap();
    fs::write(path("controller-manager", "crt"), der.replacen('A', "B", 1)).unwrap();
    // A key instead of a certificate.
    fs::copy(path("front-proxy-client", "key"), path("front-proxy-client", "crt")).unwrap();
    let pki = again(&pki);
    let mut reissued = pki.reissued.clone();
    reissued.retain(|line| !line.starts_with("controller-manager: "));
    assert_eq!(reissued.len() + 1, pki.reissued.len());
    assert_eq!(
        reissued,
        [
            "admin: the key can't be read",
            "apiserver: the key can't be read",
            "scheduler: the certificate is an empty file",
            "proxy: the certificate is missing",
            "etcd: the key is missing",
            "front-proxy-client: the certificate can't be read",
        ]
    );
    assert_eq!(again(&pki).reissued, [""; 0]);
}

#[test]
fn the_service_accounts_key_is_kept_while_it_can_be_read() {
    let (_dir, pki) = made();
    let (key, public) = (pki.file("service-account.key").unwrap(), pki.file("service-account.pub").unwrap());
    let private = fs::read_to_string(&key).unwrap();
    let public_text = fs::read_to_string(&public).unwrap();
    assert!(
        private.starts_with("-----BEGIN PRIVATE KEY-----\n") && public_text.starts_with("-----BEGIN PUBLIC KEY-----\n")
    );
    fs::write(&public, "garbage").unwrap();
    assert_eq!(again(&pki).reissued, [""; 0]);
    assert_eq!(fs::read_to_string(&public).unwrap(), public_text, "derived from the private key");
    assert_eq!(fs::read_to_string(&key).unwrap(), private);
    fs::write(&key, &private[..100]).unwrap();
    assert_eq!(again(&pki).reissued, ["service-account: the key can't be read"]);
    assert_ne!(fs::read_to_string(&public).unwrap(), public_text);
}

#[test]
fn the_encryption_config_is_kept_or_rejected() {
    let ((_dir, pki), (_other_dir, other)) = (made(), made());
    let path = pki.file("encryption.yaml").unwrap();
    let made = fs::read_to_string(&path).unwrap();
    assert_ne!(made, fs::read_to_string(other.file("encryption.yaml").unwrap()).unwrap(), "keys are random");
    // A user's own configuration with a provider that KuberNix doesn't check.
    let own = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets, configmaps]\n  providers:\n  - kms: {apiVersion: v2, name: mine, endpoint: unix:///run/kms.sock}\n  - identity: {}\n";
    fs::write(&path, own).unwrap();
    again(&pki);
    assert_eq!(fs::read_to_string(&path).unwrap(), own);
    let short =
        made.lines().map(|line| if line.contains("secret: ") { "              secret: c2hvcnQ=" } else { line });
    let cases = [
        (String::new(), ""),
        ("{{{ nonsense: [".to_owned(), ""),
        (made.replace("kind: Enc", "kind: Dec"), "it is a apiserver.config.k8s.io/v1 Decryption"),
        (short.collect::<Vec<_>>().join("\n"), "its key `key-1` is not 32 bytes in base64"),
        (made.replace("      - secrets\n", "      []\n"), "it names no resources"),
    ];
    for (text, reason) in cases {
        fs::write(&path, &text).unwrap();
        let error = ensure(&pki.dir, &request()).unwrap_err().to_string();
        assert!(
            error.contains("encryption.yaml` is not a usable EncryptionConfiguration") && error.contains(reason),
            "{error}"
        );
        assert!(!error.contains('\n'), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing is lost");
    }
}

#[test]
fn the_error_names_a_directory_that_can_not_be_created() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = ensure(&dir.path().join("file/pki"), &request()).unwrap_err().to_string();
    assert!(error.contains("file/pki`: Not a directory") || error.contains("file/pki`: not a directory"), "{error}");
}

#[test]
fn kubeconfigs_embed_certificates_and_key() {
    let (dir, pki) = made();
    let admin = pki.identity("admin", None).unwrap();
    let write = |url| {
        let mut batch = Batch::default();
        let path = kubeconfig(&mut batch, &dir.path().join("kubeconfig"), "admin", &admin, url, "test").unwrap();
        batch.commit().unwrap();
        path
    };
    let path = write("https://127.0.0.1:6443");
    assert_eq!(path, dir.path().join("kubeconfig/admin.kubeconfig"));
    let read = kube::config::Kubeconfig::read_from(&path).unwrap();
    assert_eq!(read.current_context.as_deref(), Some("kubernix-test"));
    assert_eq!(read.contexts[0].name, "kubernix-test");
    let (cluster, user) = (read.clusters[0].cluster.clone().unwrap(), read.auth_infos[0].auth_info.clone().unwrap());
    assert_eq!(cluster.server.as_deref(), Some("https://127.0.0.1:6443"));
    let encoded = |path: &Path| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, fs::read(path).unwrap());
    assert_eq!(cluster.certificate_authority_data, Some(encoded(&admin.ca)));
    assert_eq!(user.client_certificate_data, Some(encoded(&admin.cert)));
    let before = snapshot(path.parent().unwrap());
    write("https://127.0.0.1:6443");
    assert!(snapshot(path.parent().unwrap()) == before);
    write("https://127.0.0.1:6444");
    assert!(snapshot(path.parent().unwrap()) != before);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Prints how long `ensure` takes. Asserts no time, because machines differ.
#[test]
fn timing() {
    let dir = tempfile::tempdir().unwrap();
    let one = Request { nodes: request().nodes[..1].to_vec(), ..request() };
    for what in ["cold", "warm", "warm"] {
        let start = Instant::now();
        let pki = ensure(&dir.path().join("pki"), &one).unwrap();
        println!("pki of one node, {what}: {:?}", start.elapsed());
        assert_eq!(pki.reissued, [""; 0]);
    }
}
