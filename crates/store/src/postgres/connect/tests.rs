//! What connect strings mean.

use super::*;

fn parse(text: &str) -> Connect {
    Connect::with_environment(text, |_| None).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    Connect::with_environment(text, |_| None).unwrap_err().to_string()
}

#[test]
fn both_forms_mean_the_same() {
    let url = parse("postgres://u:p@h:5433/d?sslmode=require&pool_max_conns=7");
    let pairs = parse("user=u password=p host=h port=5433 dbname=d sslmode=require pool_max_conns=7");
    assert_eq!(url, pairs);
    assert_eq!(url.pool.max, 7);
    assert_eq!(url.config.get_ssl_mode(), SslMode::Require);
}

#[test]
fn p13_the_password_is_never_shown() {
    let connect = parse("postgres://u:hunter2@h/d");
    for shown in [format!("{connect:?}"), connect.to_string(), format!("{:?}", connect.config)] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for text in ["postgres://u:hunter2@h/d?sslmode=hunter2", "password=hunter2 port=hunter2"] {
        assert!(!refused(text).contains("hunter2"));
    }
}

#[test]
fn what_the_pool_is_told() {
    let text = "host=h pool_max_conns=3 pool_min_conns=1 pool_max_conn_lifetime=30m pool_max_conn_idle_time=90s \
                pool_health_check_period=10s pool_max_conn_lifetime_jitter=1m";
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let wanted = PoolSettings {
        max: 3,
        min: 1,
        lifetime: minutes(30),
        lifetime_jitter: minutes(1),
        idle_time: Duration::from_secs(90),
        health_check: Duration::from_secs(10),
    };
    assert_eq!(parse(text).pool, wanted);
    for bad in
        ["pool_max_conns=0", "pool_max_conns=x", "pool_max_conn_lifetime=1", "pool_health_check_period=0"]
    {
        assert!(refused(bad).contains(bad.split('=').next().unwrap()));
    }
}

#[test]
fn what_is_not_said_comes_from_the_environment() {
    let environment = |name: &str| {
        let value = match name {
            "PGHOST" => "there",
            "PGPORT" => "5000",
            "PGUSER" => "me",
            "PGPASSWORD" => "p",
            "PGDATABASE" => "d",
            "PGSSLMODE" => "disable",
            "PGAPPNAME" => "a",
            "PGCONNECT_TIMEOUT" => "3",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let connect = Connect::with_environment("user=other", environment).unwrap();
    let config = &connect.config;
    assert_eq!(config.get_hosts(), [Host::Tcp("there".into())]);
    assert_eq!((config.get_ports(), config.get_user()), (&[5000][..], Some("other")));
    assert_eq!((config.get_password(), config.get_dbname()), (Some(&b"p"[..]), Some("d")));
    assert_eq!((config.get_ssl_mode(), config.get_application_name()), (SslMode::Disable, Some("a")));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(3)));
}

#[test]
fn a_password_is_found_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pgpass");
    std::fs::write(&file, "# a note\nh:1:*:u:not this\nh:*:d:u:a\\:b:c\n*:*:*:*:rest\n").unwrap();
    let found = |text: &str| {
        let text = format!("{text} passfile={}", file.display());
        String::from_utf8(parse(&text).config.get_password().unwrap().to_vec()).unwrap()
    };
    assert_eq!(found("host=h dbname=d user=u"), "a:b:c");
    assert_eq!(found("host=x dbname=d user=u"), "rest");
    assert_eq!(found("host=x dbname=d user=u password=said"), "said");
}

#[test]
fn modes_of_tls_mean_what_they_mean_in_libpq() {
    let of = |text: &str| ssl(&text::parse(text).unwrap()).unwrap();
    assert_eq!(of("host=h"), (SslMode::Prefer, Trust::Anybody));
    assert_eq!(of("sslmode=disable"), (SslMode::Disable, Trust::Anybody));
    assert_eq!(of("sslmode=allow"), (SslMode::Prefer, Trust::Anybody));
    assert_eq!(of("sslmode=require"), (SslMode::Require, Trust::Anybody));
    assert_eq!(of("sslmode=require sslrootcert=x"), (SslMode::Require, Trust::Authority));
    assert_eq!(of("sslmode=verify-ca"), (SslMode::Require, Trust::Authority));
    assert_eq!(of("sslmode=verify-full"), (SslMode::Require, Trust::Host));
    assert_eq!(of("sslrootcert=system"), (SslMode::Require, Trust::Host));
    assert!(refused("sslmode=maybe").contains("verify-full"));
    assert!(refused("sslmode=require sslcert=/x").contains("sslkey"));
    assert!(refused("sslmode=verify-ca sslrootcert=/no/such/file").contains("sslrootcert"));
}

#[test]
fn what_is_unknown_is_the_servers_to_judge_and_what_is_not_kept_is_refused() {
    let connect = parse("host=h search_path='a b' options='-c x=y'");
    assert_eq!(connect.config.get_options(), Some(r"-c x=y -c search_path=a\ b"));
    assert!(refused("host=h service=x").contains("service"));
    let with_service = |name: &str| (name == "PGSERVICE").then(|| "main".to_owned());
    assert!(Connect::with_environment("host=h", with_service).unwrap_err().to_string().contains("PGSERVICE"));
    assert!(refused("host=a,b port=1,2,3").contains("ports"));
    assert!(refused("postgres://h/d?a-b=c").contains("parameter"));
    assert!(parse("host=h statement_cache_mode=describe gssencmode=disable").config.get_options().is_none());
}
