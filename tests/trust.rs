//! Whom rimg trusts and how it proves itself in TLS, and the way through proxies.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::http::{Server, babbler};
use crate::support::{Answer, Outcome, Proxy, Run, Tls, World};

const LIST: [&str; 4] = ["image", "list", "-f", "json"];

fn list(world: &World, more: &[&str]) -> Outcome {
    world.run(LIST.iter().chain(more))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Adds lines to every cloud of the world's clouds.yaml.
fn in_clouds_yaml(world: &World, lines: &str) {
    let old = fs::read_to_string(world.clouds_yaml()).unwrap();
    let new = old.replace("    region_name: RegionOne\n", &format!("    region_name: RegionOne\n{lines}"));
    fs::write(world.clouds_yaml(), new).unwrap();
}

/// The environment alone describes the cloud.
fn from_env(world: &World) -> Run {
    let variables = [("OS_USERNAME", "demo"), ("OS_PASSWORD", "secret"), ("OS_PROJECT_NAME", "demo")];
    let run = world.rimg(LIST).no_env("OS_CLOUD").env("OS_AUTH_URL", world.auth_url());
    variables.iter().fold(run, |run, (name, value)| run.env(name, value))
}

fn not_trusted(world: &World, reason: &str, checked_against: &str) -> String {
    not_trusted_at(&world.identity().url(), reason, checked_against)
}

fn not_trusted_at(url: &str, reason: &str, checked_against: &str) -> String {
    format!(
        "error: the certificate of `{url}` is not trusted: {reason} (checked against {checked_against})\n\
         hint: name the right CA file with `--os-cacert` (OS_CACERT, `cacert` in clouds.yaml), or turn the check off with \
         `--insecure`\n"
    )
}

#[test]
fn an_unknown_authority_is_refused() {
    let (world, stranger) = (World::with_tls(Tls::Signed), World::with_tls(Tls::Signed));
    let ca = text(&stranger.tls_files().ca);
    let unknown = "it is signed by an unknown authority";
    list(&world, &["--os-cacert", ca]).code(1).stderr_is(&not_trusted(&world, unknown, &format!("`{ca}`")));
    let system = world.rimg(LIST).env("SSL_CERT_FILE", ca).run();
    system.code(1).stderr_is(&not_trusted(&world, unknown, "the system's CA certificates"));
    assert_eq!(world.identity().requests().len(), 0, "nothing was sent to a stranger");
}

#[test]
fn the_authority_is_named_in_any_place() {
    for tls in [Tls::Signed, Tls::SelfSigned] {
        let world = World::with_tls(tls);
        let ca = world.tls_files().ca.clone();
        list(&world, &["--os-cacert", text(&ca)]).ok().stderr_is("");
        for variable in ["OS_CACERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            world.rimg(LIST).env(variable, &ca).run().ok().stderr_is("");
            from_env(&world).env(variable, &ca).run().ok().stderr_is("");
        }
        if tls == Tls::Signed {
            world.rimg(LIST).env("SSL_CERT_FILE", &ca).run().ok().stderr_is("");
        }
        // In the home, by its short name.
        fs::copy(&ca, world.home.join("lab.pem")).unwrap();
        in_clouds_yaml(&world, "    cacert: ~/lab.pem\n");
        list(&world, &[]).ok().stderr_is("");
        let old = fs::read_to_string(world.clouds_yaml()).unwrap();
        fs::write(world.clouds_yaml(), old.replace("cacert: ~/lab.pem", "verify: ~/lab.pem")).unwrap();
        list(&world, &[]).ok().stderr_is("");
    }
}

#[test]
fn a_directory_of_authorities() {
    let world = World::with_tls(Tls::Signed);
    let bytes = fs::read(&world.tls_files().ca).unwrap();
    world.file("authorities/lab.pem", bytes);
    world.file("authorities/README", "none here");
    list(&world, &["--os-cacert", "authorities"]).ok().stderr_is("");
}

#[test]
fn what_is_named_is_stronger_than_the_bundle_of_the_environment() {
    let (world, stranger) = (World::with_tls(Tls::Signed), World::with_tls(Tls::Signed));
    let (right, wrong) = (world.tls_files().ca.clone(), stranger.tls_files().ca.clone());
    let run = |ca: &Path| {
        world.rimg(LIST).env("REQUESTS_CA_BUNDLE", &wrong).env("CURL_CA_BUNDLE", &right).env("OS_CACERT", ca).run()
    };
    run(&right).ok().stderr_is("");
    run(Path::new("")).code(1).stderr_has(&format!("(checked against `{}`)", wrong.display()));
    // Who turned the check off needs no warning about it.
    world.rimg(LIST.iter().chain(&["--insecure"])).env("REQUESTS_CA_BUNDLE", &wrong).run().ok().stderr_is("");
}

#[test]
fn an_unusable_authority_file() {
    let world = World::with_tls(Tls::Signed);
    list(&world, &["--os-cacert", "nosuch.pem"])
        .code(1)
        .stderr_has("error: cannot read the certificates in `nosuch.pem`: no such file or directory\n");
    world.file("notes.txt", "no certificate");
    list(&world, &["--os-cacert", "notes.txt"]).code(1).stderr_is(
        "error: `notes.txt` holds no certificate in PEM form\n\
         hint: name a file that has `-----BEGIN CERTIFICATE-----` lines\n",
    );
    fs::create_dir(world.home.join("none")).unwrap();
    list(&world, &["--os-cacert", "none"]).code(1).stderr_is(
        "error: `none` holds no usable certificate\n\
         hint: `--os-cacert` (OS_CACERT, `cacert` in clouds.yaml) wants PEM certificates\n",
    );
    let empty = world.file("empty.pem", "");
    world.rimg(LIST).env("SSL_CERT_FILE", empty).run().code(1).stderr_is(
        "error: this system has no CA certificates\n\
         hint: install them (Debian: `ca-certificates`), or name a file with `--os-cacert`\n",
    );
}

#[test]
fn a_cloud_without_tls_needs_no_authorities() {
    let world = World::new();
    let empty = world.file("empty.pem", "");
    world.rimg(LIST).env("SSL_CERT_FILE", empty).run().ok().stderr_is("");
    list(&world, &["--os-cacert", "nosuch.pem"]).ok().stderr_is("");
}

/// A server whose self-signed certificate is for these names until that year,
/// and the file to trust it by.
fn server_with(world: &World, names: &[&str], year: i32) -> (Server, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let file = world.file("server.pem", cert.pem());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = builder.unwrap().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    (Server::start(Some(Arc::new(config)), |_, _| Answer::status(404)), file)
}

#[test]
fn a_certificate_for_another_name_or_another_time() {
    let world = World::new();
    for (names, year, reason) in
        [(["other.example"], 2100, "it is for another name"), (["127.0.0.1"], 2020, "it has expired")]
    {
        let (server, ca) = server_with(&world, &names, year);
        let outcome = list(&world, &["--os-auth-url", &server.url(), "--os-cacert", text(&ca)]);
        outcome.code(1).stderr_is(&not_trusted_at(&server.url(), reason, &format!("`{}`", ca.display())));
        assert_eq!(server.requests().len(), 0);
        // Without the check it is taken all the same.
        list(&world, &["--os-auth-url", &server.url(), "--insecure"]).code(1).stderr_has("HTTP 404");
    }
}

#[test]
fn the_check_can_be_turned_off() {
    let world = World::with_tls(Tls::Signed);
    list(&world, &["--insecure"]).ok().stderr_is("");
    from_env(&world).env("OS_INSECURE", "true").run().ok().stderr_is("");
    from_env(&world).env("OS_VERIFY", "False").run().ok().stderr_is("");
    in_clouds_yaml(&world, "    verify: false\n");
    list(&world, &[]).ok().stderr_is("");
    // And on again.
    list(&world, &["--verify"]).code(1).stderr_has("is not trusted");
    list(&world, &["--os-cacert", "ca.pem"])
        .ok()
        .stderr_is("warning: the server's certificate is not checked, so `cacert` has no effect\n");
}

#[test]
fn insecure_in_clouds_yaml() {
    let world = World::with_tls(Tls::SelfSigned);
    in_clouds_yaml(&world, "    insecure: true\n");
    list(&world, &[]).ok().stderr_is("");
    list(&world, &["--verify"]).code(1).stderr_has("is not trusted");
}

#[test]
fn a_client_certificate() {
    let world = World::with_tls(Tls::ClientCertificate);
    let files = world.tls_files().clone();
    let (ca, cert, key) = (text(&files.ca), text(&files.cert), text(&files.key));
    list(&world, &["--os-cacert", ca, "--os-cert", cert, "--os-key", key]).ok().stderr_is("");
    world.rimg(LIST).env("OS_CACERT", ca).env("OS_CERT", cert).env("OS_KEY", key).run().ok().stderr_is("");
    // Both in one file.
    let both = fs::read_to_string(cert).unwrap() + &fs::read_to_string(key).unwrap();
    world.file("both.pem", both);
    list(&world, &["--os-cacert", ca, "--os-cert", "both.pem"]).ok().stderr_is("");
}

#[test]
fn a_client_certificate_that_is_missing_or_wrong() {
    let world = World::with_tls(Tls::ClientCertificate);
    let files = world.tls_files().clone();
    let (ca, cert) = (text(&files.ca), text(&files.cert));
    list(&world, &["--os-cacert", ca]).code(1).stderr_is(&format!(
        "error: `{}` wants a client certificate\n\
         hint: name it with `--os-cert` and `--os-key` (OS_CERT, OS_KEY)\n",
        world.identity().url()
    ));
    let stranger = World::with_tls(Tls::ClientCertificate);
    let other = stranger.tls_files().clone();
    list(&world, &["--os-cacert", ca, "--os-cert", cert, "--os-key", text(&other.key)]).code(1).stderr_is(&format!(
        "error: the client certificate `{cert}` cannot be used: it does not belong to the key\n\
         hint: check `--os-cert` and `--os-key`; the key is of `{}`\n",
        other.key.display()
    ));
    let outcome = list(&world, &["--os-cacert", ca, "--os-cert", text(&other.cert), "--os-key", text(&other.key)]);
    outcome.code(1).stderr_has(&format!("error: `{}` refused the client certificate", world.identity().url()));
    list(&world, &["--os-cacert", ca, "--os-cert", cert]).code(1).stderr_is(&format!(
        "error: `{cert}` holds no private key in PEM form\n\
         hint: name the client's key with `--os-key`; an encrypted key must be decrypted first\n"
    ));
    list(&world, &["--os-cacert", ca, "--os-cert", "nosuch.pem"])
        .code(1)
        .stderr_has("error: cannot read the certificates in `nosuch.pem`: no such file or directory\n");
    assert_eq!(world.identity().requests().len(), 0);
}

#[test]
fn tls_and_plain_http_mixed_up() {
    let world = World::new();
    let url = world.auth_url().replace("http://", "https://");
    let hint = "hint: if it is meant to be plain HTTP, its URL must begin with `http://`";
    list(&world, &["--os-auth-url", &url, "--insecure"])
        .code(1)
        .stderr_is(&format!("error: `{}` ended the TLS handshake\n{hint}\n", url.trim_end_matches("/v3")));
    // Most servers answer in plain HTTP.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let answering = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let _ = client.read(&mut [0; 64]);
        client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        let _ = client.read_to_end(&mut Vec::new());
    });
    list(&world, &["--os-auth-url", &url]).code(1).stderr_is(&format!("error: `{url}` does not speak TLS\n{hint}\n"));
    answering.join().unwrap();
    let world = World::with_tls(Tls::Signed);
    let url = world.auth_url().replace("https://", "http://");
    list(&world, &["--os-auth-url", &url])
        .code(1)
        .stderr_has(&format!("error: `{}` does not speak HTTP\n", url.trim_end_matches("/v3")));
}

#[test]
fn plain_http_through_a_proxy() {
    let world = World::new();
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start();
        world.rimg(LIST).env(variable, proxy.url()).env("RIMG_TOKEN_CACHE", "0").run().ok().stderr_is("");
        let images = world.images().url();
        let wanted = [
            format!("POST {}/auth/tokens", world.auth_url()),
            format!("GET {images}/"),
            format!("GET {images}/v2/images"),
        ];
        let hits = proxy.hits();
        assert_eq!(hits.len(), 3, "{hits:?}");
        assert!(hits.iter().zip(&wanted).all(|(hit, wanted)| hit.starts_with(wanted.as_str())), "{hits:?}");
    }
}

#[test]
fn tls_through_a_proxy_stays_end_to_end() {
    let world = World::with_tls(Tls::Signed);
    let proxy = Proxy::start();
    world.rimg(LIST).env("HTTPS_PROXY", proxy.url()).env("OS_CACERT", &world.tls_files().ca).run().ok().stderr_is("");
    let hosts = [world.identity().address, world.images().address].map(|address| format!("CONNECT {address}"));
    assert_eq!(proxy.hits(), hosts);
}

#[test]
fn no_proxy_goes_straight() {
    let world = World::new();
    for except in ["127.0.0.1", "*", "example.org,127.0.0.0/8"] {
        let proxy = Proxy::start();
        world.rimg(LIST).env("HTTP_PROXY", proxy.url()).env("NO_PROXY", except).run().ok();
        assert_eq!(proxy.hits(), [""; 0], "{except}");
    }
    // A proxy for TLS is none for plain HTTP.
    let proxy = Proxy::start();
    world.rimg(LIST).env("HTTPS_PROXY", proxy.url()).run().ok();
    assert_eq!(proxy.hits(), [""; 0]);
}

/// A proxy that gives everybody this answer, once.
fn unwilling(words: &'static [u8]) -> (String, thread::JoinHandle<()>) {
    let (url, talking) = babbler(words);
    (url.replace("://", "://boss:hunter2@"), talking)
}

#[test]
fn a_proxy_that_does_not_want() {
    let world = World::new();
    let hint = "hint: write them into HTTPS_PROXY or HTTP_PROXY: `http://USER:PASSWORD@HOST:PORT`\n";
    let who = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
    let (proxy, talking) = unwilling(who);
    world.rimg(LIST).env("HTTP_PROXY", &proxy).run().code(1).stderr_lacks("hunter2").stderr_is(&format!(
        "error: cannot sign in at `{}`: the service answered HTTP 407 proxy authentication required\n{hint}",
        world.auth_url()
    ));
    talking.join().unwrap();

    let url = world.identity().url().replace("http://", "https://");
    let (proxy, talking) = unwilling(who);
    let run = || world.rimg(LIST.iter().chain(&["--os-auth-url", &url]));
    run()
        .env("HTTPS_PROXY", &proxy)
        .run()
        .code(1)
        .stderr_lacks("hunter2")
        .stderr_is(&format!("error: the proxy on the way to `{url}` wants a user and a password\n{hint}"));
    talking.join().unwrap();
    let (proxy, talking) = unwilling(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    run().env("HTTPS_PROXY", &proxy).run().code(1).stderr_lacks("hunter2").stderr_is(&format!(
        "error: the proxy did not connect us to `{url}`\n\
         hint: check HTTPS_PROXY; NO_PROXY names the hosts to be reached without it\n"
    ));
    talking.join().unwrap();
}

#[test]
fn a_proxy_that_is_not_there() {
    let world = World::new();
    world
        .rimg(LIST)
        .env("HTTP_PROXY", "http://boss:hunter2@127.0.0.1:1")
        .run()
        .code(1)
        .stderr_lacks("hunter2")
        .stderr_is(&format!(
            "error: cannot reach `{}`: connection refused\n\
             hint: check the address in the cloud's configuration, the network, and HTTPS_PROXY/NO_PROXY\n",
            world.identity().url()
        ));
}
