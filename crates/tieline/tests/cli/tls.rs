//! The API over TLS, with certificates of a CA of its own, made by the `openssl` command.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::Org;

/// Runs openssl in `dir`.
fn openssl(dir: &Path, arguments: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(dir).args(arguments.split(' ')).stdin(Stdio::null());
    let output = command.output().expect("the openssl command is installed");
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A CA in `dir`, and a certificate of it for 127.0.0.1.
fn certificates(dir: &Path) -> [PathBuf; 3] {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout";
    openssl(dir, &format!("req -x509 {key} ca.key -out ca.pem -subj /CN=Authority -days 2"));
    openssl(dir, &format!("req -new {key} api.key -out api.csr -subj /CN=acme"));
    std::fs::write(dir.join("names"), "subjectAltName = IP:127.0.0.1\n").unwrap();
    openssl(
        dir,
        "x509 -req -in api.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out api.pem -days 2 -extfile names",
    );
    ["api.pem", "api.key", "ca.pem"].map(|name| dir.join(name))
}

/// Sets keys of the configuration.
fn configure(org: &Org, settings: &[(&str, &str)]) {
    let file = org.data().join("tieline.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    for (key, value) in settings {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap().to_owned();
        text = text.replace(&line, &format!("{key} = {value}"));
    }
    std::fs::write(file, text).unwrap();
}

#[test]
fn the_api_speaks_tls() {
    let mut org = Org::start();
    let status = org.json(&["status"]);
    assert_eq!(org.stop(), Some(0));
    let home = org.data().parent().unwrap().to_owned();
    let [certificate, key, ca] = certificates(&home).map(|path| format!("{:?}", path.display().to_string()));
    configure(&org, &[("tls_certificate", &certificate), ("tls_key", &key), ("tls_ca", &ca)]);
    org.serve();
    // The configuration tells the command line all that it needs.
    assert_eq!(org.json(&["status"])["org"], status["org"]);
    let config = crate::daemon::read(&org.data().join("tieline.toml"));
    let listen = config.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap().trim_matches('"');
    let token = org.data().join("admin.token").display().to_string();
    let elsewhere = |api: &str, ca: &Path| {
        let ca = ca.display().to_string();
        let mut command = crate::daemon::tieline();
        command.args(["status", "--api", api, "--token-file", &token, "--ca-file", &ca]);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (https, plain) = (format!("https://{listen}"), format!("http://{listen}"));
    assert_eq!(elsewhere(&https, &home.join("ca.pem")), (0, String::new()));
    // Another CA, another name, no TLS, no CA at all.
    openssl(
        &home,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout x.key -out x.pem -subj /CN=Other -days 2",
    );
    let (code, err) = elsewhere(&https, &home.join("x.pem"));
    assert_eq!(code, 7, "{err}");
    assert!(err.contains("UnknownIssuer"), "{err}");
    let (code, err) = elsewhere(&https.replace("127.0.0.1", "localhost"), &home.join("ca.pem"));
    assert!(code == 7 && err.contains("certificate"), "{code}: {err}");
    assert_ne!(elsewhere(&plain, &home.join("ca.pem")).0, 0);
    let (code, err) = elsewhere(&https, &home.join("names"));
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("does not hold a certificate"), "{err}");
    assert_eq!(org.stop(), Some(0));
}

#[test]
fn plain_http_stays_on_this_machine() {
    let mut org = Org::start();
    assert_eq!(org.stop(), Some(0));
    let refused = |org: &Org, part: &str| {
        let (code, _, err) = org.run(&["serve"]);
        assert_ne!(code, 0);
        assert!(err.contains(part), "{err}");
    };
    configure(&org, &[("listen", "\"0.0.0.0:0\"")]);
    refused(&org, "http.listen");
    configure(&org, &[("tls_certificate", "\"/nowhere/api.pem\"")]);
    refused(&org, "tls_key");
    configure(&org, &[("tls_key", "\"/nowhere/api.key\"")]);
    refused(&org, "/nowhere/api.pem does not hold a certificate");
    configure(&org, &[("tls_certificate", "\"\""), ("tls_key", "\"\""), ("allow_plaintext", "true")]);
    org.serve();
    assert_eq!(org.stop(), Some(0));
}
