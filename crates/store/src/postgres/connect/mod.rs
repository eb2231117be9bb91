//! Where the database is and how it is reached: everything that the original's `--connect` accepts.

mod lengths;
mod text;
mod tls;

use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{
    ChannelBinding, Host, LoadBalanceHosts, SslMode, SslNegotiation, TargetSessionAttrs,
};
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{Error, Result};
pub use text::ConnectError;
use text::{Parameters, wrong};
use tls::Trust;

/// Environment variables of libpq, and the parameters they stand in for.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGAPPNAME", "application_name"),
    ("PGOPTIONS", "options"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Parameters that other drivers know and that mean nothing here, or only one thing.
const WITHOUT_MEANING: &[&str] = &[
    "client_encoding",
    "default_query_exec_mode",
    "description_cache_capacity",
    "fallback_application_name",
    "gssencmode",
    "krbsrvname",
    "krbspn",
    "min_read_buffer_size",
    "prefer_simple_protocol",
    "sslcompression",
    "sslsni",
    "statement_cache_capacity",
    "statement_cache_mode",
];

/// Parameters that would promise something which is not kept.
const REFUSED: &[&str] = &["service", "servicefile", "sslpassword", "sslcrl", "sslcrldir", "requirepeer"];

/// How many connections there are and how long they are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct PoolSettings {
    pub(super) max: usize,
    pub(super) min: usize,
    pub(super) lifetime: Duration,
    pub(super) lifetime_jitter: Duration,
    pub(super) idle_time: Duration,
    pub(super) health_check: Duration,
}

/// A database that can be connected to. What is shown of it has no password.
#[derive(Clone)]
pub struct Connect {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
    pub(super) pool: PoolSettings,
    /// Without what is a secret, to tell two of them apart.
    shown: String,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connect").field(&self.shown).finish()
    }
}

impl PartialEq for Connect {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.pool == other.pool
    }
}

impl Eq for Connect {}

impl fmt::Display for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Connect {
    /// From a URL or `key=value` pairs, with the environment's values for what is not in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        Connect::with_environment(text, |name| std::env::var(name).ok())
    }

    fn with_environment(
        text: &str,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        if let Some(variable) =
            ["PGSERVICE", "PGSERVICEFILE"].into_iter().find(|name| environment(name).is_some())
        {
            return wrong(format!("{variable} is not supported"));
        }
        let mut parameters = text::parse(text)?;
        for (variable, parameter) in ENVIRONMENT {
            if let Some(value) = environment(variable).filter(|value| !value.is_empty()) {
                parameters.entry((*parameter).to_owned()).or_insert(value);
            }
        }
        if !parameters.contains_key("user") {
            let user = environment("USER").unwrap_or_else(|| "postgres".into());
            parameters.insert("user".into(), user);
        }
        if !parameters.contains_key("host") && !parameters.contains_key("hostaddr") {
            let socket = ["/run/postgresql", "/tmp"]
                .into_iter()
                .find(|dir| std::fs::exists(format!("{dir}/.s.PGSQL.5432")).unwrap_or(false));
            parameters.insert("host".into(), socket.unwrap_or("localhost").into());
        }
        if !parameters.contains_key("dbname") {
            // As libpq has it.
            parameters.insert("dbname".into(), parameters["user"].clone());
        }
        add_password(&mut parameters, environment("HOME"));
        Connect::from_parameters(&parameters)
    }

    fn from_parameters(parameters: &Parameters) -> Result<Self, ConnectError> {
        let mut config = usual();
        let mut pool = PoolSettings::usual();
        let mut settings = Vec::new();
        for (key, value) in parameters {
            if pool.set(key, value)? || set(&mut config, key, value)? {
                continue;
            }
            if REFUSED.contains(&key.as_str()) {
                return wrong(format!("{key} is not supported"));
            }
            if !WITHOUT_MEANING.contains(&key.as_str()) {
                settings.push(server_setting(key, value)?);
            }
        }
        if !settings.is_empty() {
            let options = config.get_options().unwrap_or_default().to_owned();
            config.options(format!("{options} {}", settings.join(" ")).trim().to_owned());
        }
        let (mode, trust) = ssl(parameters)?;
        let only_sockets = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        // A socket needs no TLS, and can't have any.
        config.ssl_mode(if only_sockets && !config.get_hosts().is_empty() { SslMode::Disable } else { mode });
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if config.get_ports().len() > 1 && config.get_ports().len() != hosts {
            return wrong("as many ports as hosts, or one for all");
        }
        let of = |key: &str| parameters.get(key).map(String::as_str).unwrap_or_default();
        let host = if of("host").is_empty() { of("hostaddr") } else { of("host") };
        let shown = format!("postgres://{host}/{}", of("dbname"));
        Ok(Connect { config, tls: tls::connector(trust, parameters)?, pool, shown })
    }

    /// A connection of its own, outside the pool. The task that serves it ends with it.
    pub(super) async fn connect(&self) -> Result<Client> {
        let limit = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let connecting = tokio::time::timeout(limit * 2, self.config.connect(self.tls.clone()));
        match connecting.await {
            Ok(Ok((client, connection))) => {
                tokio::spawn(connection);
                Ok(client)
            }
            Ok(Err(error)) => Err(super::run::Failure::from(error).into()),
            Err(late) => Err(Error::Busy(late.into())),
        }
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What makes a connection whose packets vanish end by itself.
fn usual() -> Config {
    let mut config = Config::new();
    config
        .application_name("cacheroach")
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(Duration::from_secs(10))
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(3))
        .keepalives_retries(3);
    config
}

/// A parameter of the connection itself; tells whether it is one.
fn set(config: &mut Config, key: &str, value: &str) -> Result<bool, ConnectError> {
    let bad = || ConnectError(format!("{key} has a value that is none of its"));
    let seconds = || value.parse().map(Duration::from_secs).map_err(|_| bad());
    match key {
        "host" => {
            for host in value.split(',') {
                config.host(host);
            }
        }
        "hostaddr" => {
            for address in value.split(',') {
                config.hostaddr(address.parse().map_err(|_| bad())?);
            }
        }
        "port" => {
            for port in value.split(',') {
                config.port(if port.is_empty() { 5432 } else { port.parse().map_err(|_| bad())? });
            }
        }
        "user" => {
            config.user(value);
        }
        "password" => {
            config.password(value);
        }
        "dbname" => {
            config.dbname(value);
        }
        "options" => {
            config.options(value);
        }
        "application_name" => {
            config.application_name(value);
        }
        "connect_timeout" => {
            // Zero is for ever in libpq; nothing is here.
            let length: Duration = seconds()?;
            if !length.is_zero() {
                config.connect_timeout(length);
            }
        }
        "keepalives" => {
            config.keepalives(value != "0");
        }
        "keepalives_idle" => {
            config.keepalives_idle(seconds()?);
        }
        "keepalives_interval" => {
            config.keepalives_interval(seconds()?);
        }
        "keepalives_count" => {
            config.keepalives_retries(value.parse().map_err(|_| bad())?);
        }
        // In milliseconds, unlike the others.
        "tcp_user_timeout" => {
            config.tcp_user_timeout(Duration::from_millis(value.parse().map_err(|_| bad())?));
        }
        "target_session_attrs" => {
            config.target_session_attrs(match value {
                "any" => TargetSessionAttrs::Any,
                "read-write" | "primary" => TargetSessionAttrs::ReadWrite,
                // All of them are written to.
                _ => return Err(bad()),
            });
        }
        "load_balance_hosts" => {
            config.load_balance_hosts(match value {
                "disable" => LoadBalanceHosts::Disable,
                "random" => LoadBalanceHosts::Random,
                _ => return Err(bad()),
            });
        }
        "channel_binding" => {
            config.channel_binding(match value {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                _ => return Err(bad()),
            });
        }
        "sslnegotiation" => {
            config.ssl_negotiation(match value {
                "postgres" => SslNegotiation::Postgres,
                "direct" => SslNegotiation::Direct,
                _ => return Err(bad()),
            });
        }
        "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "passfile" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// Anything else is a setting of the server, which refuses what it does not know.
fn server_setting(key: &str, value: &str) -> Result<String, ConnectError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if key.is_empty() || !key.chars().all(plain) {
        return wrong("a parameter with a name that none has");
    }
    Ok(format!("-c {key}={}", value.replace('\\', "\\\\").replace(' ', "\\ ")))
}

fn ssl(parameters: &Parameters) -> Result<(SslMode, Trust), ConnectError> {
    let roots = parameters.get("sslrootcert");
    match parameters.get("sslmode").map(String::as_str) {
        Some("disable") => Ok((SslMode::Disable, Trust::Anybody)),
        // Neither of them is safe from somebody in between, so it does not matter which is tried first.
        Some("allow" | "prefer") => Ok((SslMode::Prefer, Trust::Anybody)),
        // To those who name the system's authorities, libpq gives the strictest mode alone.
        None if roots.is_some_and(|roots| roots == "system") => Ok((SslMode::Require, Trust::Host)),
        None => Ok((SslMode::Prefer, Trust::Anybody)),
        // As in libpq: an authority that is named is not left aside.
        Some("require") if roots.is_some() => Ok((SslMode::Require, Trust::Authority)),
        Some("require") => Ok((SslMode::Require, Trust::Anybody)),
        Some("verify-ca") => Ok((SslMode::Require, Trust::Authority)),
        Some("verify-full") => Ok((SslMode::Require, Trust::Host)),
        Some(_) => wrong("sslmode is disable, allow, prefer, require, verify-ca or verify-full"),
    }
}

/// From the file of passwords, as libpq looks for it: `host:port:database:user:password` in each line.
fn add_password(parameters: &mut Parameters, home: Option<String>) {
    if parameters.contains_key("password") {
        return;
    }
    let usual = home.map(|home| format!("{home}/.pgpass"));
    let Some(file) = parameters.get("passfile").cloned().or(usual) else { return };
    let Ok(text) = std::fs::read_to_string(file) else { return };
    let of = |key: &str, default: &str| parameters.get(key).cloned().unwrap_or_else(|| default.to_owned());
    let first = |text: String| text.split(',').next().unwrap_or_default().to_owned();
    let host = first(of("host", "localhost"));
    let host = if host.starts_with('/') { "localhost".to_owned() } else { host };
    let port = Some(first(of("port", "5432"))).filter(|port| !port.is_empty()).unwrap_or("5432".into());
    let wanted = [host, port, of("dbname", ""), of("user", "")];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let fields = password_fields(line);
        let fits = |(field, wanted): (&String, &String)| field == "*" || field == wanted;
        if fields.len() == 5 && fields.iter().zip(&wanted).all(fits) {
            parameters.insert("password".into(), fields[4].clone());
            return;
        }
    }
}

fn password_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '\\' => fields[last].extend(chars.next()),
            // The password is the rest of the line.
            ':' if last < 4 => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}

impl PoolSettings {
    fn usual() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        PoolSettings {
            max: (4 * cores).max(16),
            min: 0,
            lifetime: Duration::from_secs(3600),
            lifetime_jitter: Duration::from_secs(300),
            idle_time: Duration::from_secs(1800),
            health_check: Duration::from_secs(60),
        }
    }

    /// A parameter of the pool; tells whether it is one.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, ConnectError> {
        let number = || {
            let number = value.parse().ok().filter(|number| (0..=10_000).contains(number));
            number.ok_or_else(|| ConnectError(format!("{key} is a number of connections")))
        };
        let length = || {
            lengths::parse(value)
                .ok_or_else(|| ConnectError(format!("{key} is a length such as 90s or 1h30m")))
        };
        match key {
            "pool_max_conns" => match number()? {
                0 => return wrong("pool_max_conns is 1 at least"),
                max => self.max = max,
            },
            "pool_min_conns" | "pool_min_idle_conns" => self.min = self.min.max(number()?),
            "pool_max_conn_lifetime" => self.lifetime = length()?,
            "pool_max_conn_lifetime_jitter" => self.lifetime_jitter = length()?,
            "pool_max_conn_idle_time" => self.idle_time = length()?,
            "pool_health_check_period" => {
                self.health_check = length()?;
                if self.health_check.is_zero() {
                    return wrong("pool_health_check_period is longer than 0");
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
