//! How settings are read: layers, errors that name key and source, and the files that are made from the schema.

use std::path::PathBuf;

use super::*;

fn with_file(text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("lifecycle.toml");
    std::fs::write(&file, text).expect("written");
    (folder, Sources { file: Some(file), ..Sources::default() })
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn error_of(sources: &Sources) -> String {
    load(sources).expect_err("refused").to_string()
}

#[test]
fn without_any_source_the_defaults_hold() {
    let loaded = load(&Sources::default()).expect("valid");
    assert_eq!(loaded.config, Config::default());
    assert_eq!(loaded.source_of(&["http", "listen"]), "default");
}

#[test]
fn a_variable_wins_over_the_file_and_a_flag_over_both() {
    let (_folder, mut sources) = with_file("[http]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n");
    let loaded = load(&sources).expect("valid");
    assert_eq!(loaded.config.http.listen.port(), 1);
    assert!(loaded.source_of(&["http", "listen"]).starts_with("file "));

    sources.variables = variables(&[("LIFECYCLE_HTTP__LISTEN", "127.0.0.1:2")]);
    let loaded = load(&sources).expect("valid");
    assert_eq!(loaded.config.http.listen.port(), 2);
    assert_eq!(loaded.source_of(&["http", "listen"]), "variable LIFECYCLE_HTTP__LISTEN");

    sources.flags = vec![("--listen", &["http", "listen"], "127.0.0.1:3".to_owned())];
    let loaded = load(&sources).expect("valid");
    assert_eq!(loaded.config.http.listen.port(), 3);
    assert_eq!(loaded.config.http.max_connections, 7);
    assert_eq!(loaded.source_of(&["http", "listen"]), "flag --listen");
    assert!(with_sources(&loaded).expect("printed").contains("# flag --listen"));
}

#[test]
fn an_unknown_key_in_the_file_is_named_with_the_file_and_the_nearest_key() {
    let (_folder, sources) = with_file("[http]\nlisen = \"127.0.0.1:1\"\n[nonsense]\na = 1\n");
    let error = error_of(&sources);
    let file = sources.file.expect("set");
    let expected = format!("there is no setting http.lisen (from file {}); did you mean http.listen?", file.display());
    assert!(error.contains(&expected), "{error}");
    assert!(error.contains("there is no setting nonsense (from file"), "{error}");
}

#[test]
fn a_wrong_type_is_named_with_key_and_source() {
    let (_folder, sources) = with_file(
        "[http]\nmax_connections = \"many\"\nheader_timeout = 5\nlisten = 8080\n[auth]\nmode = \"maybe\"\nhs256_secret = 7\n\
         [websocket]\norigins = \"*\"\n[timers]\nbatch = 1.5\n",
    );
    let error = error_of(&sources);
    for expected in [
        "http.max_connections must be a whole number, not \"many\" (from file ",
        "http.header_timeout must be a duration such as \"5s\", not 5 (from file ",
        "http.listen must be text, not 8080 (from file ",
        "auth.mode must be `on` or `off`, not \"maybe\" (from file ",
        "auth.hs256_secret must be text, not (hidden) (from file ",
        "websocket.origins must be a list of texts, not \"*\" (from file ",
        "timers.batch must be a whole number from 1 to 1000, not 1.5 (from file ",
    ] {
        assert!(error.contains(expected), "{expected:?} is missing in {error}");
    }
}

#[test]
fn a_value_outside_its_limits_is_named_with_its_limits() {
    let variables =
        variables(&[("LIFECYCLE_TIMERS__BATCH", "0"), ("LIFECYCLE_HTTP__HEADER_TIMEOUT", "1d"), ("LIFECYCLE_X", "1")]);
    let error = error_of(&Sources { variables, ..Sources::default() });
    assert!(
        error.contains(
            "timers.batch must be a whole number from 1 to 1000, not 0 (from variable LIFECYCLE_TIMERS__BATCH)"
        )
    );
    assert!(error.contains("http.header_timeout must be a duration from 100ms to 10m, not \"1d\""), "{error}");
}

#[test]
fn an_address_that_is_none_is_named() {
    let variables = variables(&[("LIFECYCLE_HTTP__LISTEN", "localhost")]);
    let error = error_of(&Sources { variables, ..Sources::default() });
    assert!(error.contains("http.listen: ") && error.contains("LIFECYCLE_HTTP__LISTEN"), "{error}");
}

#[test]
fn auth_may_be_off_on_a_loopback_address_only() {
    let off = |listen: &str| Sources {
        variables: variables(&[("LIFECYCLE_AUTH__MODE", "off"), ("LIFECYCLE_HTTP__LISTEN", listen)]),
        ..Sources::default()
    };
    assert!(load(&off("127.0.0.1:8080")).is_ok());
    assert!(load(&off("[::1]:8080")).is_ok());
    assert!(error_of(&off("0.0.0.0:8080")).contains("auth.mode = \"off\" is accepted only while"));
}

#[test]
fn combinations_that_make_no_sense_are_refused() {
    for (pairs, expected) in [
        (vec![("LIFECYCLE_AUTH__HS256_SECRET", "short")], "at least 32 bytes"),
        (vec![("LIFECYCLE_AUTH__JWKS", "http://keys.example.org/")], "must be a file or an https:// address"),
        (vec![("LIFECYCLE_TIMERS__RETRY_FIRST", "10m")], "timers.retry_first (10m) must not be longer"),
        (vec![("LIFECYCLE_LOG__LEVEL", "a=b=c")], "log.level must be a level"),
        (vec![("LIFECYCLE_WEBSOCKET__ORIGINS", "https://a.example/path")], "without a path"),
        (vec![("LIFECYCLE_TENANTS__a b__POLICY__REWARD_CLAIM_SECONDS", "1")], "a tenant id must not contain ' '"),
        (vec![("LIFECYCLE_TENANTS", "1")], ""),
    ] {
        let sources = Sources { variables: variables(&pairs), ..Sources::default() };
        match expected {
            "" => assert!(load(&sources).is_ok()),
            expected => assert!(error_of(&sources).contains(expected), "{expected}: {}", error_of(&sources)),
        }
    }
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end_and_is_never_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("secret");
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(&file, format!("{secret}\n")).expect("written");
    let path = file.display().to_string();
    let mut sources =
        Sources { variables: variables(&[("LIFECYCLE_AUTH__HS256_SECRET_FILE", &path)]), ..Sources::default() };
    let loaded = load(&sources).expect("valid");
    assert_eq!(loaded.config.auth.hs256_secret.as_ref().expect("read").expose(), secret);
    for text in [
        effective_toml(&loaded.config).expect("printed"),
        effective_json(&loaded.config).expect("printed"),
        with_sources(&loaded).expect("printed"),
        format!("{loaded:?}"),
    ] {
        assert!(!text.contains(secret), "{text}");
    }

    sources.variables.extend(variables(&[("LIFECYCLE_AUTH__HS256_SECRET", secret)]));
    assert!(error_of(&sources).contains("are both set"));
    sources.variables = variables(&[("LIFECYCLE_AUTH__HS256_SECRET_FILE", "/nowhere/secret")]);
    assert!(error_of(&sources).contains("cannot read /nowhere/secret"));
}

#[test]
fn a_tenant_overrides_the_policy_by_file_and_by_variable() {
    let (_folder, mut sources) =
        with_file("[tenants.\"a.b\".policy]\nreward_claim_seconds = 5\nmisfire.custom = \"hold\"\n");
    sources.variables = variables(&[("LIFECYCLE_TENANTS__Acme__POLICY__REWARD_CLAIM_SECONDS", "9")]);
    let config = load(&sources).expect("valid").config;
    assert_eq!(config.tenants["a.b"].policy.reward_claim_seconds, Some(5));
    assert_eq!(config.tenants["a.b"].policy.to_domain().misfire.custom, Some(domain::Misfire::Hold));
    assert_eq!(config.tenants["Acme"].policy.reward_claim_seconds, Some(9));
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    let missing = Sources { file: Some(PathBuf::from("/nowhere/lifecycle.toml")), ..Sources::default() };
    assert!(error_of(&missing).contains("cannot read the file /nowhere/lifecycle.toml"));
    let (_folder, sources) = with_file("[http\n");
    assert!(error_of(&sources).contains("is not TOML"));
}

#[test]
fn the_effective_settings_are_toml_that_loads_again() {
    let printed = effective_toml(&Config::default()).expect("printed");
    let (_folder, sources) = with_file(&printed);
    assert_eq!(load(&sources).expect("valid").config, Config::default());
}

#[test]
fn the_documented_sample_is_up_to_date_and_loads_as_the_defaults() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/lifecycle.example.toml");
    let sample = std::fs::read_to_string(&file).expect("the sample exists");
    assert_eq!(sample, example(), "run `cargo xtask gen`");
    let loaded = load(&Sources { file: Some(file), ..Sources::default() }).expect("valid");
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn the_reference_names_every_setting_and_its_variable() {
    let reference = reference();
    for expected in
        ["`LIFECYCLE_HTTP__LISTEN`", "`LIFECYCLE_TENANTS__<tenant>__POLICY__REWARD_CLAIM_SECONDS`", "[policy.misfire]"]
    {
        assert!(reference.contains(expected), "{expected} is missing in {reference}");
    }
}

#[test]
fn the_reserved_tenant_has_no_settings() {
    let (_folder, sources) = with_file("[tenants._service.policy]\nreward_claim_seconds = 5\n");
    let error = error_of(&sources);
    assert!(error.contains("tenants._service"), "{error}");
}
