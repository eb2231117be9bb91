//! TLS to the database, with the meanings that libpq gives to `sslmode`: `require` encrypts and trusts whoever answers,
//! `verify-ca` wants a certificate of a known authority, `verify-full` also the name of the host in it.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::text::{ConnectError, Parameters, wrong};

/// How much of the server's certificate counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    Anybody,
    Authority,
    Host,
}

/// From `sslrootcert`, `sslcert` and `sslkey`.
pub(super) fn connector(trust: Trust, parameters: &Parameters) -> Result<MakeRustlsConnect, ConnectError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier::new(trust, parameters.get("sslrootcert").map(String::as_str), &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError(format!("TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match (parameters.get("sslcert"), parameters.get("sslkey")) {
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| ConnectError(format!("sslkey: {error}")))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| ConnectError(format!("sslkey: {error}")))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return wrong("sslcert and sslkey come together"),
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(parameter: &str, file: &str) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let bad = |problem: String| ConnectError(format!("{parameter}: {problem}"));
    let read = CertificateDer::pem_file_iter(Path::new(file)).map_err(|error| bad(error.to_string()))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| bad(error.to_string()))?;
    if found.is_empty() { Err(bad("no certificate in the file".into())) } else { Ok(found) }
}

/// Decides whether an answer is the server's.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    /// Known authorities; also those servers that were named themselves, as those are that signed their own certificate.
    named: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(trust: Trust, file: Option<&str>, provider: &Arc<CryptoProvider>) -> Result<Self, ConnectError> {
        let provider = Arc::clone(provider);
        if trust == Trust::Anybody {
            return Ok(Verifier { trust, named: Vec::new(), authorities: None, provider });
        }
        let mut roots = RootCertStore::empty();
        let named = match file {
            Some(file) if file != "system" => certificates("sslrootcert", file)?,
            _ => Vec::new(),
        };
        if named.is_empty() {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        } else {
            roots.add_parsable_certificates(named.iter().cloned());
        }
        if roots.is_empty() {
            return wrong("no certificate of an authority to verify the server by: say sslrootcert");
        }
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| ConnectError(format!("sslrootcert: {error}")))?;
        Ok(Verifier { trust, named, authorities: Some(authorities), provider })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        if self.named.iter().any(|named| named == end_entity) {
            if self.trust == Trust::Host {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.trust == Trust::Authority => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
