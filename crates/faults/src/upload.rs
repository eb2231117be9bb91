//! Uploads over gRPC, a call at a time, each to whichever server.

use cacheroach_api::upload::uploads_client::UploadsClient;
use cacheroach_api::upload::{BeginRequest, CommitRequest, StreamRequest, TransferRequest, TransferState};
use futures::StreamExt as _;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The tenant that a new store begins with.
#[must_use]
pub fn scratchpad() -> cacheroach_api::tenant::Id {
    cacheroach_api::tenant::Id { data: vec![10; 16] }
}

/// A connection, as soon as somebody needs one.
#[must_use]
pub fn channel(url: &str) -> Channel {
    Endpoint::from_shared(url.to_owned()).unwrap().connect_lazy()
}

/// A request with a token.
pub fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

/// Begins an upload to a path of the scratchpad.
///
/// # Errors
/// The server's answer, or none.
pub async fn begin(channel: Channel, token: &str, path: &str) -> Result<TransferState, Status> {
    let request = BeginRequest { tenant: Some(scratchpad()), path: path.into(), ..Default::default() };
    let begun = UploadsClient::new(channel).begin(with(token, request)).await?;
    Ok(begun.into_inner().state.unwrap())
}

/// Sends a part of one. With the same state it may be sent again.
///
/// # Errors
/// The server's answer, or none.
pub async fn transfer(
    channel: Channel,
    token: &str,
    state: TransferState,
    part: &[u8],
) -> Result<TransferState, Status> {
    let request = TransferRequest { state: Some(state), data: part.to_vec() };
    let sent = UploadsClient::new(channel).transfer(with(token, request)).await?;
    Ok(sent.into_inner().state.unwrap())
}

/// Sends parts of one, in one call that goes on after them until something breaks it. All states that are told, until one is at
/// an offset or behind it.
///
/// # Errors
/// The server's answer, or none.
pub async fn stream_to(
    channel: Channel,
    token: &str,
    state: TransferState,
    parts: &[u8],
    offset: i64,
) -> Result<Vec<TransferState>, Status> {
    let mut requests = vec![StreamRequest { state: Some(state), ..Default::default() }];
    let pieces = parts.chunks(1 << 20).map(|piece| piece.to_vec().into());
    requests.extend(pieces.map(|data| StreamRequest { state: None, data }));
    let requests = futures::stream::iter(requests).chain(futures::stream::pending());
    let mut answers = UploadsClient::new(channel).stream(with(token, requests)).await?.into_inner();
    let mut told: Vec<TransferState> = Vec::new();
    while told.last().is_none_or(|last| last.offset < offset) {
        let Some(answer) = answers.message().await? else { break };
        told.extend(answer.state);
    }
    Ok(told)
}

/// Makes a version of it: the same one, however often it is asked for.
///
/// # Errors
/// The server's answer, or none.
pub async fn commit(channel: Channel, token: &str, state: TransferState) -> Result<(), Status> {
    let request = CommitRequest { state: Some(state), ..Default::default() };
    UploadsClient::new(channel).commit(with(token, request)).await.map(drop)
}
