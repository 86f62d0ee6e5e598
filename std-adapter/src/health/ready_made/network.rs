//! Whether others can be reached.

use crate::health::check::Work;
use crate::health::{Check, Finding};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use throughline_export::text::{masked_url, said};

impl Check {
    /// Whether a TCP connection to `host:port` can be opened. All addresses of the name are tried.
    pub fn tcp(name: impl Into<String>, address: impl Into<String>) -> Check {
        let address = address.into();
        Check::of(name, Work::Call(Box::new(move |timeout| connect(&address, timeout))))
    }

    /// Whether this URL answers a GET with a status from 200 to 399. `https://` needs the feature `tls`.
    pub fn http(name: impl Into<String>, url: impl Into<String>) -> Check {
        let url = url.into();
        Check::of(name, Work::Call(Box::new(move |timeout| ask(&url, timeout))))
    }

    /// Whether the name of a host has an address.
    pub fn dns(name: impl Into<String>, host: impl Into<String>) -> Check {
        let host = host.into();
        Check::new(name, move || match (&*host, 0).to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
                let text = format!(
                    "{} is {}",
                    masked_url(&host),
                    addresses.first().map_or("nowhere", |first| first)
                );
                match addresses.is_empty() {
                    true => Finding::unhealthy(format!("{text}; does the name exist?")),
                    false => Finding::healthy(text).detail("addresses", addresses.join(" ")),
                }
            }
            Err(error) => {
                let host = masked_url(&host);
                Finding::unhealthy(format!("{host} has no address: {error}; does the name exist?"))
            }
        })
    }
}

fn connect(address: &str, timeout: Duration) -> Finding {
    let ends = Instant::now() + timeout;
    let failed = |error: &io::Error| {
        Finding::unhealthy(format!(
            "{} cannot be reached: {error}; does it run, and is the address right?",
            masked_url(address)
        ))
    };
    let addresses = match address.to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => return failed(&error),
    };
    let mut last = io::Error::other("the name has no address");
    for one in addresses {
        let left = ends.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&one, left) {
            Ok(_) => return Finding::healthy(format!("{one} takes connections")),
            Err(error) => last = error,
        }
    }
    failed(&last)
}

fn ask(url: &str, timeout: Duration) -> Finding {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        .build()
        .new_agent();
    let shown = masked_url(url);
    match agent.get(url).call() {
        Ok(answer) => {
            let code = answer.status().as_u16();
            match code {
                200..=399 => Finding::healthy(format!("{shown} answers {code}")),
                _ => Finding::unhealthy(format!("{shown} answers {code}; see its own log")),
            }
            .detail("status", code)
        }
        Err(error) => {
            // The library may quote the URL.
            let error = said(&error.to_string().replace(url, &shown));
            Finding::unhealthy(format!("{shown} does not answer: {error}"))
        }
    }
}
