//! Calls of models.

use super::class_of;
use super::running::{Generating, Of, Running, Start};
use crate::propagation::Correlation;
use std::future::Future;
use throughline::adapter::bridge::FieldList;
use throughline::adapter::callsite::CallsiteId;

/// A call of a model. `provider` is the name in the conventions, such as `openai`, `anthropic`, `gcp.gemini` or `aws.bedrock`; both
/// become labels.
pub fn llm<'a>(provider: &'a str, model: &'a str) -> Llm<'a> {
    Llm { provider, model, operation: "chat", temperature: None, top_p: None, max_tokens: None, server: None }
}

/// A call of a model that has not begun; see [`llm`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it begins with `run`, `run_with` or `begin`"]
pub struct Llm<'a> {
    provider: &'a str,
    model: &'a str,
    operation: &'static str,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_tokens: Option<u64>,
    server: Option<(&'a str, u16)>,
}

impl<'a> Llm<'a> {
    /// What the model does, `gen_ai.operation.name`: `chat` if nothing else is said, or for example `embeddings`,
    /// `generate_content` or `text_completion`.
    pub fn operation(self, operation: &'static str) -> Llm<'a> {
        Llm { operation, ..self }
    }

    /// `gen_ai.request.temperature`.
    pub fn temperature(self, temperature: f64) -> Llm<'a> {
        Llm { temperature: Some(temperature), ..self }
    }

    /// `gen_ai.request.top_p`.
    pub fn top_p(self, top_p: f64) -> Llm<'a> {
        Llm { top_p: Some(top_p), ..self }
    }

    /// `gen_ai.request.max_tokens`.
    pub fn max_tokens(self, most: u64) -> Llm<'a> {
        Llm { max_tokens: Some(most), ..self }
    }

    /// Host and port of the provider's server.
    pub fn server(self, address: &'a str, port: u16) -> Llm<'a> {
        Llm { server: Some((address, port)), ..self }
    }

    /// Runs the call. As [`Agent::run`](super::Agent::run).
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run<T, E>(self, future: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>> {
        self.run_with(future, |_, _| ())
    }

    /// Runs the call, and lets `found` tell from the answer what it has used.
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run_with<T, E>(
        self,
        future: impl Future<Output = Result<T, E>>,
        found: impl FnOnce(&mut Generating, &T),
    ) -> impl Future<Output = Result<T, E>> {
        self.run_classified(future, found, class_of::<E>)
    }

    /// Like [`Llm::run_with`], with the class of an error, such as [`ErrorClass::class`](throughline::ErrorClass::class).
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run_classified<T, E>(
        self,
        future: impl Future<Output = Result<T, E>>,
        found: impl FnOnce(&mut Generating, &T),
        class: impl FnOnce(&E) -> &'static str,
    ) -> impl Future<Output = Result<T, E>> {
        let start = self.start();
        async move {
            let (running, result) = Running::new(start).run(future, class).await;
            if let Ok(answer) = &result {
                found(&mut Generating { running, has_chunk: false }, answer);
            }
            result
        }
    }

    /// Begins the call, for answers that are streamed. It ends when the returned value is dropped.
    ///
    /// ```
    /// use throughline_std::gen_ai;
    /// let mut call = gen_ai::llm("anthropic", "claude-sonnet").begin();
    /// for part in ["Four", "."] {
    ///     call.chunk();
    ///     print!("{part}");
    /// }
    /// call.usage(12, 2);
    /// ```
    pub fn begin(self) -> Generating {
        Generating { running: Running::new(self.start()), has_chunk: false }
    }

    fn start(self) -> Start {
        let Llm { provider, model, operation, temperature, top_p, max_tokens, server } = self;
        let (address, port) = server.unzip();
        let mut fields = FieldList::expecting(9);
        [operation, provider, provider, model].iter().for_each(|text| _ = fields.push(*text));
        fields.push(&temperature);
        fields.push(&top_p);
        fields.push(&max_tokens);
        fields.push(&address);
        fields.push(&port);
        Start {
            of: Of::Llm { operation, provider: provider.to_owned(), model: model.to_owned() },
            callsite: site!(
                Client "llm.generate",
                &[
                    "gen_ai.operation.name",
                    "gen_ai.provider.name",
                    "gen_ai.system",
                    "gen_ai.request.model",
                    "gen_ai.request.temperature",
                    "gen_ai.request.top_p",
                    "gen_ai.request.max_tokens",
                    "server.address",
                    "server.port"
                ]
            ),
            fields,
            conventional: format!("{operation} {model}"),
            name: None,
            correlation: Correlation::current(),
        }
    }
}
