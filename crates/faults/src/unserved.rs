//! Requests that a client may make again, whatever they do.

/// Whether an error says that the server did nothing of the request: nobody was there to connect to, the client's library had it
/// waiting for a connection that was over before, or the server named a lower number as the last stream that it serves (RFC 9113,
/// section 6.8). The last comes of servers that stop as they should: the crate `h2` answers a server's ping before it sends what
/// waits, so a stream can begin after the server has taken its last one.
#[must_use]
pub fn is_unserved(error: &dyn std::error::Error) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.any(|cause| {
        let said = format!("{cause:?}");
        said.contains("ConnectionRefused")
            || said.starts_with("hyper::Error(Canceled")
            || said.starts_with(r#"hyper::Error(Http2, Error { kind: GoAway(b"", NO_ERROR, Remote)"#)
    })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::upload::{begin, channel};

    /// HTTP/2 frames: settings, of which there are none, and the end of a connection on which no stream is served.
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    /// What clients say when the server serves no stream of the connection, for a reason that is the last octet of the GOAWAY.
    async fn errors(reason: u8) -> (reqwest::Error, tonic::Status) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        // Clients may try again by themselves.
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(&SETTINGS).await.unwrap();
                let (mut got, mut part) = (Vec::new(), [0; 1024]);
                // Until the headers of the first stream are there.
                while !got.windows(6).any(|frame| frame[0] == 1 && frame[2..] == [0, 0, 0, 1]) {
                    let length = stream.read(&mut part).await.unwrap();
                    got.extend_from_slice(&part[..length]);
                }
                let mut goaway = GOAWAY;
                goaway[16] = reason;
                stream.write_all(&goaway).await.unwrap();
            }
        });
        let http = reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap();
        let over_http = http.get(&url).send().await.unwrap_err();
        (over_http, begin(channel(&url), "none", "/f").await.unwrap_err())
    }

    #[tokio::test]
    async fn a_stream_after_the_last_one_of_a_server_that_stops_is_not_served() {
        let (over_http, over_grpc) = errors(0).await;
        assert!(is_unserved(&over_http), "{over_http:?}");
        assert!(is_unserved(&over_grpc), "{over_grpc:?}");
    }

    #[tokio::test]
    async fn a_stream_that_the_server_broke_may_have_been_served() {
        let (over_http, over_grpc) = errors(2).await;
        assert!(!is_unserved(&over_http), "{over_http:?}");
        assert!(!is_unserved(&over_grpc), "{over_grpc:?}");
    }
}
