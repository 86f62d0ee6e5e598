//! A model that knows one answer, and a tool that finds one page. Neither needs a network.

use futures_core::Stream;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use throughline::{ErrorClass, info, instrument};

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The model refuses further requests for now.
    RateLimited,
    /// No page was found.
    NotFound,
}

impl ErrorClass for Failure {
    fn class(&self) -> &'static str {
        match self {
            Failure::RateLimited => "rate_limited",
            Failure::NotFound => "not_found",
        }
    }
}

/// What the model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Tokens of the question.
    pub input: u64,
    /// Tokens of the text.
    pub output: u64,
}

/// Stands for a request to another machine: it is pending once. Its rate, errors and duration are counted by host.
#[instrument(name = "http.request", kind = Client, skip_all, metrics(name = "http.client", host), fields(server.address = host))]
async fn request(host: &str, failure: Option<Failure>) -> Result<(), Failure> {
    tokio::task::yield_now().await;
    info!("{host} has answered", host);
    failure.map_or(Ok(()), Err)
}

/// Asks the model.
///
/// # Errors
///
/// [`Failure::RateLimited`] if the question says so.
pub async fn generate(question: &str) -> Result<Answer, Failure> {
    request("model.example", question.contains("busy").then_some(Failure::RateLimited)).await?;
    let text = format!("about {question}");
    Ok(Answer { input: question.len() as u64, output: text.len() as u64, text })
}

/// Finds a page.
///
/// # Errors
///
/// [`Failure::NotFound`] if the question is empty.
pub async fn search(question: &str) -> Result<String, Failure> {
    request("search.example", question.is_empty().then_some(Failure::NotFound)).await?;
    Ok(format!("a page {question}"))
}

/// Says the words of a text one after the other, and is pending between them.
#[derive(Debug)]
pub struct Words {
    words: Vec<String>,
    is_ready: bool,
}

impl Words {
    /// The words of this text.
    pub fn of(text: &str) -> Words {
        Words { words: text.split(' ').rev().map(str::to_owned).collect(), is_ready: false }
    }
}

impl Stream for Words {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<String>> {
        self.is_ready = !self.is_ready;
        if self.is_ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let word = self.words.pop();
        if let Some(word) = &word {
            info!("the word {word}", word);
        }
        Poll::Ready(word)
    }
}

/// The next item of a stream.
pub async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    std::future::poll_fn(|cx| pin!(&mut *stream).poll_next(cx)).await
}

/// Runs a future until it is done, on this thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without drivers");
    runtime.block_on(future)
}
