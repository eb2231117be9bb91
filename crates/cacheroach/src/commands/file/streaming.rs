//! What is sent of an upload: as a stream, which the server answers with how far it is safe, or piece by piece where it knows
//! of no streams.

use std::future::ready;
use std::sync::atomic::Ordering;

use cacheroach_api::upload::{StreamRequest, TransferRequest, TransferState};
use futures::{StreamExt as _, stream};
use tonic::Code;

use super::reading::Source;
use super::record::{Begun, Record};
use super::upload::{Uploader, confused, offset_of};
use crate::error::Error;
use crate::progress::Transfer;
use crate::retry::{Backoff, insist};

impl Uploader<'_> {
    /// Sends a file up to an offset, in one call, or in another one from where that broke off. Tells whether the server knows
    /// of streams at all.
    pub(super) async fn stream(
        &self,
        source: &Source,
        begun: &mut Begun,
        end: u64,
        record: &mut Option<Record>,
        transfer: &Transfer,
    ) -> Result<bool, Error> {
        let mut backoff = Backoff::default();
        loop {
            let from = begun.state.offset;
            let tried = self.try_stream(source, begun, end, |begun, offset| {
                if let Some(record) = record {
                    record.save(source.stamp, begun);
                }
                transfer.reach(offset);
            });
            match tried.await {
                Ok(()) => return Ok(true),
                Err(Error::Rpc(status)) if status.code() == Code::Unimplemented => {
                    self.streams.store(false, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => {
                    if begun.state.offset > from {
                        backoff.reset();
                    }
                    if !error.is_loss() || !backoff.pause().await {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// One call. Whatever becomes of it, `begun` is what the server told last.
    async fn try_stream(
        &self,
        source: &Source,
        begun: &mut Begun,
        end: u64,
        mut reached: impl FnMut(&Begun, u64),
    ) -> Result<(), Error> {
        let size = source.stamp.size;
        let mut offset = offset_of(&begun.state, size)?;
        let (pieces, reading) = source.read_ahead(offset, end);
        let first = StreamRequest { state: Some(begun.state.clone()), ..Default::default() };
        let rest = stream::unfold(pieces, |mut pieces| async {
            pieces.recv().await.map(|data| (StreamRequest { state: None, data }, pieces))
        });
        let request = stream::once(ready(first)).chain(rest);
        let sent = async {
            let mut answers = self.site.client.uploads().stream(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                let state = answer.state.ok_or_else(confused)?;
                let told = offset_of(&state, size)?;
                if told < offset || told > end {
                    return Err(confused());
                }
                (offset, begun.state) = (told, state);
                reached(begun, offset);
            }
            Ok(offset)
        };
        let sent = sent.await;
        // What can't be read ends the request early, whatever the server says to that.
        if sent.is_ok() || reading.is_over() {
            reading.outcome().await?;
        }
        if sent? == end { Ok(()) } else { Err(confused()) }
    }

    /// Sends a piece in a call of its own.
    pub(super) async fn send(&self, state: &TransferState, data: Vec<u8>) -> Result<TransferState, Error> {
        let request = TransferRequest { state: Some(state.clone()), data };
        let answer = insist(|| {
            let (mut uploads, request) = (self.site.client.uploads(), request.clone());
            async move { uploads.transfer(request).await }
        });
        answer.await?.state.ok_or_else(confused)
    }
}
