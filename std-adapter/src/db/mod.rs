//! Queries of databases: a span and a duration for each, by OpenTelemetry's conventions. For sqlx and any other driver;
//! it needs none.
//!
//! ```
//! # struct Row;
//! # async fn fetch_all(_: &str) -> Result<Vec<Row>, std::io::Error> { Ok(vec![Row, Row]) }
//! # async fn example() -> Result<(), std::io::Error> {
//! use throughline_std::db;
//! const SQL: &str = "SELECT name, price FROM items WHERE shelf = ?";
//! // With sqlx: `sqlx::query(SQL).bind(shelf).fetch_all(&pool)`.
//! let items = db::query("sqlite", SQL).namespace("shop").run_counting(fetch_all(SQL), Vec::len).await?;
//! # let _ = items;
//! # Ok(())
//! # }
//! ```
//!
//! The span is named after operation and table, `SELECT items`, and has `db.system.name`, `db.namespace`,
//! `db.operation.name`, `db.collection.name`, `db.query.text` with `?` in place of literals, `server.address` and
//! `server.port` if they are given, `db.response.returned_rows`, and `error.type`. A query that is given up has
//! `throughline.cancelled = true`. The same measurement is counted in `db.client.operation.duration`. Its series and
//! those of messages and requests are bounded together, by 1024; further ones are counted in its overflow series.

mod sql;

#[cfg(feature = "insights")]
pub(crate) use sql::without_literals;

use crate::conventions::{Convention, Operation, Site, Timed, convention};
use std::future::Future;
use throughline::adapter::bridge::FieldList;
use throughline::{Context, EnteredSpan};

static QUERY: Convention = convention!(
    Client,
    query_name,
    "throughline_std::db",
    "db.client.operation.duration",
    "Duration of database client operations",
    labels: &[
        "db.system.name",
        "db.namespace",
        "db.operation.name",
        "db.collection.name",
        "server.address",
        "server.port",
    ],
    outcome: &["error.type"],
    fields: &[
        "db.system.name",
        "db.namespace",
        "db.operation.name",
        "db.collection.name",
        "server.address",
        "server.port",
        "db.query.text",
    ],
);

fn query_name(labels: &[&str]) -> String {
    match labels {
        [system, _, "", ..] => (*system).to_owned(),
        [_, _, operation, "", ..] => (*operation).to_owned(),
        [_, _, operation, collection, ..] => format!("{operation} {collection}"),
        _ => String::new(),
    }
}

/// Describes a query; `system` is the database's name in the conventions, such as `sqlite`, `postgresql`, `mysql`,
/// `microsoft.sql_server` or `redis`.
///
/// Operation and table are read from the text if it is a statement of SQL on one table. [`Query::operation`] and
/// [`Query::collection`] say what they are where that is not so.
pub fn query<'a>(system: &'a str, text: &'a str) -> Query<'a> {
    let (operation, collection) = sql::summary(text);
    Query { system, text, operation, collection, namespace: "", server: None }
}

/// A query that has not begun; see [`query`].
#[derive(Clone, Debug)]
#[must_use = "a query begins with `run` or `begin`"]
pub struct Query<'a> {
    system: &'a str,
    text: &'a str,
    operation: String,
    collection: &'a str,
    namespace: &'a str,
    server: Option<(&'a str, u16)>,
}

impl<'a> Query<'a> {
    /// The database that is asked, `db.namespace`.
    pub fn namespace(self, namespace: &'a str) -> Query<'a> {
        Query { namespace, ..self }
    }

    /// What is done, `db.operation.name`, such as `SELECT` or `HMSET`. It becomes a label.
    pub fn operation(self, operation: &str) -> Query<'a> {
        Query { operation: operation.to_owned(), ..self }
    }

    /// The table or collection, `db.collection.name`. It becomes a label.
    pub fn collection(self, collection: &'a str) -> Query<'a> {
        Query { collection, ..self }
    }

    /// Host and port of the server.
    pub fn server(self, address: &'a str, port: u16) -> Query<'a> {
        Query { server: Some((address, port)), ..self }
    }

    /// Runs the query in its span. An error makes the span an error, with the error's type; its text is not recorded,
    /// because it may contain what was asked for.
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run<T, E>(self, future: impl Future<Output = Result<T, E>>) -> impl Future<Output = Result<T, E>> {
        self.begin().0.run(future, |_, _| ())
    }

    /// Like [`Query::run`], with the number of rows that `rows` finds in what is returned.
    ///
    /// # Errors
    ///
    /// Those of the future.
    pub fn run_counting<T, E>(
        self,
        future: impl Future<Output = Result<T, E>>,
        rows: impl FnOnce(&T) -> usize,
    ) -> impl Future<Output = Result<T, E>> {
        self.begin().0.run(future, |timed, found| timed.rows = Some(rows(found)))
    }

    /// Begins the query, for drivers that do not return a future of one result. It ends when it is dropped.
    ///
    /// ```
    /// # struct Row;
    /// # fn read() -> Result<Vec<Row>, std::io::Error> { Ok(vec![Row, Row]) }
    /// # fn example() -> Result<(), std::io::Error> {
    /// use throughline_std::db;
    /// let mut query = db::query("sqlite", "SELECT name FROM items").begin();
    /// let rows = {
    ///     let _entered = query.enter();
    ///     read()?
    /// };
    /// query.returned_rows(rows.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin(&self) -> Running {
        let Query { system, namespace, operation, collection, server, text } = self;
        let (address, port) = server.unzip();
        let port_text = port.map_or_else(String::new, |port| port.to_string());
        let labels =
            [*system, *namespace, &**operation, *collection, address.unwrap_or_default(), &*port_text];
        let site = Site::of(&QUERY, &labels);
        let mut fields = FieldList::expecting(QUERY.fields.len());
        // All but the port, which is a number.
        for text in &labels[..labels.len() - 1] {
            fields.push(&Some(*text).filter(|text| !text.is_empty()));
        }
        fields.push(&port);
        fields.push(sql::without_literals(text).as_str());
        Running(Timed::new(Operation::begin(site, Context::current(), &mut fields)))
    }
}

/// A query that is running; it ends when it is dropped. [`Query::begin`] makes it.
#[derive(Debug)]
#[must_use = "a query ends when it is dropped"]
pub struct Running(Timed);

impl Running {
    /// Makes its span current until the guard is dropped.
    #[must_use = "dropping the guard leaves the span"]
    pub fn enter(&self) -> EnteredSpan<'_> {
        self.0.span().enter()
    }

    /// Says how many rows came, `db.response.returned_rows`.
    pub fn returned_rows(&mut self, rows: usize) {
        self.0.rows = Some(rows);
    }

    /// Says that it failed; `error` becomes a label, so it is a kind of error and not its text.
    pub fn failed(&mut self, error: &'static str) {
        self.0.failed(error);
    }
}
