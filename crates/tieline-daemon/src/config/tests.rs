//! Layers, errors that name key and place, and the file that documents itself.

use super::*;

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tieline.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let shown = path.display().to_string();
    Config::load_with(Some(&path), environment).map_err(|error| error.to_string().replace(&shown, "FILE"))
}

#[test]
fn each_layer_overrides_the_one_before() {
    let defaults = Config::defaults().unwrap();
    assert_eq!(defaults.http.listen.to_string(), "127.0.0.1:7400");
    assert_eq!(defaults.log.format, LogFormat::Text);
    let file = "data_dir = \"/d\"\n[http]\nlisten = \"127.0.0.1:1\"\n[store]\ncache_bytes = 2000000\n";
    let environment = [
        ("TIELINE__HTTP__LISTEN", "[::1]:2"),
        ("TIELINE__LOG__FORMAT", "json"),
        ("TIELINE__STORE__MIN_FREE_BYTES", "99000000"),
        ("TIELINE_TOKEN", "is not a setting of the daemon"),
        ("PATH", "/bin"),
    ];
    let config = load(file, &environment).unwrap();
    assert_eq!(config.data_dir, Path::new("/d"));
    assert_eq!(config.http.listen.to_string(), "[::1]:2");
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(
        config.store,
        Store {
            cache_bytes: 2_000_000,
            min_free_bytes: 99_000_000,
            snapshot_every_events: 500_000,
            past_events_max: 5_000_000,
        }
    );
    assert_eq!(config.broker, defaults.broker);
}

#[test]
fn the_broker_is_named_with_or_without_its_scheme() {
    for text in ["nats://broker.example:4222", "broker.example:4222"] {
        let config = load("", &[("TIELINE__BROKER__URL", text)]).unwrap();
        assert_eq!(config.broker.url.to_string(), "broker.example:4222");
    }
}

#[test]
fn errors_name_the_key_the_place_and_the_remedy() {
    // A file, an environment, and parts of the error.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [&'a str]);
    let cases: [Case<'_>; 16] = [
        ("data_dri = \"/d\"", &[], &["FILE sets data_dri", "use one of data_dir, broker"]),
        ("[http]\nlsten = 1", &[], &["FILE sets http.lsten", "use one of listen"]),
        (
            "",
            &[("TIELINE__LOG__LEVLE", "info")],
            &["variable TIELINE__LOG__LEVLE sets log.levle", "level, format"],
        ),
        (
            "",
            &[("TIELINE__HTTP__LISTEN", "7400")],
            &["http.listen in the environment variable TIELINE__HTTP__LISTEN"],
        ),
        ("[broker]\nurl = \"nowhere\"", &[], &["broker.url in FILE", "write host:port"]),
        ("[store]\ncache_bytes = \"much\"", &[], &["store.cache_bytes in FILE", "much"]),
        ("[store]\ncache_bytes = 1", &[], &["store.cache_bytes in FILE", "at least 1048576"]),
        ("[store]\nsnapshot_every_events = 1", &[], &["store.snapshot_every_events in FILE", "at least 100"]),
        ("[store]\nmin_free_bytes = 1", &[], &["store.min_free_bytes in FILE", "at least 16777216"]),
        ("[log]\nformat = \"xml\"", &[], &["log.format in FILE", "xml"]),
        ("[log]\nlevel = \"a=b=c\"", &[], &["log.level in FILE", "level filter"]),
        ("[log]\nlevel = \"chatty\"", &[], &["log.level in FILE", "\"chatty\" is no level"]),
        ("data_dir = \"\"", &[], &["data_dir in FILE", "name a directory"]),
        ("[http]\nlisten = \"0.0.0.0:1\"", &[], &["http.listen in FILE", "in the clear", "allow_plaintext"]),
        ("[http]\ntls_certificate = \"c\"", &[], &["http.tls_key", "is empty"]),
        ("[http]\ntls_key = \"k\"", &[], &["http.tls_certificate", "is empty"]),
    ];
    for (file, environment, parts) in cases {
        let error = load(file, environment).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)), "{file:?} {environment:?}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_with_its_line() {
    let error = load("data_dir = \"/d\"\n[http\n", &[]).unwrap_err();
    assert!(error.contains("FILE is not TOML") && error.contains("line 2"), "{error}");
    let missing = Config::load_with(Some(Path::new("/nowhere/tieline.toml")), BTreeMap::new()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/tieline.toml cannot be read"), "{missing}");
    assert!(std::error::Error::source(&missing).is_some());
}

#[test]
fn a_written_configuration_is_documented_and_reads_back() {
    let mut config = Config::defaults().unwrap();
    assert_eq!(config.to_documented_toml(), DEFAULT_TOML, "the defaults document themselves");
    config.data_dir = "/a \"quoted\\\" dir\u{7f}/ß".into();
    config.http.listen = "127.0.0.1:9".parse().unwrap();
    config.store.cache_bytes = 5_000_000;
    config.log = Log { level: "debug".into(), format: LogFormat::Json };
    let text = config.to_documented_toml();
    assert_eq!(load(&text, &[]).unwrap(), config);
    assert!(text.contains("# Where the HTTP API listens"), "{text}");
}

#[test]
fn an_api_beyond_loopback_speaks_tls_or_is_allowed_not_to() {
    let tls = "[http]\nlisten = \"0.0.0.0:1\"\ntls_certificate = \"c\"\ntls_key = \"k\"\n";
    assert_eq!(load(tls, &[]).unwrap().http.tls(), Some((Path::new("c"), Path::new("k"))));
    let plain = load("[http]\nlisten = \"0.0.0.0:1\"\nallow_plaintext = true\n", &[]).unwrap();
    assert_eq!(plain.http.tls(), None);
}

#[test]
fn every_setting_is_explained() {
    let mut explained = false;
    for line in DEFAULT_TOML.lines() {
        let setting = line.contains(" = ") && !line.starts_with('#');
        assert!(!setting || explained, "{line} has no comment above it");
        explained = line.starts_with('#');
    }
}
