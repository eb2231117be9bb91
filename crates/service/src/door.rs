//! The door: every request of every protocol comes in here, and every answer goes out here.

use std::future::Future;
use std::pin::Pin;

use cacheroach_api::rule::{Method, Ruled};
use cacheroach_api::text;
use cacheroach_auth::{Lack, Refusal, Refused, Want};
use cacheroach_model::Capabilities;
use cacheroach_store::failpoint::{Step, hit};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::error::{Unproven, Why};
use crate::still::Still;
use crate::{Caller, Error, Result, Service};

/// The parts of an answer, as they come.
pub type Stream<T> = Pin<Box<dyn futures::Stream<Item = Result<T>> + Send>>;

/// A method with one answer.
pub trait Ask: Method {
    /// A message, or what stands for one inside the process.
    type Answer: Ruled + Send;

    /// Brings the request into the one form that is checked and used: paths above all. Tells where it leads, if
    /// anywhere in particular.
    ///
    /// # Errors
    /// What has no such form.
    fn canonical(request: &mut Self::Request) -> Result<Option<Want>> {
        let _ = request;
        Ok(None)
    }

    /// Does it. Whether the caller may has been checked.
    fn answer(
        service: &Service,
        caller: &Caller,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Answer>> + Send;
}

/// A method with an answer of many parts.
pub trait AskStream: Method {
    /// As [`Ask::canonical`].
    ///
    /// # Errors
    /// What has no such form.
    fn canonical(request: &mut Self::Request) -> Result<Option<Want>> {
        let _ = request;
        Ok(None)
    }

    /// Begins to do it. Whether the caller may has been checked.
    fn answer(
        service: &std::sync::Arc<Service>,
        caller: &Caller,
        request: Self::Request,
    ) -> impl Future<Output = Result<Stream<Self::Response>>> + Send;
}

/// A method with a request of many parts, and an answer of many that come meanwhile.
pub trait Exchange: Method {
    /// Begins to do it. Whether the caller may say the parts that there are is checked; whether it still may while more come
    /// is for the noun to look after, which knows what they are about.
    fn answer(
        service: &std::sync::Arc<Service>,
        caller: &Caller,
        first: Self::Request,
        rest: Stream<Self::Request>,
    ) -> impl Future<Output = Result<Stream<Self::Response>>> + Send;
}

impl Service {
    /// Asks. May it be said? Then it is done, and the answer cut to what may be heard.
    ///
    /// # Errors
    /// For the caller to read.
    pub async fn call<M: Ask>(&self, caller: &Caller, mut request: M::Request) -> Result<M::Answer> {
        let looked_at = self.enter::<M>(caller, &mut request, M::canonical).await?;
        let caller = looked_at.as_ref().unwrap_or(caller);
        hit(Step::RequestPanic);
        self.may_run::<M>()?;
        let mut answer = M::answer(self, caller, request).await?;
        caller.authority().cut(&mut answer);
        Ok(answer)
    }

    /// Asks for many. A part that the caller may not hear as a whole is left out.
    ///
    /// # Errors
    /// For the caller to read, here or in the stream.
    pub async fn stream<M: AskStream>(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        mut request: M::Request,
    ) -> Result<Stream<M::Response>> {
        let looked_at = self.enter::<M>(caller, &mut request, M::canonical).await?;
        let caller = looked_at.as_ref().unwrap_or(caller);
        self.may_run::<M>()?;
        let still = Still::new::<M>(&self.callers, caller, request.clone());
        let parts = M::answer(self, caller, request).await?;
        Ok(Box::pin(futures::stream::try_unfold((parts, still), |(mut parts, mut still)| async move {
            while let Some(mut part) = parts.try_next().await? {
                still.must().await?;
                if !still.caller().authority().cut(&mut part) {
                    return Ok(Some((part, (parts, still))));
                }
            }
            Ok(None)
        })))
    }

    /// Asks with many parts for many. Without any it is asked as with an empty one.
    ///
    /// # Errors
    /// For the caller to read, here or in the stream.
    pub async fn exchange<M: Exchange<Request: Default>>(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        mut parts: Stream<M::Request>,
    ) -> Result<Stream<M::Response>>
    where
        M::Response: 'static,
    {
        let as_it_is = |_: &mut M::Request| Ok(None);
        let mut first = parts.try_next().await?.unwrap_or_default();
        let looked_at = self.enter::<M>(caller, &mut first, as_it_is).await?;
        let caller = looked_at.unwrap_or_else(|| caller.clone());
        self.may_run::<M>()?;
        let who = caller.clone();
        let rest = parts.map(move |part| {
            let mut part = part?;
            enter::<M>(&who, &mut part, as_it_is).map(|()| part)
        });
        let answers = M::answer(self, &caller, first, Box::pin(rest)).await?;
        Ok(Box::pin(answers.try_filter_map(move |mut answer| {
            let is_cut = caller.authority().cut(&mut answer);
            std::future::ready(Ok((!is_cut).then_some(answer)))
        })))
    }
}

impl Service {
    /// Lets in, or refuses after a look at the store: then the caller as it was seen there.
    async fn enter<M: Method>(
        &self,
        caller: &Caller,
        request: &mut M::Request,
        canonical: fn(&mut M::Request) -> Result<Option<Want>>,
    ) -> Result<Option<Caller>> {
        let refused = match enter::<M>(caller, request, canonical) {
            Err(refused @ (Error::Denied { .. } | Error::Unauthenticated(_))) => refused,
            other => return other.map(|()| None),
        };
        let Some(looked_at) = self.looked_at(caller).await? else { return Err(refused) };
        // What has its canonical form already keeps it.
        enter::<M>(&looked_at, request, canonical)?;
        Ok(Some(looked_at))
    }

    /// As [`Caller::must`], but nobody is refused by what is only remembered.
    pub(crate) async fn must(&self, caller: &Caller, capabilities: Capabilities, want: &Want) -> Result<()> {
        let Err(refused) = caller.must(capabilities, want) else { return Ok(()) };
        match self.looked_at(caller).await? {
            Some(looked_at) => looked_at.must(capabilities, want),
            None => Err(refused),
        }
    }

    /// For answers that go on for long: whether a caller could still make the call that it made.
    ///
    /// # Errors
    /// Its session is over, or not good enough any more.
    pub(crate) async fn must_still<M: Method>(&self, caller: &Caller) -> Result<()> {
        let caller = self.renewed(caller).await?;
        caller.authority().may_call::<M>().map_err(|refusal| refuse(&caller, refusal, None))
    }

    /// For requests that come slowly: whether the caller could still say what it said.
    ///
    /// # Errors
    /// As [`Service::call`].
    pub async fn must_still_say<M: Ask>(&self, caller: &Caller, mut request: M::Request) -> Result<()> {
        // A refusal needs a look: more may have been granted since.
        if self.callers.is_still_good(caller) && enter::<M>(caller, &mut request, M::canonical).is_ok() {
            return Ok(());
        }
        enter::<M>(&self.renewed(caller).await?, &mut request, M::canonical)
    }
}

/// The order matters: whoever may not call at all learns nothing of what a request must look like.
fn enter<M: Method>(
    caller: &Caller,
    request: &mut M::Request,
    canonical: fn(&mut M::Request) -> Result<Option<Want>>,
) -> Result<()> {
    caller.authority().may_call::<M>().map_err(|refused| refuse(caller, refused, None))?;
    request.form()?;
    let want = canonical(request)?;
    caller.authority().may_say(request).map_err(|refused| refuse(caller, refused, want.as_ref()))
}

/// Whether a caller may say what was in its canonical form before.
pub(crate) fn must<M: Method>(caller: &Caller, mut request: M::Request) -> Result<()> {
    caller.authority().may_call::<M>().map_err(|refused| refuse(caller, refused, None))?;
    caller.authority().may_say(&mut request).map_err(|refused| refuse(caller, refused, None))
}

fn refuse(caller: &Caller, refused: Refused, want: Option<&Want>) -> Error {
    let text = match refused.refusal {
        Refusal::Method => text::INSUFFICIENT_SCOPE,
        Refusal::Message => text::INAPPROPRIATE_FIELDS,
    };
    if caller.is_anonymous() {
        return Error::Unauthenticated(Unproven::because(Why::Absent, text));
    }
    let authority = caller.authority();
    let reaches =
        want.is_some_and(|want| Capabilities::NAMES.iter().any(|(_, one)| authority.may(*one, want)));
    Error::Denied { text, reaches, lack: refused.lack.map(Box::new) }
}

impl Caller {
    /// For what no message says: a fact that was looked up decides whether the caller may go on.
    pub(crate) fn must(&self, capabilities: Capabilities, want: &Want) -> Result<()> {
        if self.authority().may(capabilities, want) {
            Ok(())
        } else {
            let lack = Some(Lack { capabilities, on: want.clone() });
            Err(refuse(self, Refused { refusal: Refusal::Message, lack }, Some(want)))
        }
    }
}

/// How many rows are read at a time for a stream.
const PAGE: usize = 256;

/// A stream of parts from a function that lists a page of them after one.
pub(crate) fn pages<T, M, F>(list: impl Fn(Option<T>, usize) -> F + Send + 'static) -> Stream<M>
where
    T: Clone + Send + Sync + 'static,
    M: for<'a> From<&'a T> + Send + 'static,
    F: Future<Output = Result<Vec<T>>> + Send + 'static,
{
    let pages = futures::stream::try_unfold(Some(None), move |after: Option<Option<T>>| {
        let page = after.map(|after| list(after, PAGE));
        async move {
            let Some(page) = page else { return Ok(None) };
            let page = page.await?;
            let more = (page.len() == PAGE).then(|| page.last().cloned());
            let parts: Vec<_> = page.iter().map(|one| Ok(M::from(one))).collect();
            Ok::<_, Error>(Some((futures::stream::iter(parts), more)))
        }
    });
    Box::pin(pages.try_flatten())
}
